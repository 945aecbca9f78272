#pragma once
// A CachedStore over the store of another fixture, each handle with a memory of its own. Whoever sweeps has
// the time by which they do: the clock of all handles goes with them.

#include <cstddef>
#include <optional>
#include <utility>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/cached.hpp>
#include <paidonce/testing/manual_clock.hpp>

namespace conformance {

/// `Inner` is a fixture with second_handle().
template <class Inner>
struct CachedFixture {
  using Below = decltype(std::declval<Inner&>().make());

  struct Swept {
    Below below;
    paidonce::ManualClock clock;

    std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) { return below.find(key); }
    std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                           const paidonce::Record& record) {
      return below.insert(key, record);
    }
    bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
                 const paidonce::Record& record) {
      return below.replace(key, expected, record);
    }
    template <class Visitor>
    void scan(const paidonce::ScanFilter& filter, Visitor&& visitor) {
      below.scan(filter, visitor);
    }
    std::size_t erase_expired(paidonce::Timestamp now, std::size_t limit) {
      clock.set(now);
      return below.erase_expired(now, limit);
    }
  };
  using Cached = paidonce::CachedStore<Swept, paidonce::ManualClock>;

  Inner inner = {};
  paidonce::Timestamp start = paidonce::SystemClock{}.now();
  paidonce::ManualClock clock = paidonce::ManualClock(start);

  Cached make() {
    clock = paidonce::ManualClock(start);
    return Cached(Swept{inner.make(), clock}, clock);
  }
  Cached second_handle() { return Cached(Swept{inner.second_handle(), clock}, clock); }
  paidonce::Timestamp now() const { return start; }
};

}  // namespace conformance
