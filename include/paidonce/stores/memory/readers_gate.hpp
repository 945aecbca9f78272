#pragma once
// A lock for what is read far more often than it is written, held for well under a microsecond. Readers count
// themselves in one of several places, each on a cache line of its own, so that threads that read the same
// thing do not wait for each other's cache lines; a writer waits until all counts are zero.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <pthread.h>

namespace paidonce::inline v1::detail {

/// Not recursive, neither for readers nor for writers.
class ReadersGate {
 public:
  class Reading {
   public:
    explicit Reading(ReadersGate& gate) : gate_(gate), count_(gate.counts_[place()].readers) {
      count_.fetch_add(1, std::memory_order_seq_cst);
      if (gate_.writing_.load(std::memory_order_seq_cst) == 0) return;
      leave();
      gate_.mutex_.lock();  // waits for the writer, then keeps writers out
      counted_ = false;
    }
    ~Reading() {
      if (counted_)
        leave();
      else
        gate_.mutex_.unlock();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    /// Of two threads with stacks side by side, in different places.
    static std::size_t place() noexcept {
      return (static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(pthread_self())) >> 12) % places;
    }

    void leave() noexcept {
      if (count_.fetch_sub(1, std::memory_order_seq_cst) != 1) return;
      if (gate_.writing_.load(std::memory_order_seq_cst) != 0) wake(count_);
    }

    [[gnu::cold]] static void wake(std::atomic<int>& readers) noexcept { readers.notify_one(); }

    ReadersGate& gate_;
    std::atomic<int>& count_;
    bool counted_ = true;
  };

  class Writing {
   public:
    explicit Writing(ReadersGate& gate) : gate_(gate) {
      gate_.mutex_.lock();
      gate_.writing_.store(1, std::memory_order_seq_cst);
      for (Count& count : gate_.counts_)
        if (count.readers.load(std::memory_order_seq_cst) != 0) wait_for_zero(count.readers);
    }
    ~Writing() {
      gate_.writing_.store(0, std::memory_order_release);
      gate_.mutex_.unlock();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    [[gnu::cold]] static void wait_for_zero(std::atomic<int>& readers) noexcept {
      for (int spin = 0; readers.load(std::memory_order_seq_cst) != 0;)
        if (++spin > spins)
          if (const int there = readers.load(std::memory_order_seq_cst); there != 0) readers.wait(there);
    }

    ReadersGate& gate_;
  };

  ReadersGate() = default;
  ReadersGate(const ReadersGate&) = delete;
  ReadersGate& operator=(const ReadersGate&) = delete;

 private:
  static constexpr std::size_t places = 4;
  static constexpr int spins = 200;

  struct alignas(64) Count {
    std::atomic<int> readers{0};
  };

  std::mutex mutex_;  // among writers, and where readers wait for one
  std::atomic<int> writing_{0};
  Count counts_[places];
};

}  // namespace paidonce::inline v1::detail
