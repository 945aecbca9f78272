#pragma once
// What a Responder decides: what a request's key and fingerprint are, what a handler's answer means, what of
// it is kept, and what a client is told. Everything but the guard, so none of it is compiled again for
// another guard or handler. No I/O.

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
#include <paidonce/outcome.hpp>
#include <paidonce/result.hpp>

namespace paidonce::inline v1::http::detail {

/// Header fields of a request that belong to what is asked for: each name with how many lines it has, and
/// these.
struct ChosenFields {
  const Request& request;
  const std::vector<std::string>& names;  // in lower case, sorted

  template <class Sink>
  friend void fingerprint_parts(Sink& sink, const ChosenFields& chosen) {
    for (const std::string& name : chosen.names) {
      std::size_t lines = 0;
      for (const FieldView& field : chosen.request.fields) lines += same_name(field.name, name);
      sink(name, lines);
      for (const FieldView& field : chosen.request.fields)
        if (same_name(field.name, name)) sink(field.value);
    }
  }
};

/// How far a request has come.
enum class Stage { nothing_executed, executed };

class ResponderRules {
 public:
  /// Throws `Error{invalid_options}`.
  explicit ResponderRules(ResponderOptions options) : options_(checked(std::move(options))) {}

  const ResponderOptions& options() const noexcept { return options_; }

  // ---- what is asked for ----

  /// What is wrong with a request before anything of it is read.
  std::optional<Problem> refusal_of(const Tenant& tenant, const Request& request) const {
    if (request.body.size() > options_.largest_body)
      return problem(ProblemKind::body_too_large, "The body has more than " +
                                                      std::to_string(options_.largest_body) +
                                                      " bytes. This request executed nothing.");
    for (const std::string_view safe : {"GET", "HEAD", "OPTIONS", "TRACE"})
      if (request.method == safe)
        return problem(ProblemKind::internal,
                       "No payment is made by GET, HEAD, OPTIONS or TRACE. Nothing was executed.");
    if (tenant.id.empty())
      return problem(ProblemKind::internal, "Nobody was authorised. This request executed nothing.");
    return {};
  }

  std::variant<IdempotencyKey, Problem> key_of(const Tenant& tenant, const Request& request) const {
    std::string_view lines[2];  // a third would say no more than the second
    std::size_t count = 0;
    for (const FieldView& field : request.fields)
      if (count < 2 && same_name(field.name, idempotency_key_field)) lines[count++] = field.value;
    auto parsed = parse_idempotency_key(std::span<const std::string_view>(lines, count), options_.key_syntax);
    if (const auto* wrong = std::get_if<KeyProblem>(&parsed); wrong && !makes_key(*wrong))
      return *wrong == KeyProblem::missing
                 ? problem(ProblemKind::key_missing)
                 : problem(ProblemKind::key_malformed,
                           std::string(to_string(*wrong)) + " Nothing was executed.");
    const std::string scope = scope_of(tenant, request.method, request.path);
    if (const auto* text = std::get_if<std::string>(&parsed)) return IdempotencyKey(scope, *text);
    return IdempotencyKey::generate(scope);
  }

  /// Throws what the body's form throws.
  Fingerprint fingerprint_of(const Request& request) const {
    const ChosenFields fields{request, options_.fingerprint_fields};
    const auto made = [&](std::string_view body) {
      return options_.fingerprinter
                 ? (*options_.fingerprinter)(request.method, request.path, request.query, fields, body)
                 : paidonce::fingerprint(request.method, request.path, request.query, fields, body);
    };
    return options_.body_form ? made(options_.body_form(request.body)) : made(request.body);
  }

  // ---- what the handler said ----

