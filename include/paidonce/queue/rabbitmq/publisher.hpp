#pragma once
// Puts messages into queues, each of which the broker confirms once it is safe.
// https://www.rabbitmq.com/docs/confirms

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/queue/rabbitmq/connection.hpp>
#include <paidonce/queue/rabbitmq/link.hpp>
#include <paidonce/queue/rabbitmq/options.hpp>
#include <paidonce/uuid.hpp>

namespace paidonce::inline v1::detail {

/// A message on its way out.
struct RabbitLetter {
  std::string queue = {}, body = {}, id = {};
  std::vector<std::pair<const char*, std::string>> headers = {};
};

/// Thread-safe: what several threads put at a time goes out together, and is confirmed together. On a
/// connection of its own, because a broker that is short of memory or disk stops reading from those that put,
/// and acknowledgements must not wait behind that.
class RabbitPublisher final : private RabbitWork {
 public:
  RabbitPublisher(const RabbitAddress& address, const RabbitQueueOptions& options)
      : options_(options.connection), queues_(options), link_(*this, address, options.connection) {}

  /// Returns when the broker has confirmed it. Throws `store_unavailable` where it did not: then it may be
  /// there or not, unless the text says that it was not sent or not taken.
  void put(RabbitLetter letter) {
    const auto sending = std::make_shared<Sending>(std::move(letter));
    std::unique_lock lock(mutex_);
    waiting_.push_back(sending);
    lock.unlock();
    link_.call();
    lock.lock();
    const auto asked = std::chrono::steady_clock::now();
    const auto given_up = [&] {  // the outage has lasted, or does not pass by itself
      const auto now = std::chrono::steady_clock::now();
      return now >= asked + options_.connect_timeout || (failure_ && !retryable(*failure_)) ||
             (down_since_ && now >= *down_since_ + options_.connect_timeout);
    };
    while (sending->state == State::waiting && !given_up())
      changed_.wait_until(lock,
                          (down_since_ ? std::min(asked, *down_since_) : asked) + options_.connect_timeout);
    if (sending->state == State::waiting) {
      std::erase(waiting_, sending);
      throw failure_
          ? *failure_
          : Error(errc::store_unavailable,
                  "no connection to the queue's broker was made in time: the message was not sent");
    }
    const auto until = std::chrono::steady_clock::now() + options_.reply_timeout;
    changed_.wait_until(lock, until, [&] { return sending->state != State::sent; });
    switch (sending->state) {
      case State::confirmed: return;
      case State::returned:
        throw Error(
            errc::store_unavailable,
            "the queue was deleted: the message was not taken, and none is until somebody connects and "
            "declares it");
      case State::refused:
        throw Error(errc::store_unavailable,
                    "the queue's broker has refused the message: it is full, or in trouble");
      default:
        throw Error(errc::store_unavailable,
                    "the queue's broker did not confirm the message; what became of it is not known");
    }
  }

 private:
  enum class State : std::uint8_t { waiting, sent, confirmed, returned, refused, unknown };
  struct Sending {
    explicit Sending(RabbitLetter given) : letter(std::move(given)) {}
    RabbitLetter letter;
    State state = State::waiting;
  };
  using Shared = std::shared_ptr<Sending>;
  static constexpr amqp_channel_t channel = 1;

  static std::chrono::steady_clock::time_point never() {
    return std::chrono::steady_clock::time_point::max();
  }

  bool is_wanted() override { return true; }

  void connected(RabbitConnection& connection) override {
    connection.open_channel(channel);
    queues_.declare(connection, channel);
    amqp_confirm_select(connection.native(), channel);
    connection.expect_asked();
    const std::lock_guard lock(mutex_);
    sent_ = 0;
    down_since_.reset();
    failure_.reset();
  }

  Duration turn(RabbitConnection& connection) override {
    for (;;) {
      Shared next;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) return std::chrono::hours(1);
        next = waiting_.front();
        unconfirmed_.emplace(sent_ + 1, next);
        waiting_.pop_front();
        ++sent_;
        next->state = State::sent;
      }
      changed_.notify_all();
      send(connection, next->letter);
    }
  }

  static void send(RabbitConnection& connection, const RabbitLetter& letter) {
    std::vector<amqp_table_entry_t> headers;
    for (const auto& [name, text] : letter.headers) {
      amqp_table_entry_t entry{};
      entry.key = amqp_cstring_bytes(name);
      entry.value.kind = AMQP_FIELD_KIND_UTF8;
      entry.value.value.bytes = rabbit_bytes(text);
      headers.push_back(entry);
    }
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_HEADERS_FLAG;
    properties.content_type = amqp_cstring_bytes("application/octet-stream");
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.message_id = rabbit_bytes(letter.id);
    properties.headers = {static_cast<int>(headers.size()), headers.data()};
    constexpr amqp_boolean_t mandatory = 1;
    RabbitConnection::expect_sent(amqp_basic_publish(connection.native(), channel, amqp_empty_bytes,
                                                     rabbit_bytes(letter.queue), mandatory, 0, &properties,
                                                     rabbit_bytes(letter.body)));
  }

  void came(RabbitConnection& connection, const amqp_frame_t& frame) override {
    if (frame.frame_type != AMQP_FRAME_METHOD) return;
    const void* const decoded = frame.payload.method.decoded;
    if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
      const auto* const ack = static_cast<const amqp_basic_ack_t*>(decoded);
      settle(ack->delivery_tag, ack->multiple, State::confirmed);
    } else if (frame.payload.method.id == AMQP_BASIC_NACK_METHOD) {
      const auto* const nack = static_cast<const amqp_basic_nack_t*>(decoded);
      settle(nack->delivery_tag, nack->multiple, State::refused);
    } else if (frame.payload.method.id == AMQP_BASIC_RETURN_METHOD) {  // the confirmation follows
      const RabbitContent content = connection.content(channel);
      const std::lock_guard lock(mutex_);
      for (auto& [tag, sending] : unconfirmed_)
        if (sending->letter.id == content.id()) sending->state = State::returned;
    }
  }

  void settle(std::uint64_t tag, amqp_boolean_t multiple, State state) {
    {
      const std::lock_guard lock(mutex_);
      const auto from = multiple ? unconfirmed_.begin() : unconfirmed_.lower_bound(tag);
      const auto end = unconfirmed_.upper_bound(tag);
      for (auto one = from; one != end; ++one)
        if (one->second->state == State::sent) one->second->state = state;
      unconfirmed_.erase(from, end);
    }
    changed_.notify_all();
  }

  void disconnected(const Error* failure) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      for (auto& [tag, sending] : unconfirmed_)
        if (sending->state == State::sent) sending->state = State::unknown;
      unconfirmed_.clear();
      if (!down_since_) down_since_ = std::chrono::steady_clock::now();
      if (failure) failure_ = *failure;
    }
    changed_.notify_all();
  }

  const RabbitOptions& options_;
  const RabbitQueues queues_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Shared> waiting_;
  std::map<std::uint64_t, Shared> unconfirmed_;  // by the number that the broker confirms
  std::uint64_t sent_ = 0;
  std::optional<std::chrono::steady_clock::time_point> down_since_ = {};
  std::optional<Error> failure_ = {};
  RabbitLink link_;  // last: its thread uses all of the above
};

}  // namespace paidonce::inline v1::detail
