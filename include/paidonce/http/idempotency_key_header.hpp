#pragma once
// The Idempotency-Key header field: draft-ietf-httpapi-idempotency-key-header-07, section 2.1. Its value is
// one String of RFC 8941 (section 3.3.3), in double quotes. Pure, no allocation but for the key.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace paidonce::inline v1::http {

inline constexpr std::string_view idempotency_key_field = "Idempotency-Key";

enum class KeySyntax : std::uint8_t {
  strict,   ///< a String of RFC 8941 alone: "8e03978e-40d5-43dd-bc93-6894a57f9324", quotes and all
  lenient,  ///< also bare, as the clients of most payment providers send it
};

/// Why there is no key.
enum class KeyProblem : std::uint8_t {
  missing,       ///< no such field
  repeated,      ///< more than one field line, or several values in one: which of them is meant?
  not_a_string,  ///< bare where a String is asked for, or neither of both
  bad_byte,      ///< a byte that has no place in a String
  unfinished,    ///< no closing quote, or a backslash before something else than a quote or a backslash
  empty,         ///< "" names nothing
  too_long,      ///< more than 255 bytes
};

/// What to tell the client. Never quotes what it sent.
constexpr std::string_view to_string(KeyProblem problem) noexcept {
  switch (problem) {
    case KeyProblem::missing: return "Idempotency-Key is missing.";
    case KeyProblem::repeated: return "There is more than one Idempotency-Key: send one.";
    case KeyProblem::not_a_string: return "Idempotency-Key is not a string in double quotes.";
    case KeyProblem::bad_byte: return "Idempotency-Key has a character that is not printable ASCII.";
    case KeyProblem::unfinished:
      return "Idempotency-Key begins with a double quote and does not end with one.";
    case KeyProblem::empty: return "Idempotency-Key is empty.";
    case KeyProblem::too_long: return "Idempotency-Key has more than 255 characters.";
  }
  return "Idempotency-Key is malformed.";
}

/// The key's text, of 1 to 255 bytes, from every line of the field, or why there is none.
inline std::variant<std::string, KeyProblem> parse_idempotency_key(std::span<const std::string_view> lines,
                                                                   KeySyntax syntax) {
  if (lines.empty()) return KeyProblem::missing;
  if (lines.size() > 1) return KeyProblem::repeated;
  std::string_view text = lines[0];
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    text = text.substr(1, text.size() - 2);
  else if (syntax == KeySyntax::strict)
    return KeyProblem::not_a_string;
  if (text.empty()) return KeyProblem::empty;
  if (text.size() > 255) return KeyProblem::too_long;
  return std::string(text);
}

/// The field's value for a key's text, as a String of RFC 8941. Throws `Error{invalid_key}` for a text that
/// is not 1 to 255 bytes of printable ASCII, which the field cannot carry.
inline std::string format_idempotency_key(std::string_view text) { return '"' + std::string(text) + '"'; }

}  // namespace paidonce::inline v1::http
