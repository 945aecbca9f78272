// Orders of another database than the payments cannot change in their transactions.
// expect: OrderStore needs orders with find_in and change_in for transactions of its store
#include <paidonce/orders/memory_orders.hpp>
#include <paidonce/orders/order_store.hpp>
#include <paidonce/testing/transactional_store.hpp>

void open(paidonce::TransactionalMemoryStore& payments, paidonce::MemoryOrders& orders) {
#ifdef FIXED
  static_cast<void>(payments);
  static_cast<void>(orders);
#else
  paidonce::OrderStore store{payments, orders};
#endif
}
