#pragma once
// Which line goes when.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "orders.hpp"

namespace pay_orders {

/// Positions in `lines`. `first` holds each order as the file first names it, its repetitions included: they
/// may run at the same time, the guard sorts them out. `then` holds what asks something else of an order that
/// was named before: it goes last, so that it is always the file's first line that is paid, whatever the
/// threads do.
struct Schedule {
  std::vector<std::size_t> first, then;
};

inline Schedule schedule(const std::vector<OrderLine>& lines) {
  Schedule schedule;
  std::map<std::string, const OrderLine*> named;
  for (std::size_t at = 0; at < lines.size(); ++at) {
    if (lines[at].wrong()) continue;
    const OrderLine& first = *named.try_emplace(lines[at].order_id, &lines[at]).first->second;
    const bool same = first.money->text() == lines[at].money->text() && first.source == lines[at].source;
    (same ? schedule.first : schedule.then).push_back(at);
  }
  return schedule;
}

}  // namespace pay_orders
