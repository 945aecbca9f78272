#pragma once
// A mutex for each key, within one process. Keys that nobody holds take no memory.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/lock.hpp>

namespace paidonce::inline v1 {

/// The guard's default lock. Waiters are served in the order in which they came, each woken by its own
/// signal: the key goes from hand to hand without ever being free in between, so none is overtaken and no
/// wake-up is lost.
///
/// Thread-safe; a movable handle. Holds must not outlive it. `acquire` throws only `std::bad_alloc`.
class KeyedMutex {
  struct Waiter;
  struct Entry;
  struct Shard;
  struct Table;

 public:
  class Hold {
   public:
    Hold(Hold&& other) noexcept : shard_(std::exchange(other.shard_, nullptr)), entry_(other.entry_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(shard_, other.shard_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Hold() {
      if (shard_) release(*shard_, *entry_);
    }

   private:
    friend class KeyedMutex;
    Hold(Shard& shard, Entry& entry) noexcept : shard_(&shard), entry_(&entry) {}
    Shard* shard_;
    Entry* entry_;
  };

  KeyedMutex() : table_(std::make_unique<Table>()) {}

  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    Shard& shard = table_->shards[key.hash() % shard_count];
    std::unique_lock lock(shard.mutex);
    Entry*& bucket = shard.buckets[key.hash() / shard_count % bucket_count];
    Entry* entry = bucket;
    while (entry && !(entry->hash == key.hash() && entry->key == key.bytes())) entry = entry->next;
    if (!entry) {
      entry = shard.take(key);
      entry->next = bucket;
      bucket = entry;
      return Hold(shard, *entry);
    }
    if (wait.count() <= 0 || shard.interrupted) return std::nullopt;
    if (!shard.await(*entry, wait, lock)) return std::nullopt;
    return Hold(shard, *entry);
  }

  /// Ends all waits, those to come too; keys that are free can still be taken. For good: it serves a
  /// shutdown.
  void interrupt() noexcept {
    for (Shard& shard : table_->shards) {
      std::lock_guard lock(shard.mutex);
      shard.interrupted = true;
      for (Entry* entry : shard.buckets)
        for (; entry; entry = entry->next)
          for (Waiter* waiter = entry->first; waiter; waiter = waiter->next) waiter->signal.notify_one();
    }
  }

 private:
  static constexpr std::size_t shard_count = 64;
  static constexpr std::size_t bucket_count = 16;
  static constexpr std::size_t most_spares = 16;

  /// On the stack of the thread that waits; linked into the entry's queue.
  struct Waiter {
    std::condition_variable signal = {};
    Waiter* next = nullptr;
    bool granted = false;
  };

  /// A key that somebody holds.
  struct Entry {
    std::size_t hash = 0;
    std::string key = {};
    Entry* next = nullptr;
    Waiter* first = nullptr;  ///< waits longest
    Waiter* last = nullptr;
  };

  /// Takes a waiter out of its queue, under the shard's mutex. One that is unwound instead of returning
  /// passes on what it was granted.
  struct Departure {
    Shard& shard;
    Entry& entry;
    const Waiter& waiter;
    bool returned = false;
    ~Departure() {
      if (!waiter.granted)
        shard.leave(entry, waiter);
      else if (!returned)
        shard.pass_on(entry);
    }
  };

  struct alignas(64) Shard {
    std::mutex mutex = {};
    std::array<Entry*, bucket_count> buckets = {};
    Entry* spares = nullptr;
    std::size_t spare_count = 0;
    bool interrupted = false;

    Shard() = default;
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard() {
      free_all(spares);
      for (Entry* entry : buckets) free_all(entry);
    }

    Entry* take(const IdempotencyKey& key) {
      auto entry = spares ? std::unique_ptr<Entry>(std::exchange(spares, spares->next)) : nullptr;
      if (entry)
        --spare_count;
      else
        entry = std::make_unique<Entry>();
      entry->hash = key.hash();
      entry->key = key.bytes();
      return entry.release();
    }

    void give_back(Entry& entry) noexcept {
      if (spare_count == most_spares) {
        delete &entry;
        return;
      }
      entry.next = std::exchange(spares, &entry);
      ++spare_count;
    }

    /// Queues up behind the holder. False: time is up, or the waits were ended.
    bool await(Entry& entry, Duration wait, std::unique_lock<std::mutex>& lock) {
      constexpr Duration longest = std::chrono::hours(24 * 365);
      const auto deadline = std::chrono::steady_clock::now() + (wait < longest ? wait : longest);
      Waiter me;
      (entry.last ? entry.last->next : entry.first) = &me;
      entry.last = &me;
      Departure departure{*this, entry, me};  // also where the waiting thread is cancelled
      me.signal.wait_until(lock, deadline, [&] { return me.granted || interrupted; });
      departure.returned = true;
      return me.granted;
    }

    void leave(Entry& entry, const Waiter& waiter) noexcept {
      Waiter* before = nullptr;
      for (Waiter* other = entry.first; other != &waiter; other = other->next) before = other;
      (before ? before->next : entry.first) = waiter.next;
      if (entry.last == &waiter) entry.last = before;
    }

    /// Hands the key to who waits longest, or forgets it.
    void pass_on(Entry& entry) noexcept {
      if (Waiter* heir = entry.first) {
        entry.first = heir->next;
        if (!entry.first) entry.last = nullptr;
        heir->granted = true;
        heir->signal.notify_one();  // under the mutex: the waiter, and its signal, live until it is let go
        return;
      }
      Entry** link = &buckets[entry.hash / shard_count % bucket_count];
      while (*link != &entry) link = &(*link)->next;
      *link = entry.next;
      give_back(entry);
    }

    static void free_all(Entry* entry) noexcept {
      while (entry) delete std::exchange(entry, entry->next);
    }
  };

  struct Table {
    std::array<Shard, shard_count> shards = {};
  };

  static void release(Shard& shard, Entry& entry) noexcept {
    std::lock_guard lock(shard.mutex);
    shard.pass_on(entry);
  }

  std::unique_ptr<Table> table_;
};

static_assert(InterruptibleLock<KeyedMutex>);

}  // namespace paidonce::inline v1
