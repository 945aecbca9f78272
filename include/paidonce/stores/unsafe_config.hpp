#pragma once
// Whether a server may be used whose own settings let it forget payments.

#include <cstdint>

namespace paidonce::inline v1 {

/// What is done about a server that may forget what it has acknowledged. Which settings those are, each
/// store's page says.
enum class UnsafeConfig : std::uint8_t {
  refuse,  ///< `unsafe_config`
  accept,  ///< it is used: for tests, and where a payment that is charged twice does no harm
};

}  // namespace paidonce::inline v1
