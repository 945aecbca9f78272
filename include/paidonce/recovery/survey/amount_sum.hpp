#pragma once
// Amounts as records carry them, "4.50 EUR", read strictly and added up exactly.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/money/decimal.hpp>

namespace paidonce::inline v1::detail {

/// An amount of a record, taken apart.
struct AmountText {
  Decimal number;
  std::string_view currency;
};

/// A number as `Money::parse` takes it, one blank, and the code of a currency: 1 to 14 upper-case letters and
/// digits, the first one a letter. At most 38 digits, 30 of them behind the point, which is all that a Money
/// can have. Nothing for any other text.
constexpr std::optional<AmountText> read_amount(std::string_view text) noexcept {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view currency = text.substr(blank + 1);
  if (currency.empty() || currency.size() > 14 || (currency[0] >= '0' && currency[0] <= '9'))
    return std::nullopt;
  for (const char c : currency)
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) return std::nullopt;
  const std::optional<Decimal> number = split_decimal(text.substr(0, blank));
  if (!number || number->fraction.size() > 30 || number->whole.size() + number->fraction.size() > 38)
    return std::nullopt;
  return AmountText{*number, currency};
}

/// A sum with as many decimals as the most exact of its parts. Once it needs more than 38 digits it says so,
/// whatever is added later.
class AmountSum {
 public:
  /// `number` is as `read_amount` gives it.
  constexpr void add(const Decimal& number) noexcept {
    Units units = digits(digits(0, number.whole), number.fraction);
    if (number.sign == Sign::negative) units = -units;
    if (number.fraction.size() > decimals_) {
      widen(units_, number.fraction.size() - decimals_);
      decimals_ = number.fraction.size();
    } else {
      widen(units, decimals_ - number.fraction.size());
    }
    if (units > 0 ? units_ > most() - units : units_ < -most() - units) overflowed_ = true;
    if (!overflowed_) units_ += units;
  }

  constexpr bool overflowed() const noexcept { return overflowed_; }

  /// As "-0.50"; empty once it has overflowed.
  std::string text() const {
    if (overflowed_) return {};
    std::string text;
    Units left = units_ < 0 ? -units_ : units_;
    for (; left > 0 || text.size() <= decimals_; left /= 10)
      text.push_back(static_cast<char>('0' + static_cast<int>(left % 10)));
    if (decimals_ > 0) text.insert(decimals_, 1, '.');
    if (units_ < 0) text.push_back('-');
    std::reverse(text.begin(), text.end());
    return text;
  }

 private:
  __extension__ typedef __int128 Units;

  static constexpr Units most() noexcept {  // 10^38 - 1
    constexpr Units half = 10'000'000'000'000'000'000U;
    return half * half - 1;
  }

  /// 18 digits at a time, which 64 bits hold.
  static constexpr Units digits(Units before, std::string_view text) noexcept {
    while (!text.empty()) {
      const std::string_view part = text.substr(0, 18);
      std::uint64_t value = 0, scale = 1;
      for (const char c : part) {
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
        scale *= 10;
      }
      before = before * static_cast<Units>(scale) + static_cast<Units>(value);
      text.remove_prefix(part.size());
    }
    return before;
  }

  constexpr void widen(Units& units, std::size_t decimals) noexcept {
    for (; decimals > 0 && units != 0; --decimals) {
      if (units > most() / 10 || units < -(most() / 10)) {
        overflowed_ = true;
        return;
      }
      units *= 10;
    }
  }

  Units units_ = 0;
  std::size_t decimals_ = 0;
  bool overflowed_ = false;
};

}  // namespace paidonce::inline v1::detail
