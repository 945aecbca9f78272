// Our own gateway: a test double that is itself tested, since other tests believe it.

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"
#include "support/webhook_relay.hpp"

using namespace integration;
using nlohmann::json;
using Strings = std::vector<std::string>;

namespace {

httplib::Params order(const std::string& name, const std::string& source = "tok_visa") {
  return {{"amount", "450"}, {"currency", "EUR"}, {"source", source}, {"metadata[order]", name}};
}

json body(const httplib::Result& reply) { return json::parse(reply->body); }

}  // namespace

TEST_CASE("a charge is answered, listed and retrieved in Stripe's shape", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Provider& ask = gateway.provider();
  const auto reply = ask.post(order("a"));
  REQUIRE(reply->status == 200);
  const json charge = body(reply);
  CHECK(charge.at("object") == "charge");
  CHECK(charge.at("amount") == 450);
  CHECK(charge.at("currency") == "eur");
  CHECK(charge.at("status") == "succeeded");
  CHECK(charge.at("paid") == true);
  CHECK(charge.at("metadata") == json({{"order", "a"}}));
  CHECK(body(ask.get("/v1/charges/" + charge.at("id").get<std::string>())) == charge);
  CHECK(body(ask.get("/v1/charges/ch_unknown")).at("error").at("code") == "resource_missing");
  CHECK(body(ask.get("/v1/charges")) ==
        json({{"object", "list"}, {"data", {charge}}, {"has_more", false}, {"url", "/v1/charges"}}));
}

TEST_CASE("nobody is served without an API key", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  httplib::Client client(gateway.url());
  CHECK(client.Get("/v1/charges")->status == 401);
  CHECK(client.Post("/v1/charges", order("a"))->status == 401);
  client.set_basic_auth("", "password without a user");
  CHECK(client.Get("/v1/charges")->status == 401);
  client.set_basic_auth("any", "");
  CHECK(client.Get("/v1/charges")->status == 200);
  CHECK(gateway.charges().empty());
}

TEST_CASE("deduplication is on or off, and no other word", "[gateway]") {
  const TemporaryDirectory files;
  for (const char* word : {"maybe", "0", "1", "On", ""}) {
    CAPTURE(word);
    const Finished finished = run({GATEWAY, "--ledger", (files / "ledger").string(), "--dedupe", word});
    CHECK(finished.status == 2);
    CHECK_THAT(finished.err, support::contains(std::string("--dedupe: is on or off, not ") + word));
  }
}

TEST_CASE("bad input is refused and named", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto refused = [&](const char* name, const std::string& value, const char* param) {
    httplib::Params form = order("a");
    form.erase(name);
    if (!value.empty()) form.emplace(name, value);
    const auto reply = gateway.provider().post(form);
    CAPTURE(name, value, reply->body);
    CHECK(reply->status == 400);
    CHECK(body(reply).at("error").at("type") == "invalid_request_error");
    CHECK(body(reply).at("error").at("param") == param);
  };
  for (const char* amount : {"", "0", "-1", "4.50", "1e3", " 450", "100000000", "x", "99999999999999999999"})
    refused("amount", amount, "amount");
  for (const char* currency : {"", "eu", "euro", "e1r"}) refused("currency", currency, "currency");
  for (const char* source : {"", "tok_unknown", "4242424242424242"}) refused("source", source, "source");
  for (const char* limit : {"0", "101", "-1", "x", ""})
    CHECK(body(gateway.provider().get(std::string("/v1/charges?limit=") + limit)).at("error").at("param") ==
          "limit");
  CHECK(body(gateway.provider().get("/v1/charges?starting_after=ch_x")).at("error").at("param") ==
        "starting_after");
  CHECK(gateway.charges().empty());
}

TEST_CASE("the list is paged, newest first", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  for (int at = 0; at < 23; ++at) REQUIRE(gateway.provider().post(order(std::to_string(at)))->status == 200);
  const auto charges = gateway.charges();
  REQUIRE(charges.size() == 23);
  for (std::size_t at = 0; at < 23; ++at)
    CHECK(charges[at].at("metadata").at("order") == std::to_string(22 - at));
  CHECK(body(gateway.provider().get("/v1/charges")).at("data").size() == 10);
  CHECK(body(gateway.provider().get("/v1/charges?limit=23")).at("has_more") == false);
  CHECK(body(gateway.provider().get("/v1/charges?limit=22")).at("has_more") == true);
}

