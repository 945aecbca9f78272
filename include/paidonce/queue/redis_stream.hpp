#pragma once
// A queue over Redis Streams.

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
#include <paidonce/queue/redis_stream/consumer.hpp>
#include <paidonce/queue/redis_stream/options.hpp>
#include <paidonce/redis/client.hpp>

namespace paidonce::inline v1 {

/// A `MessageSource` over Redis 6.2 or newer, one server or a cluster: a consumer group on one stream for
/// each partition. Messages of one key are in one partition, which one consumer at a time has; so they come
/// one after the other and in order, however many consumers there are. Consumers share the partitions evenly,
/// and a consumer that dies is replaced when its lease ends.
///
/// What is in the queue is as safe as the server makes it: one that is killed forgets what it has not synced
/// (`appendonly yes`, `appendfsync always`), and a replica that takes over may not have had the last
/// messages, or not have heard that they were acknowledged. A repetition is harmless behind a guard, a loss
/// is not: see docs/queue/redis_streams.md.
///
/// Connects when it is first used, and consumes from the first `receive` on, by a thread of its own; one that
/// only puts has none. Any number of threads may use it; nobody does when it is destroyed. In a forked child
/// it refuses.
class RedisStream {
 public:
  /// `uri` as in docs/stores/redis.md. Throws `invalid_options`.
  explicit RedisStream(std::string_view uri, RedisStreamOptions options = {})
      : core_(new Core(uri, std::move(options))) {}

  /// Adds a message, behind all of its key, and gives its id: of the partition and in its stream. Throws
  /// `store_unavailable` where the answer did not come: then it may be there or not; put it again with the
  /// same payment's key, and the guard sees to it that it is paid once. `store_full`: the server has reached
  /// its maxmemory.
  std::string put(std::string_view key, std::string_view body) { return core_->put(key, body); }

  /// `MessageSource`'s.
  std::optional<Message> receive(Duration pause, Stop& stop) {
    return core_->consumer().receive(pause, stop);
  }
  void ack(const Message& message) { core_->consumer().ack(message); }
  /// It stays pending here; its deliveries count on in this consumer.
  void retry_later(const Message& message, Duration pause) { core_->consumer().retry_later(message, pause); }
  /// Into the stream `{name:<partition>}:dead`, with all its fields, `reason` and `origin`, its id: in one
  /// step.
  void dead_letter(const Message& message, std::string_view reason) {
    core_->consumer().dead_letter(message, reason);
  }

 private:
  struct Core {
    Core(std::string_view uri, RedisStreamOptions given)
        : options(std::move(given)), client(uri, detail::checked(options).connection) {}

    std::string put(std::string_view key, std::string_view body) {
      client.check_process();
      std::call_once(counted, [&] {
        const std::string written = "{" + options.stream + "}:partitions";
        const std::string count = detail::ask_queue([&] {
          client.run(written, {"SET", written, std::to_string(options.partitions), "NX"}).expect_done();
          const detail::RedisReply reply = client.run(written, {"GET", written});
          return std::string(reply.expect_done().text());
        });
        detail::check_stream_partitions(count, options);
      });
      const std::string partition = std::to_string(detail::partition_of(key, options.partitions));
      const std::string stream = "{" + options.stream + ":" + partition + "}";
      return detail::ask_queue([&] {
        const detail::RedisReply reply = client.run(stream, {"XADD", stream, "*", "key", key, "body", body});
        return partition + "/" + std::string(reply.expect_done().text());
      });
    }

    detail::StreamConsumer& consumer() {
      client.check_process();
      std::call_once(started, [&] { consumer_.emplace(client, options); });
      return *consumer_;
    }

    const RedisStreamOptions options;
    detail::RedisClient client;
    const detail::OwnProcess process = {};
    std::once_flag counted, started;
    std::optional<detail::StreamConsumer> consumer_;
  };
  struct Free {
    void operator()(Core* core) const noexcept {
      if (core->process.is_this_one()) delete core;  // a forked child has not its thread
    }
  };

  std::unique_ptr<Core, Free> core_;
};

static_assert(MessageSource<RedisStream>);

}  // namespace paidonce::inline v1
