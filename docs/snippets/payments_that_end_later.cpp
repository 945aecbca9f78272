// The snippets about payments whose end is told by a webhook.

#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/memory.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "support/catch.hpp"

using namespace paidonce;

namespace later {

using Guard = IdempotencyGuard<MemoryStore>;

// [later_record_end]
enum class End { succeeded, failed };

IdempotencyKey settlement_key(std::string_view payment) { return {"settlement", payment}; }

Status record_end(Guard& guard, std::string_view payment, End end) {
  const auto write = [&]() -> PaymentResult<std::string> {
    if (end == End::succeeded) return succeeded("the money came");
    return declined("the money did not come");
  };
  CallOptions options;
  options.retention = std::chrono::hours(24 * 60);  // not less than that of the payments
  return guard
      .execute(
          settlement_key(payment), fingerprint(end == End::succeeded), write,
          [&](const Record&) { return write(); },  // it only writes: in doubt, it is written again
          options)
      .status();
}
// [/later_record_end]

// [later_webhook]
struct Event {
  std::string id, payment;
  End end;
};

/// The status to answer with. The signature has been checked, over the body as it came.
int take_webhook(Guard& guard, const Event& event) {
  bool contradicts = false;
  const auto handle = [&]() -> PaymentResult<std::string> {
    switch (record_end(guard, event.payment, event.end)) {
      case Status::completed: return succeeded("recorded");
      case Status::key_reused: contradicts = true; return in_doubt("another end is recorded");
      default: return not_executed("the end cannot be written now");
    }
  };
  CallOptions options;
  options.retention = std::chrono::hours(24 * 30);  // longer than the provider goes on sending
  const auto outcome = guard.execute(
      IdempotencyKey("gateway-event", event.id), fingerprint(event.payment, event.end == End::succeeded),
      handle, [&](const Record&) { return handle(); }, options);
  if (outcome.status() == Status::completed) return 200;
  if (outcome.status() == Status::key_reused) return 409;  // two events under one id
  return contradicts ? 200 : 503;                          // it waits for a person; or: send it again
}
// [/later_webhook]

// [later_told]
std::string_view told(Guard& guard, const std::optional<Record>& payment, std::string_view payment_id) {
  if (!payment || payment->state == State::released) return "not paid";
  if (payment->state == State::in_progress) return "being paid";
  if (payment->state == State::in_doubt) return "being verified: do not pay again";
  if (payment->state == State::declined) return "declined";
  const auto end = guard.find(settlement_key(payment_id));
  if (!end || end->state == State::in_progress) return "waiting for the bank: do not pay again";
  if (end->state == State::succeeded) return "paid";
  if (end->state == State::declined) return "declined";
  return "being verified: do not pay again";
}
// [/later_told]

}  // namespace later

TEST_CASE("payments that end later", "[docs]") {
  using namespace later;
  Guard guard{MemoryStore{}};
  const http::Responder responder{guard};
  const std::vector<http::FieldView> fields = {{"Idempotency-Key", "order-1001"}};
  const http::Request request{"POST", "/payments", "", fields, "4.50 EUR by bank transfer"};
  const http::Tenant tenant("acct_7");
  int taken_on = 0;
  // [later_pay]
  const auto pay = [&] {
    ++taken_on;  // the provider has taken it on as pay_7
    return http::Response{200, {}, R"({"id":"pay_7","status":"processing"})"};
  };
  const http::Response first = responder.answer(tenant, request, pay);
  // [/later_pay]
  const IdempotencyKey key(http::scope_of(tenant, "POST", "/payments"), "order-1001");
  const auto says = [&] { return told(guard, guard.find(key), "pay_7"); };
  CHECK(says() == "waiting for the bank: do not pay again");

  const Event succeeded_event{"evt_1", "pay_7", End::succeeded};
  CHECK(take_webhook(guard, succeeded_event) == 200);
  CHECK(take_webhook(guard, succeeded_event) == 200);
  CHECK(says() == "paid");
  CHECK(take_webhook(guard, {"evt_2", "pay_7", End::failed}) == 200);
  CHECK(take_webhook(guard, {"evt_2", "pay_7", End::failed}) == 200);
  CHECK(says() == "paid");
  CHECK(guard.find(IdempotencyKey("gateway-event", "evt_2"))->state == State::in_doubt);
  CHECK(take_webhook(guard, {"evt_1", "pay_8", End::succeeded}) == 409);
  CHECK(responder.answer(tenant, request, pay).body == first.body);
  CHECK(taken_on == 1);

  CHECK(take_webhook(guard, {"evt_3", "pay_9", End::failed}) == 200);
  CHECK(told(guard, guard.find(key), "pay_9") == "declined");
}