TEST_CASE("with deduplication a key stands for one request", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "on"});
  const Provider& ask = gateway.provider();
  for (const char* source : {"tok_visa", "tok_chargeDeclined", "tok_500"}) {
    const std::string key = std::string("key of ") + source;
    const auto first = ask.post(order("a", source), key), second = ask.post(order("a", source), key);
    CHECK_FALSE(first->has_header("Idempotent-Replayed"));
    CHECK(second->get_header_value("Idempotent-Replayed") == "true");
    CHECK(second->status == first->status);
    CHECK(second->body == first->body);
  }
  CHECK(gateway.charges().size() == 2);

  const auto other = ask.post(order("b"), "key of tok_visa");
  CHECK(other->status == 400);
  CHECK(body(other).at("error").at("type") == "idempotency_error");
  CHECK(ask.post(order("a", "tok_429"), "limited")->status == 429);
  CHECK_FALSE(ask.post(order("a", "tok_429"), "limited")->has_header("Idempotent-Replayed"));
  CHECK(gateway.charges().size() == 2);
}

TEST_CASE("a key whose first request still runs is a conflict", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "on", "--delay-ms", "1500"});
  std::vector<int> statuses(2);
  {
    std::vector<std::jthread> both;
    for (int& status : statuses)
      both.emplace_back([&] { status = gateway.provider().post(order("a", "tok_delay"), "key")->status; });
  }
  std::sort(statuses.begin(), statuses.end());
  CHECK(statuses == std::vector{200, 409});
  CHECK(gateway.charges().size() == 1);
}

TEST_CASE("without deduplication a second request is a second charge", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  CHECK(gateway.provider().post(order("a"), "key")->status == 200);
  CHECK(gateway.provider().post(order("a"), "key")->status == 200);
  CHECK(gateway.charges().size() == 2);
}

TEST_CASE("tokens script what happens", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const Provider& ask = gateway.provider();
  const auto happens = [&](const char* token, int status, std::size_t successes) {
    CAPTURE(token);
    const auto reply = ask.post(order(token, token));
    CHECK((reply ? reply->status : 0) == status);
    std::size_t charged = 0;
    for (const auto& charge : gateway.charges())
      charged += charge.at("metadata").at("order") == token && charge.at("status") == "succeeded" ? 1U : 0U;
    CHECK(charged == successes);
  };
  happens("tok_visa", 200, 1);
  happens("tok_chargeDeclined", 402, 0);
  happens("tok_500", 500, 0);
  happens("tok_429", 429, 0);
  happens("tok_delay", 200, 1);
  happens("tok_dropReply", 0, 1);
  happens("tok_dropRequest", 0, 0);
  happens("tok_forget", 200, 0);
  happens("tok_429|tok_visa|a chain", 429, 0);
  happens("tok_429|tok_visa|a chain", 200, 1);
  happens("tok_crash", 0, 1);
  CHECK(gateway.starts() == 2);
}

TEST_CASE("a crashed gateway keeps its charges and its idempotency answers", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "on"});
  const auto before = gateway.provider().post(order("a"), "kept");
  CHECK(gateway.provider().post(order("b", "tok_chargeDeclined"), "declined")->status == 402);
  CHECK_FALSE(gateway.provider().post(order("c", "tok_crash"), "lost"));
  const auto charges = gateway.charges();  // waits for the restart
  CHECK(gateway.starts() == 2);
  REQUIRE(charges.size() == 3);
  CHECK(charges[2] == body(before));
  CHECK(gateway.provider().post(order("a"), "kept")->body == before->body);
  CHECK(gateway.provider().post(order("b", "tok_chargeDeclined"), "declined")->status == 402);
  const auto lost = gateway.provider().post(order("c", "tok_crash"), "lost");
  CHECK(lost->get_header_value("Idempotent-Replayed") == "true");
  CHECK(body(lost) == charges[0]);
  CHECK(gateway.charges().size() == 3);
}

