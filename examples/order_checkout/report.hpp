#pragma once
// The books, compared: the shop's orders, the provider's ledger, the receipts.

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <paidonce/orders/order.hpp>

#include "common/provider.hpp"
#include "plan.hpp"

namespace checkout {

struct Books {
  unsigned orders = 0, paid = 0, cancelled = 0;
  unsigned charges = 0, refunds = 0, receipts = 0, double_charges = 0;
  std::vector<std::string> problems = {};

  bool agrees() const { return problems.empty(); }
  void print(std::ostream& out) const;
};

/// `orders` are those of the plan, in its order; `receipts` are counted for each order.
Books compare(const std::vector<Wish>& plan, const std::vector<paidonce::Order>& orders,
              const std::vector<Entry>& ledger, const std::map<std::string, int>& receipts,
              std::size_t waiting);

}  // namespace checkout
