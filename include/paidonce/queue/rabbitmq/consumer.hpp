#pragma once
// One consumer of a queue on RabbitMQ: a channel for each partition, whose messages stay unacknowledged until
// they are settled.
//
// The broker hands a partition to one consumer at a time (x-single-active-consumer). Closing its channel
// gives all that it holds back in one step, in order, and makes the next consumer the active one.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/queue/inbox.hpp>
#include <paidonce/queue/rabbitmq/connection.hpp>
#include <paidonce/queue/rabbitmq/link.hpp>
#include <paidonce/queue/rabbitmq/options.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe.
class RabbitConsumer final : private RabbitWork {
 public:
  RabbitConsumer(const RabbitAddress& address, const RabbitQueueOptions& options)
      : options_(options),
        queues_(options),
        parts_(options.partitions),
        link_(*this, address, options.connection) {}

  std::optional<Message> receive(Duration pause, Stop& stop) {
    return inbox_.receive(pause, stop, [&](Held&, Duration) {
      if (!active_.load()) link_.call();
    });
  }

  /// Sent soon; where the connection breaks before that, the message comes again.
  void ack(const Message& message) {
    bool told = false;
    inbox_.update([&](Held& held, Duration) {
      if (const Delivery* const delivery = held.find(message.token)) {
        acks_.push_back(*delivery);
        --parts_[delivery->part].held;
        told = true;
      }
      held.done(message.token);
    });
    if (told) link_.call();
  }

  void retry_later(const Message& message, Duration pause) {
    inbox_.update([&](Held& held, Duration now) {
      held.retry(message, saturating_add(Timestamp(now), pause).time_since_epoch());
    });
    link_.call();
  }

  bool holds(const Message& message) {
    return inbox_.with([&](Held& held, Duration) { return held.find(message.token) != nullptr; });
  }

 private:
  struct Delivery {
    std::size_t part;
    std::uint64_t tag;
  };
  using Held = Backlog<Delivery>;

  struct Part {
    // These two belong to the inbox's lock.
    std::size_t held = 0;  // in the backlog
    bool leaving = false;  // given to others once nothing of it is out
    // And these to the thread.
    bool busy = false;  // messages came since partitions were shared out last
    amqp_channel_t channel = 0;
  };

  static constexpr amqp_channel_t own_channel = 1, last_channel = 2000;

  bool is_wanted() override {
    active_.store(false);
    const bool wanted = inbox_.in_use(options_.idle_after);
    active_.store(wanted);
    return wanted;
  }

  void connected(RabbitConnection& connection) override {
    connection.open_channel(own_channel);
    queues_.declare(connection, own_channel);
    for (std::size_t at = 0; at < parts_.size(); ++at) consume(connection, at);
    share_ = timer_.elapsed() + options_.share_interval;
    inbox_.works();
  }

