#include "settlement.hpp"

#include <algorithm>
#include <chrono>

#include <paidonce/fingerprint.hpp>

#include "order_status.hpp"

namespace payment_server {
namespace {

using paidonce::http::Response;

/// Longer than the checkout, which asks for it, remembers its payments.
constexpr paidonce::Duration remembered_for = std::chrono::hours(24 * 60);
/// Nothing but the store is asked: who is killed over it need not be waited for as long as for a payment.
constexpr paidonce::Duration longest_lease = std::chrono::seconds(5);

paidonce::PaymentResult<Response> report_of(const Ended& ended) {
  Response response{
      ended.end == End::succeeded ? 200 : 402, {{"Content-Type", "application/json"}}, ended.object};
  return ended.end == End::succeeded ? paidonce::succeeded(std::move(response))
                                     : paidonce::declined(std::move(response));
}

}  // namespace

Recorded record_end(Service& service, const Ended& ended) {
  paidonce::CallOptions call;
  call.lease = std::min(service.options.lease, longest_lease);
  call.retention = remembered_for;
  call.wait = longest_lease;
  call.description = "how " + ended.payment_id + " ended";
  const auto outcome = service.guard.execute(
      settlement_key(ended.payment_id),
      paidonce::fingerprint(std::string_view(ended.end == End::succeeded ? "succeeded" : "failed")),
      [&] { return report_of(ended); }, [&](const paidonce::Record&) { return report_of(ended); }, call);
  switch (outcome.status()) {
    case paidonce::Status::completed: return Recorded::yes;
    case paidonce::Status::key_reused: return Recorded::contradicts;
    default: return Recorded::not_now;
  }
}

std::optional<Recorded> settle_by_asking(Service& service, Kind kind, std::string_view payment_id) {
  const auto object = service.gateway.fetch(kind, payment_id);
  if (!object) return std::nullopt;
  const auto ended = ended_of(object->body);
  if (!ended || ended->payment_id != payment_id) return std::nullopt;
  return record_end(service, *ended);
}

}  // namespace payment_server
