// Payments that end later, over real processes: the payment server, the gateway that tells it by webhooks,
// and a relay between them that sees each delivery. The gateway's ledger says what was charged.

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <httplib.h>
#include <nlohmann/json.hpp>
#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/hmac.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/http/scope.hpp>
#include <paidonce/http/stored_response.hpp>
#include <paidonce/stores/file.hpp>

#include "payment_server/order_status.hpp"
#include "payment_server/webhook_event.hpp"
#include "support/catch.hpp"
#include "support/payment_server.hpp"
#include "support/redis_server.hpp"
#include "support/webhook_relay.hpp"

using namespace integration;
using nlohmann::json;
using payment_server::OrderStatus;
using Strings = std::vector<std::string>;

namespace {

constexpr const char* secret = "whsec_of_the_test";

std::string signature_of(const std::string& body, const std::string& with, long long time) {
  const auto code = paidonce::detail::hmac_sha256(with, std::to_string(time) + "." + body);
  std::string digits(64, '\0');
  paidonce::detail::hex(code.data(), code.size(), digits.data());
  return "t=" + std::to_string(time) + ",v1=" + digits;
}

/// For the gateway that is started next; it inherits it.
const Strings& webhook_to(const WebhookRelay& relay, Strings& options) {
  ::setenv("GATEWAY_WEBHOOK_SECRET", secret, 1);
  options.insert(options.end(), {"--webhook", relay.url(), "--webhook-pause-ms", "20"});
  return options;
}

struct World {
  explicit World(Strings gateway_options = {}, const std::string& store = {})
      : gateway(GATEWAY, files / "ledger", webhook_to(relay, gateway_options)),
        server(gateway.url(), store.empty() ? "file:" + (files / "store").string() : store,
               {std::string("PAIDONCE_WEBHOOK_SECRET=") + secret}, {"--lease-ms", "1000"}) {
    relay.forward_to(server.url());
  }

  httplib::Client client() const {
    httplib::Client client(server.url());
    client.set_read_timeout(std::chrono::seconds(30));
    client.set_bearer_token_auth("sk_test_demo");
    return client;
  }

  // ---- the shop ----

  std::string new_order() const {
    const auto shop = client().Get("/");
    const std::string name = "name=\"good\" value=\"";
    const auto at = shop->body.find(name) + name.size();
    const auto made = client().Post(
        "/orders", httplib::Params{{"good", shop->body.substr(at, shop->body.find('"', at) - at)}});
    REQUIRE(made->status == 303);
    return made->get_header_value("Location");
  }
  void pay(const std::string& order, const std::string& source) const {
    const auto paid = client().Post(order + "/pay", httplib::Params{{"payment", "1"}, {"source", source}});
    REQUIRE(paid);
    CHECK(paid->status == 303);
  }
  std::string state_of(const std::string& order) const {
    return json::parse(client().Get(order + "/status")->body).at("state");
  }

  // ---- the API ----

  httplib::Result post(const std::string& key, const std::string& method,
                       const std::string& path = "/v1/payment_intents") const {
    httplib::Params form = {{"amount", "450"}, {"currency", "eur"}, {"metadata[order]", key}};
    if (path == "/v1/charges")
      form.emplace("source", method);
    else
      form.insert({{"payment_method", method}, {"confirm", "true"}});
    return client().Post(path, {{"Idempotency-Key", key}}, form);
  }

  // ---- the gateway's levers ----

  void settle(const std::string& payment, const std::string& outcome, const httplib::Params& more = {}) {
    httplib::Params form = {{"payment", payment}, {"outcome", outcome}};
    form.insert(more.begin(), more.end());
    REQUIRE(gateway.provider().post_to("/test/settle", form)->status == 200);
  }
  std::size_t untold(int wait_ms = 20'000) {
    const auto reply = gateway.provider().get("/test/webhooks?wait_ms=" + std::to_string(wait_ms));
    return json::parse(reply->body).at("untold");
  }
  std::string only_charge() {
    const auto charges = gateway.charges();
    REQUIRE(charges.size() == 1);
    return charges[0].at("id");
  }
  std::string status_of_only_charge() {
    only_charge();
    return gateway.charges()[0].at("status");
  }

