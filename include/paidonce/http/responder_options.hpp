#pragma once
// What a Responder can be told.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/fingerprint.hpp>
#include <paidonce/http/body_malformed.hpp>
#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/status_policy.hpp>

namespace paidonce::inline v1::http {

/// The bytes of a body that make the request what it is: `canonical_form` (http/form.hpp), `CanonicalJson`
/// (http/canonical_json.hpp), or one of your own. Called from any number of threads. Throws `BodyMalformed`.
using BodyForm = std::function<std::string(std::string_view body)>;

/// What happens to a request without a key.
enum class MissingKey : std::uint8_t {
  refused,  ///< 400: the client has to name its request
  made,     ///< a fresh one, named in the answer's Idempotency-Key: a crash is then settled, but who repeats
            ///< the request without it pays again
};

struct ResponderOptions {
  KeySyntax key_syntax = KeySyntax::lenient;
  MissingKey missing_key = MissingKey::refused;
  /// Bytes; more is 413 and not looked at. An adapter should not even read more.
  std::size_t largest_body = 1 << 20;
  /// Bytes; a response with a larger body is sent, and stored, without it and its Content-Type: that it was
  /// paid is worth more than the text.
  std::size_t largest_response = 1 << 20;
  /// Header fields that are part of what is asked for, beside method, path, query and body. Names in any
  /// case and order.
  std::vector<std::string> fingerprint_fields = {};
  /// Empty: the body's bytes as they came.
  BodyForm body_form = {};
  /// Empty: SHA-256. A `Fingerprinter` with a secret where card data is near.
  std::optional<Fingerprinter> fingerprinter = {};
  /// Header fields of the response that are stored and replayed; all others are dropped, for the first
  /// caller too, and so are values with control characters. Names in any case. Never what is for one client
  /// alone (Set-Cookie), of the connection (Content-Length), or set by the responder (Cache-Control).
  std::vector<std::string> stored_fields = {"Content-Type", "Content-Language", "Location", "ETag"};
  StatusMeaning (*status_policy)(int status) = &meaning_of;
  /// Changes a response before it is stored and sent: what must not be kept is taken out here. It sees all
  /// of the handler's fields. When it throws, the payment is in doubt. Called from any number of threads.
  std::function<void(Response&)> redact = {};
  /// How a problem is written; empty, or when it throws: `problem_response` (RFC 9457). `Retry-After` and
  /// `Cache-Control` are added afterwards.
  ProblemWriter write_problem = {};
  /// What stands before a problem's slug in its type: the address of a page of yours that explains them, up
  /// to its "#".
  std::string problem_base{default_problem_base};
  /// For `in_doubt` and `store_unavailable`, which know no time of their own, and the most for `in_progress`.
  Duration retry_after = std::chrono::seconds(2);
};

}  // namespace paidonce::inline v1::http
