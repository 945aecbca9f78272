#pragma once
// Sharing an amount out so that the parts sum to the whole.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <paidonce/money/value.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// `units` of a whole that was cut off, and what was cut off, of a part's share.
struct Share {
  MinorUnits units, remainder;
};

inline Share cut_share(const MinorUnits& whole, std::int64_t weight, const MinorUnits& sum) {
  using Wide = boost::multiprecision::checked_int256_t;
  Share share;
  if (whole <= ~std::uint64_t{0}) {
    divide_qr(MinorUnits(whole * weight), sum, share.units, share.remainder);
  } else {
    Wide quotient, remainder;
    divide_qr(Wide(Wide(whole) * weight), Wide(sum), quotient, remainder);
    share = {static_cast<MinorUnits>(quotient), static_cast<MinorUnits>(remainder)};
  }
  return share;
}

}  // namespace detail

/// One part for each weight, in proportion, that sum to `money` exactly (method of the largest remainder,
/// Hamilton's). Each part is its exact share cut off towards zero; the minor units that are left over go one
/// each to the parts with the largest cut-off remainders, and where those are equal to the earlier part. So
/// no part is a minor unit or more from its exact share, a weight of zero gets nothing, and the same call has
/// the same answer everywhere. A negative amount is shared as the positive one and negated. Weights are
/// relative: 1, 1, 2 and 25, 25, 50 share alike. Throws `MoneyError{bad_weights}` without weights, for a
/// negative one, or when all are zero.
inline std::vector<Money> allocate(const Money& money, std::span<const std::int64_t> weights) {
  MinorUnits sum = 0;
  for (const std::int64_t weight : weights) {
    if (weight < 0) throw MoneyError(money_errc::bad_weights, "a weight is negative");
    sum += weight;
  }
  if (sum == 0) throw MoneyError(money_errc::bad_weights, "no weight is positive");

  const MinorUnits units = money.minor_units(), whole = abs(units);
  MinorUnits left = whole;
  std::vector<detail::Share> shares;
  shares.reserve(weights.size());
  for (const std::int64_t weight : weights)
    left -= shares.emplace_back(detail::cut_share(whole, weight, sum)).units;

  if (left != 0) {
    std::vector<std::size_t> order(shares.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto extra = static_cast<std::ptrdiff_t>(left);
    std::partial_sort(order.begin(), order.begin() + extra, order.end(), [&](std::size_t a, std::size_t b) {
      const int difference = shares[a].remainder.compare(shares[b].remainder);
      return difference != 0 ? difference > 0 : a < b;
    });
    for (std::ptrdiff_t i = 0; i < extra; ++i) ++shares[order[static_cast<std::size_t>(i)]].units;
  }

  std::vector<Money> parts;
  parts.reserve(shares.size());
  for (const detail::Share& share : shares)
    parts.push_back(Money::minor(units < 0 ? MinorUnits(-share.units) : share.units, money.currency()));
  return parts;
}

}  // namespace paidonce::inline v1
