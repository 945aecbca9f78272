// The gateway's webhooks: how payments ended that were "processing" when they were answered. An event is an
// operation of its own under its own id, and the end that it tells is another under the payment's: events
// come twice, late, in any order and before the answer to the request that they are about.

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/errors.hpp>

#include "routes.hpp"
#include "settlement.hpp"
#include "webhook_event.hpp"
#include "webhook_signature.hpp"

namespace payment_server {
namespace {

using paidonce::http::Response;

/// As long as any provider goes on sending, and some: Stripe ends after three days.
constexpr paidonce::Duration remembered_for = std::chrono::hours(24 * 30);
constexpr paidonce::Duration longest_lease = std::chrono::seconds(5);

class Webhook {
 public:
  explicit Webhook(Service& service) : service_(service) {}

  void take(const httplib::Request& request, httplib::Response& to) const {
    const auto [status, text] = answer(request);
    to.status = status;
    if (status == 503) to.set_header("Retry-After", "1");
    to.set_header("Cache-Control", "no-store");
    to.set_content(nlohmann::json{{"received", status == 200}, {"message", text}}.dump() + '\n',
                   "application/json");
  }

 private:
  /// For the provider's log, which people read. Nothing but the status counts: after a 2xx it is not sent
  /// again.
  struct Told {
    int status;
    std::string text;
  };

  Told answer(const httplib::Request& request) const {
    if (request.get_header_value_count("Stripe-Signature") != 1)
      return {400, "There must be one Stripe-Signature. Nothing was recorded."};
    switch (check_signature(request.get_header_value("Stripe-Signature"), request.body,
                            service_.webhook_secret, paidonce::SystemClock{}.now())) {
      case Signature::valid: break;
      case Signature::malformed: return {400, "The Stripe-Signature cannot be read. Nothing was recorded."};
      case Signature::wrong: return {400, "The signature does not fit. Nothing was recorded."};
      case Signature::old: return {400, "The signature's time is not now. Nothing was recorded."};
    }
    const auto read = read_event(request.body);
    if (!read) return {400, "This is no event. Nothing was recorded."};
    if (!read->ended) return {200, "Nothing has to be done about it."};
    try {
      return take(*read);
    } catch (const paidonce::Error& failure) {
      if (!paidonce::retryable(failure)) throw;
      return {503, "It could not be recorded. Send it again."};
    }
  }

  Told take(const Event& event) const {
    std::optional<Recorded> recorded;
    const auto handle = [&]() -> paidonce::PaymentResult<Response> {
      recorded = record_end(service_, *event.ended);
      switch (*recorded) {
        case Recorded::yes: return paidonce::succeeded(Response{200, {}, "recorded"});
        case Recorded::not_now: return paidonce::not_executed("the end of the payment cannot be written now");
        case Recorded::contradicts: break;
      }
      return paidonce::in_doubt(
          "it contradicts the end that is recorded of this payment: somebody has to ask the provider");
    };
    paidonce::CallOptions call;
    call.lease = std::min(service_.options.lease, longest_lease);
    call.retention = remembered_for;
    call.wait = paidonce::Duration(0);
    call.description = "event " + event.type + " of " + event.ended->payment_id;
    const auto outcome = service_.guard.execute(
        paidonce::IdempotencyKey("gateway-event", event.id), event.fingerprint, handle,
        [&](const paidonce::Record&) { return handle(); }, call);
    switch (outcome.status()) {
      case paidonce::Status::completed: return {200, "It is recorded."};
      case paidonce::Status::in_doubt:
        // Sending it for ever would not make it true: it waits for a person, in doubt, and alerts are raised.
        if (recorded == Recorded::contradicts)
          return {200, "It contradicts an earlier one. A person is told."};
        return {503, "It may not have been recorded. Send it again."};
      case paidonce::Status::key_reused: return {409, "Another event was recorded under this id."};
      case paidonce::Status::in_progress: return {503, "It is being recorded. Send it again."};
      default: return {503, "It could not be recorded. Send it again."};
    }
  }

  Service& service_;
};

}  // namespace

void add_webhook(httplib::Server& server, Service& service) {
  if (service.webhook_secret.empty()) return;  // nobody could be believed
  server.Post("/webhooks/gateway",
              [webhook = Webhook(service)](const auto& request, auto& to) { webhook.take(request, to); });
}

}  // namespace payment_server
