#pragma once
// From lines of CSV to orders that can be paid, and to a sentence for each line that cannot.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <paidonce/money/money.hpp>

namespace pay_orders {

struct OrderLine {
  std::size_t number = 0;                     ///< in the file
  std::string order_id = {};                  ///< empty when it cannot be read; otherwise plain text
  std::optional<paidonce::Money> money = {};  ///< none when the line is wrong
  std::string source = {};                    ///< the card's token
  std::string problem = {};  ///< what is wrong with the line and what to do; empty when it is right

  bool wrong() const { return !problem.empty(); }
};

/// Reads a file whose header names `order_id`, `amount`, `currency` and `source`, in any order. A wrong line
/// is reported and the rest go on. Throws `std::runtime_error` when the file cannot be read.
std::vector<OrderLine> read_orders(const std::filesystem::path& file);

}  // namespace pay_orders