  /// A webhook of the test's own.
  int deliver(const std::string& body, const std::string& signature) const {
    return client()
        .Post("/webhooks/gateway", {{"Stripe-Signature", signature}}, body, "application/json")
        ->status;
  }
  int deliver(const std::string& body) const {
    return deliver(body, signature_of(body, secret, std::time(nullptr)));
  }

  // ---- what is in the file store, once the server is gone ----

  struct Kept {
    explicit Kept(const std::filesystem::path& directory) : store(directory) {}
    std::optional<paidonce::Record> event(const std::string& id) {
      return store.find(paidonce::IdempotencyKey("gateway-event", id));
    }
    std::optional<paidonce::Record> settlement(const std::string& id) {
      return store.find(payment_server::settlement_key(id));
    }
    std::optional<paidonce::Record> payment(const std::string& path, const std::string& key) {
      return store.find(paidonce::IdempotencyKey(
          paidonce::http::scope_of(paidonce::http::Tenant("demo"), "POST", path), key));
    }
    paidonce::FileStore store;
  };
  /// The server is killed for it.
  Kept kept() {
    server.kill();
    return Kept(files / "store");
  }

  TemporaryDirectory files;
  WebhookRelay relay;
  Gateway gateway;
  PaymentServer server;
};

json ended_charge(const std::string& id, const char* status) {
  return {{"object", "charge"}, {"id", id}, {"status", status}, {"failure_message", "No money."}};
}
std::string event(const std::string& id, const std::string& type, const json& object) {
  return json{{"object", "event"}, {"id", id}, {"type", type}, {"data", {{"object", object}}}}.dump();
}

}  // namespace

TEST_CASE("a bank transfer is processing, then paid once, by a webhook that comes twice",
          "[payment_server][webhook]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  CHECK(world.state_of(order) == "awaiting_bank");
  world.pay(order, "tok_processing");  // a second click is told the same
  CHECK(world.state_of(order) == "awaiting_bank");
  CHECK(world.status_of_only_charge() == "pending");

  world.settle(world.only_charge(), "succeeded", {{"deliveries", "2"}});
  CHECK(world.untold() == 0);
  const auto delivered = world.relay.delivered();
  REQUIRE(delivered.size() == 2);
  CHECK(delivered[0].status == 200);
  CHECK(delivered[1].status == 200);
  CHECK(delivered[0].id() == delivered[1].id());
  CHECK(delivered[0].body != delivered[1].body);  // it says how many deliveries are left
  CHECK(world.state_of(order) == "paid");
  world.pay(order, "tok_processing");
  CHECK(world.status_of_only_charge() == "succeeded");
  world.server.kill();
  world.server.start();
  CHECK(world.state_of(order) == "paid");
}

TEST_CASE("an intent's replay says processing for ever, and its end is asked for",
          "[payment_server][webhook]") {
  World world;
  const auto first = world.post("a", "pm_bank_transfer");
  REQUIRE(first->status == 200);
  const json intent = json::parse(first->body);
  CHECK(intent.at("status") == "processing");
  world.settle(intent.at("id"), "succeeded", {{"deliveries", "2"}, {"order", "reversed"}});
  CHECK(world.untold() == 0);
  const auto delivered = world.relay.delivered();
  REQUIRE(delivered.size() == 4);
  CHECK(delivered[0].event().at("type") == "payment_intent.succeeded");
  for (const auto& delivery : delivered) CHECK(delivery.status == 200);

  const auto second = world.post("a", "pm_bank_transfer");
  CHECK(second->get_header_value("Idempotent-Replayed") == "true");
  CHECK(second->body == first->body);
  const auto now = world.client().Get("/v1/payment_intents/" + intent.at("id").get<std::string>());
  CHECK(json::parse(now->body).at("status") == "succeeded");
  CHECK(world.status_of_only_charge() == "succeeded");
  auto kept = world.kept();
  const auto payment = kept.payment("/v1/payment_intents", "a");
  const auto view = payment_server::order_view(payment, kept.settlement(intent.at("id")));
  CHECK(view.status == OrderStatus::paid);
  CHECK(view.payment_id == intent.at("id"));
}

TEST_CASE("a bank transfer that fails is told declined, in the bank's words", "[payment_server][webhook]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  world.settle(world.only_charge(), "failed");
  CHECK(world.untold() == 0);
  CHECK(world.state_of(order) == "declined");
  CHECK_THAT(world.client().Get(order)->body, support::contains("insufficient funds"));
  CHECK(world.status_of_only_charge() == "failed");
}

