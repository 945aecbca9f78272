// What the payment server makes of the gateway's words about payments that end later, without a server.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/hmac.hpp>
#include <paidonce/http/stored_response.hpp>

#include "payment_server/ended.hpp"
#include "payment_server/order_status.hpp"
#include "payment_server/webhook_event.hpp"
#include "payment_server/webhook_signature.hpp"
#include "support/catch.hpp"

using namespace payment_server;
using nlohmann::json;
using paidonce::Record;
using paidonce::State;
using paidonce::Timestamp;

namespace {

Record record(State state, const json& body) {
  Record record;
  record.state = state;
  if (body.is_null()) return record;
  record.response_format = paidonce::Codec<paidonce::http::Response>::format;
  record.response = paidonce::Codec<paidonce::http::Response>::encode({200, {}, body.dump()});
  return record;
}
json charge(const char* status) {
  return {{"object", "charge"}, {"id", "ch_1"}, {"status", status}, {"failure_message", "No money."}};
}

const Timestamp now{std::chrono::seconds(1'700'000'000)};

std::string v1(const std::string& time, const std::string& body, const std::string& secret) {
  const auto code = paidonce::detail::hmac_sha256(secret, time + "." + body);
  std::string digits(64, '\0');
  paidonce::detail::hex(code.data(), code.size(), digits.data());
  return "v1=" + digits;
}

json event(const char* type, const json& object) {
  return {{"id", "evt_1"}, {"object", "event"}, {"type", type}, {"data", {{"object", object}}}};
}

}  // namespace

TEST_CASE("what a customer is told, for every payment and every end of it", "[payment_server][settlement]") {
  using Status = OrderStatus;
  const json declined = {
      {"error", {{"type", "card_error"}, {"charge", "ch_1"}, {"message", "Your card was declined."}}}};
  struct Payment {
    const char* name;
    std::optional<Record> record;
    // without a settlement, and where that is in_progress, succeeded, declined, in_doubt, released
    Status told[6];
  };
  const Payment payments[] = {
      {"none",
       std::nullopt,
       {Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid}},
      {"released",
       record(State::released, nullptr),
       {Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid, Status::unpaid}},
      {"in progress",
       record(State::in_progress, nullptr),
       {Status::paying, Status::paying, Status::paying, Status::paying, Status::paying, Status::paying}},
      {"in doubt",
       record(State::in_doubt, nullptr),
       {Status::being_verified, Status::being_verified, Status::being_verified, Status::being_verified,
        Status::being_verified, Status::being_verified}},
      {"declined",
       record(State::declined, declined),
       {Status::declined, Status::declined, Status::being_verified, Status::declined, Status::declined,
        Status::declined}},
      {"paid at once",
       record(State::succeeded, charge("succeeded")),
       {Status::paid, Status::paid, Status::paid, Status::being_verified, Status::paid, Status::paid}},
      {"pending",
       record(State::succeeded, charge("pending")),
       {Status::awaiting_bank, Status::awaiting_bank, Status::paid, Status::declined, Status::being_verified,
        Status::awaiting_bank}},
      {"processing",
       record(State::succeeded, charge("processing")),
       {Status::awaiting_bank, Status::awaiting_bank, Status::paid, Status::declined, Status::being_verified,
        Status::awaiting_bank}},
      {"waiting for the customer",
       record(State::succeeded, charge("requires_action")),
       {Status::awaiting_bank, Status::awaiting_bank, Status::paid, Status::declined, Status::being_verified,
        Status::awaiting_bank}},
      {"of a status that nobody knows",
       record(State::succeeded, charge("sideways")),
       {Status::being_verified, Status::being_verified, Status::being_verified, Status::being_verified,
        Status::being_verified, Status::being_verified}},
      {"unreadable",
       record(State::succeeded, nullptr),
       {Status::being_verified, Status::being_verified, Status::being_verified, Status::being_verified,
        Status::being_verified, Status::being_verified}},
  };
  const std::optional<Record> settlements[] = {std::nullopt,
                                               record(State::in_progress, nullptr),
                                               record(State::succeeded, charge("succeeded")),
                                               record(State::declined, charge("failed")),
                                               record(State::in_doubt, nullptr),
                                               record(State::released, nullptr)};
  for (const Payment& payment : payments)
    for (std::size_t at = 0; at < 6; ++at) {
      CAPTURE(payment.name, at);
      CHECK(static_cast<int>(order_view(payment.record, settlements[at]).status) ==
            static_cast<int>(payment.told[at]));
    }
}

TEST_CASE("an order's view has the payment's id, and why it was declined", "[payment_server][settlement]") {
  const auto pending = record(State::succeeded, charge("pending"));
  CHECK(order_view(pending, std::nullopt).payment_id == "ch_1");
  CHECK(order_view(pending, std::nullopt).message.empty());
  CHECK(order_view(pending, record(State::declined, charge("failed"))).message == "No money.");
  const json intent = {{"object", "payment_intent"},
                       {"id", "pi_1"},
                       {"status", "requires_payment_method"},
                       {"last_payment_error", {{"message", "No, says the bank."}}}};
  CHECK(order_view(pending, record(State::declined, intent)).message == "No, says the bank.");
  const json error = {{"error", {{"charge", "ch_1"}, {"message", "No."}, {"payment_intent", intent}}}};
  const OrderView declined = order_view(record(State::declined, error), std::nullopt);
  CHECK(declined.payment_id == "pi_1");
  CHECK(declined.message == "No.");
  Record foreign = pending;
  foreign.response_format = "text-1";
  CHECK(stored_payment(foreign).id.empty());
  foreign = pending;
  foreign.response.resize(7);
  CHECK(stored_payment(foreign).id.empty());
}

TEST_CASE("a webhook is believed by its signature alone", "[payment_server][webhook]") {
  const std::string body = R"({"id":"evt_1"})", at = "1700000000", good = v1(at, body, "whsec"),
                    t = "t=" + at;
  const auto check = [&](const std::string& header) { return check_signature(header, body, "whsec", now); };
  CHECK(good ==
        "v1="  // as openssl dgst -sha256 -hmac whsec has it
        "e7e846cdb96220c3674ade89e534304fc91f6f15064facee1e7a7096f5f57f62");
  CHECK(check(t + "," + good) == Signature::valid);
  CHECK(check(good + "," + t) == Signature::valid);
  CHECK(check(t + "," + v1(at, body, "the new one") + "," + good) == Signature::valid);
  CHECK(check(t + "," + good + "," + v1(at, body, "the new one")) == Signature::valid);
  CHECK(check(t + "," + good + ",v0=00") == Signature::valid);

  CHECK(check(t + "," + v1(at, body, "another")) == Signature::wrong);
  CHECK(check(t + "," + v1(at, body + " ", "whsec")) == Signature::wrong);
  CHECK(check("t=1700000001," + good) == Signature::wrong);
  CHECK(check(t + ",v1=") == Signature::wrong);
  CHECK(check(t + "," + good.substr(0, good.size() - 1)) == Signature::wrong);
  CHECK(check(t + "," + good + "0") == Signature::wrong);
  CHECK(check(t + "," + v1(at, body, "")) == Signature::wrong);
  CHECK(check_signature(t + "," + v1(at, body, ""), body, "", now) == Signature::wrong);
  for (std::size_t digit = 3; digit < good.size(); ++digit) {
    std::string other = good;
    other[digit] = other[digit] == '0' ? '1' : '0';
    CAPTURE(digit);
    CHECK(check(t + "," + other) == Signature::wrong);
  }
  for (const std::string& header :
       {std::string(), t, good, "t=," + good, "t=x," + good, "t=17e8," + good, "t=-1," + good,
        "t=1700000000000," + good, t + "," + t + "," + good, t + ";" + good, t + ",v0=" + good.substr(3)}) {
    CAPTURE(header);
    CHECK(check(header) == Signature::malformed);
  }
}

TEST_CASE("a webhook's signature is good for five minutes", "[payment_server][webhook]") {
  const std::string body = "{}";
  const auto check = [&](long long seconds) {
    const std::string time = std::to_string(1'700'000'000 + seconds);
    return check_signature("t=" + time + "," + v1(time, body, "whsec"), body, "whsec", now);
  };
  CHECK(check(-300) == Signature::valid);
  CHECK(check(-301) == Signature::old);
  CHECK(check(300) == Signature::valid);
  CHECK(check(301) == Signature::old);
}

TEST_CASE("an event says how a payment ended, or nothing", "[payment_server][webhook]") {
  const auto read = read_event(event("charge.succeeded", charge("succeeded")).dump());
  REQUIRE(read);
  CHECK(read->id == "evt_1");
  REQUIRE(read->ended);
  CHECK(read->ended->payment_id == "ch_1");
  CHECK(read->ended->end == End::succeeded);
  CHECK(read_event(event("charge.failed", charge("failed")).dump())->ended->end == End::failed);
  json intent = charge("succeeded");
  intent["object"] = "payment_intent";
  CHECK(read_event(event("payment_intent.succeeded", intent).dump())->ended->end == End::succeeded);
  for (const char* status : {"requires_payment_method", "canceled"}) {
    intent["status"] = status;
    const char* type = status[0] == 'c' ? "payment_intent.canceled" : "payment_intent.payment_failed";
    CHECK(read_event(event(type, intent).dump())->ended->end == End::failed);
  }
  CHECK_FALSE(read_event(event("charge.refunded", charge("succeeded")).dump())->ended);
  CHECK_FALSE(read_event(event("payment_intent.processing", intent).dump())->ended);

  json nameless = event("charge.succeeded", charge("succeeded"));
  nameless.erase("id");
  json untyped = event("charge.succeeded", charge("succeeded"));
  untyped.erase("type");
  json no_event = event("charge.succeeded", charge("succeeded"));
  no_event["object"] = "charge";
  json long_id = event("charge.succeeded", charge("succeeded"));
  long_id["id"] = std::string(256, 'x');
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{"), nameless.dump(), untyped.dump(), no_event.dump(),
        long_id.dump(), event("charge.succeeded", nullptr).dump(),
        event("charge.succeeded", charge("pending")).dump(),
        event("charge.succeeded", charge("failed")).dump(),
        event("charge.failed", charge("succeeded")).dump(),
        R"({"id":"evt_1","id":"evt_2","object":"event","type":"x"})" + std::string()}) {
    CAPTURE(bad);
    CHECK_FALSE(read_event(bad));
  }
}

TEST_CASE("an event that is delivered again is the same, and another one is not",
          "[payment_server][webhook]") {
  json once = event("charge.succeeded", charge("succeeded")), again = once, other = once;
  once["pending_webhooks"] = 2;
  again["pending_webhooks"] = 1;
  other["data"]["object"]["id"] = "ch_2";
  const auto fingerprint = [](const json& event) { return read_event(event.dump())->fingerprint; };
  CHECK(fingerprint(once).matches(fingerprint(again)));
  CHECK_FALSE(fingerprint(once).matches(fingerprint(other)));
}
