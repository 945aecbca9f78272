#pragma once
// The clauses about listing records.

#include <cstddef>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/store_sweep.hpp>

namespace paidonce::inline v1::detail {

using Listing = std::vector<std::pair<std::string, Record>>;

template <class S>
Listing list(S& store, const ScanFilter& filter) {
  Listing seen;
  store.scan(filter, [&](const IdempotencyKey& key, const Record& record) {
    seen.emplace_back(std::string(key.bytes()), record);
    return true;
  });
  return seen;
}

/// Pages of `limit` records until one comes back empty; `between(page)` is called after each.
template <class S, class Between>
Listing list_pages(S& store, ScanFilter filter, Between between) {
  Listing all;
  for (std::size_t page = 0; page < 1000; ++page) {
    const Listing seen = list(store, filter);
    expect(seen.size() <= filter.limit, "a scan with limit " + std::to_string(filter.limit) +
                                            ": expected no more, saw " + std::to_string(seen.size()));
    if (seen.empty()) return all;
    all.insert(all.end(), seen.begin(), seen.end());
    filter.after = seen.back().first;
    between(seen);
  }
  throw ClauseFailed(
      "scans that go on behind the last key: expected an empty one in the end, saw 1000 pages");
}

/// That a listing holds exactly these, each once. `others` may be there as well.
inline void expect_listing(const std::string& what, const Listing& seen,
                           const std::map<std::string, Record>& expected,
                           const std::map<std::string, Record>& others = {}) {
  std::map<std::string, Record> rest = expected;
  for (const auto& [key, record] : seen) {
    const auto found = rest.find(key);
    if (found == rest.end()) {
      expect(others.contains(key) && !expected.contains(key),
             what + ": expected each record that the filter lets through once, saw " + in_quotes(key) +
                 (expected.contains(key) ? " twice" : ", which it does not let through"));
      continue;
    }
    expect_record(what, record, found->second);
    rest.erase(found);
  }
  expect(rest.empty(), what + ": expected " + std::to_string(expected.size()) + " records, did not see " +
                           std::to_string(rest.size()) + " of them, such as " +
                           (rest.empty() ? std::string() : in_quotes(rest.begin()->first)));
}

/// Run where the store models ScannableStore.
template <class Run>
void store_scan_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  constexpr State states[] = {State::in_progress, State::succeeded, State::declined, State::in_doubt,
                              State::released};

  /// 40 records, eight in each state, under keys of every kind.
  const auto fill = [&](auto& store) {
    std::map<std::string, Record> stored;
    const std::vector<IdempotencyKey> keys = hostile_keys();
    for (std::size_t i = 0; i < 40; ++i) {
      const State state = states[i % 5];
      Record record = state == State::in_progress ? samples.woven(i + 1)
                      : state == State::in_doubt  ? samples.in_doubt(i + 1)
                                                  : samples.ended(state, i + 1);
      expect_stored("insert", store.insert(keys[i], record));
      stored.emplace(keys[i].bytes(), std::move(record));
    }
    return stored;
  };
  const auto nothing_between = [](const Listing&) {};

  run.clause("scan.visits_each_once", [&] {
    auto&& store = fixture.make();
    expect_listing("a scan of an empty store", list(store, {}), {});
    auto stored = fill(store);
    expect_listing("a scan of everything", list(store, {}), stored);
    const IdempotencyKey first = hostile_keys()[0];
    expect(store.replace(first, 1, samples.woven(500)), "replace: expected true, saw false");
    stored.at(std::string(first.bytes())) = samples.woven(500);
    expect_listing("a scan after a replace", list(store, {}), stored);
  });

  run.clause("scan.filters", [&] {
    auto&& store = fixture.make();
    const auto stored = fill(store);
    const auto check = [&](const std::string& what, const ScanFilter& filter) {
      std::map<std::string, Record> expected;
      for (const auto& [key, record] : stored)
        if (passes(filter, record)) expected.emplace(key, record);
      expect_listing(what, list(store, filter), expected);
    };
    for (const State state : states) check("a scan of one state", {.states = {state}});
    check("a scan of two states", {.states = {State::in_progress, State::in_doubt}});
    const Timestamp middle = samples.woven(20).updated_at;
    check("a scan of what was updated before a moment", {.updated_before = middle});
    check("a scan of both", {.states = {State::succeeded}, .updated_before = middle + Duration(1)});
    check("a scan that nothing passes", {.updated_before = Timestamp(Duration(0))});
  });

