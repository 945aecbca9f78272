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
    bool ours = false;  // the broker has this consumer as its active one: a message came
    amqp_channel_t channel = 0;
  };

  static constexpr amqp_channel_t own_channel = 1;

  bool is_wanted() override {
    active_.store(false);
    const bool wanted = inbox_.in_use(options_.idle_after);
    active_.store(wanted);
    return wanted;
  }

  void connected(RabbitConnection& connection) override {
    last_channel_ = connection.last_channel();
    if (last_channel_ < parts_.size() + 2)
      throw Error(errc::invalid_options,
                  "the broker's channel_max is too small: a consumer needs a channel for each partition, and "
                  "two more");
    connection.open_channel(own_channel);
    queues_.declare(connection, own_channel);
    subscribe(connection, own_channel, queues_.members());
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
    do channel_ = channel_ < last_channel_ ? static_cast<amqp_channel_t>(channel_ + 1) : own_channel + 1;
    while (taken());
    const amqp_channel_t channel = parts_[at].channel = channel_;
    connection.open_channel(channel);
    amqp_basic_qos(connection.native(), channel, 0, options_.prefetch, 0);
    connection.expect_asked();
    subscribe(connection, channel, queues_.name(at));
  }
  static void subscribe(RabbitConnection& connection, amqp_channel_t channel, const std::string& queue) {
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

  /// The broker gives all partitions to whoever comes first; what is more than a fair share goes on to those
  /// who wait.
  void share(RabbitConnection& connection) {
    const auto ours = std::count_if(parts_.begin(), parts_.end(),
                                    [](const Part& part) { return part.ours && !part.leaving; });
    if (ours < 2) return;
    const std::size_t members = std::max<std::size_t>(queues_.count_members(connection, own_channel), 1);
    const std::size_t fair = (parts_.size() + members - 1) / members;
    auto surplus = static_cast<std::size_t>(ours) - std::min(static_cast<std::size_t>(ours), fair);
    inbox_.with([&](Held&, Duration) {
      for (auto part = parts_.begin(); surplus != 0; ++part) {
        if (!part->ours || part->leaving) continue;
        part->leaving = true;
        --surplus;
      }
    });
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
    parts_[at].ours = false;
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
    part->ours = true;
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
  amqp_channel_t channel_ = own_channel, last_channel_ = own_channel;
  Duration share_{0};
  std::atomic<bool> active_{false};
  RabbitLink link_;  // last: its thread uses all of the above
};

}  // namespace paidonce::inline v1::detail
