// What cannot be stored cannot be replayed.
// expect: this result type has no Codec
#include <paidonce/paidonce.hpp>

struct Receipt {
  int number;
};

#ifdef FIXED
template <>
struct paidonce::Codec<Receipt> {
  static constexpr std::string_view format = "receipt";
  static std::string encode(const Receipt& receipt) { return std::to_string(receipt.number); }
  static Receipt decode(std::string_view) { return {1}; }
};
#endif

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return Receipt{1}; });
}
