// A type of one's own says what its parts are.
// expect: this type is not a part; pass its members, or write a function fingerprint_parts
#include <paidonce/fingerprint.hpp>

namespace shop {
struct Card {
  int year;
};
#ifdef FIXED
template <class Sink>
void fingerprint_parts(Sink& sink, const Card& card) {
  sink(card.year);
}
#endif
}  // namespace shop

int main() { paidonce::fingerprint("order-1001", shop::Card{2030}); }