TEST_CASE("a line that was not written to its end is no charge", "[gateway]") {
  const TemporaryDirectory files;
  {
    Gateway gateway(GATEWAY, files / "ledger", {});
    REQUIRE(gateway.provider().post(order("a"))->status == 200);
  }
  const std::string whole = content_of(files / "ledger");
  write_file(files / "ledger", whole + whole.substr(0, whole.size() / 2));
  Gateway gateway(GATEWAY, files / "ledger", {});
  CHECK(gateway.charges().size() == 1);
  CHECK(content_of(files / "ledger") == whole);
  REQUIRE(gateway.provider().post(order("b"))->status == 200);
  CHECK(gateway.charges().size() == 2);
}

TEST_CASE("rates are decided by seed, order and attempt alone", "[gateway]") {
  const auto declined = [](const std::string& seed, bool backwards) {
    const TemporaryDirectory files;
    Gateway gateway(GATEWAY, files / "ledger", {"--seed", seed, "--decline-rate", "0.5"});
    Strings names;
    for (int at = 0; at < 40; ++at) {
      const std::string name = "order-" + std::to_string(backwards ? 39 - at : at);
      if (gateway.provider().post(order(name))->status == 402) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  const Strings once = declined("1", false);
  CHECK(once.size() > 8);
  CHECK(once.size() < 32);
  CHECK(declined("1", true) == once);
  CHECK(declined("2", false) != once);
}

TEST_CASE("two gateways do not share a port", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const std::string port = gateway.url().substr(gateway.url().rfind(':') + 1);
  const Finished second = run({GATEWAY, "--port", port, "--ledger", (files / "another").string()});
  CHECK(second.status == 1);
  CHECK_THAT(second.err, support::contains("is taken"));
}

TEST_CASE("a ledger belongs to one gateway at a time", "[gateway]") {
  const TemporaryDirectory files;
  const std::string ledger = (files / "ledger").string();
  {
    Gateway gateway(GATEWAY, ledger, {});
    REQUIRE(gateway.provider().post(order("a"))->status == 200);
    const Finished second = run({GATEWAY, "--ledger", ledger});
    CHECK(second.status == 1);
    CHECK_THAT(second.err, support::contains(ledger + " is in use by another gateway"));
  }
  Gateway third(GATEWAY, ledger, {});
  CHECK(third.charges().size() == 1);
}

TEST_CASE("bad usage of the gateway ends with status 2", "[gateway]") {
  const TemporaryDirectory files;
  const std::string ledger = (files / "ledger").string();
  CHECK(run({GATEWAY}).status == 2);
  CHECK(run({GATEWAY, "--ledger", ledger, "--dedupe", "perhaps"}).status == 2);
  CHECK(run({GATEWAY, "--ledger", ledger, "--drop-rate", "1.5"}).status == 2);
  CHECK(run({GATEWAY, "--ledger", ledger, "--port", "70000"}).status == 2);
  CHECK(run({GATEWAY, "--ledger", (files / "absent/ledger").string()}).status == 1);
  write_file(files / "rubbish", "this is no ledger\n");
  const Finished rubbish = run({GATEWAY, "--ledger", (files / "rubbish").string()});
  CHECK(rubbish.status == 1);
  CHECK(content_of(files / "rubbish") == "this is no ledger\n");
}

// ---- payment intents, and payments that end later ----

namespace {

httplib::Params intent(const std::string& name, const std::string& method = "pm_card_visa") {
  return {{"amount", "450"},
          {"currency", "EUR"},
          {"payment_method", method},
          {"confirm", "true"},
          {"metadata[order]", name}};
}
constexpr const char* intents = "/v1/payment_intents";

json settle(const Provider& gateway, const std::string& payment, const std::string& outcome,
            const httplib::Params& more = {}) {
  httplib::Params form = {{"payment", payment}, {"outcome", outcome}};
  form.insert(more.begin(), more.end());
  const auto reply = gateway.post_to("/test/settle", form);
  REQUIRE(reply->status == 200);
  return body(reply);
}
int untold(const Provider& gateway) { return body(gateway.get("/test/webhooks?wait_ms=20000")).at("untold"); }

}  // namespace

TEST_CASE("an intent makes one charge, is answered, listed and retrieved in Stripe's shape", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Provider& ask = gateway.provider();
  const auto reply = ask.post_to(intents, intent("a"), "key");
  REQUIRE(reply->status == 200);
  const json made = body(reply);
  CHECK(made.at("object") == "payment_intent");
  CHECK(made.at("status") == "succeeded");
  CHECK(made.at("amount_received") == 450);
  CHECK(made.at("metadata") == json({{"order", "a"}}));
  const auto charges = gateway.charges();
  REQUIRE(charges.size() == 1);
  CHECK(charges[0].at("payment_intent") == made.at("id"));
  CHECK(charges[0].at("id") == made.at("latest_charge"));
  const std::string path = std::string(intents) + '/' + made.at("id").get<std::string>();
  CHECK(body(ask.get(path)) == made);
  CHECK(body(ask.get(intents)) ==
        json({{"object", "list"}, {"data", {made}}, {"has_more", false}, {"url", intents}}));
  CHECK(body(ask.get(std::string(intents) + "/pi_unknown")).at("error").at("code") == "resource_missing");

  gateway.kill();
  CHECK(gateway.charges() == charges);
  CHECK(body(ask.get(path)) == made);
  const auto again = ask.post_to(intents, intent("a"), "key");
  CHECK(again->get_header_value("Idempotent-Replayed") == "true");
  CHECK(body(again) == made);
  CHECK(ask.post(order("a"), "key")->status == 400);  // of another endpoint
  CHECK(gateway.charges().size() == 1);
}

TEST_CASE("a declined intent is a card error that has the intent, and can be confirmed with another card",
          "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Provider& ask = gateway.provider();
  const auto reply = ask.post_to(intents, intent("a", "pm_card_chargeDeclined"));
  CHECK(reply->status == 402);
  const json error = body(reply).at("error");
  CHECK(error.at("type") == "card_error");
  CHECK(error.at("code") == "card_declined");
  CHECK(error.at("charge") == gateway.charges()[0].at("id"));
  CHECK(error.at("payment_intent").at("status") == "requires_payment_method");
  const std::string confirm =
      std::string(intents) + '/' + error.at("payment_intent").at("id").get<std::string>() + "/confirm";
  CHECK(ask.post_to(confirm, {})->status == 400);
  CHECK(body(ask.post_to(confirm, {{"payment_method", "pm_card_visa"}})).at("status") == "succeeded");
  CHECK(body(ask.post_to(confirm, {{"payment_method", "pm_card_visa"}})).at("error").at("code") ==
        "payment_intent_unexpected_state");
  CHECK(gateway.charges().size() == 2);
}

TEST_CASE("an intent that nobody confirmed moves no money", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Provider& ask = gateway.provider();
  httplib::Params form = intent("a");
  form.erase("confirm");
  const json made = body(ask.post_to(intents, form));
  CHECK(made.at("status") == "requires_confirmation");
  CHECK(gateway.charges().empty());
  gateway.kill();
  CHECK(gateway.charges().empty());
  const std::string confirm = std::string(intents) + '/' + made.at("id").get<std::string>() + "/confirm";
  std::vector<int> statuses(4);
  {
    std::vector<std::jthread> all;
    for (int& status : statuses) all.emplace_back([&] { status = ask.post_to(confirm, {})->status; });
  }
  CHECK(std::count(statuses.begin(), statuses.end(), 200) == 1);
  CHECK(gateway.charges().size() == 1);
  form.erase("payment_method");
  CHECK(body(ask.post_to(intents, form)).at("status") == "requires_payment_method");
  form.emplace("confirm", "true");
  CHECK(body(ask.post_to(intents, form)).at("error").at("param") == "payment_method");
  CHECK(body(ask.post_to(intents, intent("a", "pm_unknown"))).at("error").at("param") == "payment_method");
}

TEST_CASE("a pending charge moves no money before its end, which is kept", "[gateway]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Provider& ask = gateway.provider();
  for (const char* outcome : {"succeeded", "failed"}) {
    const json made = body(ask.post_to(intents, intent(outcome, "pm_bank_transfer"), outcome));
    CHECK(made.at("status") == "processing");
    json charge = gateway.charges()[0];
    CHECK(charge.at("status") == "pending");
    CHECK(charge.at("paid") == false);
    CHECK(charge.at("amount_captured") == 0);
    gateway.kill();
    CHECK(gateway.charges()[0] == charge);

    const bool paid = outcome == std::string("succeeded");
    settle(ask, made.at("id"), outcome);
    charge = gateway.charges()[0];
    CHECK(charge.at("status") == outcome);
    CHECK(charge.at("amount_captured") == (paid ? 450 : 0));
    const std::string path = std::string(intents) + '/' + made.at("id").get<std::string>();
    CHECK(body(ask.get(path)).at("status") == (paid ? "succeeded" : "requires_payment_method"));
    settle(ask, made.at("id"), paid ? "failed" : "succeeded");  // the money has moved, or has not
    CHECK(gateway.charges()[0] == charge);
    gateway.kill();
    CHECK(gateway.charges()[0] == charge);
    CHECK(body(ask.post_to(intents, intent(outcome, "pm_bank_transfer"), outcome)) == made);
  }
  CHECK(gateway.charges().size() == 2);
  CHECK(body(ask.post(order("x", "tok_processing"))).at("status") == "pending");
  CHECK(ask.post_to("/test/settle", {{"payment", "ch_unknown"}, {"outcome", "failed"}})->status == 404);
  CHECK(ask.post_to("/test/settle", {{"payment", "ch_unknown"}, {"outcome", "perhaps"}})->status == 400);
}

TEST_CASE("payments end by the clock, as their account says, also after a restart", "[gateway]") {
  ::setenv("GATEWAY_WEBHOOK_SECRET", "whsec", 1);
  const TemporaryDirectory files;
  WebhookRelay relay;
  relay.on_delivery([](WebhookRelay::Delivery&) { return 200; });
  {
    Gateway gateway(GATEWAY, files / "ledger", {});
    CHECK(gateway.provider().post(order("before", "tok_processing"))->status == 200);
  }
  Gateway gateway(GATEWAY, files / "ledger", {"--settle-after-ms", "1", "--webhook", relay.url()});
  CHECK(gateway.provider().post(order("fails", "tok_processingFails"))->status == 200);
  relay.wait_for_deliveries(2);
  CHECK(gateway.charges()[0].at("status") == "failed");
  CHECK(gateway.charges()[1].at("status") == "succeeded");
}

TEST_CASE("an event is told until it is acknowledged, as often as it is to be, across restarts",
          "[gateway][webhook]") {
  ::setenv("GATEWAY_WEBHOOK_SECRET", "whsec", 1);
  const TemporaryDirectory files;
  WebhookRelay relay;
  Gateway gateway(GATEWAY, files / "ledger", {"--webhook", relay.url(), "--webhook-pause-ms", "10"});
  const Provider& ask = gateway.provider();
  const json made = body(ask.post_to(intents, intent("a", "pm_bank_transfer")));
  const json settled = settle(ask, made.at("id"), "succeeded", {{"deliveries", "2"}, {"order", "reversed"}});
  relay.wait_for_deliveries(4);
  CHECK(gateway.starts() == 1);
  gateway.kill();
  CHECK(gateway.charges().size() == 1);
  relay.on_delivery([](WebhookRelay::Delivery& delivery) { return delivery.status = 204; });
  CHECK(untold(ask) == 0);
  std::vector<std::string> acknowledged;
  for (const auto& delivery : relay.delivered())
    if (delivery.status == 204) acknowledged.push_back(delivery.event().at("type"));
  CHECK(std::count(acknowledged.begin(), acknowledged.end(), "payment_intent.succeeded") == 2);
  CHECK(std::count(acknowledged.begin(), acknowledged.end(), "charge.succeeded") == 2);
  CHECK(acknowledged.size() == 4);
  CHECK(settled.at("events")[0].at("type") == "payment_intent.succeeded");
  CHECK(relay.delivered().back().event().at("data").at("object").at("metadata") == json({{"order", "a"}}));
  gateway.kill();
  CHECK(gateway.charges().size() == 1);
  CHECK(untold(ask) == 0);
  CHECK_FALSE(relay.delivered().empty());
}

TEST_CASE("a webhook without a secret, or to no URL, is bad usage", "[gateway][webhook]") {
  const TemporaryDirectory files;
  const std::string ledger = (files / "ledger").string();
  ::unsetenv("GATEWAY_WEBHOOK_SECRET");
  CHECK(run({GATEWAY, "--ledger", ledger, "--webhook", "http://127.0.0.1:1/x"}).status == 2);
  ::setenv("GATEWAY_WEBHOOK_SECRET", "whsec", 1);
  CHECK(run({GATEWAY, "--ledger", ledger, "--webhook", "127.0.0.1:1/x"}).status == 1);
}
