#pragma once
// The books, compared: what was ordered, the provider's ledger, the payments on record, the messages.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "common/provider.hpp"
#include "journal.hpp"
#include "plan.hpp"

namespace queue_worker {

struct Books {
  unsigned orders = 0, sent = 0, again = 0, killed = 0;
  unsigned paid = 0, asked = 0, replayed = 0, dead = 0;
  unsigned charges = 0, double_charges = 0;
  std::vector<std::string> problems = {};

  bool agrees() const { return problems.empty(); }
  void print(std::ostream& out) const;
};

/// `on_record` says whether an order's payment is in the store, as succeeded; `unreadable` messages are no
/// orders.
Books compare(const std::vector<Order>& orders, const std::vector<common::Entry>& ledger,
              const std::vector<Line>& journal, unsigned unreadable,
              const std::function<bool(const Order&)>& on_record);

}  // namespace queue_worker
