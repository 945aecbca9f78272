#pragma once
// What the hosts of a simulated shop keep their records in: a store that they share, or a file store on a
// disk in memory; and a handle on it that dies at a chosen call.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <paidonce/paidonce.hpp>

#include "fault/file_world.hpp"
#include "fault/record_watch.hpp"
#include "support/tested_store.hpp"

namespace fault {

using support::TestedStore;

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
    const Trying trying(*this, key, record);
    return live([&] { return inner_.insert(key, record); },
                [&](const auto& there) { there ? watch_.read(key, there) : watch_.wrote(key, 0, record); });
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (record.state == State::in_progress) begins_(record, dead_);
    const Trying trying(*this, key, record);
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
  /// A write that the host dies in may be stored, and nobody is told.
  struct Trying {
    Trying(HostStore& store_of_it, const IdempotencyKey& key_of_it, const Record& record_of_it)
        : store(store_of_it), key(key_of_it), record(record_of_it), was_dead(*store_of_it.dead_) {}
    ~Trying() {
      if (!was_dead && *store.dead_) store.watch_.tried(key, record);
    }
    HostStore& store;
    const IdempotencyKey& key;
    const Record& record;
    const bool was_dead;
  };

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
  using Inner = TestedStore;
  static constexpr int hosts = 2;

  TestedStore store{MemoryStoreOptions{.shards = 4}};

  struct Opened {
    TestedStore* store;
    FaultPlan plan;
    TestedStore& inner() { return *store; }
  };
  std::unique_ptr<Opened> open() { return std::make_unique<Opened>(Opened{&store, {}}); }
  void crash(std::uint64_t) {}
  static void compact(TestedStore&) {}
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
