#pragma once
// Orders in memory: for tests, and for trying things out. They go with the process.

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <paidonce/orders/order_locking.hpp>
#include <paidonce/orders/order_repository.hpp>

namespace paidonce::inline v1 {

struct MemoryOrdersOptions {
  OrderLocking locking = OrderLocking::optimistic;
  OrderConflicts conflicts = {};
};

/// A movable handle; any number of threads may use it.
class MemoryOrders {
 public:
  /// Throws `Error{invalid_options}`.
  explicit MemoryOrders(MemoryOrdersOptions options = {}) : state_(std::make_unique<State>(options)) {}

  std::optional<Order> find(std::string_view number) const {
    std::lock_guard lock(state_->mutex);
    return state_->find(number);
  }

  bool insert(const Order& order) {
    check_order(order);
    Order stored = order;
    stored.version = 1;
    std::lock_guard lock(state_->mutex);
    return state_->orders.emplace(order.number, std::move(stored)).second;
  }

  std::optional<Order> change(std::string_view number, const OrderChange& change) {
    if (state_->options.locking == OrderLocking::pessimistic) {
      std::lock_guard lock(state_->mutex);
      std::optional<Order> order = state_->find(number);
      if (order && detail::apply_change(*order, change)) state_->orders.find(number)->second = *order;
      return order;
    }
    return detail::despite_conflicts(state_->options.conflicts, [&]() -> std::optional<std::optional<Order>> {
      std::optional<Order> order = find(number);
      if (!order) return std::optional<Order>();
      const Version read = order->version;
      if (!detail::apply_change(*order, change)) return order;
      std::lock_guard lock(state_->mutex);
      Order& stored = state_->orders.find(number)->second;
      if (stored.version != read) return std::nullopt;
      stored = *order;
      return order;
    });
  }

  std::vector<Order> open(std::string_view after, std::size_t limit) const {
    std::vector<Order> found;
    std::lock_guard lock(state_->mutex);
    for (auto it = state_->orders.upper_bound(after); it != state_->orders.end() && found.size() < limit;
         ++it)
      if (is_open(it->second.state)) found.push_back(it->second);
    return found;
  }

 private:
  struct State {
    explicit State(const MemoryOrdersOptions& given)
        : options{given.locking, detail::checked(given.conflicts)} {}

    const MemoryOrdersOptions options;
    std::mutex mutex = {};
    std::map<std::string, Order, std::less<>> orders = {};

    std::optional<Order> find(std::string_view number) const {
      const auto found = orders.find(number);
      return found == orders.end() ? std::nullopt : std::optional(found->second);
    }
  };

  std::unique_ptr<State> state_;
};

static_assert(ListableOrders<MemoryOrders>);

}  // namespace paidonce::inline v1
