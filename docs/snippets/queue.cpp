// The snippets about payments that a queue asks for.

#include <paidonce/paidonce.hpp>
#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/payment_worker.hpp>

#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace queue_page {

using namespace paidonce;

// [read]
struct Order {
  std::string number;
  std::string amount;
};

PaymentRequest<Order> read_order(const Message& message) {
  const std::size_t space = message.body.find(' ');  // "order-1001 4.50", as this shop writes it
  if (space == std::string::npos) throw std::invalid_argument("no amount");  // becomes a dead letter
  Order order{message.body.substr(0, space), message.body.substr(space + 1)};
  return {.key = {"shop", order.number},
          .fingerprint = fingerprint(order.number, order.amount, "EUR"),
          .value = order,
          .options = {.amount = order.amount + " EUR"}};
}
// [/read]

// [worker]
template <class Charge>
void work(MemoryStore& store, MemoryQueue<>& queue, Charge charge_card, const AlertSink& pager, Stop& stop) {
  IdempotencyGuard guard{store};
  PaymentWorker worker(
      guard, queue, read_order,
      [&](Attempt& attempt, const Order& order) { return charge_card(attempt.provider_key(), order); },
      {.threads = 8, .alert = pager});
  worker.run(stop);  // until somebody calls stop.request(): then what runs is finished, the rest given back
}
// [/worker]

}  // namespace queue_page

TEST_CASE("a queue is worked off, and what it repeats is paid once", "[docs]") {
  using namespace queue_page;
  MemoryStore store;
  MemoryQueue<> queue;
  std::mutex mutex;
  int charges = 0;
  for (const char* const body : {"order-1001 4.50", "order-1002 7.00", "order-1001 4.50", "nonsense"})
    queue.put("ada", body);
  Stop stop;
  const auto charge = [&](std::string_view, const Order&) {
    const std::lock_guard lock(mutex);
    ++charges;
    return std::string("charged");
  };
  const auto pager = [&](const Alert& alert) {  // the last message is set aside
    CHECK(alert.rule == "queue_dead_letter");
    stop.request();
  };
  work(store, queue, charge, pager, stop);
  CHECK(charges == 2);
  CHECK(queue.size() == 0);
  REQUIRE(queue.dead_letters().size() == 1);
  CHECK(queue.dead_letters()[0].reason == "undecodable");
}
