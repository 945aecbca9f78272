#pragma once
// How an amount is stored as the result of a payment.

#include <paidonce/codec.hpp>
#include <paidonce/money/value.hpp>

namespace paidonce::inline v1 {

/// The text "4.50 EUR". The decimals say how many the currency has, so a currency of one's own reads back as
/// well, and so does an amount whose code ISO 4217 has withdrawn since.
template <>
struct Codec<Money> {
  static constexpr std::string_view format = "money";
  static std::string encode(const Money& money) { return money.text(); }

  /// Throws `Error{errc::codec_failure}` for anything that `encode` does not write.
  static Money decode(std::string_view bytes) {
    const auto blank = bytes.find(' ');
    if (blank != std::string_view::npos) {
      const auto amount = bytes.substr(0, blank), code = bytes.substr(blank + 1);
      const auto dot = amount.find('.');
      const auto decimals = dot == std::string_view::npos ? 0 : amount.size() - dot - 1;
      try {
        if (decimals <= Currency::max_exponent) {
          const Money money = Money::parse(amount, Currency{code, static_cast<int>(decimals)});
          if (money.amount() == amount) return money;
        }
      } catch (const MoneyError&) {
        // Told below, in the vocabulary of codecs.
      }
    }
    throw Error(errc::codec_failure, "the stored response is not an amount and its currency");
  }
};

}  // namespace paidonce::inline v1
