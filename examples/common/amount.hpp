#pragma once
// The amount that a record carries for people, in minor units again.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/money/money.hpp>

namespace common {

struct MinorUnits {
  std::int64_t units = 0;
  std::string currency = {};
};

/// "4.50 EUR" is 450 of EUR. Nothing for what `Money` refuses, and for what 64 bits do not hold.
inline std::optional<MinorUnits> minor_units_of(std::string_view amount) {
  const std::size_t blank = amount.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  try {
    const auto money = paidonce::Money::parse(amount.substr(0, blank), amount.substr(blank + 1));
    if (money.minor_units() <= 0 || money.minor_units() > std::numeric_limits<std::int64_t>::max())
      return std::nullopt;
    return MinorUnits{static_cast<std::int64_t>(money.minor_units()), std::string(money.currency().code())};
  } catch (const paidonce::MoneyError&) {
    return std::nullopt;
  }
}

}  // namespace common
