#pragma once
// What a client is told when there is no payment's own answer to tell: problem details after RFC 9457, with a
// member that says whether a new key is safe. Pure.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/detail/utf8.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::http {

enum class ProblemKind : std::uint8_t {
  key_missing,        ///< 400: no Idempotency-Key, and it is required
  key_malformed,      ///< 400: not a key, or several
  request_malformed,  ///< 400, 404, 408, 411, 414, 415, 417, 431, 501, 505: none that is served here
  body_malformed,     ///< 400: not the JSON, or the form, that it says it is
  body_too_large,     ///< 413
  in_progress,        ///< 409 and Retry-After: another request with this key is being carried out
  key_reused,         ///< 422: this key came with another request before
  refused,            ///< 409: the application's refuse_if said no
  in_doubt,           ///< 503 and Retry-After: nobody knows yet whether it happened
  not_executed,       ///< 503 and Retry-After: it is proven that nothing happened
  store_unavailable,  ///< 503 and Retry-After: this request executed nothing, an earlier one may have
  internal,           ///< 500: somebody has to mend something; its detail says what may have happened
};

/// Whether a payment that is to take the place of this one may go under another key. Only `safe` allows it:
/// after `unsafe` a new key can charge twice.
enum class NewKey : std::uint8_t { safe, unsafe };

/// All that a client may know: nothing of it comes from exceptions, records, keys or the store.
struct Problem {
  ProblemKind kind = ProblemKind::internal;
  int status = 500;
  std::string_view slug = {};   ///< "in-progress": the last part of its type, and its heading in the docs
  std::string_view title = {};  ///< one for each kind
  std::string detail = {};      ///< what happened, and what the client should do
  NewKey new_key = NewKey::unsafe;
  std::optional<Duration> retry_after = {};
};

/// What stands before a slug in a problem's type, unless another address is given.
inline constexpr std::string_view default_problem_base = "urn:paidonce:problem:";

/// Turns a problem into a response. Called from any number of threads.
using ProblemWriter = std::function<Response(const Problem&)>;

/// The problem of a kind, with its status, texts and the safety of a new key. `detail` replaces the text that
/// the kind has of its own.
inline Problem problem(ProblemKind kind, std::string_view detail = {}) {
  const auto of = [&](int status, std::string_view slug, std::string_view title, std::string_view text,
                      NewKey new_key = NewKey::unsafe) {
    return Problem{kind, status, slug, title, std::string(detail.empty() ? text : detail), new_key};
  };
  using enum ProblemKind;
  switch (kind) {
    case key_missing:
      return of(
          400, "key-missing", "Idempotency-Key is missing",
          "Send an Idempotency-Key: a name of this payment that you keep, and send again when you repeat "
          "the request. Nothing was executed.",
          NewKey::safe);
    case key_malformed:
      return of(400, "key-malformed", "Idempotency-Key is malformed",
                "Send one Idempotency-Key of 1 to 255 printable ASCII characters in double quotes. Nothing "
                "was executed.",
                NewKey::safe);
    case request_malformed:
      return of(400, "request-malformed", "The request is none that is served here",
                "The request cannot be read. This request executed nothing.");
    case body_malformed:
      return of(400, "body-malformed", "The body is malformed",
                "The body is not what its type says. This request executed nothing.");
    case body_too_large:
      return of(413, "body-too-large", "The body is too large", "This request executed nothing.");
    case in_progress:
      return of(409, "in-progress", "The request is being carried out",
                "A request with this Idempotency-Key is being carried out. Ask again with the same key after "
                "Retry-After.");
    case key_reused:
      return of(422, "key-reused", "Idempotency-Key was used for another request",
                "This Idempotency-Key came with another request before. Nothing was executed now. To repeat "
                "that request, send it as it was; a new key is only for another payment.");
    case refused:
      return of(409, "refused", "The request was refused",
                "Nothing was executed now. Sending it again does not help.");
    case in_doubt:
      return of(503, "in-doubt", "It is not known yet whether it happened",
                "The payment may have happened, and is being verified. Ask again with the same key: it is "
                "never executed twice. A new key is not safe.");
    case not_executed:
      return of(503, "not-executed", "Nothing was executed",
                "The payment was not made. Send it again, with the same key, after Retry-After.",
                NewKey::safe);
    case store_unavailable:
      return of(503, "store-unavailable", "Payments cannot be recorded at the moment",
                "This request executed nothing; an earlier one with this key may have. Send it again, with "
                "the same key, after Retry-After. A new key is not safe.");
    case internal: break;
  }
  return of(500, "internal", "The request could not be handled",
            "This request executed nothing; an earlier one with this key may have. A new key is not safe.");
}

namespace detail {

/// Whole seconds (RFC 9110, section 10.2.3): never 0, never too early.
constexpr long long whole_seconds(Duration duration) noexcept {
  const long long seconds = duration.count() / 1000 + (duration.count() % 1000 > 0 ? 1 : 0);
  return seconds < 1 ? 1 : seconds;
}

/// Text as a string of JSON (RFC 8259, section 7). In what is not UTF-8, question marks take the place of
/// bytes that are not ASCII.
inline void append_json(std::string& to, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  const bool is_text = paidonce::detail::is_utf8(text);
  to += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (to += '\\') += c;
    } else if (byte < 0x20) {
      ((to += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
    } else {
      to += byte < 0x80 || is_text ? c : '?';
    }
  }
  to += '"';
}

}  // namespace detail

/// `application/problem+json` (RFC 9457). `type` is `base` and the slug. Beside the members of the RFC it has
/// `new_key_is_safe`, and `retry_after` in seconds where there is one.
inline Response problem_response(const Problem& problem, std::string_view base) {
  std::string type(base);
  type += problem.slug;
  std::string body = "{\"type\":";
  detail::append_json(body, type);
  detail::append_json(body += ",\"title\":", problem.title);
  (body += ",\"status\":") += std::to_string(problem.status);
  detail::append_json(body += ",\"detail\":", problem.detail);
  (body += ",\"new_key_is_safe\":") += problem.new_key == NewKey::safe ? "true" : "false";
  if (problem.retry_after)
    (body += ",\"retry_after\":") += std::to_string(detail::whole_seconds(*problem.retry_after));
  body += '}';
  return {problem.status, {{"Content-Type", "application/problem+json"}}, std::move(body)};
}

}  // namespace paidonce::inline v1::http
