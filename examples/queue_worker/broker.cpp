#include "broker.hpp"

#include <chrono>
#include <utility>

#include <paidonce/queue/rabbitmq.hpp>
#include <paidonce/queue/redis_stream.hpp>

namespace queue_worker {

namespace {

using namespace paidonce;

template <class Source>
class Over final : public Queue {
 public:
  template <class Options>
  Over(const std::string& uri, Options options) : source_(uri, std::move(options)) {}

  std::string put(std::string_view key, std::string_view body) override { return source_.put(key, body); }
  std::optional<Message> receive(Duration pause, Stop& stop) override { return source_.receive(pause, stop); }
  void ack(const Message& message) override { source_.ack(message); }
  void retry_later(const Message& message, Duration pause) override { source_.retry_later(message, pause); }
  void dead_letter(const Message& message, std::string_view reason) override {
    source_.dead_letter(message, reason);
  }

 private:
  Source source_;
};

bool is_rabbitmq(const std::string& uri) { return uri.starts_with("amqp://"); }

}  // namespace

std::string problem_of_broker(const std::string& uri) {
  if (uri.empty())
    return "--broker is needed, as in redis://127.0.0.1:6379 or amqp://guest:guest@127.0.0.1; "
           "./examples/run queue starts one by itself";
  for (const char* const scheme : {"amqp://", "redis://", "rediss://", "redis+unix://", "unix://"})
    if (uri.starts_with(scheme)) return {};
  return "--broker begins with redis:// or amqp://";
}

std::unique_ptr<Queue> open_queue(const std::string& uri, const std::string& run) {
  const std::string name = "queue_worker-" + run;
  if (is_rabbitmq(uri)) {
    RabbitQueueOptions options;
    options.queue = name;
    options.partitions = 4;
    return std::make_unique<Over<RabbitQueue>>(uri, options);
  }
  RedisStreamOptions options;
  options.stream = name;
  options.partitions = 4;
  options.lease = std::chrono::seconds(1);  // short, because workers die often here
  return std::make_unique<Over<RedisStream>>(uri, options);
}

}  // namespace queue_worker
