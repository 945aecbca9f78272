#pragma once
// Who has the writing connection: one at a time, in the order in which they came, and nobody waits for ever.

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite/connection.hpp>

namespace paidonce::inline v1::detail {

class Turns {
 public:
  class Turn {
   public:
    explicit Turn(Turns& turns) noexcept : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->end();
    }

   private:
    Turns* turns_;
  };

  /// Throws `store_busy` when it is not this caller's turn by then.
  [[nodiscard]] Turn take(SteadyTime deadline) {
    std::unique_lock lock(mutex_);
    if (taken_) {
      Waiter own;
      (first_ ? newest_->next : first_) = &own;
      newest_ = &own;
      if (!own.called.wait_until(lock, deadline, [&] { return own.has_turn; })) {
        leave(own);
        throw Error(errc::store_busy,
                    "another transaction of this process holds the store; it was waited for in vain");
      }
    }
    taken_ = true;
    holder_ = std::this_thread::get_id();
    return Turn(*this);
  }

  /// Throws std::logic_error on the thread whose turn it is: it would wait for itself.
  void refuse_holder() const {
    const std::lock_guard lock(mutex_);
    if (taken_ && holder_ == std::this_thread::get_id())
      throw std::logic_error(
          "paidonce: a store must not be written from within its own transact(): write by the Transaction, "
          "or "
          "after it");
  }

 private:
  struct Waiter {
    std::condition_variable called = {};
    bool has_turn = false;
    Waiter* next = nullptr;
  };

  void end() noexcept {
    const std::lock_guard lock(mutex_);
    holder_ = {};
    taken_ = first_ != nullptr;
    if (!first_) return;
    Waiter& next = *first_;
    first_ = next.next;
    next.has_turn = true;
    next.called.notify_one();  // under the mutex: the waiter is gone once it has it
  }

  void leave(const Waiter& own) noexcept {
    Waiter* before = nullptr;
    for (Waiter* each = first_; each; before = each, each = each->next) {
      if (each != &own) continue;
      (before ? before->next : first_) = own.next;
      if (newest_ == &own) newest_ = before;
      return;
    }
  }

  mutable std::mutex mutex_;
  bool taken_ = false;
  std::thread::id holder_;
  Waiter* first_ = nullptr;
  Waiter* newest_ = nullptr;
};

}  // namespace paidonce::inline v1::detail
