#pragma once
// Orders as rows of a TransactionalMemoryStore: what SqliteOrders and PostgresOrders are to their stores.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/money/codec.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/testing/transactional_store.hpp>

namespace order_tests {

using namespace paidonce;

/// One line for the order, one for each refund; blanks are in no number and no id.
inline std::string row_of(const Order& order) {
  std::string row = std::to_string(static_cast<int>(order.state)) + ' ' + std::to_string(order.payment) +
                    ' ' + std::to_string(order.followed) + ' ' + std::to_string(order.version) + ' ' +
                    order.total.text() + '\n';
  for (const Refund& refund : order.refunds)
    row += refund.id + ' ' + std::to_string(static_cast<int>(refund.state)) + ' ' +
           std::to_string(refund.followed) + ' ' + refund.amount.text() + '\n';
  return row;
}

inline Order order_of(std::string_view number, std::string_view row) {
  const auto word = [&](char end) {
    const std::string text(row.substr(0, row.find(end)));
    row.remove_prefix(text.size() + 1);
    return text;
  };
  const auto state = static_cast<OrderState>(std::stoi(word(' ')));
  const auto payment = static_cast<std::uint32_t>(std::stoul(word(' ')));
  const Version followed = std::stoull(word(' ')), version = std::stoull(word(' '));
  Order order{std::string(number), Codec<Money>::decode(word('\n')), state, payment, followed, {}, version};
  while (!row.empty()) {
    std::string id = word(' ');
    const auto refund_state = static_cast<RefundState>(std::stoi(word(' ')));
    const Version refund_followed = std::stoull(word(' '));
    order.refunds.push_back({std::move(id), Codec<Money>::decode(word('\n')), refund_state, refund_followed});
  }
  return order;
}

/// Over any store whose transactions have such rows; `S` may be a decorator around one.
template <class S>
class RowOrders {
 public:
  RowOrders(S& store, TransactionalMemoryStore& base) : store_(store), base_(base) {}

  std::optional<Order> find(std::string_view number) { return in(base_.rows(), number); }
  bool insert(const Order& order) {
    check_order(order);
    bool inserted = false;
    store_.transact([&](auto& transaction) {
      Order fresh = order;
      fresh.version = 1;
      inserted = transaction.native().emplace(order.number, row_of(fresh)).second;
    });
    return inserted;
  }
  std::optional<Order> change(std::string_view number, const OrderChange& change) {
    std::optional<Order> order;
    store_.transact([&](auto& transaction) { order = change_in(transaction, number, change); });
    return order;
  }
  std::vector<Order> open(std::string_view after, std::size_t limit) {
    std::vector<Order> found;
    for (const auto& [number, row] : base_.rows()) {
      if (found.size() == limit || std::string_view(number) <= after) continue;
      Order order = order_of(number, row);
      if (is_open(order.state)) found.push_back(std::move(order));
    }
    return found;
  }

  template <class Transaction>
  std::optional<Order> find_in(Transaction& transaction, std::string_view number) {
    return in(transaction.native(), number);
  }
  template <class Transaction>
  std::optional<Order> change_in(Transaction& transaction, std::string_view number,
                                 const OrderChange& change) {
    std::optional<Order> order = in(transaction.native(), number);
    if (order && detail::apply_change(*order, change))
      transaction.native()[std::string(number)] = row_of(*order);
    return order;
  }

 private:
  static std::optional<Order> in(const TransactionalMemoryStore::Rows& rows, std::string_view number) {
    const auto found = rows.find(std::string(number));
    if (found == rows.end()) return std::nullopt;
    return order_of(number, found->second);
  }

  S& store_;
  TransactionalMemoryStore& base_;
};

}  // namespace order_tests
