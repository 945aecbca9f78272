#pragma once
// The protocol's table of transitions once more, as a watch over what a store is told and tells.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace fault {

using namespace paidonce;

/// Sees every record that is read or acknowledged, and complains of moves that the protocol does not know.
class RecordWatch {
 public:
  struct Complaint {
    IdempotencyKey key;
    std::string what;
  };

  void read(const IdempotencyKey& key, const std::optional<Record>& there) {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[std::string(key.bytes())];
    if (!there) {
      const bool may_be_settled = seen.tried.version > seen.last.version && !is_unfinished(seen.tried);
      if (seen.there && is_unfinished(seen.last) && !may_be_settled)
        complain(key, "an unfinished record is gone");
      seen.there = false;
      return;
    }
    if (seen.last.version > there->version) complain(key, "a version went back");
    if (seen.last.version == there->version && seen.there && !(seen.last == *there))
      complain(key, "one version of a record is two");
    if (seen.there && is_completed(seen.last) && seen.last.created_at == there->created_at &&
        !(seen.last == *there))
      complain(key, "a completed record changed");
    seen.last = *there;
    seen.there = true;
  }

  /// `expected` is 0 for an insert.
  void wrote(const IdempotencyKey& key, Version expected, const Record& record) {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[std::string(key.bytes())];
    if (record.version <= seen.last.version) complain(key, "a version did not rise");
    if (record.version <= expected) complain(key, "a version did not rise above the one that it replaces");
    const bool knows_the_old_one = seen.there && seen.last.version == expected;
    if (expected == 0) {
      if (record.state != State::in_progress || record.attempts != 1)
        complain(key, "inserted, and not begun");
    } else if (knows_the_old_one) {
      const std::string move = wrong_move(seen.last, record);
      if (!move.empty()) complain(key, move);
    }
    seen.last = record;
    seen.there = true;
  }

  /// A write of which nobody knows whether it is stored.
  void tried(const IdempotencyKey& key, const Record& record) {
    const std::lock_guard lock(mutex_);
    seen_[std::string(key.bytes())].tried = record;
  }

  std::vector<Complaint> complaints() const {
    const std::lock_guard lock(mutex_);
    return complaints_;
  }

 private:
  struct Seen {
    Record last = {};
    Record tried = {};  // the last write of which nobody was told whether it is stored
    bool there = false;
  };
  static bool is_unfinished(const Record& record) {
    return record.state == State::in_progress || record.state == State::in_doubt;
  }
  static bool is_completed(const Record& record) {
    return record.state == State::succeeded || record.state == State::declined;
  }
  void complain(const IdempotencyKey& key, std::string what) {
    complaints_.push_back({key, std::move(what)});
  }

  /// The table of transitions, once more.
  static std::string wrong_move(const Record& from, const Record& to) {
    const bool anew = from.created_at != to.created_at;
    const bool next = from.attempts + 1 == to.attempts;
    bool right = false;
    if (anew) {
      right = !is_unfinished(from) && to.state == State::in_progress && to.attempts == 1 &&
              to.created_at > from.created_at;
    } else if (next) {
      right = (from.state == State::in_doubt || from.state == State::released) &&
              to.state == State::in_progress && to.fingerprint == from.fingerprint;
    } else if (from.attempts == to.attempts && from.attempt_id == to.attempt_id) {
      right = from.state == State::in_progress ||
              ((from.state == State::in_doubt || from.state == State::released) && is_completed(to)) ||
              (from.state == State::in_doubt && to.state == State::released);
    }
    if (right) return {};
    return "a record moved from " + std::string(to_string(from.state)) + " to " +
           std::string(to_string(to.state));
  }

  mutable std::mutex mutex_;
  std::map<std::string, Seen> seen_;
  std::vector<Complaint> complaints_;
};

}  // namespace fault
