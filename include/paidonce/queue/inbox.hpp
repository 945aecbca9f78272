#pragma once
// What a thread of a source's own has fetched, and the threads that wait for it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/queue/backlog.hpp>
#include <paidonce/queue/message.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1::detail {

/// A backlog that threads share. Thread-safe.
template <class Handle>
class Inbox {
 public:
  /// Waits up to `pause` for a message; `before(backlog, now)` is called, locked, before each look. Null:
  /// there was none, or `stop` was requested. Throws what keeps the source from fetching, where there is no
  /// message: at the end of `pause`, and at once where it does not pass by itself.
  template <class Before>
  std::optional<Message> receive(Duration pause, Stop& stop, Before&& before) {
    const Waiting waiting(*this, stop);
    const Duration end = timer_.elapsed() + std::min(pause, longest_wait);
    for (;;) {
      if (stop.requested()) return std::nullopt;
      Duration wait{0};
      std::uint64_t seen = 0;
      {
        const std::lock_guard lock(mutex_);
        const Duration now = timer_.elapsed();
        used_ = now;
        before(backlog_, now);
        if (std::optional<Message> message = backlog_.next(now)) return message;
        if (failure_ && (now >= end || !retryable(*failure_))) throw Error(*failure_);
        if (now >= end) return std::nullopt;
        wait = std::min(end - now, backlog_.next_due(now).value_or(longest_wait));
        seen = changes_;
      }
      stop.wait_for(wait, [&] {
        const std::lock_guard lock(mutex_);
        return changes_ != seen;
      });
    }
  }

  /// Does something to the backlog, `change(backlog, now)`, without telling anybody.
  template <class Change>
  decltype(auto) with(Change&& change) {
    const std::lock_guard lock(mutex_);
    return change(backlog_, timer_.elapsed());
  }

  /// The same; receivers then look again.
  template <class Change>
  void update(Change&& change) {
    {
      const std::lock_guard lock(mutex_);
      change(backlog_, timer_.elapsed());
      ++changes_;
    }
    wake();
  }

  /// What receivers that wait in vain are told, until it is over.
  void fails(const Error& failure) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ++changes_;
    }
    if (!retryable(failure)) wake();
  }
  void works() {
    const std::lock_guard lock(mutex_);
    failure_.reset();
  }

  /// Whether somebody receives, has a message out, or did so within `lately`.
  bool in_use(Duration lately) const {
    const std::lock_guard registry(registry_);
    const std::lock_guard lock(mutex_);
    return !waiting_.empty() || backlog_.out() != 0 || timer_.elapsed() - used_ < lately;
  }

 private:
  static constexpr Duration longest_wait = std::chrono::hours(24);

  /// A receiver can only be woken through its Stop, which lives as long as it waits: `registry_` is held
  /// while it is woken, and never taken under `mutex_` or a Stop's own.
  class Waiting {
   public:
    Waiting(Inbox& inbox, Stop& stop) : inbox_(inbox), stop_(stop) {
      const std::lock_guard registry(inbox_.registry_);
      inbox_.waiting_.push_back(&stop);
    }
    ~Waiting() {
      const std::lock_guard registry(inbox_.registry_);
      auto& all = inbox_.waiting_;
      all.erase(std::find(all.begin(), all.end(), &stop_));
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Inbox& inbox_;
    Stop& stop_;
  };

  void wake() {
    const std::lock_guard registry(registry_);
    Stop* last = nullptr;  // threads of one worker share theirs
    for (Stop* const stop : waiting_) {
      if (stop != last) stop->wake();
      last = stop;
    }
  }

  const SteadyTimer timer_ = {};
  mutable std::mutex mutex_;
  Backlog<Handle> backlog_;
  std::uint64_t changes_ = 0;
  std::optional<Error> failure_ = {};
  Duration used_ = timer_.elapsed() - std::chrono::hours(24);  // not yet
  mutable std::mutex registry_;
  std::vector<Stop*> waiting_;
};

}  // namespace paidonce::inline v1::detail
