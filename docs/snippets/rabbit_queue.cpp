// The snippets about a queue on RabbitMQ.

#include <paidonce/guard.hpp>
#include <paidonce/queue/payment_worker.hpp>
#include <paidonce/queue/rabbitmq.hpp>
#include <paidonce/stores/memory.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/rabbitmq_server.hpp"

using namespace paidonce;

namespace {

struct Order {
  std::string number;
};

PaymentRequest<Order> read_order(const Message& message) {
  return {{"shop", message.body}, fingerprint(message.body), {message.body}};
}

// [queue]
RabbitQueueOptions orders_queue() {
  RabbitQueueOptions options;
  options.queue = "orders";  // the same for all who use the queue, and so is the next one
  options.partitions = 16;
  return options;
}

void send(RabbitQueue& queue, std::string_view customer, std::string_view order) {
  queue.put(customer, order);  // throws store_unavailable: it may be there or not, so send it again
}

template <class PaymentStore, class Charge, class Ask>
void work(PaymentStore& store, const std::string& uri, Charge charge, Ask ask, const AlertSink& pager,
          Stop& stop) {
  IdempotencyGuard guard{store};  // of the payments; all workers share it
  RabbitQueue queue{uri, orders_queue()};
  PaymentWorker worker(guard, queue, read_order, charge, ask, {.threads = 8, .alert = pager});
  worker.run(stop);
}
// [/queue]

}  // namespace

TEST_CASE("a queue on RabbitMQ is worked off", "[docs][rabbitmq]") {
  RabbitServer& server = shared_rabbitmq();
  RabbitQueue queue{server.uri(), orders_queue()};
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
  MemoryStore store;
  work(store, server.uri(), charge, ask, {}, stop);
  CHECK(charged == 1);
}
