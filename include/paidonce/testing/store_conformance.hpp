#pragma once
// What every store must pass before it may hold payments. Needs no test framework:
//
//   struct Fixture {
//     MyStore make() { return MyStore(...); }  // a fresh and empty store, or a reference to one
//   };
//   const auto report = paidonce::run_store_conformance(Fixture{});
//   if (!report.passed()) std::puts(report.text().c_str());
//
// What else a fixture may have, each claiming something that is then tested:
//
// | member                  | claims and brings about                                                    |
// | ----------------------- | -------------------------------------------------------------------------- |
// | `reopen()`              | durability: opens again what the last store, destroyed by now, has kept    |
// | `second_handle()`       | atomicity across connections: another handle on the last one's records     |
// | `break_backend(store)`  | from now on the store cannot reach its records                             |
// | `mend_backend(store)`   | now it can again                                                           |
// | `make_with_room_for(n)` | a store that takes at least n records and fewer than 4 n                   |
// | `make_colliding()`      | a store all of whose keys have the same hash                               |
// | `now()`                 | the store's own time, where it is not the system's                         |
// | `begin_clause(name)`    | is told the name of each clause before it runs                             |

#include <type_traits>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/report.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/store_basics.hpp>
#include <paidonce/testing/conformance/store_handles.hpp>
#include <paidonce/testing/conformance/store_limits.hpp>
#include <paidonce/testing/conformance/store_races.hpp>
#include <paidonce/testing/conformance/store_scan.hpp>
#include <paidonce/testing/conformance/store_sweep.hpp>
#include <paidonce/testing/conformance/store_transaction.hpp>

namespace paidonce::inline v1 {

/// Runs all clauses that the store and the fixture allow for, each on stores of its own. A clause ends at its
/// first failure; the others run all the same. A store that blocks for ever in a plain operation blocks the
/// suite: give the test program a time limit.
template <class F>
ConformanceReport run_store_conformance(F&& fixture, const ConformanceOptions& options = {}) {
  using S = std::remove_reference_t<decltype(fixture.make())>;
  static_assert(Store<S>, "paidonce: what the fixture's make() returns does not model paidonce::Store");

  detail::ConformanceRun<std::remove_reference_t<F>> run(fixture, options);
  const detail::Samples samples = detail::samples_for(fixture);
  detail::store_basic_clauses(run, samples);
  detail::store_key_clauses(run, samples);
  detail::store_race_clauses(run, samples);
  detail::store_limit_clauses(run, samples);
  if constexpr (SweepableStore<S>)
    detail::store_sweep_clauses(run, samples);
  else
    run.skip("sweep.", "the store has no erase_expired(now, limit)");
  if constexpr (ScannableStore<S>)
    detail::store_scan_clauses(run, samples);
  else
    run.skip("scan.", "the store has no scan(filter, visitor)");
  if constexpr (TransactionalStore<S>)
    detail::store_transaction_clauses(run, samples);
  else
    run.skip("transaction.", "the store has no Transaction and transact(body)");
  detail::store_handle_clauses(run, samples);
  return run.report();
}

}  // namespace paidonce::inline v1
