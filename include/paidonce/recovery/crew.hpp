#pragma once
// A few threads for calls that may not come back: one that takes too long is written off, and another thread
// takes its place.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1::detail {

/// Tasks are given by one thread. They must not throw. Threads are started as they are needed and kept.
template <Timer T>
class Crew {
 public:
  using Task = std::function<void()>;

  struct Limits {
    std::size_t at_work;       ///< tasks at a time, those written off not counted
    std::size_t most_hanging;  ///< tasks written off that have not ended yet
    Duration late_after;       ///< a task that takes longer is written off
  };

  /// `timer` outlives the crew.
  Crew(const Limits& limits, T& timer) : limits_(limits), timer_(timer) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Waits for all tasks, those written off too.
  ~Crew() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    work_.notify_all();
    for (Member& member : members_) member.thread.join();
  }

  /// Hands a task to whoever is free or becomes free before `until`, on the timer. False: nobody did, or
  /// `bell`, which ends the wait, was rung; the task is not taken. Throws `store_unavailable` where there can
  /// be no thread at all.
  bool give(Task task, Duration until, Stop& bell) {
    for (;;) {
      if (!wait([this] { return at_work_ < limits_.at_work; }, until, bell)) return false;
      {
        std::lock_guard lock(mutex_);
        if (idle_ > 0 || start_one()) {
          task_ = std::move(task);  // the next one is given when this one was taken
          work_.notify_one();
          return true;
        }
      }
      if (!wait([this] { return idle_ > 0 || at_work_ == 0; }, until, bell)) return false;
    }
  }

  /// Waits until nobody is at work but those who were written off. False: `until` came, or `bell` was rung.
  bool settle(Duration until, Stop& bell) {
    return wait([this] { return at_work_ == 0; }, until, bell);
  }

  /// Whether a task that was taken at this time or later is late.
  bool any_late_since(Duration time) const {
    std::lock_guard lock(mutex_);
    const Duration now = timer_.elapsed();
    for (const Member& member : members_)
      if (member.since && *member.since >= time && now >= late_at(*member.since)) return true;
    return false;
  }

  /// How many tasks were given and have not ended.
  std::size_t unfinished() const {
    std::lock_guard lock(mutex_);
    return at_work_ + hanging_ + (task_ ? 1 : 0);
  }

 private:
  struct Member {
    std::thread thread = {};
    std::optional<Duration> since = {};  // at work
    enum class Fate : std::uint8_t { counted, written_off, ended } fate = Fate::counted;
  };

  Duration late_at(Duration since) const {
    return saturating_add(Timestamp(since), limits_.late_after).time_since_epoch();
  }

  /// Waits until the task that was given is taken and `ready()`, which is asked under the lock; writes off
  /// whoever is late meanwhile.
  template <class Ready>
  bool wait(Ready ready, Duration until, Stop& bell) {
    const Listening listening(*this, bell);
    for (;;) {
      std::uint64_t seen = 0;
      Duration wake_up = until;
      {
        std::lock_guard lock(mutex_);
        write_off_the_late(wake_up);
        if (!task_ && ready()) return true;
        seen = changes_.load();
      }
      const Duration now = timer_.elapsed();
      if (now >= until || bell.requested()) return false;
      timer_.wait(wake_up - now, bell, [&] { return changes_.load() != seen; });
    }
  }

  /// Puts the time at which the next one will be late into `next`, where that is earlier.
  void write_off_the_late(Duration& next) {
    const Duration now = timer_.elapsed();
    for (auto at = members_.begin(); at != members_.end();) {
      Member& member = *at;
      if (member.fate == Member::Fate::ended) {
        member.thread.join();  // it needs no lock any more
        at = members_.erase(at);
        continue;
      }
      ++at;
      if (!member.since || member.fate == Member::Fate::written_off || hanging_ >= limits_.most_hanging)
        continue;
      const Duration late = late_at(*member.since);
      if (now < late) {
        next = late < next ? late : next;
        continue;
      }
      member.fate = Member::Fate::written_off;
      --at_work_;
      ++hanging_;
    }
  }

  /// False: the system has no more threads now, and somebody at work will be free. Throws where there is
  /// nobody.
  bool start_one() {
    members_.emplace_back();
    Member& member = members_.back();
    try {
      const SignalsBlocked blocked;
      member.thread = std::thread([this, &member] { work(member); });
    } catch (const std::system_error& failure) {
      members_.pop_back();
      if (at_work_ > 0) return false;
      throw Error(errc::store_unavailable,
                  std::string("there can be no thread to ask the provider on (") + failure.what() +
                      "): raise the limit of threads (ulimit -u, or the container's)");
    } catch (...) {
      members_.pop_back();
      throw;
    }
    ++idle_;
    return true;
  }

  void work(Member& me) {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return closing_ || task_; });
      if (!task_) return;
      {
        const Task task = std::exchange(task_, nullptr);
        --idle_;
        ++at_work_;
        me.since = timer_.elapsed();
        tell();
        lock.unlock();
        task();
      }
      lock.lock();
      me.since.reset();
      tell();
      if (me.fate == Member::Fate::written_off) {  // another has taken this one's place
        --hanging_;
        me.fate = Member::Fate::ended;
        return;
      }
      --at_work_;
      ++idle_;
    }
  }

  void tell() noexcept {
    changes_.fetch_add(1);
    if (bell_) bell_->wake();
  }

  /// Whoever waits is woken through this; a task that ends later finds nobody.
  class Listening {
   public:
    Listening(Crew& crew, Stop& bell) : crew_(crew) {
      std::lock_guard lock(crew_.mutex_);
      crew_.bell_ = &bell;
    }
    ~Listening() {
      std::lock_guard lock(crew_.mutex_);
      crew_.bell_ = nullptr;
    }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    Crew& crew_;
  };

  const Limits limits_;
  T& timer_;
  mutable std::mutex mutex_;  // before the bell's own, never after it
  std::condition_variable work_;
  std::list<Member> members_;
  Task task_;
  std::size_t idle_ = 0, at_work_ = 0, hanging_ = 0;
  bool closing_ = false;
  Stop* bell_ = nullptr;
  std::atomic<std::uint64_t> changes_{0};
};

}  // namespace paidonce::inline v1::detail
