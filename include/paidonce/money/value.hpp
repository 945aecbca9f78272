#pragma once
// The value type `Money`: an exact amount in one currency.

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include <paidonce/money/currency.hpp>
#include <paidonce/money/minor_units.hpp>

namespace paidonce::inline v1 {

/// A whole number of minor units, -(10^38 - 1) .. 10^38 - 1, in one currency. A regular value without a
/// default: there is no amount of no currency. Nothing in it touches floating point, and no operation rounds;
/// `multiply` and `allocate` do what needs rounding. Whatever leaves the range throws `MoneyError{overflow}`
/// and changes nothing; whatever meets another currency, `==` included, throws
/// `MoneyError{currency_mismatch}`. Thread safety: that of an `int`.
class Money {
 public:
  /// "4.50" in "EUR". The amount is an optional minus, digits, and optionally a dot and digits, in ASCII,
  /// with no more decimals than the currency has; fewer count as followed by zeros, and "-0" is zero. Throws
  /// `bad_amount`, `too_many_decimals`, `overflow`, and `unknown_currency` (no such code, or no minor unit).
  static Money parse(std::string_view amount, std::string_view currency) {
    return parse(amount, Currency::of(currency));
  }
  static Money parse(std::string_view amount, const Currency& currency);

  /// 450 in "EUR": 4.50 EUR. Takes integers of any width by their value, and `MinorUnits`.
  template <detail::Units I>
  static Money minor(const I& units, std::string_view currency) {
    return {MinorUnits(units), Currency::of(currency)};
  }
  template <detail::Units I>
  static Money minor(const I& units, const Currency& currency) {
    return {MinorUnits(units), currency};
  }

  template <std::floating_point F, class C>
  static Money minor(F, const C&) = delete;  // floating point is not exact: write Money::parse("4.50", "EUR")
  template <std::floating_point F, class C>
  static Money parse(F, const C&) = delete;  // floating point is not exact: write Money::parse("4.50", "EUR")

  MinorUnits minor_units() const noexcept { return units_; }
  const Currency& currency() const noexcept { return currency_; }
  /// The amount with all decimals of its currency: "4.50". One amount has one text.
  std::string amount() const { return detail::decimal_text(units_, currency_.exponent()); }
  /// Amount and currency: "4.50 EUR".
  std::string text() const { return amount().append(1, ' ').append(currency_.code()); }

  Money& operator+=(const Money& other) { return set(units_ + same_currency(other).units_); }
  Money& operator-=(const Money& other) { return set(units_ - same_currency(other).units_); }
  template <detail::Whole I>
  Money& operator*=(I factor);

  friend Money operator+(Money a, const Money& b) { return a += b; }
  friend Money operator-(Money a, const Money& b) { return a -= b; }
  friend Money operator-(Money a) {
    a.units_ = -a.units_;
    return a;
  }
  template <detail::Whole I>
  friend Money operator*(Money money, I factor) {
    return money *= factor;
  }
  template <detail::Whole I>
  friend Money operator*(I factor, Money money) {
    return money *= factor;
  }
  template <std::floating_point F>
  friend Money operator*(const Money&, F) = delete;  // write multiply(money, "0.25", Rounding::half_even)
  template <std::floating_point F>
  friend Money operator*(F, const Money&) = delete;  // write multiply(money, "0.25", Rounding::half_even)

  friend bool operator==(const Money& a, const Money& b) { return a.units_ == a.same_currency(b).units_; }
  friend std::strong_ordering operator<=>(const Money& a, const Money& b) {
    const int order = a.units_.compare(a.same_currency(b).units_);
    return order <=> 0;
  }

  /// Prints `text()`, and respects the stream's width.
  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out,
                                                      const Money& money) {
    return out << money.text();
  }

  /// What `fingerprint` takes of an amount: its canonical text and its currency's code. The decimals in the
  /// text tell a currency of one's own from the standard's with the same code.
  template <class Sink>
  friend void fingerprint_parts(Sink&& sink, const Money& money) {
    const std::string amount = money.amount();
    sink(std::string_view(amount));
    sink(money.currency_.code());
  }

 private:
  Money(const MinorUnits& units, const Currency& currency)
      : units_(detail::in_range(units)), currency_(with_minor_unit(currency)) {}

  Money& set(const MinorUnits& units) {
    units_ = detail::in_range(units);
    return *this;
  }

  const Money& same_currency(const Money& other) const {
    if (currency_ != other.currency_)
      throw MoneyError(money_errc::currency_mismatch,
                       std::string(currency_.code()) + " with " + std::to_string(currency_.exponent()) +
                           " decimals and " + std::string(other.currency_.code()) + " with " +
                           std::to_string(other.currency_.exponent()));
    return other;
  }

  static const Currency& with_minor_unit(const Currency& currency) {
    if (currency.exponent() < 0)
      throw MoneyError(money_errc::unknown_currency,
                       std::string(currency.code()) +
                           " has no minor unit in ISO 4217; name your own with Currency{code, decimals}");
    return currency;
  }

  MinorUnits units_;
  Currency currency_;
};

inline Money Money::parse(std::string_view amount, const Currency& currency) {
  const auto decimals = static_cast<std::size_t>(with_minor_unit(currency).exponent());
  const auto parts = detail::split_decimal(amount);
  if (!parts) throw MoneyError(money_errc::bad_amount, "an amount is written as in 4.50");
  if (parts->fraction.size() > decimals)
    throw MoneyError(money_errc::too_many_decimals,
                     std::string(currency.code()) + " has " + std::to_string(decimals) + " decimals");
  if (parts->whole.size() + decimals > 38)
    throw MoneyError(money_errc::overflow, "beyond 10^38 - 1 minor units");
  MinorUnits units =
      detail::units_of_digits(parts->whole, parts->fraction, decimals - parts->fraction.size());
  if (parts->sign == detail::Sign::negative) units = -units;
  return {units, currency};
}

template <detail::Whole I>
Money& Money::operator*=(I factor) {
  const MinorUnits wide = factor;
  const MinorUnits size = abs(units_), times = abs(wide);
  constexpr std::uint64_t half_width = ~std::uint64_t{0};
  if ((size > half_width || times > half_width) && times != 0 && size > max_minor_units / times)
    throw MoneyError(money_errc::overflow, "beyond 10^38 - 1 minor units");
  return set(units_ * wide);
}

}  // namespace paidonce::inline v1
