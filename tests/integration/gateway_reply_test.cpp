// What recovery, the checkout and the admin page store is what the API's responder would have stored.

#include <string>

#include <nlohmann/json.hpp>
#include <paidonce/http/responder/rules.hpp>

#include "payment_server/gateway_reply.hpp"
#include "support/catch.hpp"

using nlohmann::json;
using payment_server::Kind;

TEST_CASE("of a payment that the gateway lists, all is stored that a responder keeps",
          "[payment_server][gateway_reply]") {
  const paidonce::http::detail::ResponderRules rules({});
  for (const auto& [kind, status] :
       {std::pair{Kind::charge, "succeeded"}, std::pair{Kind::charge, "pending"},
        std::pair{Kind::charge, "failed"}, std::pair{Kind::payment_intent, "succeeded"},
        std::pair{Kind::payment_intent, "processing"},
        std::pair{Kind::payment_intent, "requires_payment_method"}}) {
    CAPTURE(status);
    const json object = {{"id", "x_1"}, {"status", status}, {"metadata", {{"provider_key", "key"}}}};
    const json page = {{"object", "list"}, {"data", {object}}, {"has_more", false}};
    auto found = payment_server::find_in_page({kind, "key"}, page.dump());
    REQUIRE(found.report);
    const auto* response = found.report->response_if();
    REQUIRE(response != nullptr);
    const auto kept = rules.kept(*found.report);
    REQUIRE(kept.response_if() != nullptr);
    CHECK(*kept.response_if() == *response);
    CHECK(response->find("Content-Type") != nullptr);
    CHECK_FALSE(response->body.empty());
  }
}

TEST_CASE("a payment of another amount is not the one that is looked for",
          "[payment_server][gateway_reply]") {
  const json object = {{"id", "x_1"},
                       {"status", "succeeded"},
                       {"amount", 450},
                       {"currency", "eur"},
                       {"metadata", {{"provider_key", "key"}}}};
  const std::string page = json{{"data", {object}}}.dump();
  const auto another_amount = [&](std::int64_t amount, const char* currency) {
    return payment_server::find_in_page({Kind::charge, "key", amount, currency}, page).of_another_amount;
  };
  CHECK_FALSE(another_amount(450, "eur"));
  CHECK(another_amount(451, "eur"));
  CHECK(another_amount(450, "usd"));
}
