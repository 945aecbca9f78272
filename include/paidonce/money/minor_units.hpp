#pragma once
// The integer that amounts are kept in, its range, and its decimal text. Includes Boost.Multiprecision.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/multiprecision/cpp_int.hpp>

#include <paidonce/money/decimal.hpp>
#include <paidonce/money/errors.hpp>

namespace paidonce::inline v1 {

/// Exact, and throws rather than wraps. `Money` keeps it within ±`max_minor_units`.
using MinorUnits = boost::multiprecision::checked_int128_t;

/// 10^38 - 1: the largest amount, in minor units, of either sign. Every one fits SQL's NUMERIC(38).
inline constexpr MinorUnits max_minor_units =
    MinorUnits(10'000'000'000'000'000'000u) * MinorUnits(10'000'000'000'000'000'000u) - 1;

namespace detail {

/// Whole numbers, of any width; neither `bool` nor characters.
template <class I>
concept Whole =
    std::integral<I> && !std::same_as<I, bool> && !std::same_as<I, char> && !std::same_as<I, wchar_t> &&
    !std::same_as<I, char8_t> && !std::same_as<I, char16_t> && !std::same_as<I, char32_t>;

template <class I>
concept Units = Whole<I> || std::same_as<I, MinorUnits>;

/// `units` when it is in range; otherwise throws `MoneyError{overflow}`.
template <class Integer>
const Integer& in_range(const Integer& units) {
  if (units > max_minor_units || units < -max_minor_units)
    throw MoneyError(money_errc::overflow, "beyond 10^38 - 1 minor units");
  return units;
}

/// The number that at most 38 digits stand for, in two parts and `zeros` zeros behind them.
inline MinorUnits units_of_digits(std::string_view whole, std::string_view fraction, std::size_t zeros) {
  constexpr int chunk_digits = 18;
  MinorUnits total = 0;
  std::uint64_t chunk = 0, scale = 1;
  int digits = 0;
  const auto append = [&](unsigned digit) {
    chunk = chunk * 10 + digit;
    scale *= 10;
    if (++digits % chunk_digits != 0) return;
    total = total * scale + chunk;
    chunk = 0;
    scale = 1;
  };
  for (const char c : whole) append(static_cast<unsigned>(c - '0'));
  for (const char c : fraction) append(static_cast<unsigned>(c - '0'));
  for (; zeros > 0; --zeros) append(0);
  if (digits < chunk_digits) return chunk;
  return total * scale + chunk;
}

/// `units` with that many decimals: -450 and 2 give "-4.50". No locale has a say.
inline std::string decimal_text(const MinorUnits& units, int decimals) {
  constexpr std::uint64_t ten_to_19 = 10'000'000'000'000'000'000u;
  char digits[40] = {};
  char* end = digits;
  MinorUnits rest = units < 0 ? MinorUnits(-units) : units;
  if (rest >= ten_to_19) {
    const auto upper = static_cast<std::uint64_t>(rest / ten_to_19);
    rest %= ten_to_19;
    end = std::to_chars(end, digits + 40, upper).ptr;
    for (auto lower = static_cast<std::uint64_t>(rest), place = ten_to_19 / 10; place > 0; place /= 10) {
      *end++ = static_cast<char>('0' + lower / place);
      lower %= place;
    }
  } else {
    end = std::to_chars(end, digits + 40, static_cast<std::uint64_t>(rest)).ptr;
  }
  const auto count = static_cast<std::size_t>(end - digits), fraction = static_cast<std::size_t>(decimals);
  const std::size_t whole = count > fraction ? count - fraction : 0;
  std::string text;
  text.reserve(count + fraction + 3);
  if (units < 0) text += '-';
  if (whole == 0) text += '0';
  text.append(digits, whole);
  if (fraction > 0) {
    text += '.';
    if (count < fraction) text.append(fraction - count, '0');
    text.append(digits + whole, count - whole);
  }
  return text;
}

}  // namespace detail
}  // namespace paidonce::inline v1
