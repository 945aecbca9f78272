// What the client of a gateway reports where the gateway answers slowly, in half, or not at all.

#include <chrono>
#include <string>

#include "stripe_client.hpp"
#include "support/catch.hpp"
#include "support/scripted_server.hpp"

using paidonce::Report;
using namespace std::chrono_literals;

namespace {

const shop::ChargeRequest request = {"order-1", 450, "EUR", "tok_visa", "an order & 10 %", "provider-key-1"};

const std::string charge =
    R"({"id":"ch_1","object":"charge","amount":450,"currency":"eur","status":"succeeded",)"
    R"("metadata":{"order":"order-1","provider_key":"provider-key-1"}})";
const std::string no_charges = R"({"object":"list","data":[],"has_more":false})";

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string ok_without_end(const std::string& body) { return "HTTP/1.1 200 OK\r\n\r\n" + body; }

shop::StripeClient client(const std::string& url, std::chrono::milliseconds timeout = 20s) {
  return {url, "sk_test_1", timeout};
}
Report report(const std::string& url) { return client(url).charge(request).result.report(); }

}  // namespace

TEST_CASE("a charge is asked for once, with its key as it is and a form", "[stripe_client]") {
  const support::ScriptedServer server({support::replies(ok(charge))});
  CHECK(report(server.url()) == Report::succeeded);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 1);
  CHECK_THAT(requests[0], support::contains("\r\nIdempotency-Key: provider-key-1\r\n"));
  CHECK_THAT(requests[0], support::contains("\r\nAuthorization: Basic c2tfdGVzdF8xOg==\r\n"));
  CHECK_THAT(requests[0], support::contains("&description=an%20order%20%26%2010%20%25&"));
  CHECK_THAT(requests[0], support::contains("&metadata%5Border%5D=order-1&"));
}

TEST_CASE("a gateway that sends byte after byte is left when its time is over", "[stripe_client]") {
  for (const char* begun :
       {"", "HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"}) {
    CAPTURE(begun);
    const support::ScriptedServer server({support::drips(begun)});
    const auto start = std::chrono::steady_clock::now();
    CHECK(client(server.url(), 200ms).charge(request).result.report() == Report::in_doubt);
    CHECK_THROWS_AS(client(server.url(), 200ms).find_charge_by_order(request), std::runtime_error);
    CHECK(std::chrono::steady_clock::now() - start < 10s);
  }
}

TEST_CASE("half a reply, and one that does not say where it ends, prove nothing", "[stripe_client]") {
  const std::string whole = ok(charge), listed = ok(no_charges);
  for (const auto& [reply, list] : {std::pair{whole.substr(0, whole.size() - 1), listed.substr(0, 60)},
                                    std::pair{ok_without_end(charge), ok_without_end(no_charges)}}) {
    const support::ScriptedServer server({support::replies(reply), support::replies(list)});
    CHECK(report(server.url()) == Report::in_doubt);
    CHECK_THROWS_AS(client(server.url()).find_charge_by_order(request), std::runtime_error);
    CHECK(server.requests().size() == 2);
  }
}

TEST_CASE("a request is not sent again by itself, and is in doubt once a connection was made",
          "[stripe_client]") {
  for (const auto& step : {support::closes_at_once(), support::closes_after_request(),
                           support::replies("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")}) {
    const support::ScriptedServer server({step});
    CHECK(report(server.url()) == Report::in_doubt);
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("nothing was sent where nobody listens", "[stripe_client]") {
  const support::BoundSocket nobody;
  CHECK(report(nobody.url()) == Report::not_executed);
}
