#pragma once
// From a request to its response, by way of a guard: key, scope and fingerprint are read from the request,
// the handler runs at most once, and what it answered is stored and replayed. No server, no sockets, no
// framework.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/responder_options.hpp>
#include <paidonce/http/scope.hpp>
#include <paidonce/http/stored_response.hpp>
#include <paidonce/key.hpp>
#include <paidonce/options.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>

namespace paidonce::inline v1::http {

/// Answers requests through a guard, which it refers to. Thread-safe as the guard is; immutable.
template <class Guard>
class Responder {
 public:
  /// Throws `Error{invalid_options}`.
  explicit Responder(Guard& guard, ResponderOptions options = {})
      : guard_(guard), options_(std::move(options)) {}

  /// The answer to a request of `tenant`, who has been authorised: a replay shows what was stored.
  /// `pay(Attempt&)` returns a `Response`, which the status policy judges, or a `PaymentResult<Response>`.
  /// Whatever the guard, the store or `pay` throw becomes a problem.
  ///
  /// What can be wrong with the request alone is checked before: a handler that answers 400 releases the key,
  /// but a corrected request is another request, and needs another key.
  template <class Pay>
  Response answer(const Tenant& tenant, const Request& request, Pay&& pay, const CallOptions& call = {}) {
    return guarded(
        tenant, request,
        [&](const IdempotencyKey& key, const Fingerprint& fingerprint, std::optional<Response>& turned_away) {
          return guard_.execute(
              key, fingerprint, [&](Attempt& attempt) { return report_of(pay(attempt), turned_away); }, call);
        });
  }
  /// With `reconcile(const Record&)`, as the guard's `execute` takes it; asks the provider.
  template <class Pay, class Reconcile>
  requires std::invocable<Reconcile&, const Record&> Response answer(const Tenant& tenant,
                                                                     const Request& request, Pay&& pay,
                                                                     Reconcile&& reconcile,
                                                                     const CallOptions& call = {}) {
    return guarded(
        tenant, request,
        [&](const IdempotencyKey& key, const Fingerprint& fingerprint, std::optional<Response>& turned_away) {
          return guard_.execute(
              key, fingerprint, [&](Attempt& attempt) { return report_of(pay(attempt), turned_away); },
              [&](const Record& record) { return prepared(reconcile(record)); }, call);
        });
  }

  /// A problem as this responder writes it, with its fields: for what an application finds wrong itself.
  Response respond(Problem told) const {
    if (!told.retry_after &&
        (told.kind == ProblemKind::in_doubt || told.kind == ProblemKind::store_unavailable))
      told.retry_after = options_.retry_after;
    Response response =
        options_.write_problem ? options_.write_problem(told) : problem_response(told, options_.problem_base);
    if (told.retry_after) response.set("Retry-After", std::to_string(seconds(*told.retry_after)));
    return unstored(std::move(response));
  }

  const ResponderOptions& options() const noexcept { return options_; }

 private:
  /// Whole seconds (RFC 9110, section 10.2.3), never too early.
  static long long seconds(Duration duration) {
    return std::max<long long>(1, (duration.count() + 999) / 1000);
  }

  /// No cache on the way keeps it.
  static Response unstored(Response response) {
    response.set("Cache-Control", "no-store");
    return response;
  }