  /// On a channel with a number that was not in use lately: what still comes for the one before is not
  /// mistaken for its.
  void consume(RabbitConnection& connection, std::size_t at) {
    const auto taken = [&] {
      return std::any_of(parts_.begin(), parts_.end(),
                         [&](const Part& part) { return part.channel == channel_; });
    };
    do channel_ = channel_ < last_channel ? static_cast<amqp_channel_t>(channel_ + 1) : own_channel + 1;
    while (taken());
    const amqp_channel_t channel = parts_[at].channel = channel_;
    connection.open_channel(channel);
    amqp_basic_qos(connection.native(), channel, 0, options_.prefetch, 0);
    connection.expect_asked();
    const std::string queue = queues_.name(at);
    amqp_basic_consume(connection.native(), channel, rabbit_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    connection.expect_asked();
  }

  Duration turn(RabbitConnection& connection) override {
    std::vector<Delivery> acks;
    inbox_.with([&](Held&, Duration) { acks.swap(acks_); });
    for (const Delivery& ack : acks)
      RabbitConnection::expect_sent(
          amqp_basic_ack(connection.native(), parts_[ack.part].channel, ack.tag, 0));
    const Duration now = timer_.elapsed();
    if (now >= share_) {
      share_ = now + options_.share_interval;
      share(connection);
    }
    for (std::size_t at = 0; at < parts_.size(); ++at)
      if (parts_[at].leaving) leave(connection, at);
    return std::min(share_ - now, options_.idle_after);
  }

  /// Of the partitions in which messages came, as many as are its share stay with this consumer: the broker
  /// gives all to whoever comes first.
  void share(RabbitConnection& connection) {
    std::size_t busy = 0;
    for (const Part& part : parts_) busy += part.busy;
    for (std::size_t at = 0; at < parts_.size() && busy > 1; ++at) {
      if (!parts_[at].busy) continue;
      const std::size_t consumers = queues_.consumers(connection, own_channel, at);
      if (consumers < 2 || busy <= (parts_.size() + consumers - 1) / consumers) break;
      inbox_.with([&](Held&, Duration) { parts_[at].leaving = true; });
      --busy;
    }
    for (Part& part : parts_) part.busy = false;
  }

  /// Once nothing of it is out, and all that was acknowledged is sent: the rest goes back with the channel.
  void leave(RabbitConnection& connection, std::size_t at) {
    bool empty = false;
    inbox_.with([&](Held& backlog, Duration) {
      Part& part = parts_[at];
      part.held -= backlog.give_back([&](const Delivery& one) { return one.part == at; }).size();
      empty = part.held == 0 && acks_.empty();
      if (empty) part.leaving = false;
    });
    if (!empty) return;
    connection.close_channel(parts_[at].channel);
    consume(connection, at);  // behind those who wait
  }

  void came(RabbitConnection& connection, const amqp_frame_t& frame) override {
    if (frame.frame_type != AMQP_FRAME_METHOD) return;
    if (frame.payload.method.id == AMQP_BASIC_CANCEL_METHOD) throw rabbit_outage();  // the queue is gone
    if (frame.payload.method.id != AMQP_BASIC_DELIVER_METHOD) return;
    const auto part = std::find_if(parts_.begin(), parts_.end(),
                                   [&](const Part& one) { return one.channel == frame.channel; });
    if (part == parts_.end()) return;
    const std::uint64_t tag =
        static_cast<const amqp_basic_deliver_t*>(frame.payload.method.decoded)->delivery_tag;
    const RabbitContent content = connection.content(frame.channel);
    const auto at = static_cast<std::size_t>(part - parts_.begin());
    Message message;
    message.id =
        content.id().empty() ? std::to_string(at) + "/" + std::to_string(tag) : std::string(content.id());
    message.key = content.text("paidonce-key");
    message.body = content.body();
    message.deliveries = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(content.number("x-delivery-count"), UINT32_MAX - 1) + 1);
    part->busy = true;
    inbox_.update([&](Held& backlog, Duration now) {
      if (part->leaving) return;  // goes back unseen
      backlog.add(std::move(message), Delivery{at, tag}, now);
      ++part->held;
    });
  }

  void disconnected(const Error* failure) noexcept override {
    if (failure) inbox_.fails(*failure);
    inbox_.update([&](Held& backlog, Duration) {
      backlog.drop([](const Delivery&) { return true; });
      acks_.clear();
      for (Part& part : parts_) part = {};
    });
  }

  const RabbitQueueOptions& options_;
  const RabbitQueues queues_;
  const SteadyTimer timer_ = {};
  Inbox<Delivery> inbox_;
  std::vector<Delivery> acks_;  // under the inbox's lock
  std::vector<Part> parts_;
  amqp_channel_t channel_ = own_channel;
  Duration share_{0};
  std::atomic<bool> active_{false};
  RabbitLink link_;  // last: its thread uses all of the above
};

}  // namespace paidonce::inline v1::detail
