#pragma once
// Which records are shown, and how many there are of each kind.

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/protocol.hpp>

#include "snapshot.hpp"

namespace paidonce_admin {

inline constexpr std::array all_states = {paidonce::State::in_progress, paidonce::State::in_doubt,
                                          paidonce::State::succeeded, paidonce::State::declined,
                                          paidonce::State::released};

/// In progress or in doubt: somebody has to find out, or the next call with this key will.
constexpr bool is_unfinished(paidonce::State state) {
  return state == paidonce::State::in_progress || state == paidonce::State::in_doubt;
}

struct Filter {
  std::set<paidonce::State> states = {};  ///< none: all
  std::optional<std::size_t> limit = {};  ///< most records that are shown
};

struct Selection {
  std::vector<Entry> entries = {};  ///< that changed least recently first
  std::size_t matching = 0;         ///< those beyond the limit included
};

inline Selection select(const Snapshot& snapshot, const Filter& filter) {
  Selection selected;
  const auto before = [](const Entry& a, const Entry& b) {
    if (a.record.updated_at != b.record.updated_at) return a.record.updated_at < b.record.updated_at;
    return a.key.bytes() < b.key.bytes();
  };
  snapshot.each([&](Entry entry) {
    if (!filter.states.empty() && !filter.states.contains(entry.record.state)) return;
    ++selected.matching;
    selected.entries.push_back(std::move(entry));
    std::push_heap(selected.entries.begin(), selected.entries.end(), before);
    if (filter.limit && selected.entries.size() > *filter.limit) {  // the latest of these goes
      std::pop_heap(selected.entries.begin(), selected.entries.end(), before);
      selected.entries.pop_back();
    }
  });
  std::sort_heap(selected.entries.begin(), selected.entries.end(), before);
  return selected;
}

struct Counts {
  struct Of {
    std::size_t records = 0;
    std::size_t expired = 0;  ///< of these, what the next sweep may erase
  };
  std::array<Of, all_states.size()> states = {};  ///< in the order of `all_states`
  Of all = {};
  std::size_t unfinished = 0;
  std::optional<paidonce::Timestamp> oldest_unfinished = {};  ///< when it last changed
};

inline Counts count(const Snapshot& snapshot, paidonce::Timestamp now) {
  Counts counts;
  snapshot.each([&](const Entry& entry) {
    const paidonce::Record& record = entry.record;
    const auto state = std::find(all_states.begin(), all_states.end(), record.state);
    Counts::Of& of = counts.states[static_cast<std::size_t>(state - all_states.begin())];
    for (Counts::Of* sum : {&of, &counts.all}) {
      ++sum->records;
      if (paidonce::protocol::expired(record, now)) ++sum->expired;
    }
    if (!is_unfinished(record.state)) return;
    ++counts.unfinished;
    if (!counts.oldest_unfinished || record.updated_at < *counts.oldest_unfinished)
      counts.oldest_unfinished = record.updated_at;
  });
  return counts;
}

}  // namespace paidonce_admin
