#pragma once
// How an exact result that lies between two minor units becomes one of them. Standard library only.

#include <cstdint>

namespace paidonce::inline v1 {

/// | mode        | goes to                                    |  2.5 |  3.5 | -2.5 |  2.1 | -2.1 |
/// | ----------- | ------------------------------------------ | ---- | ---- | ---- | ---- | ---- |
/// | `half_even` | the nearest, ties to the even neighbour    |    2 |    4 |   -2 |    2 |   -2 |
/// | `half_up`   | the nearest, ties away from zero           |    3 |    4 |   -3 |    2 |   -2 |
/// | `down`      | towards zero                               |    2 |    3 |   -2 |    2 |   -2 |
/// | `up`        | away from zero                             |    3 |    4 |   -3 |    3 |   -3 |
/// | `floor`     | towards minus infinity                     |    2 |    3 |   -3 |    2 |   -3 |
/// | `ceiling`   | towards plus infinity                      |    3 |    4 |   -2 |    3 |   -2 |
///
/// There is no default: who calculates names the mode, because laws and contracts do.
enum class Rounding : std::uint8_t { half_even, half_up, down, up, floor, ceiling };

namespace detail {

enum class Sign : std::uint8_t { positive, negative };
enum class Parity : std::uint8_t { even, odd };
enum class Tail : std::uint8_t { none, below_half, half, above_half };

/// What to add to the magnitude of a quotient that was cut off towards zero: 0 or 1.
constexpr unsigned rounding_step(Rounding mode, Sign sign, Parity truncated, Tail cut_off) noexcept {
  if (cut_off == Tail::none) return 0;
  switch (mode) {
    case Rounding::half_even:
      return cut_off == Tail::above_half || (cut_off == Tail::half && truncated == Parity::odd) ? 1 : 0;
    case Rounding::half_up: return cut_off >= Tail::half ? 1 : 0;
    case Rounding::down: return 0;
    case Rounding::up: return 1;
    case Rounding::floor: return sign == Sign::negative ? 1 : 0;
    case Rounding::ceiling: return sign == Sign::positive ? 1 : 0;
  }
  return 0;
}

}  // namespace detail
}  // namespace paidonce::inline v1
