#pragma once
// The one grammar that amounts and rates are read by. Standard library only.

#include <cstddef>
#include <optional>
#include <string_view>

#include <paidonce/money/rounding.hpp>

namespace paidonce::inline v1::detail {

/// A decimal number taken apart; `whole` is empty for 0, so that both parts hold no leading zero that counts.
struct Decimal {
  Sign sign;
  std::string_view whole, fraction;
};

/// The digits at the front of `text`. ASCII only: no locale has a say.
constexpr std::string_view leading_digits(std::string_view text) noexcept {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  return text.substr(0, n);
}

/// `-`? ( `0` | digit 1-9, digits ) ( `.` digits )?  and nothing else: no plus, blank, exponent, thousands
/// separator, base prefix, leading zero, bare dot, or name of a number. Nothing where the text does not
/// follow it.
constexpr std::optional<Decimal> split_decimal(std::string_view text) noexcept {
  Decimal parts{Sign::positive, {}, {}};
  if (text.starts_with('-')) {
    parts.sign = Sign::negative;
    text.remove_prefix(1);
  }
  parts.whole = leading_digits(text);
  if (parts.whole.empty()) return std::nullopt;
  text.remove_prefix(parts.whole.size());
  if (parts.whole.front() == '0') {
    if (parts.whole.size() > 1) return std::nullopt;
    parts.whole = {};
  }
  if (text.empty()) return parts;
  if (text.front() != '.') return std::nullopt;
  parts.fraction = leading_digits(text.substr(1));
  if (parts.fraction.empty() || parts.fraction.size() + 1 != text.size()) return std::nullopt;
  return parts;
}

}  // namespace paidonce::inline v1::detail
