// Compiled twice by no_observer.cmake, which looks at what is left of observers in the code.

#include <paidonce/guard.hpp>
#include <paidonce/observe/metrics.hpp>
#include <paidonce/observe/observers.hpp>

#include <optional>

namespace {

using namespace paidonce;

struct NothingStore {
  std::optional<Record> find(const IdempotencyKey&) { return std::nullopt; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return std::nullopt; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return true; }
};

using Guard = IdempotencyGuard<NothingStore, KeyedMutex, SystemClock, OBSERVER>;

}  // namespace

// Through a pointer, so that it is compiled and nothing else is.
extern Status (*const pay)(void*, const IdempotencyKey&, const Fingerprint&);
Status (*const pay)(void*, const IdempotencyKey&, const Fingerprint&) =
    [](void* guard, const IdempotencyKey& key, const Fingerprint& request) {
      return static_cast<Guard*>(guard)->execute(key, request, [] { return 1; }).status();
    };
