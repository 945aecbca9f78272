#include "orders.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string_view>

#include <nlohmann/json.hpp>
#include <paidonce/key.hpp>

#include "csv.hpp"

namespace pay_orders {
namespace {

using paidonce::Money;

/// Where each column is. `size` is how many the header has.
struct Columns {
  std::size_t order_id = 0, amount = 0, currency = 0, source = 0, size = 0;
};

std::optional<Columns> read_header(const CsvLine& line, std::string& problem) {
  Columns columns;
  columns.size = line.fields.size();
  problem = line.problem;
  const std::array<std::pair<const char*, std::size_t*>, 4> wanted = {{{"order_id", &columns.order_id},
                                                                       {"amount", &columns.amount},
                                                                       {"currency", &columns.currency},
                                                                       {"source", &columns.source}}};
  for (const auto& [name, column] : wanted) {
    const auto found = std::find(line.fields.begin(), line.fields.end(), name);
    if (found == line.fields.end() && problem.empty())
      problem = std::string("the header has no column ") + name +
                "; the first line is order_id,amount,currency,source, with commas, saved as UTF-8";
    *column = static_cast<std::size_t>(found - line.fields.begin());
  }
  if (!problem.empty()) return std::nullopt;
  return columns;
}

bool is_plain_text(std::string_view text) {
  if (std::any_of(text.begin(), text.end(),
                  [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; }))
    return false;
  try {
    return !nlohmann::json(text).dump().empty();  // refuses what is not UTF-8
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

std::string problem_with_order_id(const std::string& order_id) {
  if (order_id.empty()) return "order_id is empty; give every order a name of its own, 1 to 255 bytes";
  try {
    (void)paidonce::IdempotencyKey("pay_orders", order_id);
  } catch (const paidonce::Error&) {
    return "order_id has " + std::to_string(order_id.size()) + " bytes; use a name of at most 255";
  }
  if (!is_plain_text(order_id))
    return "order_id holds control characters or is not UTF-8; save the file as UTF-8";
  return {};
}

std::string problem_with_money(const paidonce::MoneyError& error, const std::string& currency) {
  switch (static_cast<paidonce::money_errc>(error.code().value())) {
    case paidonce::money_errc::unknown_currency:
      return "currency is not a code of ISO 4217 that amounts are paid in; write it as in EUR, in capitals";
    case paidonce::money_errc::too_many_decimals:
      return "amount has more decimals than " + currency + " has (" +
             std::to_string(paidonce::Currency::of(currency).exponent()) + "); round it before it gets here";
    case paidonce::money_errc::overflow: return "amount is too large";
    default: return "amount is not a plain number; write it as in 4.50, without spaces, signs or separators";
  }
}

OrderLine read_line(const CsvLine& csv, const Columns& columns) {
  OrderLine line;
  line.number = csv.number;
  line.problem = csv.problem;
  if (line.wrong()) return line;
  if (csv.fields.size() != columns.size) {
    line.problem = "the line has " + std::to_string(csv.fields.size()) + " columns and the header " +
                   std::to_string(columns.size) +
                   "; add what is missing, or put a field with commas in quotes";
    return line;
  }
  line.problem = problem_with_order_id(csv.fields[columns.order_id]);
  if (line.wrong()) return line;
  line.order_id = csv.fields[columns.order_id];
  line.source = csv.fields[columns.source];
  if (line.source.empty() || !is_plain_text(line.source)) {
    line.problem = "source is empty or not plain text; give the token of the card, as in tok_visa";
    return line;
  }
  const std::string& currency = csv.fields[columns.currency];
  try {
    const Money money = Money::parse(csv.fields[columns.amount], currency);
    if (money.minor_units() <= 0)
      line.problem = "amount is not more than zero; leave out what is free, and pay back by a refund";
    else if (money.minor_units() > std::numeric_limits<std::int64_t>::max())
      line.problem = "amount is too large";
    else
      line.money = money;
  } catch (const paidonce::MoneyError& error) {
    line.problem = problem_with_money(error, currency);
  }
  return line;
}

}  // namespace

std::vector<OrderLine> read_orders(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const int problem = !in ? errno : std::filesystem::is_directory(file) ? EISDIR : 0;
  if (problem != 0) throw std::runtime_error("cannot read " + file.string() + ": " + std::strerror(problem));
  const std::vector<CsvLine> csv = read_csv(in);
  std::vector<OrderLine> lines;
  OrderLine no_orders;
  no_orders.number = csv.empty() ? 1 : csv.front().number;
  const auto columns = read_header(csv.empty() ? CsvLine{} : csv.front(), no_orders.problem);
  if (!columns) return {no_orders};
  for (std::size_t at = 1; at < csv.size(); ++at) lines.push_back(read_line(csv[at], *columns));
  return lines;
}

}  // namespace pay_orders
