#pragma once
// What every lock must pass before duplicates may queue on it. Needs no test framework:
//
//   struct Fixture {
//     MyLock make() { return MyLock(...); }  // a lock of which nothing is held, or a reference to one
//   };
//   const auto report = paidonce::run_lock_conformance(Fixture{});
//
// What else a fixture may have:
//
// | member                | claims and brings about                                                   |
// | --------------------- | ------------------------------------------------------------------------- |
// | `second_handle()`     | another handle, as another process would have it, on the last one's keys  |
// | `break_backend(lock)` | from now on the lock service does not answer                              |
// | `begin_clause(name)`  | is told the name of each clause before it runs                            |

#include <optional>
#include <string>
#include <type_traits>

#include <paidonce/errors.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/testing/conformance/lock_bench.hpp>
#include <paidonce/testing/conformance/lock_clauses.hpp>
#include <paidonce/testing/conformance/lock_races.hpp>
#include <paidonce/testing/conformance/report.hpp>

namespace paidonce::inline v1 {

namespace detail {

template <class Run>
void lock_backend_clauses(Run& run) {
  auto& fixture = run.fixture;
  const IdempotencyKey key("suite", "key");

  if constexpr (requires { fixture.second_handle(); }) {
    run.clause("second_handle.excludes", [&] {
      LockBench<decltype(fixture.make())> first([&]() -> decltype(auto) { return fixture.make(); },
                                                run.options.patience);
      LockBench<decltype(fixture.second_handle())> second(
          [&]() -> decltype(auto) { return fixture.second_handle(); }, run.options.patience);
      std::optional held(first.hold(key));
      second.expect_held(key, "of a key that is held through the other handle");
      auto waiter = second.start(key, second.long_wait());
      expect(waiter.still_waits(), "acquire of a key held through the other handle: expected it to wait");
      held.reset();
      auto got = waiter.finish(second.patience(), "acquire of a key released through the other handle");
      expect(got.has_value(),
             "acquire of a key released through the other handle: expected a hold, saw nullopt");
      first.expect_held(key, "of a key that is held through the second handle");
    });
  } else {
    run.skip("second_handle.", "the fixture has no second_handle()");
  }

  if constexpr (requires(decltype(fixture.make())& lock) { fixture.break_backend(lock); }) {
    run.clause("errors.are_not_an_answer", [&] {
      LockBench<decltype(fixture.make())> bench([&]() -> decltype(auto) { return fixture.make(); },
                                                run.options.patience);
      fixture.break_backend(bench.lock());
      try {
        (void)bench.acquire(key, Duration(0), "acquire while the lock service is gone");
      } catch (const Error& error) {
        expect(error.code() == errc::lock_unavailable,
               "acquire while the lock service is gone: expected the "
               "error lock_unavailable, saw " +
                   in_quotes(error.what()));
        return;
      }
      throw ClauseFailed(
          "acquire while the lock service is gone: expected the error lock_unavailable, saw an "
          "answer");
    });
  } else {
    run.skip("errors.", "the fixture has no break_backend(lock)");
  }
}

}  // namespace detail

/// Runs all clauses that the lock and the fixture allow for, each on a lock of its own. Times are bounded
/// below by the wait that was asked for and above by `options.patience` alone, so that a busy machine does
/// not fail a lock. Threads that a wrong lock never lets go are left behind.
template <class F>
ConformanceReport run_lock_conformance(F&& fixture, const ConformanceOptions& options = {}) {
  using Made = decltype(fixture.make());
  static_assert(Lock<std::remove_reference_t<Made>>,
                "paidonce: what the fixture's make() returns does not model paidonce::Lock");

  detail::ConformanceRun<std::remove_reference_t<F>> run(fixture, options);
  const auto make_bench = [&] {
    return detail::LockBench<Made>([&]() -> decltype(auto) { return fixture.make(); }, run.options.patience);
  };
  detail::lock_hold_clauses(run, make_bench);
  detail::lock_key_clauses(run, make_bench);
  detail::lock_race_clauses(run, make_bench);
  if constexpr (InterruptibleLock<std::remove_reference_t<Made>>)
    detail::lock_interrupt_clauses(run, make_bench);
  else
    run.skip("interrupt.", "the lock has no interrupt() noexcept");
  detail::lock_backend_clauses(run);
  return run.report();
}

}  // namespace paidonce::inline v1
