#include "shop.hpp"

#include <algorithm>
#include <initializer_list>

#include <paidonce/uuid.hpp>

namespace payment_server {
namespace {

constexpr std::size_t uuid_size = 36;

/// Exactly as `uuid_v7` writes one.
bool is_uuid_v7(std::string_view text) {
  if (text.size() != uuid_size || text[14] != '7') return false;
  for (std::size_t at = 0; at < uuid_size; ++at) {
    const bool hyphen = at == 8 || at == 13 || at == 18 || at == 23;
    if (hyphen ? text[at] != '-'
               : std::string_view("0123456789abcdef").find(text[at]) == std::string_view::npos)
      return false;
  }
  return std::string_view("89ab").find(text[19]) != std::string_view::npos;
}

paidonce::Timestamp time_of(std::string_view uuid) {
  const std::string digits = std::string(uuid.substr(0, 8)) + std::string(uuid.substr(9, 4));
  return paidonce::Timestamp(paidonce::Duration(std::stoll(digits, nullptr, 16)));
}

}  // namespace

const std::initializer_list<Good>& goods() {
  static const std::initializer_list<Good> all = {
      {"notebook", "Notebook", "A5, dotted, opens flat", 1250, "eur"},
      {"pen", "Fountain pen", "Fine nib, refillable", 3800, "eur"},
      {"tea", "Pot of tea", "Darjeeling, second flush", 420, "gbp"},
      {"puzzle", "Wooden puzzle", "Nine pieces, one way in", 2400, "jpy"},
  };
  return all;
}

const Good* find_good(std::string_view id) {
  const auto found =
      std::find_if(goods().begin(), goods().end(), [&](const Good& good) { return good.id == id; });
  return found == goods().end() ? nullptr : found;
}

const std::initializer_list<TestCard>& test_cards() {
  static const std::initializer_list<TestCard> all = {
      {"tok_visa", "A card that works", "Paid at once."},
      {"tok_chargeDeclined", "A card that is declined", "The bank says no. You can pay with another one."},
      {"tok_delay", "A slow bank", "Works, but takes its time to answer."},
      {"tok_dropReply", "A bank whose answer gets lost",
       "It takes the money, and the line breaks before it can say so."},
      {"tok_processing", "A bank transfer", "Taken on now. Whether the money comes is known later."},
  };
  return all;
}

bool is_test_card(std::string_view source) {
  return std::any_of(test_cards().begin(), test_cards().end(),
                     [&](const TestCard& card) { return card.source == source; });
}

std::string new_order(const Good& good, paidonce::Timestamp now) {
  return std::string(good.id) + '-' + paidonce::uuid_v7(now);
}

std::optional<Order> find_order(std::string_view id, paidonce::Timestamp now) {
  const auto hyphen = id.find('-');
  if (hyphen == id.npos) return std::nullopt;
  const Good* const good = find_good(id.substr(0, hyphen));
  const std::string_view uuid = id.substr(hyphen + 1);
  if (!good || !is_uuid_v7(uuid)) return std::nullopt;
  const auto made = time_of(uuid);
  if (made > now + std::chrono::minutes(5)) return std::nullopt;  // clocks of several servers differ a little
  return Order{std::string(id), good, made};
}

paidonce::IdempotencyKey payment_key(const Order& order, unsigned n) {
  return {"checkout", order.id + '/' + std::to_string(n)};
}

Payment payment_for(const Order& order, std::string_view source) {
  Payment payment;
  payment.kind = Kind::charge;
  payment.tenant = "checkout";
  payment.order = order.id;
  payment.amount = order.good->price;
  payment.currency = order.good->currency;
  payment.source = source;
  payment.description = order.good->name;
  return payment;
}

}  // namespace payment_server
