#pragma once
// Numbers of JSON (RFC 8259, section 6) as exact decimals, whatever their size: text to text, no floating
// point.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/http/body_malformed.hpp>

namespace paidonce::inline v1::http::detail {

/// Takes the digits at the front of `text` away.
constexpr std::string_view take_digits(std::string_view& text) noexcept {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

/// What follows "e", held at 10^18: a body is shorter, so no digits bring it back within bounds.
constexpr std::int64_t exponent_of(std::string_view text) noexcept {
  constexpr std::int64_t most = 1'000'000'000'000'000'000;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::int64_t exponent = 0;
  for (const char c : text) exponent = exponent < most / 10 ? exponent * 10 + (c - '0') : most;
  return negative ? -exponent : exponent;
}

/// Appends the number that `text`, which follows the grammar of JSON but for the character of its decimal
/// point, stands for: a whole number without zeros at either end, and, unless that is 0, "e" and the power of
/// ten to multiply it with. 1, 1.0, 10e-1 and 0.1e1 are "1"; 450 is "45e1"; 4.50 is "45e-1"; -0 is "0".
/// Throws `BodyMalformed` where the power has more than nine digits.
inline void append_number(std::string& out, std::string_view text) {
  const std::size_t begin = out.size();
  if (text.starts_with('-')) {
    out += '-';
    text.remove_prefix(1);
  }
  const std::size_t first = out.size();
  const auto append = [&](std::string_view digits) {
    if (out.size() == first) digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    out += digits;
  };
  append(take_digits(text));
  std::int64_t exponent = 0;
  if (!text.empty() && text.front() != 'e' && text.front() != 'E') {
    text.remove_prefix(1);
    const std::string_view fraction = take_digits(text);
    append(fraction);
    exponent = -static_cast<std::int64_t>(fraction.size());
  }
  if (out.size() == first) {
    out.resize(begin);
    out += '0';
    return;
  }
  const std::size_t written = out.size();
  out.resize(out.find_last_not_of('0') + 1);
  exponent += static_cast<std::int64_t>(written - out.size());
  if (!text.empty()) exponent += exponent_of(text.substr(1));
  if (exponent > 999'999'999 || exponent < -999'999'999)
    throw BodyMalformed("The JSON has a number with too large an exponent: at most nine digits.");
  if (exponent != 0) out.append(1, 'e').append(std::to_string(exponent));
}

}  // namespace paidonce::inline v1::http::detail
