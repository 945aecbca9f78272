// The snippets of the quick start.

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include "elsewhere.hpp"
#include "provider.hpp"

#include <chrono>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace quick_start {

struct Order {
  std::string id = "order-1001";
  std::string amount = "4.50";
  std::string currency = "EUR";
};

// [guard]
using PaymentGuard = IdempotencyGuard<FileStore>;
// [/guard]

// [wrap]
Outcome<std::string> pay(PaymentGuard& guard, shop::Provider& provider, const Order& order) {
  const IdempotencyKey key{"coffee-shop", order.id};
  const Fingerprint request = fingerprint(order.id, order.amount, order.currency);

  return guard.execute(key, request, [&](Attempt& attempt) -> PaymentResult<std::string> {
    try {
      const shop::Reply reply = provider.charge(order.id, attempt.provider_key());
      if (reply.declined) return declined(reply.body);
      return succeeded(reply.body);
    } catch (const shop::NotConnected&) {
      return not_executed("the provider could not be reached");  // no byte was sent: safe to try again
    }                                                            // whatever else is thrown means in doubt
  });
}
// [/wrap]

// [status]
std::string tell(const Outcome<std::string>& outcome) {
  switch (outcome.status()) {
    case Status::completed: return outcome.succeeded() ? "Thank you!" : "Your card was declined.";
    case Status::in_progress: return "We are working on it.";
    case Status::key_reused: return "This order number belongs to another order.";
    case Status::in_doubt: return "We are checking with your bank. Please do not pay again.";
    case Status::not_executed: return "Nothing was charged. Please try again.";
    case Status::refused: return outcome.reason();
  }
  return {};
}
// [/status]

}  // namespace quick_start

TEST_CASE("the quick start pays once, and tells what happened", "[docs]") {
  using namespace quick_start;
  using Mood = shop::Provider::Mood;
  shop::Provider provider;
  const integration::ElsewhereForNow elsewhere;
  // [store]
  PaymentGuard payments{FileStore{"payments.store"}, {.lease = 60s, .retention = 72h, .wait = 2s}};
  // [/store]
  CHECK(tell(pay(payments, provider, {})) == "Thank you!");
  CHECK(tell(pay(payments, provider, {})) == "Thank you!");
  CHECK(provider.charges == 1);
  CHECK(pay(payments, provider, {"order-1001", "45.00", "EUR"}).status() == Status::key_reused);

  provider.mood = Mood::refuses_connections;
  CHECK(pay(payments, provider, {"order-1002", "3.20", "EUR"}).status() == Status::not_executed);
  provider.mood = Mood::declines;
  CHECK(tell(pay(payments, provider, {"order-1002", "3.20", "EUR"})) == "Your card was declined.");
  provider.mood = Mood::hangs_up;
  CHECK(pay(payments, provider, {"order-1003", "2.60", "EUR"}).status() == Status::in_doubt);
  provider.mood = Mood::charges;
  CHECK(pay(payments, provider, {"order-1003", "2.60", "EUR"}).status() == Status::in_doubt);
  CHECK(provider.charges == 1);
}
