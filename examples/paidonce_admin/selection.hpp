#pragma once
// Which records are shown, and why somebody should look at them.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/time.hpp>

#include "options.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {

inline constexpr std::array all_states = {paidonce::State::in_progress, paidonce::State::in_doubt,
                                          paidonce::State::succeeded, paidonce::State::declined,
                                          paidonce::State::released};

/// Why a payment does not go on by itself; empty where it does, or has ended. That its holder is dead is
/// known of file stores alone, and said of copies, too, whose payments may be running.
template <class S>
std::string_view why_stuck(S& store, const Entry& entry, paidonce::Timestamp now) {
  if (entry.record.state == paidonce::State::in_doubt) return "in_doubt";
  if (entry.record.state != paidonce::State::in_progress) return "";
  if (now >= entry.record.lease_until) return "lease_over";
  return store.holder_gone(entry.key, entry.record) ? "holder_dead" : "";
}

/// One that is shown.
struct Shown {
  Entry entry;
  std::string_view stuck;  ///< of `why_stuck`
};

struct Selection {
  std::vector<Shown> shown = {};  ///< that changed least recently first
  std::size_t matching = 0;       ///< those beyond the limit included
};

/// The order in which records are listed.
inline bool changed_before(const Shown& a, const Shown& b) {
  const auto &first = a.entry, &second = b.entry;
  if (first.record.updated_at != second.record.updated_at)
    return first.record.updated_at < second.record.updated_at;
  return first.key.bytes() < second.key.bytes();
}

/// Those that `list` is asked for.
inline Selection select(const StoreReader& store, const Options& options, paidonce::Timestamp now) {
  Selection selected;
  Wanted wanted;
  wanted.states.assign(options.states.begin(), options.states.end());
  if (options.stuck && wanted.states.empty())
    wanted.states = {paidonce::State::in_progress, paidonce::State::in_doubt};
  store.each(wanted, [&](const Entry& entry) {
    if (!options.states.empty() && !options.states.contains(entry.record.state)) return;
    if (options.older_than && entry.record.updated_at >= now - *options.older_than) return;
    const std::string_view stuck = why_stuck(store, entry, now);
    if (options.stuck && stuck.empty()) return;
    ++selected.matching;
    selected.shown.push_back({entry, stuck});
    std::push_heap(selected.shown.begin(), selected.shown.end(), changed_before);
    if (options.limit && selected.shown.size() > *options.limit) {  // the latest of these goes
      std::pop_heap(selected.shown.begin(), selected.shown.end(), changed_before);
      selected.shown.pop_back();
    }
  });
  std::sort_heap(selected.shown.begin(), selected.shown.end(), changed_before);
  return selected;
}

}  // namespace paidonce_admin
