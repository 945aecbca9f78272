#pragma once
// A queue within the process: for tests, and for programs whose messages may die with them.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/queue/backlog.hpp>
#include <paidonce/queue/message.hpp>
#include <paidonce/queue/message_source.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// A message that was set aside, and why.
struct DeadLetter {
  Message message = {};
  std::string reason = {};
};

/// The broker and a source in one; other consumers are `MemoryQueue::Consumer`s of it. A message that is out
/// stays with its consumer until that settles it or is gone: there is no time after which it is taken away.
/// Thread-safe; neither copyable nor movable. The timer is moved in.
template <Timer T = SteadyTimer>
class MemoryQueue {
 public:
  /// Holds so many messages at most, dead letters among them. Throws `Error{invalid_options}` for none.
  explicit MemoryQueue(std::size_t most = 100'000, T timer = T()) : most_(most), timer_(std::move(timer)) {
    if (most == 0) throw Error(errc::invalid_options, "a MemoryQueue must have room for a message at least");
  }
  MemoryQueue(const MemoryQueue&) = delete;
  MemoryQueue& operator=(const MemoryQueue&) = delete;

  /// Messages of one key are handed out one at a time, in the order of their puts. Returns the message's id.
  /// Throws `Error{store_full}`.
  std::string put(std::string key, std::string body) {
    const std::lock_guard lock(mutex_);
    if (backlog_.held() + dead_.size() >= most_)
      throw Error(errc::store_full,
                  "the MemoryQueue has no room: let it be worked off, or take_dead_letters()");
    Message message;
    message.id = std::to_string(last_id_ + 1);
    message.key = std::move(key);
    message.body = std::move(body);
    std::string id = message.id;
    backlog_.add(std::move(message), 0, timer_.elapsed());
    ++last_id_;
    tell();
    return id;
  }

  std::optional<Message> receive(Duration pause, Stop& stop) { return receive(own, pause, stop); }
  void ack(const Message& message) {
    settle(message, [&](Message& held) { backlog_.done(held.token); });
  }
  void retry_later(const Message& message, Duration pause) {
    settle(message, [&](Message& held) {
      held.deliveries = message.deliveries;
      backlog_.retry(std::move(held), saturating_add(Timestamp(timer_.elapsed()), pause).time_since_epoch());
    });
  }
  void dead_letter(const Message& message, std::string_view reason) {
    settle(message, [&](Message& held) {
      DeadLetter letter{held, std::string(reason)};
      letter.message.deliveries = message.deliveries;
      dead_.push_back(std::move(letter));
      backlog_.done(held.token);
    });
  }

  /// A source of its own over the same queue, which it refers to. When it goes away, what it had out comes
  /// again: so a test kills a consumer.
  class Consumer {
   public:
    explicit Consumer(MemoryQueue& queue) : queue_(queue), number_(++queue.consumers_) {}
    ~Consumer() { queue_.take_back(number_); }
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    std::optional<Message> receive(Duration pause, Stop& stop) {
      return queue_.receive(number_, pause, stop);
    }
    void ack(const Message& message) { queue_.ack(message); }
    void retry_later(const Message& message, Duration pause) { queue_.retry_later(message, pause); }
    void dead_letter(const Message& message, std::string_view reason) { queue_.dead_letter(message, reason); }

   private:
    MemoryQueue& queue_;
    const std::uint64_t number_;
  };

  /// What was set aside, in the order in which that happened.
  std::vector<DeadLetter> dead_letters() const {
    const std::lock_guard lock(mutex_);
    return dead_;
  }
  /// The same, and they are forgotten.
  std::vector<DeadLetter> take_dead_letters() {
    const std::lock_guard lock(mutex_);
    return std::exchange(dead_, {});
  }
  /// Messages that are not settled, those that are out among them.
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return backlog_.held();
  }
  /// Of these, what is out.
  std::size_t out() const {
    const std::lock_guard lock(mutex_);
    return out_.size();
  }

 private:
  static constexpr std::uint64_t own = 0;  // the number of the queue itself, as a consumer

  struct Out {
    Message message;  // with the backlog's token
    std::uint64_t consumer;
  };

  std::optional<Message> receive(std::uint64_t consumer, Duration pause, Stop& stop) {
    const Waiting waiting(*this, stop);
    const Duration began = timer_.elapsed();
    while (!stop.requested()) {
      Duration wait = pause - (timer_.elapsed() - began);
      std::uint64_t seen;
      {
        const std::lock_guard lock(mutex_);
        if (std::optional<Message> message = take(consumer)) return message;
        seen = changes_.load();
        if (const auto due = backlog_.next_due(timer_.elapsed()); due && *due < wait) wait = *due;
      }
      if (timer_.elapsed() - began >= pause) break;
      timer_.wait(wait, stop, [&] { return changes_.load() != seen; });
    }
    return std::nullopt;
  }

  /// Each time that a message goes out it has another token: what is late settles nothing.
  std::optional<Message> take(std::uint64_t consumer) {
    std::optional<Message> message = backlog_.next(timer_.elapsed());
    if (!message) return message;
    out_.emplace(++last_token_, Out{*message, consumer});
    message->token = last_token_;
    return message;
  }

  template <class Do>
  void settle(const Message& message, Do what) {
    const std::lock_guard lock(mutex_);
    const auto out = out_.find(message.token);
    if (out == out_.end()) return;
    what(out->second.message);
    out_.erase(out);
    tell();
  }

  void take_back(std::uint64_t consumer) {
    const std::lock_guard lock(mutex_);
    const Duration now = timer_.elapsed();
    for (auto out = out_.begin(); out != out_.end();) {
      const auto here = out++;
      if (here->second.consumer != consumer) continue;
      backlog_.retry(std::move(here->second.message), now);
      out_.erase(here);
    }
    tell();
  }

  /// Something may go out that could not before. With mutex_, which comes before a stop's own.
  void tell() {
    changes_.fetch_add(1);
    for (Stop* const stop : waiting_) stop->wake();
  }

  class Waiting {
   public:
    Waiting(MemoryQueue& queue, Stop& stop) : queue_(queue) {
      const std::lock_guard lock(queue_.mutex_);
      at_ = queue_.waiting_.insert(queue_.waiting_.end(), &stop);
    }
    ~Waiting() {
      const std::lock_guard lock(queue_.mutex_);
      queue_.waiting_.erase(at_);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    MemoryQueue& queue_;
    std::list<Stop*>::iterator at_;
  };

  const std::size_t most_;
  T timer_;
  mutable std::mutex mutex_;
  detail::Backlog<char> backlog_;  // which needs no handles
  std::map<std::uint64_t, Out> out_;
  std::vector<DeadLetter> dead_;
  std::list<Stop*> waiting_;
  std::atomic<std::uint64_t> changes_{0}, consumers_{0};
  std::uint64_t last_id_ = 0, last_token_ = 0;
};

static_assert(MessageSource<MemoryQueue<>> && MessageSource<MemoryQueue<>::Consumer>);

}  // namespace paidonce::inline v1