TEST_CASE("a server that dies after it recorded an event is told again, and the order is paid once",
          "[payment_server][webhook][kill]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  bool died = false;
  world.relay.on_delivery([&](WebhookRelay::Delivery& delivery) {
    WebhookRelay::forward(world.server.url(), delivery);
    if (std::exchange(died, true)) return delivery.status;
    world.server.kill();  // and nobody is told that it had taken it
    world.server.start();
    return 502;
  });
  world.settle(world.only_charge(), "succeeded");
  CHECK(world.untold() == 0);
  const auto delivered = world.relay.delivered();
  REQUIRE(delivered.size() == 2);
  CHECK(delivered[1].status == 200);
  CHECK(delivered[0].id() == delivered[1].id());
  CHECK(world.state_of(order) == "paid");
  CHECK(world.status_of_only_charge() == "succeeded");
}

TEST_CASE("a server that is away is told when it is back, by a gateway that was restarted",
          "[payment_server][webhook][kill]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  const std::string charge = world.only_charge();
  world.server.kill();
  world.settle(charge, "succeeded");
  world.relay.wait_for_deliveries(2);
  world.gateway.kill();
  CHECK(world.gateway.charges().size() == 1);  // waits for the restart
  world.server.start();
  CHECK(world.untold() == 0);
  CHECK(world.state_of(order) == "paid");
  CHECK(world.relay.delivered().back().status == 200);
}

TEST_CASE("an event that died in the middle is taken up by its next delivery", "[payment_server][webhook]") {
  World world;
  const std::string id = "ch_of_nobody",
                    body = event("evt_x", "charge.succeeded", ended_charge(id, "succeeded"));
  {
    auto kept = world.kept();
    paidonce::IdempotencyGuard guard{kept.store};
    const auto left = guard.execute(paidonce::IdempotencyKey("gateway-event", "evt_x"),
                                    payment_server::read_event(body)->fingerprint,
                                    []() -> paidonce::http::Response { throw std::runtime_error("died"); });
    REQUIRE(left.status() == paidonce::Status::in_doubt);
  }
  world.server.start();
  CHECK(world.deliver(body) == 200);
  auto kept = world.kept();
  CHECK(kept.event("evt_x")->state == paidonce::State::succeeded);
  CHECK(kept.settlement(id)->state == paidonce::State::succeeded);
}

TEST_CASE("a webhook that is forged, altered or old changes nothing", "[payment_server][webhook]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  const std::string id = world.only_charge();
  const std::string body = event("evt_forged", "charge.succeeded", ended_charge(id, "succeeded"));
  const long long now = std::time(nullptr);
  CHECK(world.deliver(body, signature_of(body, "guessed", now)) == 400);
  CHECK(world.deliver(body, signature_of(body, "", now)) == 400);
  CHECK(world.deliver(body + ' ', signature_of(body, secret, now)) == 400);
  CHECK(world.deliver(body, signature_of(body, secret, now - 400)) == 400);
  CHECK(world.deliver(body, signature_of(body, secret, now + 400)) == 400);
  CHECK(world.deliver(body, "") == 400);
  CHECK(world.deliver(body, "t=" + std::to_string(now)) == 400);
  const std::string good = signature_of(body, secret, now);
  CHECK(world.client().Post("/webhooks/gateway", body, "application/json")->status == 400);
  CHECK(world.client()
            .Post("/webhooks/gateway", {{"Stripe-Signature", good}, {"Stripe-Signature", good}}, body,
                  "application/json")
            ->status == 400);
  CHECK(world.deliver("{}") == 400);  // signed, and no event
  CHECK(world.deliver(event("evt_odd", "charge.succeeded", ended_charge(id, "failed"))) == 400);
  CHECK(world.state_of(order) == "awaiting_bank");
  CHECK(world.deliver(event("evt_other", "charge.refunded", ended_charge(id, "succeeded"))) == 200);
  CHECK(world.state_of(order) == "awaiting_bank");
  auto kept = world.kept();
  for (const char* event : {"evt_forged", "evt_odd", "evt_other"}) CHECK_FALSE(kept.event(event));
  CHECK_FALSE(kept.settlement(id));
}

