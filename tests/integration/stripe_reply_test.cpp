// What a reply proves, row by row.

#include <string>

#include <nlohmann/json.hpp>

#include "stripe_reply.hpp"
#include "support/catch.hpp"

using nlohmann::json;
using paidonce::Report;

namespace {

const shop::ChargeRequest request = {"order-1", 450, "EUR", "tok_visa", "order order-1", "a provider key"};

json charge(const std::string& status = "succeeded") {
  return {{"id", "ch_1"},
          {"object", "charge"},
          {"amount", 450},
          {"currency", "eur"},
          {"status", status},
          {"failure_code", status == "failed" ? json("card_declined") : json()},
          {"metadata", {{"order", "order-1"}, {"provider_key", "a provider key"}}}};
}

std::string error(const char* type, const char* code = "") {
  return json({{"error", {{"type", type}, {"code", code}, {"message", "no"}, {"charge", "ch_1"}}}}).dump();
}

}  // namespace

TEST_CASE("a reply with the charge that was asked for is a success", "[stripe_reply]") {
  for (const int status : {200, 201}) {
    const auto report = shop::report_of(request, status, charge().dump());
    REQUIRE(report.result.report() == Report::succeeded);
    CHECK(*report.result.response_if() == shop::Charge{"ch_1", "order-1", 450, "EUR", ""});
  }
}

TEST_CASE("a reply with another charge, or none, proves nothing", "[stripe_reply]") {
  const auto doubtful = [](const std::string& body) {
    CAPTURE(body);
    CHECK(shop::report_of(request, 200, body).result.report() == Report::in_doubt);
  };
  for (const char* member : {"id", "object", "amount", "currency", "status", "metadata"}) {
    json other = charge();
    other.erase(member);
    doubtful(other.dump());
    other[member] = "another";
    if (std::string(member) != "id") doubtful(other.dump());
  }
  json other = charge();
  other["amount"] = 451;
  doubtful(other.dump());
  other["amount"] = 450.5;
  doubtful(other.dump());
  doubtful(charge("pending").dump());
  for (const char* body : {"", "{}", "[]", "null", "<html>", "{\"object\":\"charge\"", "\"charge\""})
    doubtful(body);
}

TEST_CASE("a failed charge and a card error are declines", "[stripe_reply]") {
  CHECK(shop::report_of(request, 200, charge("failed").dump()).result.report() == Report::declined);
  const auto report = shop::report_of(request, 402, error("card_error", "card_declined"));
  REQUIRE(report.result.report() == Report::declined);
  CHECK(*report.result.response_if() == shop::Charge{"ch_1", "order-1", 450, "EUR", "card_declined"});
}

TEST_CASE("only documented refusals prove that nothing was charged", "[stripe_reply]") {
  const auto report = [](int status, const std::string& body) {
    return shop::report_of(request, status, body);
  };
  CHECK(report(429, error("rate_limit_error")).result.report() == Report::not_executed);
  CHECK(report(429, "").try_again == shop::TryAgain::worthwhile);
  for (const int status : {400, 401, 403, 404}) {
    CHECK(report(status, error("invalid_request_error")).result.report() == Report::not_executed);
    CHECK(report(status, error("invalid_request_error")).try_again == shop::TryAgain::useless);
    CHECK(report(status, "<html>of some proxy</html>").result.report() == Report::in_doubt);
  }
  CHECK(report(400, error("idempotency_error")).result.report() ==
        Report::in_doubt);  // an earlier one was made
  CHECK(report(402, error("api_error")).result.report() == Report::in_doubt);
  for (const int status : {100, 301, 408, 409, 500, 502, 503, 504})
    CHECK(report(status, error("invalid_request_error")).result.report() == Report::in_doubt);
}

TEST_CASE("a page of charges is read whole or not at all", "[stripe_reply]") {
  json list = {{"object", "list"}, {"data", {charge(), charge("failed")}}, {"has_more", false}};
  const auto page = shop::page_of(200, list.dump());
  REQUIRE(page.charges.size() == 2);
  CHECK(page.charges[0].charge.failure.empty());
  CHECK(page.charges[0].provider_key == "a provider key");
  CHECK(page.charges[1].charge.failure == "card_declined");
  CHECK(page.last_id.empty());
  list["has_more"] = true;
  CHECK(shop::page_of(200, list.dump()).last_id == "ch_1");
  CHECK_THROWS(shop::page_of(500, list.dump()));
  CHECK_THROWS(shop::page_of(200, "<html>"));
  list["data"][0]["status"] = "pending";
  CHECK_THROWS(shop::page_of(200, list.dump()));
  list["data"][0] = 1;
  CHECK_THROWS(shop::page_of(200, list.dump()));
}

TEST_CASE("a charge comes back from its record as it went in", "[charge]") {
  using Codec = paidonce::Codec<shop::Charge>;
  const shop::Charge charge = {"ch_1", "ord\"er é", 99999999, "EUR", "generic_decline"};
  CHECK(Codec::decode(Codec::encode(charge)) == charge);
  CHECK_THROWS_AS(Codec::decode("no charge"), paidonce::Error);
  CHECK_THROWS_AS(Codec::decode("{}"), paidonce::Error);
}
