// The message names the operation that is missing.
// expect: replace
#include <paidonce/paidonce.hpp>

struct Half {
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey&);
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey&, const paidonce::Record&);
#ifdef FIXED
  bool replace(const paidonce::IdempotencyKey&, paidonce::Version, const paidonce::Record&);
#endif
};

paidonce::IdempotencyGuard<Half>* guard;
