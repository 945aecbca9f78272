#pragma once
// What the program says in the end: to people, to programs, and by its exit status.

#include <cstddef>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include <paidonce/money/money.hpp>

#include "orders.hpp"
#include "result.hpp"

namespace pay_orders {

/// What became of an order, whatever its several lines were told.
enum class OrderState { paid, declined, in_doubt, not_executed };

struct Sum {
  std::size_t orders = 0;
  paidonce::Money money;
};

class Report {
 public:
  /// `lines` and `results` correspond; both outlive the report.
  Report(const std::vector<OrderLine>& lines, const std::vector<LineResult>& results);

  /// The table of all lines, then the totals, in which each order counts once.
  void print_table(std::ostream& out) const;

  /// `{"lines": [{"line", "order_id", "amount", "currency", "status", "replayed", "charge", "reason"}],
  ///   "totals": [{"currency", "paid": {"orders", "amount", "minor_units"}, "declined": …, "in_doubt": …,
  ///   "not_executed": …}], "exit_status"}`. Amounts and minor units are texts, so that no reader rounds
  ///   them;
  /// amount and currency are null for a malformed line, charge and reason where there is none; order_id is
  /// empty where it cannot be read.
  void print_json(std::ostream& out) const;

  /// 3 when an order stays in doubt or unexecuted, whatever else; otherwise 1 when lines were malformed;
  /// otherwise 0.
  int exit_status() const;

 private:
  const std::vector<OrderLine>& lines_;
  const std::vector<LineResult>& results_;
  std::map<std::string, std::map<OrderState, Sum>> totals_;  // by currency
};

}  // namespace pay_orders
