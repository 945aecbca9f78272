#pragma once
// Orders, without the database they live in: for that add orders/sqlite_orders.hpp or
// orders/postgres_orders.hpp. Needs paidonce::money.

#include <paidonce/orders/change_order.hpp>
#include <paidonce/orders/memory_orders.hpp>
#include <paidonce/orders/order.hpp>
#include <paidonce/orders/order_key.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/order_state.hpp>
#include <paidonce/orders/order_store.hpp>
#include <paidonce/orders/pay_order.hpp>
#include <paidonce/orders/refund_order.hpp>
#include <paidonce/orders/rules.hpp>
#include <paidonce/orders/settle_orders.hpp>
