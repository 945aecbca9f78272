#pragma once
// What the hosts of a simulated shop keep their records in: a store that they share, or a file store on a
// disk in memory; a handle on it that dies at a chosen call; and a watch over all that is written.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/protocol.hpp>

#include "fault/file_world.hpp"

namespace fault {

/// Sees every record that is read or acknowledged, and complains of moves that the protocol does not know.
class RecordWatch {
 public:
  void read(const IdempotencyKey& key, const std::optional<Record>& there) {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[std::string(key.bytes())];
    if (!there) {
      if (seen.there && is_unfinished(seen.last)) complain("an unfinished record is gone");
      seen.there = false;
      return;
    }
    if (seen.last.version > there->version) complain("a version went back");
    if (seen.last.version == there->version && seen.there && !(seen.last == *there))
      complain("one version of a record is two");
    if (seen.there && is_completed(seen.last) && seen.last.created_at == there->created_at &&
        !(seen.last == *there))
      complain("a completed record changed");
    seen.last = *there;
    seen.there = true;
  }

  /// `expected` is 0 for an insert.
  void wrote(const IdempotencyKey& key, Version expected, const Record& record) {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[std::string(key.bytes())];
    if (record.version <= seen.last.version) complain("a version did not rise");
    if (record.version <= expected) complain("a version did not rise above the one that it replaces");
    const bool knows_the_old_one = seen.there && seen.last.version == expected;
    if (expected == 0) {
      if (record.state != State::in_progress || record.attempts != 1) complain("inserted, and not begun");
    } else if (knows_the_old_one) {
      const std::string move = wrong_move(seen.last, record);
      if (!move.empty()) complain(move);
    }
    seen.last = record;
    seen.there = true;
  }

  std::vector<std::string> complaints() const {
    const std::lock_guard lock(mutex_);
    return complaints_;
  }

 private:
  struct Seen {
    Record last = {};
    bool there = false;
  };
  static bool is_unfinished(const Record& record) {
    return record.state == State::in_progress || record.state == State::in_doubt;
  }
  static bool is_completed(const Record& record) {
    return record.state == State::succeeded || record.state == State::declined;
  }
  void complain(std::string what) { complaints_.push_back(std::move(what)); }

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
  std::vector<std::string> complaints_;
};

/// A host's handle on its store. The host dies at a chosen call, or whenever it is told to; a dead one reads
/// and writes nothing.
template <class Inner>
class HostStore {
 public:
  static constexpr bool local_find = Inner::local_find;
  enum class When : std::uint8_t { before, after };

  using Death = std::shared_ptr<const std::atomic<bool>>;  ///< true once this host is dead

  /// `died_below` says whether the process ended within a call of the store's own; `begins` is told of each
  /// attempt before its begin is written.
  HostStore(Inner& inner, RecordWatch& watch, std::function<bool()> died_below,
            std::function<void(const Record&, const Death&)> begins)
      : inner_(inner), watch_(watch), died_below_(std::move(died_below)), begins_(std::move(begins)) {}

  void die() { *dead_ = true; }
  void die_at(std::size_t calls_from_now, When when) {
    when_ = when;
    left_ = calls_from_now;
  }
  bool dead() const {
    if (died_below_()) *dead_ = true;  // where no call of ours was under way
    return *dead_;
  }

  std::optional<Record> find(const IdempotencyKey& key) {
    return live([&] { return inner_.find(key); }, [&](const auto& found) { watch_.read(key, found); });
  }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    begins_(record, dead_);
    return live([&] { return inner_.insert(key, record); },
                [&](const auto& there) { there ? watch_.read(key, there) : watch_.wrote(key, 0, record); });
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (record.state == State::in_progress) begins_(record, dead_);
    return live([&] { return inner_.replace(key, expected, record); },
                [&](bool stored) {
                  if (stored) watch_.wrote(key, expected, record);
                });
  }
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    live(
        [&] {
          inner_.scan(filter, visitor);
          return true;
        },
        [](bool) {});
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    return live([&] { return inner_.erase_expired(now, limit); }, [](std::size_t) {});
  }

 private:
  template <class Call, class Then>
  auto live(const Call& call, const Then& then) -> decltype(call()) {
    if (dead()) throw Error(errc::store_unavailable, "this host is dead");
    const bool last = left_ > 0 && --left_ == 0;
    if (last && when_ == When::before) end();
    try {
      auto answer = call();
      if (died_below_()) end();
      then(answer);
      if (last) end();
      return answer;
    } catch (...) {
      if (died_below_()) *dead_ = true;
      throw;
    }
  }
  [[noreturn]] void end() {
    *dead_ = true;
    throw Error(errc::store_unavailable, "this host died");
  }

  Inner& inner_;
  RecordWatch& watch_;
  std::function<bool()> died_below_;
  std::function<void(const Record&, const Death&)> begins_;
  const std::shared_ptr<std::atomic<bool>> dead_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<std::size_t> left_{0};
  When when_ = When::before;
};

/// A store that several hosts share, and that outlives them.
struct SharedMemory {
  using Inner = MemoryStore;
  static constexpr int hosts = 2;

  MemoryStore store{MemoryStoreOptions{.shards = 4}};

  struct Opened {
    MemoryStore* store;
    FaultPlan plan;
    MemoryStore& inner() { return *store; }
  };
  std::unique_ptr<Opened> open() { return std::make_unique<Opened>(Opened{&store, {}}); }
  void crash(std::uint64_t) {}
  static void compact(MemoryStore&) {}
};

/// One host with a directory of its own. When it dies the power may go, too.
struct OwnDirectory {
  using Inner = DiskStore;
  static constexpr int hosts = 1;

  std::shared_ptr<Machine> machine = std::make_shared<Machine>();
  Durability durability = Durability::power_loss;

  struct Opened {
    std::unique_ptr<DiskStore> store;
    FaultPlan plan;
    DiskStore& inner() { return *store; }
  };
  std::unique_ptr<Opened> open() {
    FileStoreOptions options = small_segments();
    options.durability = durability;
    auto opened = std::make_unique<Opened>();
    opened->store = open_store(machine, opened->plan, options);
    return opened;
  }
  /// The next `open` is another process, and perhaps after a power loss.
  void crash(std::uint64_t how) {
    using enum Loss::Bytes;
    constexpr Loss::Bytes bytes[] = {none, all, some, thirds, cut};
    constexpr Loss::Names names[] = {Loss::Names::none, Loss::Names::all, Loss::Names::some};
    const std::shared_ptr<Machine> before = machine;
    const std::lock_guard lock(before->mutex);
    machine = std::make_shared<Machine>(
        how % 2 == 0 ? before->disk.after_kill()
                     : before->disk.after_power_loss({bytes[how / 2 % 5], names[how / 10 % 3], how}));
  }
  static void compact(DiskStore& store) { store.compact(); }
};

}  // namespace fault
