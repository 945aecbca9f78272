// The snippet of the page about fingerprints.

#include <paidonce/fingerprint.hpp>

#include <string>

namespace shop {
struct Card {
  std::string token;
  int year;
};
}  // namespace shop

// clang-format off
// [own_type]
namespace shop {
template <class Sink>
void fingerprint_parts(Sink& sink, const Card& card) { sink(card.token, card.year); }
}
// [/own_type]
// clang-format on

[[maybe_unused]] static const auto of_a_card = paidonce::fingerprint(shop::Card{"tok_1", 2030});