  /// What a response says about the payment. One that is not to be stored goes into `turned_away`.
  PaymentResult<Response> judged(Response response, const Attempt& attempt,
                                 std::optional<Response>& turned_away) const {
    const int status = response.status;
    const auto why = [status] { return "the handler answered " + std::to_string(status); };
    switch (options_.status_policy(status)) {
      case StatusMeaning::succeeded: return kept(PaymentResult<Response>::succeeded(std::move(response)));
      case StatusMeaning::declined: return kept(PaymentResult<Response>::declined(std::move(response)));
      case StatusMeaning::not_executed:
        // As with an exception, a status is no proof once something was sent.
        if (attempt.checkpoint_saved()) break;
        turned_away = sent_once(std::move(response));
        return not_executed(why());
      case StatusMeaning::in_doubt: break;
    }
    return in_doubt(why());
  }

  /// The report with what of its response is stored; a status that ends no request its codec refuses. Throws
  /// what `redact` throws.
  PaymentResult<Response> kept(PaymentResult<Response> report) const {
    Response* const response = report.response_if();
    if (!response) return report;
    if (options_.redact) options_.redact(*response);
    keep_stored_fields(*response);
    if (has_no_body(response->status)) response->body.clear();
    if (response->body.size() > options_.largest_response) {
      response->body = {};
      std::erase_if(response->fields,
                    [](const Field& field) { return same_name(field.name, "Content-Type"); });
    }
    return report;
  }

  // ---- what the client is told ----

  Response answer_of(Outcome<Response>&& outcome, std::optional<Response>&& turned_away) const {
    switch (outcome.status()) {
      case Status::completed: return final_answer(std::move(outcome));
      case Status::in_progress:
        // What is left of the lease is how long it may take, not how long it takes.
        return later(ProblemKind::in_progress, std::min(outcome.retry_after(), options_.retry_after));
      case Status::key_reused: return respond(problem(ProblemKind::key_reused));
      case Status::not_executed:
        if (turned_away) return unstored(*std::move(turned_away));
        return later(ProblemKind::not_executed, outcome.retry_after());
      case Status::refused: return respond(problem(ProblemKind::refused, outcome.reason()));
      case Status::in_doubt: break;
    }
    return respond(problem(ProblemKind::in_doubt));
  }

  /// The answer where something was thrown, which is being handled.
  Response failure(Stage stage) const {
    try {
      if (stage == Stage::executed) {
        Problem told =
            problem(ProblemKind::internal,
                    "The payment may have been made, and its answer could not be written. Ask again "
                    "with the same key: it is never executed twice. A new key is not safe.");
        told.retry_after = options_.retry_after;
        return respond(std::move(told));
      }
      try {
        throw;
      } catch (const BodyMalformed& wrong) {
        return respond(problem(ProblemKind::body_malformed,
                               std::string(wrong.what()) + " This request executed nothing."));
      } catch (const Error& error) {
        return respond(problem(retryable(error) ? ProblemKind::store_unavailable : ProblemKind::internal));
      } catch (const paidonce::detail::ForcedUnwind&) {
        throw;
      } catch (...) {
        return respond(problem(ProblemKind::internal));
      }
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      return last_resort(500);
    }
  }

  /// Tells a client that sent no key which one was made, so that it can ask again.
  void name_made_key(const IdempotencyKey& key, const Request& request, Response& response) const {
    if (options_.missing_key == MissingKey::made && request.values(idempotency_key_field).empty())
      response.fields.push_back({std::string(idempotency_key_field), format_idempotency_key(key.text())});
  }

  Response respond(Problem told) const {
    if (!told.retry_after &&
        (told.kind == ProblemKind::in_doubt || told.kind == ProblemKind::store_unavailable))
      told.retry_after = options_.retry_after;
    if (options_.write_problem) {
      try {
        return sound(told, options_.write_problem(told));
      } catch (const paidonce::detail::ForcedUnwind&) {
        throw;
      } catch (...) {  // what the client has to know does not depend on how it is put
      }
    }
    try {
      return sound(told, problem_response(told, options_.problem_base));
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      return last_resort(told.status);
    }
  }

  /// No cache on the way keeps it, and what would harm the connection is not in it.
  static Response unstored(Response response) {
    keep_sound_fields(response);
    response.fields.push_back({"Cache-Control", "no-store"});
    return response;
  }

