#pragma once
// A lock with one flaw. With LockFlaw::none it is right, and passes the whole suite.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/lock.hpp>

#include "gate.hpp"

namespace conformance {

using namespace paidonce;

enum class LockFlaw {
  none,
  goes_ahead_when_time_is_up,
  checks_then_takes,
  lets_its_owner_in_again,
  frees_entry_under_a_waiter,
  waiter_in_vain_releases,
  never_released,
  kept_on_exception,
  kept_on_another_thread,
  kept_once_waited_for,
  releases_twice,
  assignment_forgets,
  zero_waits_without_limit,
  waits_without_limit,
  gives_up_early,
  overflows,
  wakes_nobody,
  wakes_one_of_all,
  wakes_only_once,
  scope_ignored,
  keys_end_at_nul,
  keys_are_cut,
  keys_share_stripes,
  interrupt_misses_who_waits,
  interrupt_misses_who_comes,
  interrupt_releases,
  handles_apart,
  errors_as_held,
  errors_as_free,
};

/// Of this thread alone: std::thread::id is given again to a thread that comes later.
inline int thread_number() {
  static std::atomic<int> last = 0;
  thread_local const int number = ++last;
  return number;
}

class FlawedLock {
  struct Entry {
    bool held = false;
    int owner = 0;
    int waiters = 0;
    int woken = 0;
  };
  struct Table {
    explicit Table(LockFlaw given) : flaw(given) {}
    const LockFlaw flaw;
    std::mutex mutex = {};
    std::condition_variable changed = {};
    std::map<std::string, Entry> entries = {};
    bool interrupted = false;
    std::size_t interruptions = 0;
    bool broken = false;
    bool races = false;
    Gate gate = {};
  };

 public:
  class Hold {
   public:
    Hold(Hold&& other) noexcept
        : table_(other.table_), name_(other.name_), taker_(other.taker_), owns_(other.owns_) {
      if (table_->flaw != LockFlaw::releases_twice) other.owns_ = false;
    }
    Hold& operator=(Hold&& other) noexcept {
      if (this == &other) return *this;
      if (table_->flaw != LockFlaw::assignment_forgets) release();
      table_ = other.table_;
      name_ = other.name_;
      taker_ = other.taker_;
      owns_ = std::exchange(other.owns_, false);
      return *this;
    }
    ~Hold() { release(); }

   private:
    friend class FlawedLock;
    Hold(std::shared_ptr<Table> table, std::string name) : table_(std::move(table)), name_(std::move(name)) {}

    void release() noexcept {
      if (!std::exchange(owns_, false)) return;
      const LockFlaw flaw = table_->flaw;
      if (flaw == LockFlaw::never_released) return;
      if (flaw == LockFlaw::kept_on_exception && std::uncaught_exceptions() > 0) return;
      if (flaw == LockFlaw::kept_on_another_thread && taker_ != thread_number()) return;
      std::lock_guard lock(table_->mutex);
      Entry& entry = table_->entries[name_];
      if (flaw == LockFlaw::kept_once_waited_for && entry.waiters > 1) return;
      entry.held = false;
      if (entry.waiters == 0 && flaw != LockFlaw::wakes_only_once) table_->entries.erase(name_);
      if (flaw == LockFlaw::wakes_nobody) return;
      if (flaw == LockFlaw::wakes_only_once && ++entry.woken > 1) return;
      if (flaw == LockFlaw::wakes_one_of_all)
        table_->changed.notify_one();
      else
        table_->changed.notify_all();
    }

    std::shared_ptr<Table> table_;
    std::string name_;
    int taker_ = thread_number();
    bool owns_ = true;
  };

  FlawedLock(LockFlaw flaw, bool races) : table_(std::make_shared<Table>(flaw)) { table_->races = races; }

