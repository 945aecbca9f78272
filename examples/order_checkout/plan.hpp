#pragma once
// What the customers of this run want, as far as everybody has to agree on it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <paidonce/money/money.hpp>
#include <paidonce/orders/order.hpp>

#include "common/provider.hpp"

namespace checkout {

using common::Entry;
using common::Provider;

/// The first card of every sixth order is declined, and no card of every tenth is any good.
enum class Cards { good, first_is_declined, none_is_good };

struct Wish {
  std::string order;     ///< its number
  std::string customer;  ///< several orders have the same
  paidonce::Money total;
  Cards cards = Cards::good;
  bool returns_some = false;  ///< wants 40 % back, three times: the third is too much
};

/// How many payments of an order are tried before it is cancelled.
inline constexpr std::uint32_t most_payments = 2;

inline bool is_declined(const Wish& wish, std::uint32_t payment) {
  return wish.cards == Cards::none_is_good || (wish.cards == Cards::first_is_declined && payment == 1);
}

inline paidonce::Money refund_of(const Wish& wish) {
  return paidonce::multiply(wish.total, "0.4", paidonce::Rounding::down);
}

/// The same for all processes of a run, whose name is in the orders' numbers: a database may have seen
/// others.
inline std::vector<Wish> plan(const std::string& run, unsigned orders) {
  std::vector<Wish> wishes;
  for (unsigned i = 0; i < orders; ++i)
    wishes.push_back({run + "-" + std::to_string(i), run + "/customer-" + std::to_string(i % 7),
                      paidonce::Money::minor(1000 + 5 * std::int64_t{i}, "EUR"),
                      i % 10 == 9  ? Cards::none_is_good
                      : i % 6 == 1 ? Cards::first_is_declined
                                   : Cards::good,
                      i % 4 == 0});
  return wishes;
}

/// Files of a run: the provider's ledger, what the customers were sent, and the shop's own database where it
/// is SQLite.
struct Files {
  std::filesystem::path directory;
  std::filesystem::path ledger() const { return directory / "provider.ledger"; }
  std::filesystem::path letters() const { return directory / "letters.db"; }
  std::filesystem::path shop() const { return directory / "shop.db"; }
};

}  // namespace checkout