  run.clause("scan.follows_records_between_states", [&] {
    auto&& store = fixture.make();
    auto stored = fill(store);
    const std::vector<State> unfinished{State::in_progress, State::in_doubt};
    Version version = 1000;
    /// Every way to begin again, to fall into doubt and to end.
    const auto move_on = [&](const std::string& key, Record& record) {
      constexpr State next[] = {State::in_doubt, State::in_progress, State::in_doubt, State::released,
                                State::in_progress};
      const State state = version % 3 == 0 ? State::succeeded : next[static_cast<int>(record.state) - 1];
      const Version before = record.version;
      ++version;
      record = state == State::in_progress ? samples.woven(version)
               : state == State::in_doubt  ? samples.in_doubt(version)
                                           : samples.ended(state, version);
      expect(store.replace(IdempotencyKey::from_bytes(key), before, record),
             "replace: expected true, saw false");
    };
    const auto check = [&](const std::string& what, const ScanFilter& filter) {
      std::map<std::string, Record> expected;
      for (const auto& [key, record] : stored)
        if (passes(filter, record)) expected.emplace(key, record);
      expect_listing(what, list(store, filter), expected);
    };
    for (int round = 0; round < 4; ++round) {
      for (auto& [key, record] : stored) move_on(key, record);
      check("a scan of what is unfinished by now", {.states = unfinished});
      for (const State state : states) check("a scan of one state by now", {.states = {state}});
    }
    std::map<std::string, Record> others, lasting;
    for (const auto& [key, record] : stored)
      (lasting.size() <= others.size() && passes({.states = unfinished}, record) ? lasting : others)
          .emplace(key, record);
    const auto seen = list_pages(store, {.states = unfinished, .limit = 3}, [&](const Listing&) {
      for (auto& [key, record] : others) move_on(key, record);
    });
    expect_listing("pages of what is unfinished, with others that change between them", seen, lasting,
                   others);
  });

  run.clause("scan.continues_after", [&] {
    auto&& store = fixture.make();
    const auto stored = fill(store);
    for (const std::size_t limit : {1U, 7U, 39U, 40U, 41U})
      expect_listing("pages of " + std::to_string(limit),
                     list_pages(store, {.limit = limit}, nothing_between), stored);
    std::map<std::string, Record> doubtful;
    for (const auto& [key, record] : stored)
      if (record.state == State::in_doubt) doubtful.emplace(key, record);
    expect_listing("pages of 3 of one state",
                   list_pages(store, {.states = {State::in_doubt}, .limit = 3}, nothing_between), doubtful);
  });

  run.clause("scan.stops_when_told", [&] {
    auto&& store = fixture.make();
    fill(store);
    for (const std::size_t most : {1U, 2U, 25U}) {
      std::size_t visited = 0;
      store.scan(ScanFilter{}, [&](const IdempotencyKey&, const Record&) { return ++visited < most; });
      expect_count("visits until the visitor returned false", visited, most);
    }
  });

  run.clause("scan.respects_the_limit", [&] {
    auto&& store = fixture.make();
    fill(store);
    for (const std::size_t limit : {0U, 1U, 13U, 40U, 100U})
      expect_count("a scan of 40 records with limit " + std::to_string(limit),
                   list(store, {.limit = limit}).size(), limit < 40 ? limit : 40);
    expect_count("a scan of eight records in doubt with limit 5",
                 list(store, {.states = {State::in_doubt}, .limit = 5}).size(), 5);
  });

  run.clause("scan.survives_writes_between_pages", [&] {
    auto&& store = fixture.make();
    const auto stored = fill(store);
    std::map<std::string, Record> others;
    std::size_t added = 0;
    const auto seen = list_pages(store, {.limit = 6}, [&](const Listing&) {
      for (int i = 0; i < 50 && added < 300; ++i, ++added) {
        const IdempotencyKey key("added", std::to_string(added));
        expect_stored("insert between two pages", store.insert(key, samples.woven(added + 1)));
        others.emplace(key.bytes(), samples.woven(added + 1));
      }
    });
    expect_listing("pages with inserts between them", seen, stored, others);
  });

  if constexpr (SweepableStore<std::remove_reference_t<decltype(fixture.make())>>)
    run.clause("scan.continues_after_what_was_erased", [&] {
      auto&& store = fixture.make();
      const auto stored = fill(store);
      std::map<std::string, Record> others, lasting;
      for (const auto& [key, record] : stored)
        (record.expires_at == samples.expiry() ? others : lasting).emplace(key, record);
      const auto seen = list_pages(
          store, {.limit = 4}, [&](const Listing&) { store.erase_expired(samples.expiry(), all_of_them); });
      expect_listing("pages with a sweep between them", seen, lasting, others);
    });
}

}  // namespace paidonce::inline v1::detail
