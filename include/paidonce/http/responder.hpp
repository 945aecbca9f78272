#pragma once
// From a request to its response, by way of a guard: key, scope and fingerprint are read from the request,
// the handler runs at most once, and what it answered is stored and replayed. No server, no sockets, no
// framework.

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/guard/inquiry.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/responder/rules.hpp>
#include <paidonce/http/responder_options.hpp>
#include <paidonce/key.hpp>
#include <paidonce/options.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>

namespace paidonce::inline v1::http {

namespace detail {

/// A handler's answer on its way to the guard.
struct Handling {
  const ResponderRules& rules;
  std::optional<Response> turned_away = {};  ///< what is sent and not stored

  template <class Pay>
  PaymentResult<Response> ask(Pay& pay, Attempt& attempt) {
    if constexpr (std::is_invocable_v<Pay&, Attempt&>)
      return report(pay(attempt), attempt);
    else
      return report(pay(), attempt);
  }

 private:
  template <class Returned>
  PaymentResult<Response> report(Returned&& returned, Attempt& attempt) {
    if constexpr (std::is_convertible_v<Returned, Response>)
      return rules.judged(std::forward<Returned>(returned), attempt, turned_away);
    else
      return rules.kept(std::forward<Returned>(returned));
  }
};

/// Callables by their addresses, and how to call them.
struct AskedHandler {
  PaymentResult<Response> (*call)(void* pay, Attempt& attempt, Handling& handling);
  void* pay;
};
struct AskedProvider {
  PaymentResult<Response> (*call)(void* reconcile, const Record& record, const IdempotencyKey& key) = nullptr;
  void* reconcile = nullptr;
};

/// Asks about a record, with or without the name that the payment has at the provider.
template <class Reconcile>
concept AsksProvider =
    std::invocable<Reconcile&, const Record&> || std::invocable<Reconcile&, const Record&, std::string_view>;

template <class Reconcile>
auto ask_provider(Reconcile& reconcile, const Record& record, const IdempotencyKey& key) {
  if constexpr (std::invocable<Reconcile&, const Record&>)
    return reconcile(record);
  else
    return reconcile(record, std::string_view(provider_key(key, record.created_at)));
}

template <class Returned>
inline constexpr bool is_answer =
    std::is_convertible_v<Returned, Response> || std::is_convertible_v<Returned, PaymentResult<Response>>;

template <class Pay>
consteval bool is_handler() {
  if constexpr (std::is_invocable_v<Pay&, Attempt&>)
    return is_answer<std::invoke_result_t<Pay&, Attempt&>>;
  else if constexpr (std::is_invocable_v<Pay&>)
    return is_answer<std::invoke_result_t<Pay&>>;
  else
    return false;
}

}  // namespace detail

/// Answers requests through a guard, which it refers to. Thread-safe as the guard is; immutable.
template <class Guard>
class Responder {
 public:
  /// Throws `Error{invalid_options}`.
  explicit Responder(Guard& guard, ResponderOptions options = {})
      : guard_(guard), rules_(std::move(options)) {}

