#include "report.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <optional>
#include <ostream>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pay_orders {
namespace {

using nlohmann::json;
using paidonce::Money;

constexpr std::array<std::pair<OrderState, const char*>, 4> order_states = {
    {{OrderState::paid, "paid"},
     {OrderState::declined, "declined"},
     {OrderState::in_doubt, "in_doubt"},
     {OrderState::not_executed, "not_executed"}}};

std::optional<OrderState> order_state(LineStatus status) {
  switch (status) {
    case LineStatus::paid: return OrderState::paid;
    case LineStatus::declined: return OrderState::declined;
    case LineStatus::in_doubt:
    case LineStatus::in_progress: return OrderState::in_doubt;
    case LineStatus::not_executed:
    case LineStatus::error: return OrderState::not_executed;
    case LineStatus::key_reused:
    case LineStatus::refused:
    case LineStatus::malformed: break;
  }
  return std::nullopt;
}

/// The text in so many columns at least, however many bytes a letter takes.
std::string padded(std::string text, std::size_t width) {
  const auto letters = static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
  if (letters < width) text.append(width - letters, ' ');
  return text;
}

std::string text_or_nothing(const std::optional<Money>& money) { return money ? money->text() : "-"; }

}  // namespace

Report::Report(const std::vector<OrderLine>& lines, const std::vector<LineResult>& results)
    : lines_(lines), results_(results) {
  struct Best {
    OrderState state;
    Money money;
  };
  std::map<std::string, Best> orders;
  for (std::size_t at = 0; at < lines.size(); ++at) {
    const auto state = order_state(results[at].status);
    if (!state) continue;
    Best& best = orders.try_emplace(lines[at].order_id, Best{*state, *lines[at].money}).first->second;
    best.state = std::min(best.state, *state);  // what one line knows for sure holds for the order
  }
  for (const auto& [order, best] : orders) {
    const auto& currency = best.money.currency();
    Sum& sum = totals_[std::string(currency.code())]
                   .try_emplace(best.state, Sum{0, Money::minor(0, currency)})
                   .first->second;
    ++sum.orders;
    sum.money += best.money;
  }
}

void Report::print_table(std::ostream& out) const {
  std::size_t order_width = 5, amount_width = 6;
  for (const OrderLine& line : lines_) {
    order_width = std::max(order_width, std::min<std::size_t>(line.order_id.size(), 40));
    amount_width = std::max(amount_width, text_or_nothing(line.money).size());
  }
  out << " line  " << padded("order", order_width) << "  " << padded("amount", amount_width)
      << "  status        replayed  charge or reason\n";
  for (std::size_t at = 0; at < lines_.size(); ++at) {
    const OrderLine& line = lines_[at];
    const LineResult& result = results_[at];
    std::string what = result.charge;
    if (!what.empty() && !result.reason.empty()) what += ": ";
    what += result.reason;
    out << std::setw(5) << line.number << "  "
        << padded(line.order_id.empty() ? "-" : line.order_id, order_width) << "  "
        << padded(text_or_nothing(line.money), amount_width) << "  "
        << padded(std::string(to_string(result.status)), 12) << "  "
        << (result.replayed ? "yes     " : "no      ") << "  " << what << '\n';
  }
  out << "\nTotals, each order counted once\n";
  for (const auto& [currency, sums] : totals_) {
    out << "  " << currency;
    for (const auto& [state, name] : order_states)
      if (const auto sum = sums.find(state); sum != sums.end())
        out << "   " << name << ' ' << sum->second.money.amount() << " (" << sum->second.orders
            << (sum->second.orders == 1 ? " order)" : " orders)");
    out << '\n';
  }
}

void Report::print_json(std::ostream& out) const {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? json() : json(text); };
  json lines = json::array();
  for (std::size_t at = 0; at < lines_.size(); ++at) {
    const OrderLine& line = lines_[at];
    const LineResult& result = results_[at];
    lines.push_back({{"line", line.number},
                     {"order_id", line.order_id},
                     {"amount", line.money ? json(line.money->amount()) : json()},
                     {"currency", line.money ? json(line.money->currency().code()) : json()},
                     {"status", to_string(result.status)},
                     {"replayed", result.replayed},
                     {"charge", text_or_null(result.charge)},
                     {"reason", text_or_null(result.reason)}});
  }
  json totals = json::array();
  for (const auto& [currency, sums] : totals_) {
    json total = {{"currency", currency}};
    for (const auto& [state, name] : order_states) {
      const auto found = sums.find(state);
      const Sum sum = found != sums.end() ? found->second : Sum{0, Money::minor(0, currency)};
      total[name] = {{"orders", sum.orders},
                     {"amount", sum.money.amount()},
                     {"minor_units", sum.money.minor_units().str()}};
    }
    totals.push_back(total);
  }
  const json report = {{"lines", lines}, {"totals", totals}, {"exit_status", exit_status()}};
  out << report.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
}

int Report::exit_status() const {
  for (const auto& [currency, sums] : totals_)
    if (sums.contains(OrderState::in_doubt) || sums.contains(OrderState::not_executed)) return 3;
  for (const LineResult& result : results_)
    if (result.status == LineStatus::malformed) return 1;
  return 0;
}

}  // namespace pay_orders
