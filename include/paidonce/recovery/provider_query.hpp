#pragma once
// A query of a provider's records as the function that settles doubts: for recovery, for
// `IdempotencyGuard::reconcile`, and for calls that find their payment in doubt.
//
//   const auto ask = provider_query<Receipt>(NotFound::means_in_doubt(), [&](const Doubt& doubt) {
//     const auto charge = provider.find(doubt.provider_key());
//     return charge ? ProviderAnswer<Receipt>::succeeded(charge->receipt)
//                   : ProviderAnswer<Receipt>::not_found();
//   });
//   recover(guard, ask);
//   guard.execute(key, request, pay, ask.at_request(key));

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <paidonce/key.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/recovery/doubt.hpp>
#include <paidonce/recovery/not_found.hpp>
#include <paidonce/result.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What a provider said when it was asked about one payment. There is no answer "not executed": that
/// follows from "not found" by rule alone.
template <class R>
class [[nodiscard]] ProviderAnswer {
 public:
  /// It happened, and no later change of it is expected: not merely authorised, accepted or pending.
  static ProviderAnswer succeeded(R response) { return {Kind::succeeded, std::move(response), {}}; }
  /// It was refused for good, and under this very provider key; or the query has cancelled that key at the
  /// provider, so that it never will be carried out. (Further attempts would carry the same key: what was
  /// cancelled is final, not free.)
  static ProviderAnswer declined(R response) { return {Kind::declined, std::move(response), {}}; }
  /// The provider answered, and has nothing of it. No answer, an error and a page that is missing are
  /// `unknown`.
  static ProviderAnswer not_found() { return {Kind::not_found, std::nullopt, {}}; }
  /// Anything else: pending, two payments where there should be one, another amount. `reason` is for people;
  /// it carries no card data.
  static ProviderAnswer unknown(std::string reason) {
    return {Kind::unknown, std::nullopt, std::move(reason)};
  }

  /// The report that this comes to for a payment in doubt.
  PaymentResult<R> report(const NotFound& rule, const Doubt& doubt) && {
    switch (kind_) {
      case Kind::succeeded: return PaymentResult<R>::succeeded(*std::move(response_));
      case Kind::declined: return PaymentResult<R>::declined(*std::move(response_));
      case Kind::not_found:
        if (rule.verdict(doubt) == NotFound::Verdict::not_executed)
          return PaymentResult<R>::not_executed(rule.explain(doubt));
        return PaymentResult<R>::in_doubt(rule.explain(doubt));
      case Kind::unknown: break;
    }
    return PaymentResult<R>::in_doubt(reason_.empty() ? "the provider does not know what became of it"
                                                      : std::move(reason_));
  }

 private:
  enum class Kind : std::uint8_t { succeeded, declined, not_found, unknown };
  ProviderAnswer(Kind kind, std::optional<R> response, std::string reason)
      : kind_(kind), response_(std::move(response)), reason_(std::move(reason)) {}

  Kind kind_;
  std::optional<R> response_;
  std::string reason_;
};

/// A query and the rule for what it does not find. What the query throws means in doubt, as with every
/// function that settles doubts. Recovery calls it on several threads at a time.
template <class R, class Query>
class ProviderQuery {
  static_assert(std::is_invocable_v<const Query&, const Doubt&>,
                "paidonce: a provider query takes const Doubt& and is called on several threads: it must be "
                "callable when const");
  static_assert(std::is_same_v<std::invoke_result_t<const Query&, const Doubt&>, ProviderAnswer<R>>,
                "paidonce: a provider query returns ProviderAnswer<R> with the R of the payment: "
                "succeeded(value), declined(value), not_found() or unknown(reason)");

 public:
  ProviderQuery(NotFound rule, Query query) : rule_(rule), query_(std::move(query)) {}

  /// For recovery.
  PaymentResult<R> operator()(const Doubt& doubt) const { return query_(doubt).report(rule_, doubt); }

  /// The same query as the `reconcile` function of `execute` and `IdempotencyGuard::reconcile`. Whatever the
  /// rule, what is not found there stays in doubt: a single request has neither watched the doubt nor proof
  /// that its holder is dead. Refers to this query, which outlives it; not to `key`.
  auto at_request(const IdempotencyKey& key) const& {
    return [this, key](const Record& record) {
      const Doubt doubt{key, record, Duration(0), protocol::Holder::may_live, 1};
      return query_(doubt).report(NotFound::means_in_doubt(), doubt);
    };
  }
  auto at_request(const IdempotencyKey& key) const&& = delete;

 private:
  NotFound rule_;
  Query query_;
};

/// `query` is `ProviderAnswer<R>(const Doubt&)`.
template <class R, class Query>
ProviderQuery<R, std::decay_t<Query>> provider_query(NotFound rule, Query&& query) {
  return {rule, std::forward<Query>(query)};
}

}  // namespace paidonce::inline v1
