#pragma once
// What can be wrong with an amount, a currency, or a calculation with them. Standard library only.

#include <string>
#include <system_error>
#include <type_traits>

namespace paidonce::inline v1 {

/// Why an amount was refused. Nothing is ever rounded, clipped or guessed instead.
enum class money_errc {
  unknown_currency =
      1,              ///< not in ISO 4217, malformed, or a unit such as gold that amounts cannot be kept in
  bad_amount,         ///< not a plain decimal number, or a rate that is not one
  too_many_decimals,  ///< more decimals than the currency has
  overflow,           ///< beyond ±(10^38 - 1) minor units
  currency_mismatch,  ///< two currencies in one operation
  bad_weights,        ///< no weights, a negative one, or all of them zero
};

namespace detail {

class MoneyErrorCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "paidonce.money"; }
  std::string message(int value) const override {
    switch (static_cast<money_errc>(value)) {
      case money_errc::unknown_currency: return "unknown currency";
      case money_errc::bad_amount: return "not a plain decimal number";
      case money_errc::too_many_decimals: return "more decimals than the currency has";
      case money_errc::overflow: return "amount out of range";
      case money_errc::currency_mismatch: return "different currencies";
      case money_errc::bad_weights: return "weights that nothing can be shared by";
    }
    return "unknown money error " + std::to_string(value);
  }
};

}  // namespace detail

/// The category of `money_errc`. Exported from every shared object, so that codes compare equal across them.
[[gnu::visibility("default")]] inline const std::error_category& money_category() noexcept {
  static const detail::MoneyErrorCategory category;
  return category;
}

inline std::error_code make_error_code(money_errc code) noexcept {
  return {static_cast<int>(code), money_category()};
}

class [[gnu::visibility("default")]] MoneyError;  // caught across shared objects

/// Thrown by everything that works with money: `error.code() == money_errc::overflow`. Its text names
/// currencies and positions but never repeats what was to be parsed: people paste card numbers into amount
/// columns.
class MoneyError : public std::system_error {
 public:
  explicit MoneyError(money_errc code) : std::system_error(make_error_code(code)) {}
  /// `what` says what happened and what to do about it.
  MoneyError(money_errc code, const std::string& what) : std::system_error(make_error_code(code), what) {}
};

}  // namespace paidonce::inline v1

template <>
struct std::is_error_code_enum<paidonce::money_errc> : std::true_type {};