  FlawedLock same_handle() const { return FlawedLock(table_); }
  FlawedLock another_handle() const {
    return has(LockFlaw::handles_apart) ? FlawedLock(LockFlaw::none, false) : FlawedLock(table_);
  }
  void break_backend() { table_->broken = true; }

  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    const std::string id = name(key);
    std::unique_lock lock(table_->mutex);
    if (table_->broken) {
      if (has(LockFlaw::errors_as_held)) return std::nullopt;
      if (has(LockFlaw::errors_as_free)) return Hold(table_, id);
      throw Error(errc::lock_unavailable, "no answer");
    }
    if (has(LockFlaw::checks_then_takes) && table_->races && !table_->entries[id].held) {
      lock.unlock();
      table_->gate.meet(id);
      lock.lock();
      table_->entries[id].held = true;
      return Hold(table_, id);
    }
    const bool again = has(LockFlaw::lets_its_owner_in_again) && table_->entries[id].owner == thread_number();
    if (!free(id) && !again && !await(id, wait, lock)) {
      if (has(LockFlaw::waiter_in_vain_releases)) table_->entries.erase(id);
      if (!has(LockFlaw::goes_ahead_when_time_is_up) || wait.count() == 0) return std::nullopt;
    }
    table_->entries[id].held = true;
    table_->entries[id].owner = thread_number();
    return Hold(table_, id);
  }

  void interrupt() noexcept {
    std::lock_guard lock(table_->mutex);
    if (has(LockFlaw::interrupt_releases))
      for (auto& [id, entry] : table_->entries) entry.held = false;
    table_->interrupted = !has(LockFlaw::interrupt_misses_who_comes);
    ++table_->interruptions;
    if (!has(LockFlaw::interrupt_misses_who_waits)) table_->changed.notify_all();
  }

 private:
  explicit FlawedLock(std::shared_ptr<Table> table) : table_(std::move(table)) {}

  bool has(LockFlaw flaw) const { return table_->flaw == flaw; }

  std::string name(const IdempotencyKey& key) const {
    if (has(LockFlaw::scope_ignored)) return std::string(key.text());
    if (has(LockFlaw::keys_end_at_nul)) return std::string(key.bytes()).c_str();
    if (has(LockFlaw::keys_are_cut)) return std::string(key.bytes().substr(0, 300));
    if (has(LockFlaw::keys_share_stripes)) return std::to_string(key.hash() % 64);
    return std::string(key.bytes());
  }

  bool free(const std::string& id) const {
    const auto found = table_->entries.find(id);
    return found == table_->entries.end() || !found->second.held;
  }

  /// Whether the key came free in time.
  bool await(const std::string& id, Duration wait, std::unique_lock<std::mutex>& lock) {
    constexpr Duration longest = std::chrono::hours(24 * 365);
    if (wait > longest) wait = has(LockFlaw::overflows) ? Duration(0) : longest;
    if (has(LockFlaw::gives_up_early)) wait /= 2;
    if (has(LockFlaw::waits_without_limit) && wait.count() > 0) wait = longest;
    if (has(LockFlaw::zero_waits_without_limit) && wait.count() == 0) wait = Duration(500);
    if (wait.count() == 0) return false;
    if (table_->interrupted) return false;
    const auto deadline = std::chrono::steady_clock::now() + wait;
    const std::size_t interruptions = table_->interruptions;
    ++table_->entries[id].waiters;
    bool in_time = true;
    while (in_time && !free(id) && !table_->interrupted && table_->interruptions == interruptions)
      in_time = table_->changed.wait_until(lock, deadline) == std::cv_status::no_timeout;
    // A wake-up that comes with the end of the time is not a wake-up: this flaw shows only late.
    const bool granted = free(id) && (in_time || !has(LockFlaw::wakes_nobody));
    if (const auto entry = table_->entries.find(id); entry != table_->entries.end()) {
      --entry->second.waiters;
      if (has(LockFlaw::frees_entry_under_a_waiter)) table_->entries.erase(entry);
    }
    return granted;
  }

  std::shared_ptr<Table> table_;
};

class FlawedLockFixture {
 public:
  FlawedLockFixture(LockFlaw flaw, std::string race) : flaw_(flaw), race_(std::move(race)) {}

  void begin_clause(const std::string& name) { races_ = name == race_; }
  FlawedLock make() {
    last_.emplace(flaw_, races_);
    return last_->same_handle();
  }
  FlawedLock second_handle() { return last_->another_handle(); }
  void break_backend(FlawedLock& lock) { lock.break_backend(); }

 private:
  LockFlaw flaw_;
  std::string race_;
  bool races_ = false;
  std::optional<FlawedLock> last_ = {};
};

}  // namespace conformance
