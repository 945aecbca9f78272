#pragma once
// An amount times a decimal rate: exchange, interest, tax, fees.

#include <string_view>

#include <paidonce/money/rounding.hpp>
#include <paidonce/money/value.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// `dividend / divisor` as `mode` has it; the divisor is positive, and twice it fits.
template <class Integer>
Integer divide_rounded(const Integer& dividend, const Integer& divisor, Rounding mode) {
  const Sign sign = dividend < 0 ? Sign::negative : Sign::positive;
  Integer quotient, remainder;
  divide_qr(Integer(abs(dividend)), divisor, quotient, remainder);
  const int half = Integer(remainder * 2).compare(divisor);
  const Tail tail = remainder.is_zero() ? Tail::none
                    : half < 0          ? Tail::below_half
                    : half == 0         ? Tail::half
                                        : Tail::above_half;
  quotient += rounding_step(mode, sign, bit_test(quotient, 0) ? Parity::odd : Parity::even, tail);
  return sign == Sign::negative ? Integer(-quotient) : quotient;
}

inline std::uint64_t power_of_ten(std::size_t exponent) noexcept {
  std::uint64_t power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

}  // namespace detail

/// `money` times `rate`, in the same currency, rounded once at the end from the exact product. The rate is
/// written as amounts are ("0.19", "-1", "1.0845"), with at most 38 digits. Throws `MoneyError{bad_amount}`
/// for a rate that is not, and `overflow` when the rounded result leaves the range.
inline Money multiply(const Money& money, std::string_view rate, Rounding mode) {
  using Wide = boost::multiprecision::checked_int256_t;
  const auto parts = detail::split_decimal(rate);
  if (!parts) throw MoneyError(money_errc::bad_amount, "a rate is written as in 1.0845");
  if (parts->whole.size() + parts->fraction.size() > 38)
    throw MoneyError(money_errc::bad_amount, "a rate has at most 38 digits");
  MinorUnits factor = detail::units_of_digits(parts->whole, parts->fraction, 0);
  if (parts->sign == detail::Sign::negative) factor = -factor;

  // Products below 2^127 need no wider type: nearly all of them.
  const MinorUnits units = money.minor_units();
  constexpr std::int64_t narrow = std::int64_t{1} << 62;
  if (parts->fraction.size() <= 18 && abs(units) < narrow && abs(factor) < narrow)
    return Money::minor(
        detail::divide_rounded(MinorUnits(units * factor),
                               MinorUnits(detail::power_of_ten(parts->fraction.size())), mode),
        money.currency());

  // Both factors are below 10^38, so their product is below 2^253.
  Wide divisor = 1;
  for (std::size_t i = 0; i < parts->fraction.size(); ++i) divisor *= 10;
  const Wide result = detail::divide_rounded(Wide(Wide(units) * Wide(factor)), divisor, mode);
  return Money::minor(static_cast<MinorUnits>(detail::in_range(result)), money.currency());
}

}  // namespace paidonce::inline v1
