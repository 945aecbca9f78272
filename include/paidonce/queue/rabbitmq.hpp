#pragma once
// A queue on RabbitMQ.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/queue/message_source.hpp>
#include <paidonce/queue/partition.hpp>
#include <paidonce/queue/rabbitmq/connection.hpp>
#include <paidonce/queue/rabbitmq/consumer.hpp>
#include <paidonce/queue/rabbitmq/options.hpp>
#include <paidonce/queue/rabbitmq/publisher.hpp>

namespace paidonce::inline v1 {

/// A `MessageSource` over RabbitMQ 3.10 or newer: a durable quorum queue for each partition. Messages of one
/// key are in one partition, which the broker hands to one consumer at a time; so they come one after the
/// other and in order, however many consumers there are.
///
/// A message that `put` returned for is on the disks of most nodes of the cluster; one that was handed out
/// stays there until it is acknowledged. See docs/queue/rabbitmq.md.
///
/// Connects when it is first used, by threads of its own: one for the connection that puts, one for the
/// connection that consumes, from the first `receive` on. Any number of threads may use it; nobody does when
/// it is destroyed. In a forked child it refuses.
class RabbitQueue {
 public:
  /// `amqp://[user:password@]host[:port][/vhost]`. Throws `invalid_options`.
  explicit RabbitQueue(std::string_view uri, RabbitQueueOptions options = {})
      : core_(new Core(uri, std::move(options))) {}

  /// Adds a message, behind all of its key (of at most 16384 bytes), and returns its id when the broker has
  /// confirmed it. Throws `store_unavailable`: then it may be there or not; put it again with the same
  /// payment's key, and the guard sees to it that it is paid once.
  std::string put(std::string_view key, std::string_view body) {
    if (key.size() > longest_key)
      throw Error(errc::invalid_key, "the key of a message is longer than 16384 bytes");
    detail::RabbitLetter letter =
        core_->letter(core_->queues.name(detail::partition_of(key, core_->options.partitions)), key, body);
    std::string id = letter.id;
    core_->publisher().put(std::move(letter));
    return id;
  }

  /// `MessageSource`'s.
  std::optional<Message> receive(Duration pause, Stop& stop) {
    return core_->consumer().receive(pause, stop);
  }
  /// Sent soon; where the connection breaks before that, the message comes again.
  void ack(const Message& message) { core_->consumer().ack(message); }
  /// It stays with this consumer, unacknowledged, and its deliveries count on here.
  void retry_later(const Message& message, Duration pause) { core_->consumer().retry_later(message, pause); }
  /// Into the queue `name.dead`, with the headers `paidonce-reason` and `paidonce-origin`; acknowledged once
  /// that is confirmed. A crash in between leaves it in both, and it comes again.
  void dead_letter(const Message& message, std::string_view reason) {
    detail::RabbitConsumer& consumer = core_->consumer();
    if (!consumer.holds(message)) return consumer.ack(message);
    detail::RabbitLetter letter = core_->letter(core_->queues.dead(), message.key, message.body);
    letter.headers.emplace_back("paidonce-reason", reason.substr(0, 1000));
    letter.headers.emplace_back("paidonce-origin", message.id.substr(0, 1000));
    try {
      core_->publisher().put(std::move(letter));
    } catch (...) {
      Message again = message;
      --again.deliveries;  // nothing is wrong with it
      consumer.retry_later(again, Duration(200));
      throw;
    }
    consumer.ack(message);
  }

 private:
  static constexpr std::size_t longest_key = 16'384;  // headers must go into one frame

  struct Core {
    Core(std::string_view uri, RabbitQueueOptions given)
        : options(std::move(given)),
          address(detail::rabbit_address(uri, detail::checked(options).connection)),
          queues(options) {}

    detail::RabbitLetter letter(std::string queue, std::string_view key, std::string_view body) const {
      return {std::move(queue), std::string(body), uuid_v4(), {{"paidonce-key", std::string(key)}}};
    }
    detail::RabbitPublisher& publisher() {
      check_process();
      std::call_once(putting, [&] { publisher_.emplace(address, options); });
      return *publisher_;
    }
    detail::RabbitConsumer& consumer() {
      check_process();
      std::call_once(consuming, [&] { consumer_.emplace(address, options); });
      return *consumer_;
    }
    void check_process() const {
      if (!process.is_this_one())
        throw Error(
            errc::store_forked,
            "the connections to RabbitMQ were opened before the process forked: open them in the child");
    }

    const RabbitQueueOptions options;
    const detail::RabbitAddress address;
    const detail::RabbitQueues queues;
    const detail::OwnProcess process = {};
    std::once_flag putting, consuming;
    std::optional<detail::RabbitPublisher> publisher_;
    std::optional<detail::RabbitConsumer> consumer_;
  };
  struct Free {
    void operator()(Core* core) const noexcept {
      if (core->process.is_this_one()) delete core;  // a forked child has not its threads
    }
  };

  std::unique_ptr<Core, Free> core_;
};

static_assert(MessageSource<RabbitQueue>);

}  // namespace paidonce::inline v1