  /// A problem as an application wrote it, with what the client has to know and nothing that harms the
  /// connection.
  static Response sound(const Problem& told, Response response) {
    if (!is_final(response.status)) response.status = told.status;
    if (has_no_body(response.status)) response.body.clear();
    if (told.retry_after) response.set("Retry-After", std::to_string(whole_seconds(*told.retry_after)));
    return unstored(std::move(response));
  }

 private:
  static constexpr std::string_view reserved_fields[] = {
      "Set-Cookie",        "Cache-Control", "Idempotent-Replayed", "Idempotency-Key", "Content-Length",
      "Transfer-Encoding", "Connection",    "Keep-Alive",          "Trailer",         "Upgrade"};

  static bool is_reserved(std::string_view name) {
    return std::any_of(std::begin(reserved_fields), std::end(reserved_fields),
                       [name](std::string_view reserved) { return same_name(name, reserved); });
  }

  static void require(bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  }

  static ResponderOptions checked(ResponderOptions options) {
    require(options.largest_body > 0, "largest_body must be more than zero: how many bytes has a request?");
    require(options.largest_response > 0 && options.largest_response < UINT32_MAX,
            "largest_response must be more than zero, and less than 4 GiB");
    require(options.retry_after.count() > 0, "retry_after must be longer than zero");
    require(options.status_policy != nullptr,
            "status_policy is missing: leave it as it is, or give a function");
    for (const std::string& name : options.stored_fields) {
      require(is_token(name), "stored_fields: a name of a header field is empty, or is none");
      require(!is_reserved(name),
              "stored_fields: a field is for one client, of the connection, or set by the responder, such as "
              "Set-Cookie, Content-Length and Cache-Control; it cannot be stored");
    }
    auto& names = options.fingerprint_fields;
    for (std::string& name : names) {
      require(is_token(name), "fingerprint_fields: a name of a header field is empty, or is none");
      std::transform(name.begin(), name.end(), name.begin(), lower);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return options;
  }

  bool makes_key(KeyProblem wrong) const noexcept {
    return wrong == KeyProblem::missing && options_.missing_key == MissingKey::made;
  }

  static constexpr bool is_final(int status) noexcept { return status >= 200 && status < 600; }
  /// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
  static constexpr bool has_no_body(int status) noexcept {
    return status == 204 || status == 205 || status == 304;
  }

  void keep_stored_fields(Response& response) const {
    std::erase_if(response.fields, [this](const Field& field) {
      return !sound_value(field.value) ||
             std::none_of(options_.stored_fields.begin(), options_.stored_fields.end(),
                          [&](const std::string& name) { return same_name(name, field.name); });
    });
  }
  static void keep_sound_fields(Response& response) {
    std::erase_if(response.fields, [](const Field& field) {
      return !is_token(field.name) || !sound_value(field.value) ||
             (is_reserved(field.name) && !same_name(field.name, "Set-Cookie"));
    });
  }

  /// A response that nobody will see again: nothing was executed. Nothing where it cannot be redacted.
  std::optional<Response> sent_once(Response response) const {
    try {
      if (options_.redact) options_.redact(response);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      return {};
    }
    if (!is_final(response.status)) return {};
    return response;
  }

  Response final_answer(Outcome<Response>&& outcome) const {
    const bool replayed = outcome.replayed();
    Response response = std::move(outcome).response();
    if (replayed) {
      keep_stored_fields(response);  // others may have written the record
      response.fields.push_back({"Idempotent-Replayed", "true"});
    }
    response.fields.push_back({"Cache-Control", "no-store"});
    return response;
  }

  Response later(ProblemKind kind, Duration retry_after) const {
    Problem told = problem(kind);
    told.retry_after = retry_after;
    return respond(std::move(told));
  }

  /// All that can be said without memory.
  static Response last_resort(int status) noexcept {
    Response response;
    response.status = status;
    return response;
  }

  const ResponderOptions options_;
};

}  // namespace paidonce::inline v1::http::detail