TEST_CASE("without a secret no webhook is believed", "[payment_server][webhook]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string());
  const std::string body = event("evt_1", "charge.succeeded", ended_charge("ch_1", "succeeded"));
  httplib::Client client(server.url());
  for (const char* guessed : {"", "whsec"})
    CHECK(client
              .Post("/webhooks/gateway",
                    {{"Stripe-Signature", signature_of(body, guessed, std::time(nullptr))}}, body,
                    "application/json")
              ->status == 404);
}

TEST_CASE("a webhook that comes before the answer to the request counts", "[payment_server][webhook]") {
  World world;
  const auto paid = world.post("early", "tok_webhookFirst", "/v1/charges");
  REQUIRE(paid->status == 200);
  const json charge = json::parse(paid->body);
  CHECK(charge.at("status") == "pending");
  const auto delivered = world.relay.delivered();
  REQUIRE(delivered.size() == 1);  // before the gateway answered
  CHECK(delivered[0].status == 200);
  auto kept = world.kept();
  const auto payment = kept.payment("/v1/charges", "early");
  CHECK(payment_server::order_view(payment, std::nullopt).status == OrderStatus::awaiting_bank);
  CHECK(payment_server::order_view(payment, kept.settlement(charge.at("id"))).status == OrderStatus::paid);
}

TEST_CASE("the first end stays, and one that contradicts it waits for a person",
          "[payment_server][webhook]") {
  World world;
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  const std::string id = world.only_charge();
  world.settle(id, "succeeded");
  CHECK(world.untold() == 0);
  world.settle(id, "failed", {{"deliveries", "2"}});
  CHECK(world.untold() == 0);  // it is acknowledged, both times: sending it for ever makes nothing true
  CHECK(world.state_of(order) == "paid");
  world.settle(id, "succeeded");  // another event of the same end
  CHECK(world.untold() == 0);
  CHECK(world.state_of(order) == "paid");
  CHECK(world.status_of_only_charge() == "succeeded");
  const auto delivered = world.relay.delivered();
  REQUIRE(delivered.size() == 4);
  for (const auto& delivery : delivered) CHECK(delivery.status == 200);
  auto kept = world.kept();
  const auto contradiction = kept.event(delivered[1].id());
  REQUIRE(contradiction);
  CHECK(contradiction->state == paidonce::State::in_doubt);
  CHECK_THAT(contradiction->note, support::contains("contradicts"));
  CHECK(kept.event(delivered[3].id())->state == paidonce::State::succeeded);
  CHECK(kept.settlement(id)->state == paidonce::State::succeeded);
}

TEST_CASE("one id for two events is not acknowledged", "[payment_server][webhook]") {
  World world;
  CHECK(world.deliver(event("evt_1", "charge.succeeded", ended_charge("ch_x", "succeeded"))) == 200);
  CHECK(world.deliver(event("evt_1", "charge.succeeded", ended_charge("ch_y", "succeeded"))) == 409);
  auto kept = world.kept();
  CHECK(kept.settlement("ch_x"));
  CHECK_FALSE(kept.settlement("ch_y"));
}

TEST_CASE("a store that is out of reach has the webhook sent again", "[payment_server][webhook][redis]") {
  RedisServer redis;
  World world({}, redis.uri());
  const std::string order = world.new_order();
  world.pay(order, "tok_processing");
  const std::string id = world.only_charge();
  redis.kill();
  world.settle(id, "succeeded");
  world.relay.wait_for_status(503);
  redis.start();
  CHECK(world.untold() == 0);
  CHECK(world.state_of(order) == "paid");
}

TEST_CASE("a payment whose webhook never comes is asked about", "[payment_server][webhook]") {
  for (const char* outcome : {"succeeded", "failed"}) {
    World world;
    const std::string order = world.new_order();
    world.pay(order, "tok_processing");
    const std::string id = world.only_charge();
    world.settle(id, outcome, {{"deliveries", "0"}});
    CHECK(world.state_of(order) == (outcome == std::string("succeeded") ? "paid" : "declined"));
    CHECK(world.relay.delivered().empty());
    // The webhook that comes after all finds it written.
    world.settle(id, outcome);
    CHECK(world.untold() == 0);
    CHECK(world.relay.delivered().back().status == 200);
    auto kept = world.kept();
    CHECK(kept.event(world.relay.delivered().back().id())->state == paidonce::State::succeeded);
    CHECK(kept.settlement(id));
  }
}
