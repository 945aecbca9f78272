#pragma once
// A currency: its code and how many decimals its amounts have. Standard library only.

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <paidonce/money/errors.hpp>
#include <paidonce/money/iso4217.hpp>

namespace paidonce::inline v1 {

namespace detail {
struct Iso4217Table;
}

/// A code and an exponent, the number of decimals between the major and the minor unit: EUR 2, JPY 0, KWD 3.
/// Two currencies are the same when both are equal: an EUR of one's own with four decimals does not mix with
/// EUR. 16 bytes, held by value: what uses a currency does not depend on the lifetime of the object it was
/// given. Immutable; safe to read from any number of threads.
class Currency {
 public:
  static constexpr std::size_t max_code_length = 14;
  static constexpr int max_exponent = 30;

  /// A currency of one's own: 1..14 upper-case ASCII letters and digits, the first one a letter; exponent
  /// 0..30. For points, vouchers and tokens, for codes that ISO 4217 has withdrawn, and for an exponent that
  /// differs from the standard's, as some providers use. Throws `MoneyError{unknown_currency}` for anything
  /// else.
  constexpr explicit Currency(std::string_view code, int exponent)
      : Currency(Checked{}, checked_code(code), checked_exponent(exponent)) {}

  /// The currency of ISO 4217 with this code, in upper case. A reference to a constant: never dangles.
  /// Throws `MoneyError{unknown_currency}` for a code that is not in the list (see `iso4217.hpp` for its
  /// date).
  static constexpr const Currency& of(std::string_view code);

  constexpr std::string_view code() const noexcept { return {code_.data(), length_}; }

  /// Decimals, 0..30; -1 where ISO 4217 assigns none (XAU, XDR, XXX and ten others): no `Money` can be kept
  /// in those. Define a currency of one's own with as many decimals as are needed.
  constexpr int exponent() const noexcept { return exponent_; }

  friend constexpr bool operator==(const Currency&, const Currency&) noexcept = default;
  /// By code, then by exponent: an order to sort and to key maps by, without a meaning.
  friend constexpr std::strong_ordering operator<=>(const Currency& a, const Currency& b) noexcept {
    if (const int codes = a.code().compare(b.code()); codes != 0) return codes <=> 0;
    return a.exponent_ <=> b.exponent_;
  }

 private:
  friend struct detail::Iso4217Table;
  struct Checked {};

  constexpr Currency(Checked, std::string_view code, std::int8_t exponent)
      : length_(static_cast<std::uint8_t>(code.size())), exponent_(exponent) {
    for (std::size_t i = 0; i < code.size(); ++i) code_[i] = code[i];
  }

  static constexpr std::string_view checked_code(std::string_view code) {
    bool good = !code.empty() && code.size() <= max_code_length && code[0] > '9';
    for (const char c : code) good = good && ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    if (!good)
      throw MoneyError(money_errc::unknown_currency,
                       "a currency code is 1 to 14 upper-case letters and digits, beginning with a letter");
    return code;
  }

  static constexpr std::int8_t checked_exponent(int exponent) {
    if (exponent < 0 || exponent > max_exponent)
      throw MoneyError(money_errc::unknown_currency, "a currency has 0 to 30 decimals");
    return static_cast<std::int8_t>(exponent);
  }

  std::array<char, max_code_length> code_{};
  std::uint8_t length_;
  std::int8_t exponent_;
};

namespace detail {

/// Constant-initialised: nothing runs at start-up. In the order of `Iso4217::numbers`.
struct Iso4217Table {
  template <std::size_t... I>
  static consteval std::array<Currency, Iso4217::count> make(std::index_sequence<I...>) {
    return {Currency(Currency::Checked{}, Iso4217::code(I),
                     static_cast<std::int8_t>(Iso4217::exponent(Iso4217::code(I))))...};
  }
};

inline constexpr auto iso4217_table = Iso4217Table::make(std::make_index_sequence<Iso4217::count>{});

}  // namespace detail

constexpr const Currency& Currency::of(std::string_view code) {
  if (code.size() == 3) {
    const auto& numbers = detail::iso4217_numbers;
    const auto wanted = detail::Iso4217::number(code);
    const auto found = std::lower_bound(numbers.begin(), numbers.end(), wanted);
    if (found != numbers.end() && *found == wanted)
      return detail::iso4217_table[static_cast<std::size_t>(found - numbers.begin())];
  }
  throw MoneyError(
      money_errc::unknown_currency,
      "not an upper-case code of ISO 4217; name a currency of your own with Currency{code, decimals}");
}

}  // namespace paidonce::inline v1
