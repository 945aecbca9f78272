#pragma once
// What a shop remembers of a charge, and how a record keeps it.

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/codec.hpp>

namespace shop {

/// The provider's answer, as far as anybody needs it again. Nothing of the card is in it.
struct Charge {
  std::string id = {};  ///< the provider's name for it; empty where it gave none
  std::string order = {};
  std::int64_t amount = 0;    ///< in minor units
  std::string currency = {};  ///< "EUR"
  std::string failure = {};   ///< why it was declined; empty when paid

  friend bool operator==(const Charge&, const Charge&) = default;
};

}  // namespace shop

/// A type of one's own needs this to be stored and replayed.
template <>
struct paidonce::Codec<shop::Charge> {
  static constexpr std::string_view format = "shop.charge/1";
  static std::string encode(const shop::Charge& charge);
  static shop::Charge decode(std::string_view bytes);
};
