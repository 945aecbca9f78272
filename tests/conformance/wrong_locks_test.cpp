// The suite bites: each lock here has one flaw, and fails in the clause that it breaks. Without a flaw the
// same lock passes everything. Little patience is enough: a right lock is tested with much.

#include <set>
#include <string>
#include <vector>

#include <paidonce/testing/lock_conformance.hpp>

#include "flawed_lock.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using conformance::FlawedLockFixture;
using conformance::LockFlaw;

namespace {

struct Case {
  LockFlaw flaw;
  std::string clause;
};

const std::vector<Case> exclusion = {
    {LockFlaw::goes_ahead_when_time_is_up, "wait.is_bounded"},
    {LockFlaw::checks_then_takes, "exclusion.under_threads"},
    {LockFlaw::lets_its_owner_in_again, "exclusion.within_one_thread"},
    {LockFlaw::frees_entry_under_a_waiter, "wait.in_vain_leaves_no_trace"},
    {LockFlaw::waiter_in_vain_releases, "exclusion.second_caller_gets_nothing"},
    {LockFlaw::checks_then_takes, "churn.freed_and_taken_again"},
    {LockFlaw::never_released, "release.on_destruction"},
    {LockFlaw::kept_on_exception, "release.on_exception"},
    {LockFlaw::kept_on_another_thread, "release.on_another_thread"},
    {LockFlaw::kept_once_waited_for, "handoff.wakes_every_waiter"},
    {LockFlaw::releases_twice, "release.once_by_the_last_owner"},
    {LockFlaw::assignment_forgets, "release.by_move_assignment"},
    {LockFlaw::scope_ignored, "keys.scope_and_text_are_apart"},
    {LockFlaw::keys_end_at_nul, "keys.are_opaque_bytes"},
    {LockFlaw::keys_are_cut, "keys.count_to_their_last_byte"},
    {LockFlaw::keys_share_stripes, "keys.do_not_block_each_other"},
    {LockFlaw::handles_apart, "second_handle.excludes"},
    {LockFlaw::errors_as_held, "errors.are_not_an_answer"},
    {LockFlaw::errors_as_free, "errors.are_not_an_answer"},
};

const std::vector<Case> waiting = {
    {LockFlaw::never_released, "churn.with_waits_in_vain"},
    {LockFlaw::zero_waits_without_limit, "wait_zero.returns_at_once"},
    {LockFlaw::waits_without_limit, "wait.is_bounded"},
    {LockFlaw::gives_up_early, "wait.is_bounded"},
    {LockFlaw::overflows, "wait.ends_with_the_release"},
    {LockFlaw::wakes_nobody, "wait.ends_with_the_release"},
    {LockFlaw::wakes_one_of_all, "handoff.wakes_the_right_waiter"},
    {LockFlaw::wakes_only_once, "handoff.wakes_every_waiter"},
    {LockFlaw::interrupt_misses_who_waits, "interrupt.ends_waits"},
    {LockFlaw::interrupt_misses_who_comes, "interrupt.ends_waits_to_come"},
    {LockFlaw::interrupt_releases, "interrupt.keeps_holds"},
};

/// Only the part of the suite to which the clause belongs: a flaw that lets everybody wait is slow elsewhere.
ConformanceReport run(const Case& wrong) {
  return run_lock_conformance(FlawedLockFixture(wrong.flaw, wrong.clause),
                              {.rounds = 5, .patience = Duration(150), .only = wrong.clause});
}

void check(const std::vector<Case>& cases) {
  for (const Case& wrong : cases) {
    CAPTURE(static_cast<int>(wrong.flaw), wrong.clause);
    CHECK(run(wrong).failed(wrong.clause));
  }
}

}  // namespace

TEST_CASE("the lock without a flaw passes every clause", "[conformance][lock]") {
  const ConformanceReport report = run_lock_conformance(FlawedLockFixture(LockFlaw::none, ""));
  CHECK(report.text() == "");
  CHECK(report.passed());
  CHECK(report.skips().empty());
}

TEST_CASE("locks that two may hold, or that nobody can take again, fail in the clause that they break",
          "[conformance][lock]") {
  check(exclusion);
}

TEST_CASE("locks that wait too long, too short or in vain fail in the clause that they break",
          "[conformance][lock]") {
  check(waiting);
}

TEST_CASE("every clause for locks is broken by some lock", "[conformance][lock]") {
  const ConformanceReport right = run_lock_conformance(FlawedLockFixture(LockFlaw::none, ""), {.rounds = 1});
  std::set<std::string> unbroken(right.clauses().begin(), right.clauses().end());
  for (const auto& cases : {exclusion, waiting})
    for (const Case& wrong : cases) unbroken.erase(wrong.clause);
  CHECK(std::vector<std::string>(unbroken.begin(), unbroken.end()) == std::vector<std::string>());
}
