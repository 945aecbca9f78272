// The suite bites: each store here has one flaw, and fails in the clause that it breaks. Without a flaw the
// same store passes everything.

#include <set>
#include <string>
#include <vector>

#include <paidonce/testing/store_conformance.hpp>

#include "flawed_store.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using conformance::Flaw;
using conformance::FlawedFixture;

namespace {

enum class Breaks { only_this, others_too };

struct Case {
  Flaw flaw;
  std::string clause;
  Breaks breaks = Breaks::others_too;
};

constexpr auto only_this = Breaks::only_this;

const std::vector<Case> operations = {
    {Flaw::insert_overwrites, "insert.first_wins"},
    {Flaw::insert_checks_then_sets, "race.insert_one_winner", only_this},
    {Flaw::insert_tells_all_stored, "insert.first_wins"},
    {Flaw::insert_returns_half, "insert.returns_complete_record"},
    {Flaw::insert_forgets, "find.sees_acknowledged"},
    {Flaw::replace_unconditional, "replace.compares_version"},
    {Flaw::replace_checks_then_sets, "race.replace_one_winner", only_this},
    {Flaw::replace_inserts_absent, "replace.absent_is_false"},
    {Flaw::replace_acknowledges_nothing, "find.sees_acknowledged"},
    {Flaw::replace_compares_32_bits, "replace.compares_version"},
    {Flaw::replace_ignores_what_is_newer, "replace.compares_version"},
    {Flaw::store_numbers_versions, "replace.versions_are_the_records"},
    {Flaw::find_lags_behind, "find.sees_acknowledged"},
    {Flaw::find_creates, "find.absent_is_nullopt"},
    {Flaw::torn_writes, "race.read_while_write_is_whole", only_this},
    {Flaw::replace_acknowledges_nothing, "race.no_lost_update"},
    {Flaw::insert_forgets, "race.keys_are_independent"},
};

const std::vector<Case> records_and_keys = {
    {Flaw::fingerprint_lost, "record.fingerprint_survives"},
    {Flaw::fingerprint_lost_on_completion, "record.fingerprint_survives"},
    {Flaw::empty_fields_keep_the_old, "record.empty_fields_survive"},
    {Flaw::texts_end_at_nul, "record.every_field_survives"},
    {Flaw::ids_are_doubles, "record.every_field_survives"},
    {Flaw::times_in_seconds, "record.every_field_survives"},
    {Flaw::scope_ignored, "keys.scope_and_text_are_apart"},
    {Flaw::scope_joined_with_a_colon, "keys.scope_and_text_are_apart"},
    {Flaw::keys_end_at_nul, "keys.are_opaque_bytes"},
    {Flaw::keys_fold_case, "keys.are_opaque_bytes"},
    {Flaw::keys_are_trimmed, "keys.are_opaque_bytes"},
    {Flaw::keys_are_cut, "keys.count_to_their_last_byte", only_this},
    {Flaw::keys_compared_by_hash, "hash_collisions.compare_full_keys", only_this},
};

const std::vector<Case> errors_and_room = {
    {Flaw::errors_as_absent, "errors.are_not_absence"},
    {Flaw::errors_as_stored, "errors.are_not_absence", only_this},
    {Flaw::errors_as_conflict, "errors.are_not_absence", only_this},
    {Flaw::errors_tell_the_key, "errors.are_not_absence", only_this},
    {Flaw::evicts_unfinished, "unfinished.never_evicted"},
    {Flaw::evicts_completed, "capacity.completed_are_not_evicted", only_this},
    {Flaw::full_says_stored, "capacity.full_is_an_error", only_this},
    {Flaw::full_refuses_replace, "capacity.full_still_completes", only_this},
    {Flaw::insert_tells_all_stored, "errors.leave_what_was_acknowledged"},
};

const std::vector<Case> sweeps_and_scans = {
    {Flaw::sweep_checks_then_erases, "sweep.spares_what_began_anew", only_this},
    {Flaw::sweep_erases_in_progress, "sweep.never_unfinished"},
    {Flaw::sweep_erases_in_doubt, "sweep.never_unfinished"},
    {Flaw::sweep_erases_checkpoints, "sweep.never_a_checkpoint", only_this},
    {Flaw::sweep_is_early, "sweep.respects_the_boundary"},
    {Flaw::sweep_is_late, "sweep.respects_the_boundary"},
    {Flaw::sweep_ignores_limit, "sweep.respects_the_limit"},
    {Flaw::sweep_counts_what_it_looked_at, "sweep.respects_the_boundary"},
    {Flaw::sweep_leaves_a_ghost, "sweep.makes_old_versions_stale"},
    {Flaw::scan_ignores_states, "scan.filters"},
    {Flaw::scan_ignores_time, "scan.filters", only_this},
    {Flaw::scan_ignores_limit, "scan.respects_the_limit"},
    {Flaw::scan_ignores_stop, "scan.stops_when_told", only_this},
    {Flaw::scan_repeats_last, "scan.continues_after"},
    {Flaw::scan_continues_by_count, "scan.survives_writes_between_pages"},
    {Flaw::scan_shows_old_versions, "scan.visits_each_once"},
    {Flaw::scan_goes_by_first_states, "scan.follows_records_between_states", only_this},
    {Flaw::sweep_erases_nothing, "sweep.erases_expired"},
    {Flaw::sweep_erases_nothing, "sweep.erases_each_once"},
    {Flaw::sweep_erases_in_progress, "sweep.looks_at_the_newest_version"},
    {Flaw::scan_continues_by_count, "scan.continues_after_what_was_erased"},
};

const std::vector<Case> handles_and_transactions = {
    {Flaw::reopen_forgets_last, "reopen.keeps_acknowledged"},
    {Flaw::reopen_forgets_replaces, "reopen.keeps_acknowledged"},
    {Flaw::reopen_forgets_erasure, "reopen.keeps_swept_ones_away", only_this},
    {Flaw::handle_caches, "second_handle.sees_acknowledged"},
    {Flaw::holder_always_gone, "holder.own_attempts_live"},
    {Flaw::reopen_takes_holders_for_gone, "holder.reopening_here_proves_nothing", only_this},
    {Flaw::transaction_keeps_on_throw, "transaction.rolls_back_on_throw", only_this},
    {Flaw::transaction_swallows, "transaction.rolls_back_on_throw"},
    {Flaw::transaction_is_dirty, "transaction.never_shows_what_is_rolled_back", only_this},
    {Flaw::transaction_forgets, "transaction.commits"},
    {Flaw::transaction_overwrites, "transaction.is_a_store"},
    {Flaw::insert_forgets, "handle.moves_with_its_records"},
    {Flaw::reopen_forgets_replaces, "reopen.keeps_what_came_after_reopening"},
    {Flaw::insert_tells_all_stored, "second_handle.insert_one_winner"},
    {Flaw::replace_unconditional, "second_handle.replace_one_winner"},
    {Flaw::replace_acknowledges_nothing, "second_handle.no_lost_update"},
    {Flaw::transaction_forgets, "transaction.conflicting_insert_meets_it"},
    {Flaw::transaction_overwrites, "transaction.race_has_one_winner"},
};

/// Where the flaw breaks more than its clause, that alone is run.
ConformanceReport run(const Case& wrong) {
  return run_store_conformance(
      FlawedFixture(wrong.flaw, wrong.clause),
      {.rounds = 5, .only = wrong.breaks == only_this ? std::string() : wrong.clause});
}

void check(const std::vector<Case>& cases) {
  for (const Case& wrong : cases) {
    CAPTURE(static_cast<int>(wrong.flaw), wrong.clause);
    const ConformanceReport report = run(wrong);
    CAPTURE(report.text());
    CHECK(report.failed(wrong.clause));
    if (wrong.breaks == only_this) CHECK(report.failures().size() == 1);
  }
}

}  // namespace

