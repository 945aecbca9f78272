#pragma once
// What the tests of the guard share: a guard on a clock that stands still, and short words for keys and
// answers.

#include <string>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/tested_store.hpp"

namespace guard_tests {

using namespace paidonce;
using namespace std::chrono_literals;
using support::TestedStore;

using Text = PaymentResult<std::string>;

inline IdempotencyKey key(std::string_view text = "order-1001") { return {"shop", text}; }
inline const Fingerprint request = fingerprint("order-1001", "4.50", "EUR");
inline const Fingerprint other_request = fingerprint("order-1001", "5.40", "EUR");

/// A guard over a store in memory, both on a clock that a test moves.
template <class L = KeyedMutex, class O = NoObserver>
struct World {
  explicit World(GuardOptions options = {}, O observe = O())
      : observer(observe), guard(store, L(), clock, options, observer) {}

  Record record(const IdempotencyKey& of = key()) { return store.find(of).value(); }
  State state(const IdempotencyKey& of = key()) { return record(of).state; }

  /// Leaves the key in doubt, as a callable that throws does.
  void put_in_doubt(const IdempotencyKey& of = key()) {
    const auto outcome = guard.execute(of, request, []() -> Text { throw std::runtime_error("no reply"); });
    if (outcome.status() != Status::in_doubt) throw std::logic_error("it was to be in doubt");
  }

  TestedStore store;
  ManualClock clock;
  O observer;
  IdempotencyGuard<TestedStore&, L, ManualClock, O> guard;
};

/// A payment that must not run.
inline Text never() { throw std::logic_error("the payment ran, and must not"); }

/// Counts its runs and succeeds with "paid N".
struct Counting {
  int runs = 0;
  Text operator()() { return succeeded("paid " + std::to_string(++runs)); }
};

}  // namespace guard_tests
