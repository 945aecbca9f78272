#pragma once
// Compares what pay_orders reported with what the provider's own list holds.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace integration {

/// What an order was told, over all of its lines: "paid", "declined", "in_doubt" or "not_paid".
inline std::map<std::string, std::string> told_of_orders(const nlohmann::json& report) {
  std::map<std::string, std::string> told;
  const std::vector<std::string> ranks = {"paid", "declined", "in_doubt", "not_paid"};
  for (const auto& line : report.at("lines")) {
    std::string status = line.at("status");
    if (status == "malformed") continue;
    if (status == "in_progress") status = "in_doubt";
    auto rank = std::find(ranks.begin(), ranks.end(), status);
    if (rank == ranks.end()) rank = ranks.end() - 1;
    std::string& best = told.try_emplace(line.at("order_id"), "not_paid").first->second;
    if (rank < std::find(ranks.begin(), ranks.end(), best)) best = *rank;
  }
  return told;
}

/// "4.50" is 450: a report writes all decimals of a currency.
inline std::int64_t minor_units(std::string amount) {
  amount.erase(std::remove(amount.begin(), amount.end(), '.'), amount.end());
  return std::stoll(amount);
}

/// Everything that is not as it must be, one sentence each: exactly one successful charge for each order that
/// was reported paid, with its amount and under its id; at most one for an order in doubt; none for any
/// other; and the totals equal to the cent.
inline std::vector<std::string> discrepancies(const nlohmann::json& report,
                                              const std::vector<nlohmann::json>& charges) {
  std::vector<std::string> wrong;
  std::map<std::string, std::vector<nlohmann::json>> successes;
  for (const auto& charge : charges)
    if (charge.at("status") == "succeeded")
      successes[charge.at("metadata").value("order", "")].push_back(charge);

  const auto told = told_of_orders(report);
  for (const auto& [order, of_order] : successes)
    if (!told.contains(order))
      wrong.push_back("the provider charged " + order + ", which was never reported");
  for (const auto& [order, state] : told) {
    const std::size_t times = successes.contains(order) ? successes[order].size() : 0;
    const bool right = state == "paid" ? times == 1 : state == "in_doubt" ? times <= 1 : times == 0;
    if (!right)
      wrong.push_back(order + " is " + state + " and was charged " + std::to_string(times) + " times");
  }

  std::map<std::string, std::int64_t> listed;  // by currency, of the orders that were reported paid
  for (const auto& line : report.at("lines")) {
    const std::string order = line.at("order_id");
    if (line.at("status") != "paid" || successes[order].empty()) continue;
    const auto& charge = successes[order].front();
    std::string currency = charge.at("currency");
    for (char& letter : currency)
      letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    if (charge.at("id") != line.at("charge"))
      wrong.push_back(order + " was reported with another charge's id");
    if (currency != line.at("currency") || charge.at("amount") != minor_units(line.at("amount")))
      wrong.push_back(order + " was charged another amount");
  }
  for (const auto& [order, of_order] : successes) {
    if (!told.contains(order) || told.at(order) != "paid") continue;
    for (const auto& charge : of_order) {
      std::string currency = charge.at("currency");
      for (char& letter : currency)
        letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
      listed[currency] += charge.at("amount").get<std::int64_t>();
    }
  }
  std::map<std::string, std::int64_t> reported;
  for (const auto& total : report.at("totals"))
    if (const std::int64_t paid = std::stoll(total.at("paid").at("minor_units").get<std::string>());
        paid != 0)
      reported[total.at("currency")] = paid;
  if (listed != reported)
    wrong.push_back("the totals differ: " + nlohmann::json(listed).dump() + " by the provider, " +
                    nlohmann::json(reported).dump() + " by the report");
  return wrong;
}

}  // namespace integration