TEST_CASE("the store without a flaw passes every clause", "[conformance][store]") {
  const ConformanceReport report = run_store_conformance(FlawedFixture(Flaw::none));
  CHECK(report.text() == "");
  CHECK(report.passed());
  CHECK(report.skips().empty());
}

TEST_CASE("stores whose operations are wrong fail in the clause that they break", "[conformance][store]") {
  check(operations);
}
TEST_CASE("stores that lose parts of records or keys fail in the clause that they break",
          "[conformance][store]") {
  check(records_and_keys);
}
TEST_CASE("stores that hide errors or forget for want of room fail in the clause that they break",
          "[conformance][store]") {
  check(errors_and_room);
}
TEST_CASE("stores that sweep or scan wrongly fail in the clause that they break", "[conformance][store]") {
  check(sweeps_and_scans);
}
TEST_CASE("stores whose handles or transactions are wrong fail in the clause that they break",
          "[conformance][store]") {
  check(handles_and_transactions);
}

TEST_CASE("every clause for stores is broken by some store", "[conformance][store]") {
  const ConformanceReport right = run_store_conformance(FlawedFixture(Flaw::none), {.rounds = 1});
  std::set<std::string> unbroken(right.clauses().begin(), right.clauses().end());
  for (const auto& cases :
       {operations, records_and_keys, errors_and_room, sweeps_and_scans, handles_and_transactions})
    for (const Case& wrong : cases) unbroken.erase(wrong.clause);
  CHECK(std::vector<std::string>(unbroken.begin(), unbroken.end()) == std::vector<std::string>());
}

TEST_CASE("a store conformance run can be confined to clauses", "[conformance][store]") {
  const ConformanceReport report =
      run_store_conformance(FlawedFixture(Flaw::none), {.rounds = 1, .only = "insert."});
  CHECK(report.clauses() == std::vector<std::string>{"insert.first_wins", "insert.returns_complete_record"});
  const ConformanceReport nothing =
      run_store_conformance(FlawedFixture(Flaw::none), {.only = "no such clause"});
  CHECK_FALSE(nothing.passed());
  CHECK(nothing.text() == "no clause was run\n");
}
