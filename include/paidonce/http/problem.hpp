#pragma once
// What a client is told when there is no payment's own answer to tell: problem details after RFC 9457, with a
// member that says whether a new key is safe. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/http/message.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::http {

enum class ProblemKind : std::uint8_t {
  key_missing,        ///< 400: no Idempotency-Key, and it is required
  key_malformed,      ///< 400: not a key, or several
  request_malformed,  ///< 400, 408, 411, 414, 415, 417, 431, 501, 505: not a request that is read here
  body_malformed,     ///< 400: not the JSON, or the form, that it says it is
  body_too_large,     ///< 413
  in_progress,        ///< 409 and Retry-After: another request with this key is being carried out
  key_reused,         ///< 422: this key came with another request before
  refused,            ///< 409: the application's refuse_if said no
  in_doubt,           ///< 503 and Retry-After: nobody knows yet whether it happened
  not_executed,       ///< 503 and Retry-After: it is proven that nothing happened
  store_unavailable,  ///< 503 and Retry-After: this request executed nothing, an earlier one may have
  internal,           ///< 500: likewise, and somebody has to mend something first
};

/// Whether a request that is to repeat this one may go under another key. Only `safe` allows it: after
/// `unsafe` a new key can charge twice.
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

/// The problem of a kind, with its status, texts and the safety of a new key. `detail` replaces the text that
/// the kind has of its own.
inline Problem problem(ProblemKind kind, std::string_view detail = {}) {
  Problem made = [kind]() -> Problem {
    using enum ProblemKind;
    switch (kind) {
      case key_missing:
        return {
            kind,
            400,
            "key-missing",
            "Idempotency-Key is missing",
            "Send an Idempotency-Key: a name of this payment that you keep, and send again when you repeat "
            "the request. Nothing was executed.",
            NewKey::safe};
      case key_malformed:
        return {
            kind,
            400,
            "key-malformed",
            "Idempotency-Key is malformed",
            "Send one Idempotency-Key of 1 to 255 printable ASCII characters in double quotes. Nothing was "
            "executed.",
            NewKey::safe};
      case request_malformed:
        return {kind, 400, "request-malformed", "The request is malformed",
                "The request cannot be read. This request executed nothing."};
      case body_malformed:
        return {kind,
                400,
                "body-malformed",
                "The body is malformed",
                "The body is not what its type says. Nothing was executed.",
                NewKey::safe};
      case body_too_large:
        return {kind, 413, "body-too-large", "The body is too large", "Nothing was executed.", NewKey::safe};
      case in_progress:
        return {kind, 409, "in-progress", "The request is being carried out",
                "A request with this Idempotency-Key is being carried out. Ask again with the same key after "
                "Retry-After."};
      case key_reused:
        return {
            kind, 422, "key-reused", "Idempotency-Key was used for another request",
            "This Idempotency-Key came with another request before. Nothing was executed now. To repeat that "
            "request, send it as it was; a new key is only for another payment."};
      case refused:
        return {kind, 409, "refused", "The request was refused",
                "Nothing was executed. Sending it again does not help."};
      case in_doubt:
        return {
            kind, 503, "in-doubt", "It is not known yet whether it happened",
            "The payment may have happened, and is being verified. Ask again with the same key: it is never "
            "executed twice. A new key is not safe."};
      case not_executed:
        return {kind,
                503,
                "not-executed",
                "Nothing was executed",
                "The payment was not made. Send it again, with the same key, after Retry-After.",
                NewKey::safe};
      case store_unavailable:
        return {
            kind, 503, "store-unavailable", "Payments cannot be recorded at the moment",
            "This request executed nothing; an earlier one with this key may have. Send it again, with the "
            "same key, after Retry-After. A new key is not safe."};
      case internal: break;
    }
    return {kind, 500, "internal", "The request could not be handled",
            "This request executed nothing; an earlier one with this key may have. A new key is not safe."};
  }();
  if (!detail.empty()) made.detail = detail;
  return made;
}

namespace detail {

/// Text as a string of JSON (RFC 8259, section 7). Bytes that are not ASCII become question marks: what they
/// would mean is not known here.
inline std::string json_string(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (quoted += '\\') += c;
    } else if (byte < 0x20) {
      ((quoted += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
    } else {
      quoted += byte < 0x7f ? c : '?';
    }
  }
  return quoted += '"';
}

}  // namespace detail

/// `application/problem+json` (RFC 9457). `type` is `base` and the slug. Beside the members of the RFC it has
/// `new_key_is_safe`, and `retry_after` in seconds where there is one.
inline Response problem_response(const Problem& problem, std::string_view base) {
  std::string body = "{\"type\":" + detail::json_string(std::string(base) + std::string(problem.slug)) +
                     ",\"title\":" + detail::json_string(problem.title) +
                     ",\"status\":" + std::to_string(problem.status) +
                     ",\"detail\":" + detail::json_string(problem.detail) +
                     ",\"new_key_is_safe\":" + (problem.new_key == NewKey::safe ? "true" : "false") + "}";
  return {problem.status, {{"Content-Type", "application/problem+json"}}, std::move(body)};
}

}  // namespace paidonce::inline v1::http
