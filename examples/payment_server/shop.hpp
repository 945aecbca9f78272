#pragma once
// A small shop to have something to pay for: its goods, and the names of its orders. Pure, but for the random
// part of a new name.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/key.hpp>
#include <paidonce/time.hpp>

#include "payment.hpp"

namespace payment_server {

/// What is sold. Prices are ours alone: no form carries one.
struct Good {
  std::string_view id, name, words;
  std::int64_t price;  ///< in minor units
  std::string_view currency;
};
const std::initializer_list<Good>& goods();
const Good* find_good(std::string_view id);

/// What a person may pay with here: tokens of the gateway's test cards, never a card's number.
struct TestCard {
  std::string_view source, name, words;
};
const std::initializer_list<TestCard>& test_cards();
bool is_test_card(std::string_view source);

/// "tea-0190a1b2-...": the good, and a UUID that begins with the time and ends with what nobody can guess.
/// So an order needs no place of its own; whatever happens to it is in the records of its payments.
struct Order {
  std::string id;
  const Good* good;
  paidonce::Timestamp made;
};
std::string new_order(const Good& good, paidonce::Timestamp now);
/// nullopt for what `new_order` did not make, and for a time that is still to come.
std::optional<Order> find_order(std::string_view id, paidonce::Timestamp now);

/// How long an order can be paid, and how long its payments are remembered: the second is the longer, so that
/// no order can be paid again because it was forgotten.
inline constexpr paidonce::Duration payable_for = std::chrono::hours(24);
inline constexpr paidonce::Duration remembered_for = std::chrono::hours(24 * 30);
static_assert(remembered_for > payable_for);

/// Declined payments of one order, after which it is given up: nobody's pages may grow without end.
inline constexpr unsigned most_payments = 20;

/// The n-th payment of an order: the first, and one more after each that was declined.
paidonce::IdempotencyKey payment_key(const Order& order, unsigned n);
Payment payment_for(const Order& order, std::string_view source);

}  // namespace payment_server