  /// The answer to a request of `tenant`, who has been authorised: a replay shows what was stored. `pay`
  /// takes `Attempt&` or nothing and returns a `Response`, which the status policy judges, or a
  /// `PaymentResult<Response>`. Whatever the guard, the store or `pay` throw becomes a problem, so nothing is
  /// thrown; without memory the answer is a status alone.
  ///
  /// `call.refuse_if` gives its reason to the client.
  ///
  /// What can be wrong with the request alone is checked before: a handler that answers 400 releases the key,
  /// but a corrected request is another request, and needs another key.
  template <class Pay>
  Response answer(const Tenant& tenant, const Request& request, Pay&& pay,
                  const CallOptions& call = {}) const {
    return run(tenant, request, asked(pay), {}, call);
  }
  /// With `PaymentResult<Response> reconcile(const Record&, std::string_view provider_key)`, or without the
  /// second parameter: it asks the provider what became of a payment in doubt, as with the guard's `execute`.
  /// `provider_key` is what `Attempt::provider_key()` was.
  template <class Pay, detail::AsksProvider Reconcile>
  Response answer(const Tenant& tenant, const Request& request, Pay&& pay, Reconcile&& reconcile,
                  const CallOptions& call = {}) const {
    using Asks = std::remove_reference_t<Reconcile>;
    using Said = decltype(detail::ask_provider(reconcile, std::declval<const Record&>(),
                                               std::declval<const IdempotencyKey&>()));
    static_assert(std::is_convertible_v<Said, PaymentResult<Response>>,
                  "paidonce: the reconcile function must return PaymentResult<http::Response>");
    return run(tenant, request, asked(pay),
               {[](void* asks, const Record& record, const IdempotencyKey& key) -> PaymentResult<Response> {
                  return detail::ask_provider(paidonce::detail::callable_at<Asks>(asks), record, key);
                },
                paidonce::detail::address_of(reconcile)},
               call);
  }

  /// A problem as this responder writes it, with its fields: for what an application finds wrong itself.
  Response respond(Problem told) const { return rules_.respond(std::move(told)); }

  /// What of a response is stored, redacted: for recovery, and whoever else completes payments that this
  /// responder replays. Throws what `redact` throws.
  PaymentResult<Response> stored(PaymentResult<Response> report) const {
    return rules_.kept(std::move(report));
  }

  const ResponderOptions& options() const noexcept { return rules_.options(); }

 private:
  template <class Pay>
  static detail::AskedHandler asked(Pay& pay) noexcept {
    static_assert(detail::is_handler<Pay>(),
                  "paidonce: the handler takes Attempt& or nothing, and returns http::Response or "
                  "PaymentResult<http::Response>");
    return {[](void* handler, Attempt& attempt, detail::Handling& handling) {
              return handling.ask(paidonce::detail::callable_at<Pay>(handler), attempt);
            },
            paidonce::detail::address_of(pay)};
  }

  Response run(const Tenant& tenant, const Request& request, detail::AskedHandler pay,
               detail::AskedProvider provider, const CallOptions& call) const {
    auto stage = detail::Stage::nothing_executed;
    try {
      if (auto refusal = rules_.refusal_of(tenant, request)) return respond(*std::move(refusal));
      auto key = rules_.key_of(tenant, request);
      if (auto* wrong = std::get_if<Problem>(&key)) return respond(std::move(*wrong));
      const IdempotencyKey& name = std::get<IdempotencyKey>(key);
      detail::Handling handling{rules_};
      Outcome<Response> outcome =
          execute(name, rules_.fingerprint_of(request), pay, provider, call, handling);
      stage = detail::Stage::executed;
      Response response = rules_.answer_of(std::move(outcome), std::move(handling.turned_away));
      rules_.name_made_key(name, request, response);
      return response;
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      return rules_.failure(stage);
    }
  }

  Outcome<Response> execute(const IdempotencyKey& key, const Fingerprint& fingerprint,
                            const detail::AskedHandler& pay, const detail::AskedProvider& provider,
                            const CallOptions& call, detail::Handling& handling) const {
    const auto paying = [&](Attempt& attempt) { return pay.call(pay.pay, attempt, handling); };
    if (!provider.call) return guard_.execute(key, fingerprint, paying, call);
    const auto asking = [&](const Record& record) {
      return rules_.kept(provider.call(provider.reconcile, record, key));
    };
    return guard_.execute(key, fingerprint, paying, asking, call);
  }

  Guard& guard_;
  const detail::ResponderRules rules_;
};

template <class Guard>
Responder(Guard&, ResponderOptions) -> Responder<Guard>;
template <class Guard>
Responder(Guard&) -> Responder<Guard>;

}  // namespace paidonce::inline v1::http
