#pragma once
// What pay_order asks of the place where orders are kept.
//
// | expression                   | promise                                                                  |
// | ---------------------------- | ------------------------------------------------------------------------ |
// | `orders.find(number)`        | the order as it was last stored; `nullopt` only where there is none      |
// | `orders.insert(order)`       | atomic; `false`, and nothing stored, where the number is taken. Checks   |
// |                              | the order (`check_order`)                                                |
// | `orders.change(number, fn)`  | `fn(Order&)` is given the order as it is, and what it leaves is stored   |
// |                              | if nobody has changed it meanwhile, else `fn` is called again with what  |
// |                              | they left. Returns the order as stored; `nullopt`: there is none. What   |
// |                              | `fn` leaves as it was is not written; what it throws passes through, and |
// |                              | nothing is stored. The change is checked (`check_change`)                |
// | any of them throws           | `Error{store_unavailable}`: what became of it is unknown.                |
// |                              | `Error{store_busy}`: nothing was stored, others were faster each time    |
// | `orders.open(after, limit)`  | refinement: the orders in which money may be on its way (`is_open`),     |
// |                              | ascending by number, behind `after`                                      |
// | `orders.find_in(t, number)`, | refinement for a store's transaction: the same within it; `change_in`    |
// | `orders.change_in(t, …)`     | calls `fn` once, what it leaves is seen there at once, and becomes       |
// |                              | durable with the transaction                                             |
//
// All of them may be called from any number of threads. `fn` has no effect but on the order, and does not
// call the repository.

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <paidonce/orders/order.hpp>

namespace paidonce::inline v1 {

using OrderChange = std::function<void(Order&)>;

namespace detail {

/// Applies a change, checks it and counts the version up. False: it left the order as it was.
inline bool apply_change(Order& order, const OrderChange& change) {
  const Order before = order;
  change(order);
  order.version = before.version;
  if (order == before) return false;
  check_change(before, order);
  ++order.version;
  return true;
}

}  // namespace detail

/// The three compulsory operations.
template <class R>
concept OrderRepository = requires(std::remove_reference_t<R>& orders, std::string_view number,
                                   const Order& order, const OrderChange& change) {
  { orders.find(number) } -> std::same_as<std::optional<Order>>;
  { orders.insert(order) } -> std::same_as<bool>;
  { orders.change(number, change) } -> std::same_as<std::optional<Order>>;
};

/// A repository that can say in which orders money may be on its way.
template <class R>
concept ListableOrders = OrderRepository<R> &&
    requires(std::remove_reference_t<R>& orders, std::string_view after, std::size_t limit) {
  { orders.open(after, limit) } -> std::same_as<std::vector<Order>>;
};

/// A repository whose orders live in the database of a store, and change in its transactions.
template <class R, class Transaction>
concept TransactionalOrders = OrderRepository<R> &&
    requires(std::remove_reference_t<R>& orders, Transaction& transaction, std::string_view number,
             const OrderChange& change) {
  { orders.find_in(transaction, number) } -> std::same_as<std::optional<Order>>;
  { orders.change_in(transaction, number, change) } -> std::same_as<std::optional<Order>>;
};

}  // namespace paidonce::inline v1
