// The snippets about a queue over Redis Streams.

#include <paidonce/guard.hpp>
#include <paidonce/queue/payment_worker.hpp>
#include <paidonce/queue/redis_stream.hpp>
#include <paidonce/stores/redis.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/redis_server.hpp"

using namespace paidonce;

namespace {

struct Order {
  std::string number;
};

PaymentRequest<Order> read_order(const Message& message) {
  return {{"shop", message.body}, fingerprint(message.body), {message.body}};
}

// [queue]
RedisStreamOptions orders_queue() {
  RedisStreamOptions options;
  options.stream = "orders";  // the same for all who use the queue, and so is the next one
  options.partitions = 16;
  return options;
}

void send(RedisStream& queue, std::string_view customer, std::string_view order) {
  queue.put(customer, order);  // throws store_unavailable: it may be there or not, so send it again
}

template <class Charge, class Ask>
void work(const std::string& uri, Charge charge, Ask ask, const AlertSink& pager, Stop& stop) {
  IdempotencyGuard guard{RedisStore{uri}};  // of the payments; all workers share it
  RedisStream queue{uri, orders_queue()};
  PaymentWorker worker(guard, queue, read_order, charge, ask, {.threads = 8, .alert = pager});
  worker.run(stop);
}
// [/queue]

}  // namespace

TEST_CASE("a queue over Redis Streams is worked off", "[docs][redis]") {
  RedisServer server;
  RedisStream queue{server.uri(), orders_queue()};
  send(queue, "ada", "order-1001");
  Stop stop;
  int charged = 0;
  const auto charge = [&](Attempt&, const Order&) {
    ++charged;
    stop.request();
    return std::string("receipt 17");
  };
  const auto ask = [](const Record&, const PaymentRequest<Order>&) -> PaymentResult<std::string> {
    return in_doubt("the provider does not know it");
  };
  work(server.uri(), charge, ask, {}, stop);
  CHECK(charged == 1);
}