  template <class Execute>
  Response guarded(const Tenant& tenant, const Request& request, Execute&& execute) {
    try {
      if (request.body.size() > options_.largest_body)
        return respond(problem(ProblemKind::body_too_large, "The body has more than " +
                                                                std::to_string(options_.largest_body) +
                                                                " bytes. Nothing was executed."));
      const auto key = key_of(tenant, request);
      if (const auto* wrong = std::get_if<Problem>(&key)) return respond(*wrong);
      const Fingerprint fingerprint = fingerprint_of(request);
      std::optional<Response> turned_away;
      return answer_of(execute(std::get<IdempotencyKey>(key), fingerprint, turned_away), turned_away);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (const BodyMalformed& wrong) {
      return respond(problem(ProblemKind::body_malformed, wrong.what()));
    } catch (const Error& failure) {
      return respond(problem(retryable(failure) ? ProblemKind::store_unavailable : ProblemKind::internal));
    } catch (...) {
      return respond(problem(ProblemKind::internal));
    }
  }

  std::variant<IdempotencyKey, Problem> key_of(const Tenant& tenant, const Request& request) const {
    const std::string scope = scope_of(tenant, request.method, request.path);
    const std::vector<std::string_view> lines = request.values(idempotency_key_field);
    auto parsed = parse_idempotency_key(lines, options_.key_syntax);
    if (const auto* text = std::get_if<std::string>(&parsed)) return IdempotencyKey(scope, *text);
    const auto wrong = std::get<KeyProblem>(parsed);
    if (wrong != KeyProblem::missing) return problem(ProblemKind::key_malformed, to_string(wrong));
    if (options_.missing_key == MissingKey::refused) return problem(ProblemKind::key_missing);
    return IdempotencyKey::generate(scope);
  }

  Fingerprint fingerprint_of(const Request& request) const {
    std::vector<std::pair<std::string, std::vector<std::string_view>>> fields;
    for (const std::string& name : options_.fingerprint_fields) {
      std::string lower(name);
      std::transform(lower.begin(), lower.end(), lower.begin(), detail::lower);
      fields.emplace_back(std::move(lower), request.values(name));
    }
    const auto made = [&](std::string_view body) {
      return options_.fingerprinter
                 ? (*options_.fingerprinter)(request.method, request.path, request.query, fields, body)
                 : paidonce::fingerprint(request.method, request.path, request.query, fields, body);
    };
    return options_.body_form ? made(options_.body_form(request.body)) : made(request.body);
  }

  // ---- what the handler said ----

  PaymentResult<Response> report_of(Response response, std::optional<Response>& turned_away) const {
    const int status = response.status;
    switch (options_.status_policy(status)) {
      case StatusMeaning::succeeded: return succeeded(kept(std::move(response)));
      case StatusMeaning::declined: return declined(kept(std::move(response)));
      case StatusMeaning::not_executed:
        turned_away = kept(std::move(response));
        return not_executed("the handler answered " + std::to_string(status));
      case StatusMeaning::in_doubt: break;
    }
    return in_doubt("the handler answered " + std::to_string(status));
  }
  PaymentResult<Response> report_of(PaymentResult<Response> report, std::optional<Response>&) const {
    return prepared(std::move(report));
  }
  PaymentResult<Response> prepared(PaymentResult<Response> report) const {
    if (Response* response = report.response_if()) *response = kept(std::move(*response));
    return report;
  }

  /// What of a response is stored and sent.
  Response kept(Response response) const {
    std::erase_if(response.fields, [this](const Field& field) {
      return std::none_of(options_.stored_fields.begin(), options_.stored_fields.end(),
                          [&](const std::string& name) { return detail::same_name(name, field.name); });
    });
    if (options_.redact) options_.redact(response);
    if (response.body.size() > options_.largest_response) response.body.clear();
    return response;
  }

  // ---- what the client is told ----

  Response answer_of(Outcome<Response> outcome, std::optional<Response>& turned_away) const {
    switch (outcome.status()) {
      case Status::completed: {
        const bool replayed = outcome.replayed();
        Response response = std::move(outcome).response();
        if (replayed) response.set("Idempotent-Replayed", "true");
        return unstored(std::move(response));
      }
      case Status::in_progress: return later(ProblemKind::in_progress, outcome.retry_after());
      case Status::key_reused: return respond(problem(ProblemKind::key_reused));
      case Status::not_executed:
        if (turned_away) return unstored(std::move(*turned_away));
        return later(ProblemKind::not_executed, outcome.retry_after());
      case Status::refused: return respond(problem(ProblemKind::refused, outcome.reason()));
      case Status::in_doubt: break;
    }
    return respond(problem(ProblemKind::in_doubt));
  }
  Response later(ProblemKind kind, Duration retry_after) const {
    Problem told = problem(kind);
    told.retry_after = retry_after;
    return respond(std::move(told));
  }

  Guard& guard_;
  ResponderOptions options_;
};

template <class Guard>
Responder(Guard&, ResponderOptions) -> Responder<Guard>;
template <class Guard>
Responder(Guard&) -> Responder<Guard>;

}  // namespace paidonce::inline v1::http
