// The sources of payment requests: within the process, over Redis Streams, over RabbitMQ.

#include <memory>
#include <string>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/rabbitmq.hpp>
#include <paidonce/queue/redis_stream.hpp>

#include "support/rabbitmq_queue.hpp"
#include "support/rabbitmq_server.hpp"
#include "support/redis_server.hpp"
#include "support/redis_stream.hpp"
#include "support/source_suite.hpp"

using namespace paidonce;

namespace {

struct InMemory {
  static constexpr std::size_t held = 0;
  std::unique_ptr<MemoryQueue<>> queue;

  void fresh() { queue = std::make_unique<MemoryQueue<>>(); }
  auto consumer() { return std::make_unique<MemoryQueue<>::Consumer>(*queue); }
  void put(const std::string& key, const std::string& body) { queue->put(key, body); }
  std::vector<DeadLetter> dead_letters() { return queue->dead_letters(); }
};

/// As many messages as a consumer takes of all partitions.
constexpr std::size_t partitions = 2, prefetch = 8;

struct OverRedis {
  static constexpr std::size_t held = partitions * prefetch;
  std::string uri;
  RedisStreamOptions options = {};
  std::unique_ptr<RedisStream> producer = {};

  void fresh() {
    options.stream = RedisServer::fresh_prefix("queue");
    options.partitions = partitions;
    options.prefetch = prefetch;
    options.lease = Duration(900);
    options.poll_interval = Duration(10);
    producer = std::make_unique<RedisStream>(uri, options);
  }
  auto consumer() { return std::make_unique<RedisStream>(uri, options); }
  void put(const std::string& key, const std::string& body) { producer->put(key, body); }
  std::vector<DeadLetter> dead_letters() { return support::dead_letters(uri, options); }
};

struct OverRabbit {
  static constexpr std::size_t held = partitions * prefetch;
  std::string uri;
  RabbitQueueOptions options = {};
  std::unique_ptr<RabbitQueue> producer = {};

  void fresh() {
    options.queue = RabbitServer::fresh_name("queue");
    options.partitions = partitions;
    options.prefetch = prefetch;
    options.share_interval = Duration(100);
    producer = std::make_unique<RabbitQueue>(uri, options);
  }
  auto consumer() { return std::make_unique<RabbitQueue>(uri, options); }
  void put(const std::string& key, const std::string& body) { producer->put(key, body); }
  std::vector<DeadLetter> dead_letters() { return support::dead_letters(uri, options); }
};

}  // namespace

TEST_CASE("MemoryQueue is a source", "[conformance][queue]") {
  InMemory fixture;
  support::check_source_conformance(fixture);
}

TEST_CASE("RedisStream is a source", "[conformance][queue][redis]") {
  OverRedis fixture{shared_redis().uri()};
  support::check_source_conformance(fixture);
}

TEST_CASE("RedisStream is a source over a cluster", "[conformance][queue][redis]") {
  OverRedis fixture{shared_redis_cluster().uri()};
  support::check_source_conformance(fixture);
}

TEST_CASE("RabbitQueue is a source", "[conformance][queue][rabbitmq]") {
  OverRabbit fixture{shared_rabbitmq().uri()};
  support::check_source_conformance(fixture);
}
