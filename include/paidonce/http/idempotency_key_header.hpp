#pragma once
// The Idempotency-Key header field: draft-ietf-httpapi-idempotency-key-header-07, section 2.1. Its value is
// one String of RFC 8941 (section 3.3.3), in double quotes. Pure, no allocation but for the key.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>

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
  not_a_string,  ///< bare where a String is asked for, or bare with a byte that only a String can carry
  bad_byte,      ///< a byte that has no place in a String
  bad_escape,    ///< a backslash before something else than a quote or a backslash
  unfinished,    ///< no closing quote
  trailing,      ///< something behind the closing quote, such as a parameter
  empty,         ///< "" names nothing
  too_long,      ///< more than 255 bytes
};

/// What is wrong and what to send instead, for the client. Never quotes what it sent.
constexpr std::string_view to_string(KeyProblem problem) noexcept {
  switch (problem) {
    case KeyProblem::missing: return "Idempotency-Key is missing: send one.";
    case KeyProblem::repeated:
      return "There is more than one Idempotency-Key: send one, in double quotes if it has a comma.";
    case KeyProblem::not_a_string:
      return "Idempotency-Key is not a string in double quotes: put it into double quotes.";
    case KeyProblem::bad_byte:
      return "Idempotency-Key has a character that is not printable ASCII: use letters, digits and hyphens.";
    case KeyProblem::bad_escape:
      return "Idempotency-Key has a backslash before something else than a double quote or a backslash: "
             "write "
             "two backslashes for one.";
    case KeyProblem::unfinished:
      return "Idempotency-Key begins with a double quote and does not end with one: close it.";
    case KeyProblem::trailing:
      return "Something follows the closing double quote of Idempotency-Key: send the string alone, without "
             "parameters.";
    case KeyProblem::empty: return "Idempotency-Key is empty: send 1 to 255 characters.";
    case KeyProblem::too_long: return "Idempotency-Key has more than 255 characters: send a shorter one.";
  }
  return "Idempotency-Key is malformed.";
}

namespace detail {

constexpr bool is_printable(char c) noexcept { return c >= 0x20 && c <= 0x7e; }
constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// Without the optional white space around it (RFC 9110, section 5.6.3).
constexpr std::string_view without_blanks(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// RFC 8941, section 4.2.5. `value` begins with a quote.
inline std::variant<std::string, KeyProblem> quoted_key(std::string_view value) {
  std::size_t end = 1, escapes = 0;
  for (;; ++end) {
    if (end == value.size()) return KeyProblem::unfinished;
    if (value[end] == '"') break;
    if (!is_printable(value[end])) return KeyProblem::bad_byte;
    if (value[end] == '\\') {
      if (++end == value.size()) return KeyProblem::unfinished;
      if (value[end] != '"' && value[end] != '\\') return KeyProblem::bad_escape;
      ++escapes;
    }
    if (end - escapes > IdempotencyKey::max_size) return KeyProblem::too_long;
  }
  const std::string_view rest = without_blanks(value.substr(end + 1));
  if (!rest.empty()) return rest.front() == ',' ? KeyProblem::repeated : KeyProblem::trailing;
  if (end == 1) return KeyProblem::empty;
  const std::string_view inside = value.substr(1, end - 1);
  if (escapes == 0) return std::string(inside);
  std::string text;
  text.reserve(inside.size() - escapes);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '\\') ++i;
    text += inside[i];
  }
  return text;
}

/// Visible ASCII that looks like nothing of a String or of a list.
inline std::variant<std::string, KeyProblem> bare_key(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    switch (value[i]) {
      case ',': return KeyProblem::repeated;
      case ' ':
      case '\t':
      case '"':
      case ';':
      case '\\': return KeyProblem::not_a_string;
      default: break;
    }
    if (!is_printable(value[i])) return KeyProblem::bad_byte;
    if (i == IdempotencyKey::max_size) return KeyProblem::too_long;
  }
  return std::string(value);
}

}  // namespace detail

/// The key's text, of 1 to 255 bytes, from every line of the field, or why there is none. A quoted key means
/// the same text in both modes, and a bare one the same as if it were quoted. A field that comes twice is
/// refused even where both lines are equal: something between the client and here joins requests.
inline std::variant<std::string, KeyProblem> parse_idempotency_key(std::span<const std::string_view> lines,
                                                                   KeySyntax syntax) {
  if (lines.empty()) return KeyProblem::missing;
  if (lines.size() > 1) return KeyProblem::repeated;
  const std::string_view value = detail::without_blanks(lines[0]);
  if (value.empty()) return KeyProblem::empty;
  if (value.front() == '"') return detail::quoted_key(value);
  if (syntax == KeySyntax::strict) return KeyProblem::not_a_string;
  return detail::bare_key(value);
}

/// The field's value for a key's text, as a String of RFC 8941. Throws `Error{invalid_key}` for a text that
/// is not 1 to 255 bytes of printable ASCII, which the field cannot carry.
inline std::string format_idempotency_key(std::string_view text) {
  if (text.empty() || text.size() > IdempotencyKey::max_size)
    throw Error(errc::invalid_key, "an Idempotency-Key has 1 to 255 characters; use a UUID");
  std::string value;
  value.reserve(text.size() + 2);
  value += '"';
  for (const char c : text) {
    if (!detail::is_printable(c))
      throw Error(errc::invalid_key,
                  "an Idempotency-Key is printable ASCII; use a UUID, or the hexadecimal digits of a digest");
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  value += '"';
  return value;
}

}  // namespace paidonce::inline v1::http
