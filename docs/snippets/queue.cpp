// The snippets about payments that a queue asks for.

#include <paidonce/paidonce.hpp>
#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/payment_worker.hpp>

#include <mutex>
#include <optional>
#include <set>
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
template <class Provider>
void work(MemoryStore& store, MemoryQueue<>& queue, Provider& provider, const AlertSink& pager, Stop& stop) {
  IdempotencyGuard guard{store};
  PaymentWorker worker(
      guard, queue, read_order,
      [&](Attempt& attempt, const Order& order) { return provider.charge(order, attempt.provider_key()); },
      [&](const Record& record, const PaymentRequest<Order>& asked) -> PaymentResult<std::string> {
        const auto found = provider.look_up(provider_key(asked.key, record.created_at));
        if (!found) return in_doubt("the provider does not know it");  // it may still arrive
        return succeeded(*found);
      },
      {.threads = 8, .alert = pager});
  worker.run(stop);  // until somebody calls stop.request(): then what runs is finished, the rest given back
}
// [/worker]

/// Charges; for one order the reply is lost.
class Provider {
 public:
  std::string charge(const Order& order, std::string_view provider_key) {
    const std::lock_guard lock(mutex_);
    charged_.emplace(provider_key);
    ++charges;
    if (order.number == "order-1003") throw std::runtime_error("connection lost");
    return "charged";
  }
  std::optional<std::string> look_up(const std::string& provider_key) {
    const std::lock_guard lock(mutex_);
    if (!charged_.contains(provider_key)) return std::nullopt;
    return "charged";
  }

  int charges = 0;

 private:
  std::mutex mutex_ = {};
  std::set<std::string> charged_ = {};
};

}  // namespace queue_page

TEST_CASE("a queue is worked off, what it repeats is paid once, and doubts are settled", "[docs]") {
  using namespace queue_page;
  MemoryStore store;
  MemoryQueue<> queue;
  Provider provider;
  const PaymentRequest<Order> doubtful = read_order({"", "", "order-1003 1.20"});
  IdempotencyGuard before{store};  // whose process was ended in the middle of this one
  const auto lost = before.execute(doubtful.key, doubtful.fingerprint, [&](Attempt& attempt) {
    return provider.charge(doubtful.value, attempt.provider_key());
  });
  REQUIRE(lost.status() == Status::in_doubt);
  for (const char* const body :
       {"order-1001 4.50", "order-1003 1.20", "order-1002 7.00", "order-1001 4.50", "nonsense"})
    queue.put("ada", body);
  Stop stop;
  const auto pager = [&](const Alert& alert) {  // the last message is set aside
    CHECK(alert.rule == "queue_dead_letter");
    stop.request();
  };
  work(store, queue, provider, pager, stop);
  CHECK(provider.charges == 3);
  CHECK(before.find(doubtful.key)->state == State::succeeded);
  CHECK(queue.size() == 0);
  REQUIRE(queue.dead_letters().size() == 1);
  CHECK(queue.dead_letters()[0].reason == "undecodable");
}
