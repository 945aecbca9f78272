#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>

#include "amount.hpp"
#include "changes.hpp"
#include "confirm.hpp"
#include "escape.hpp"
#include "stripe_client.hpp"

namespace paidonce_admin {
namespace {

using paidonce::Doubt;
using paidonce::PaymentResult;
using paidonce::State;

/// Asks as pay_orders does, which the order's number is the text of the key for.
PaymentResult<shop::Charge> ask(const shop::StripeClient& provider, const Doubt& doubt) {
  if (doubt.key.scope() != "pay_orders")
    return paidonce::in_doubt("this program knows how to ask about orders of pay_orders alone");
  const auto amount = common::minor_units_of(doubt.record.amount);
  if (!amount) return paidonce::in_doubt("the record has no amount that the charge could be compared with");
  shop::ChargeRequest request;
  request.order = doubt.key.text();
  request.amount = amount->units;
  request.currency = amount->currency;
  request.provider_key = doubt.provider_key();
  return provider.find_charge_by_order(request);
}

/// What does not go on by itself.
Selection left_in(OpenStore& store, paidonce::Timestamp now) {
  Selection left;
  paidonce::ScanFilter filter;
  filter.states = {State::in_progress, State::in_doubt};
  filter.limit = std::numeric_limits<std::size_t>::max();
  store.scan(filter, [&](const paidonce::IdempotencyKey& key, const paidonce::Record& record) {
    const Entry entry{key, record};
    const std::string_view stuck = why_stuck(store, entry, now);
    if (!stuck.empty()) left.shown.push_back({entry, stuck});
    return true;
  });
  left.matching = left.shown.size();
  std::sort(left.shown.begin(), left.shown.end(), changed_before);
  return left;
}

std::string payments(std::size_t number) {
  return std::to_string(number) + (number == 1 ? " payment" : " payments");
}

std::string question_about(const Options& options, const Recovered& found) {
  std::string text = payments(found.abandoned) + " in progress, " + std::string(found.whose) + ", and " +
                     payments(found.in_doubt) + " in doubt.\n";
  if (options.gateway.empty())
    return text +
           "This marks the former as in doubt. Nobody is asked what became of them; --gateway does that.";
  return text + "This asks " + escaped(options.gateway) +
         " what became of all of them, and records what it proves: what succeeded and what was declined is "
         "settled for "
         "good. Is that the provider where they were paid?";
}

}  // namespace

Exit recover(const Plan& plan) {
  const Options& options = plan.options;
  std::optional<shop::StripeClient> provider;
  if (!options.gateway.empty()) {
    try {
      provider.emplace(options.gateway, options.api_key, std::chrono::milliseconds(options.timeout_ms));
    } catch (const std::invalid_argument& wrong) {
      throw Refusal(Exit::bad_usage, std::string("--gateway: ") + wrong.what());
    }
  }
  const StoreClock clock = plan.store.clock();
  Options all;
  all.stuck = true;
  Recovered recovered;
  recovered.whose = plan.store.kind().abandoned;
  recovered.left = select(plan.store, all, clock.now());
  for (const Shown& shown : recovered.left.shown)
    ++(shown.entry.record.state == State::in_doubt ? recovered.in_doubt : recovered.abandoned);
  recovered.dry_run = options.dry_run;
  if (options.dry_run || recovered.left.matching == 0) {
    plan.print.recovered(plan.out, recovered);
    return Exit::done;
  }
  confirm(options.yes ? Agreed::yes : Agreed::no, question_about(options, recovered));

  paidonce::GuardOptions guarded;
  guarded.retention = retention_of(plan.store, nullptr);
  guarded.heartbeat = false;
  const std::unique_ptr<OpenStore> store = plan.store.open_for_changes();
  Guard guard(*store, paidonce::KeyedMutex(), clock, guarded);
  paidonce::RecoveryOptions careful;
  careful.deadline = std::chrono::hours(12);  // a person who waits for it can end it, and nothing is lost
  careful.answer_within = std::chrono::minutes(5);
  if (!provider)
    careful.only = [](const paidonce::IdempotencyKey&, const paidonce::Record& record) {
      return record.state == State::in_progress;
    };
  const auto answer = [&](const Doubt& doubt) -> PaymentResult<shop::Charge> {
    if (!provider) return paidonce::in_doubt("nobody was asked");
    return ask(*provider, doubt);
  };
  recovered.asked_provider = provider.has_value();
  recovered.report = paidonce::recover(guard, answer, careful);
  if (!provider) recovered.report.reason.clear();
  recovered.left = left_in(*store, clock.now());
  plan.print.recovered(plan.out, recovered);
  if (!recovered.report.failure.empty())
    throw Refusal(Exit::failed, "the recovery is not whole: " + recovered.report.failure);
  return recovered.left.matching == 0 ? Exit::done : Exit::left_in_doubt;
}

}  // namespace paidonce_admin
