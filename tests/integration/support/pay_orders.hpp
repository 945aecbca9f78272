#pragma once
// Runs pay_orders, and writes what it is to read.

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "process.hpp"

namespace integration {

inline std::filesystem::path write_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

struct Paid {
  int status = -1;
  nlohmann::json report;
  std::string err;

  /// What the report says about a line of the file.
  nlohmann::json line(std::size_t number) const {
    for (const auto& line : report.at("lines"))
      if (line.at("line") == number) return line;
    return {};
  }
  std::size_t count(std::string_view status_of_line) const {
    std::size_t lines = 0;
    for (const auto& line : report.at("lines")) lines += line.at("status") == status_of_line ? 1U : 0U;
    return lines;
  }
};

/// pay_orders with --json.
inline Paid pay_orders(const std::filesystem::path& input, const std::string& url,
                       const std::vector<std::string>& options = {}) {
  std::vector<std::string> command = {PAY_ORDERS, "--json", "--input", input.string(), "--gateway", url};
  command.insert(command.end(), options.begin(), options.end());
  Finished finished = run(command);
  return {finished.status, nlohmann::json::parse(finished.out, nullptr, false), finished.err};
}

/// Orders as a shop has them: most once, some repeated, some asked for again with another amount, in
/// currencies of 0, 2 and 3 decimals.
inline std::string many_orders(std::size_t orders, const std::string& source = "tok_visa") {
  std::string csv = "order_id,amount,currency,source\n";
  const char* const amounts[] = {".50,EUR", ".99,USD", "00,JPY", ".005,KWD", ".10,GBP"};
  const auto line = [&](std::size_t order, std::size_t euros) {
    csv += "order-" + std::to_string(order) + ',' + std::to_string(euros) + amounts[order % 5] + ',' +
           source + '\n';
  };
  for (std::size_t order = 1; order <= orders; ++order) {
    line(order, order);
    if (order % 3 == 0) line(order, order);          // at once
    if (order % 4 == 0) line(order / 2, order / 2);  // long after
    if (order % 7 == 0) line(order, order + 1);      // another amount
  }
  return csv;
}

}  // namespace integration
