// Our own gateway: a test double that is itself tested, since other tests believe it.

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"

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
