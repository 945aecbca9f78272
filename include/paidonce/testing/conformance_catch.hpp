#pragma once
// The conformance suites in a Catch2 test case, one line per store or lock. Include Catch2 first, of version
// 2 or 3:
//
//   TEST_CASE("MyStore keeps what a store promises") { paidonce::check_store_conformance<Fixture>(); }

#include <type_traits>
#include <utility>

#include <paidonce/testing/lock_conformance.hpp>
#include <paidonce/testing/store_conformance.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// One assertion for each clause, and one message for each that failed.
template <class Report>
void check_report([[maybe_unused]] const Report& report) {
#ifdef CATCH_VERSION_MAJOR
  CHECK(!report.clauses().empty());
  for (const auto& clause : report.clauses()) {
    CAPTURE(clause);
    CHECK_FALSE(report.failed(clause));
  }
  for (const auto& failure : report.failures()) FAIL_CHECK(failure.clause << ": " << failure.text);
#else
  static_assert(std::is_void_v<Report>, "paidonce: include Catch2 before testing/conformance_catch.hpp");
#endif
}

}  // namespace detail

template <class F>
void check_store_conformance(F&& fixture, const ConformanceOptions& options = {}) {
  detail::check_report(run_store_conformance(std::forward<F>(fixture), options));
}
template <class F>
void check_store_conformance(const ConformanceOptions& options = {}) {
  check_store_conformance(F{}, options);
}

template <class F>
void check_lock_conformance(F&& fixture, const ConformanceOptions& options = {}) {
  detail::check_report(run_lock_conformance(std::forward<F>(fixture), options));
}
template <class F>
void check_lock_conformance(const ConformanceOptions& options = {}) {
  check_lock_conformance(F{}, options);
}

}  // namespace paidonce::inline v1
