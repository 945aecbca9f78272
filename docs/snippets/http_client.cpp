// The snippets of the page on the HTTP client: a shop, and the server that it pays at.

#include <paidonce/http/httplib_client.hpp>

#include <cstdio>
#include <random>
#include <string>
#include <thread>

#include <paidonce/testing/instant_timer.hpp>

#include "support/catch.hpp"
#include "support/scripted_server.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

struct Order {
  std::string id = "17";
  std::string form = "amount=450&currency=eur";
  std::string key = {};    // of its payment, once it is about to be sent
  std::string state = {};  // for the customer
};

struct Orders {
  void save(const Order& order) { saved = order; }

  Order saved;
};

void tell(Orders& orders, Order order, const char* state) {
  order.state = state;
  orders.save(order);
}

// [http_client_pay]
void pay(const http::IdempotentClient& client, Orders& orders, Order order) {
  const http::RequestKey key =
      order.key.empty() ? http::RequestKey::fresh() : http::RequestKey::again(order.key);
  order.key = key.text();
  orders.save(order);  // durable, before anything is sent: a crash from here on finds the key

  const http::Sent sent = client.send({.method = "POST",
                                       .path = "/v1/charges",
                                       .query = "",
                                       .fields = {{"Content-Type", "application/x-www-form-urlencoded"}},
                                       .body = order.form},
                                      key);
  switch (sent.status()) {
    case http::SendStatus::answered:  // sent.reply() is the answer, now or replayed
      return tell(orders, order, sent.reply().status == 200 ? "paid" : "not paid");
    case http::SendStatus::unknown:  // keep the key: pay() again, later, asks with the same one
      return tell(orders, order, "being verified: do not pay again");
    case http::SendStatus::nothing_sent:  // the shop can say so
      return tell(orders, order, "not paid: the provider is out of reach");
  }
}
// [/http_client_pay]

}  // namespace

TEST_CASE("a shop that crashed asks with the same key", "[docs]") {
  support::ScriptedServer server(
      {support::closes_after_request(), support::replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")});
  Orders orders;
  const http::IdempotentClient once(server.url(), {.attempts = 1});
  pay(once, orders, Order{});
  CHECK(orders.saved.state == "being verified: do not pay again");
  const std::string key = orders.saved.key;
  pay(once, orders, orders.saved);
  CHECK(orders.saved.state == "paid");
  CHECK(orders.saved.key == key);
  for (const std::string& request : server.requests())
    CHECK_THAT(request, support::contains("Idempotency-Key: \"" + key + "\""));
}

TEST_CASE("a client for a provider is made once", "[docs]") {
  Stop stop;
  const std::string secret = "sk_test_17";
  // [http_client_stripe]
  RetryBudget budget;  // shared by all who call this provider
  const http::IdempotentClient stripe(
      "https://api.stripe.com",
      {.key_form = http::KeyForm::bare,
       .fields = {{"Authorization", "Bearer " + secret}},
       .read_timeout = 80s,
       .try_timeout = 90s,
       .deadline = 5min,
       .budget = &budget,
       .stop = &stop,
       .reply_policy = [](const http::Response& reply) {
         const std::string* advice = reply.find("Stripe-Should-Retry");  // also at a 409 without Retry-After
         if (advice != nullptr && *advice == "true") return http::ReplyMeaning::again;
         return http::meaning_of_reply(reply);
       }});
  // [/http_client_stripe]
  CHECK(stripe.url() == "https://api.stripe.com");
  CHECK(stripe.options().reply_policy({409, {{"Stripe-Should-Retry", "true"}}, ""}) ==
        http::ReplyMeaning::again);
}

TEST_CASE("a client in a test takes no time", "[docs]") {
  support::ScriptedServer server({support::replies("HTTP/1.1 503 A\r\nRetry-After: 30\r\n"
                                                   "Content-Length: 0\r\n\r\n"),
                                  support::replies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")});
  const std::string url = server.url();
  // [http_client_test]
  ManualClock clock;
  std::minstd_rand random(1);
  const http::IdempotentClient client(url);
  const http::Sent sent =
      client.send({.method = "POST", .path = "/v1/charges", .query = "", .fields = {}, .body = "amount=450"},
                  http::RequestKey::first_use("order-17"), InstantTimer(clock), random, clock);
  CHECK(sent.tries() == 2);
  CHECK(sent.waited() >= 30s);  // the server asked for that
  // [/http_client_test]
}
