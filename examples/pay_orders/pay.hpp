#pragma once
// The heart of the program: orders go through a guard to the provider, each at most once.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

#include <paidonce/execute_many.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/retry/retry.hpp>

#include "orders.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "schedule.hpp"
#include "stripe_client.hpp"

namespace pay_orders {

/// How a payment in doubt is settled.
enum class Doubts {
  by_asking,         ///< the provider is asked what became of it, and nothing is sent again
  by_sending_again,  ///< under the same provider key: for a provider that charges once per key
};

struct RunOptions {
  unsigned threads = 4;
  unsigned tries = 6;  ///< at one line, the first included
  Doubts doubts = Doubts::by_asking;
  paidonce::Backoff pauses{std::chrono::milliseconds(50), std::chrono::milliseconds(1600),
                           paidonce::Jitter::equal};
};

inline LineResult result_of(const paidonce::Outcome<shop::Charge>& outcome) {
  using shop::Charge;
  namespace is = paidonce::outcome;
  return outcome.visit(
      [](is::Completed<Charge> done) {
        const LineStatus status = done.succeeded ? LineStatus::paid : LineStatus::declined;
        return LineResult{status, done.replayed, done.response.id, done.response.failure};
      },
      [](is::InProgress) {
        return LineResult{LineStatus::in_progress, false, {}, "another call is still at it"};
      },
      [](is::KeyReused) {
        return LineResult{LineStatus::key_reused,
                          false,
                          {},
                          "an earlier line, or run, asked for this order with another amount or source"};
      },
      [](is::InDoubt<Charge> doubt) {
        return LineResult{LineStatus::in_doubt, false, doubt.evidence ? doubt.evidence->id : "",
                          doubt.reason};
      },
      [](is::NotExecuted none) {
        return LineResult{LineStatus::not_executed, false, {}, none.reason};
      },
      [](is::Refused refused) {
        return LineResult{LineStatus::refused, false, {}, refused.reason};
      });
}

/// The same for a line whose call threw: no payment was started by it.
inline LineResult result_of(const paidonce::Executed<shop::Charge>& executed) {
  if (executed.outcome) return result_of(*executed.outcome);
  try {
    std::rethrow_exception(executed.error);
  } catch (const std::exception& failure) {
    return {LineStatus::error, false, {}, failure.what()};
  }
}

/// Pays one line: run, replayed, or found out about at the provider; tried again while that may help.
template <class Guard>
paidonce::Outcome<shop::Charge> pay_line(Guard& guard, const shop::StripeClient& provider,
                                         const OrderLine& line, const RunOptions& options) {
  using namespace paidonce;
  const IdempotencyKey key{"pay_orders", line.order_id};
  const Fingerprint asked = fingerprint(line.order_id, *line.money, line.source);
  CallOptions call;
  call.wait = std::chrono::seconds(60);  // a repeated line waits for the one that runs
  call.amount = line.money->text();
  call.description = "order " + line.order_id;

  shop::ChargeRequest request;
  request.order = line.order_id;
  request.amount = static_cast<std::int64_t>(line.money->minor_units());
  request.currency = line.money->currency().code();
  request.source = line.source;
  request.description = call.description;

  Stop useless;  // requested when the provider said that sending it again will not end otherwise
  const auto pay = [&](Attempt& attempt) -> PaymentResult<shop::Charge> {
    request.provider_key = attempt.provider_key();
    if (attempt.lease_lost()) return not_executed("the lease ran out before anything was sent");
    shop::ChargeReport report = provider.charge(request);
    if (report.try_again == shop::TryAgain::useless) useless.request();
    return std::move(report.result);
  };
  const auto reconcile = [&](const Record& record) {
    request.provider_key = provider_key(key, record.created_at);
    return provider.find_charge_by_order(request);
  };

  const auto execute = [&] {
    // Who can be asked is asked, and an answer that proves nothing leaves the doubt.
    if (options.doubts == Doubts::by_asking) return guard.execute(key, asked, pay, reconcile, call);
    return guard.execute(key, asked, pay, call);
  };
  Retried<shop::Charge> retried = retry({.backoff = options.pauses,
                                         .attempts = options.tries,
                                         .deadline = Duration::max(),  // the tries are counted
                                         .in_doubt = WhenInDoubt::send_again,
                                         .stop = &useless},
                                        execute);
  Outcome<shop::Charge> outcome = std::move(retried).value();
  if (options.doubts == Doubts::by_sending_again && outcome.status() == Status::in_doubt) {
    // Nothing more may be sent, or it does not help: in the end the provider may know.
    const auto ask = [&] { return guard.template reconcile<shop::Charge>(key, reconcile); };
    auto found = retry({.attempts = 1}, ask);
    if (found.end == RetryEnd::settled) return std::move(found).value();
  }
  return outcome;
}

/// Pays all lines that are right; the results stand in the order of the lines. The guard, and with it the
/// store, is the caller's choice.
template <class Guard>
std::vector<LineResult> run(Guard& guard, const shop::StripeClient& provider,
                            const std::vector<OrderLine>& lines, const RunOptions& options) {
  std::vector<LineResult> results(lines.size());
  for (std::size_t at = 0; at < lines.size(); ++at) results[at].reason = lines[at].problem;
  const Schedule waves = schedule(lines);
  Progress progress(waves.first.size() + waves.then.size());
  const auto pay = [&](Guard& by, std::size_t at) { return pay_line(by, provider, lines[at], options); };
  const paidonce::BatchOptions batch{.concurrency = options.threads,
                                     .progress = [&](const paidonce::BatchProgress&) { progress.step(); }};
  for (const auto* wave : {&waves.first, &waves.then}) {
    const auto executed = paidonce::execute_many(guard, *wave, pay, batch);
    for (std::size_t at = 0; at < wave->size(); ++at) results[(*wave)[at]] = result_of(executed[at]);
  }
  return results;
}

}  // namespace pay_orders
