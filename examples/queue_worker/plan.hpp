#pragma once
// What is ordered in a run, and how a message says it.

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/queue/payment_worker.hpp>

namespace queue_worker {

struct Order {
  std::string number;
  std::int64_t cents = 0;
};

/// The same for all processes of a run, whose name the numbers begin with: a store may have seen others.
inline std::vector<Order> plan(const std::string& run, unsigned orders) {
  std::vector<Order> all;
  for (unsigned i = 0; i < orders; ++i)
    all.push_back({run + "-" + std::to_string(i), 1000 + 5 * std::int64_t{i}});
  return all;
}

/// Several orders have the same customer, whose payments are made one after the other.
inline std::string customer_of(const std::string& run, unsigned order) {
  return run + "/customer-" + std::to_string(order % 7);
}

inline std::string body_of(const Order& order) { return order.number + ' ' + std::to_string(order.cents); }

/// What is no order becomes a dead letter.
inline paidonce::PaymentRequest<Order> read_order(const paidonce::Message& message) {
  const std::size_t space = message.body.rfind(' ');
  if (space == std::string::npos) throw std::invalid_argument("no amount");
  Order order{message.body.substr(0, space)};
  const char* const end = message.body.data() + message.body.size();
  const auto [rest, wrong] = std::from_chars(message.body.data() + space + 1, end, order.cents);
  if (wrong != std::errc() || rest != end) throw std::invalid_argument("no number");
  return {.key = {"queue_worker", order.number},
          .fingerprint = paidonce::fingerprint(order.number, order.cents),
          .value = order};
}

/// Files of a run.
struct Files {
  std::filesystem::path directory;
  std::filesystem::path ledger() const { return directory / "provider.ledger"; }
  std::filesystem::path journal() const { return directory / "journal"; }
  std::filesystem::path deaths() const { return directory / "deaths"; }
  std::filesystem::path payments() const { return directory / "payments.db"; }
};

}  // namespace queue_worker
