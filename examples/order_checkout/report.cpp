#include "report.hpp"

#include <cstddef>

namespace checkout {

namespace {

using paidonce::Order;
using paidonce::OrderState;

struct Booked {
  unsigned charges = 0;
  std::int64_t charged = 0, given_back = 0;
  unsigned refunds = 0;
};

std::int64_t cents(const paidonce::Money& amount) { return static_cast<std::int64_t>(amount.minor_units()); }

/// What is wrong with one order, in words; nothing where all is well.
std::vector<std::string> problems_of(const Wish& wish, const Order& order, const Booked& booked,
                                     int receipts) {
  std::vector<std::string> found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found.push_back("order " + wish.order + ": " + otherwise);
  };
  const bool paid = order.state == OrderState::paid || order.state == OrderState::refunded;
  const bool payable = wish.cards != Cards::none_is_good;
  expect(paid == payable && (payable || order.state == OrderState::cancelled),
         "is neither paid nor cancelled as it should");
  expect(booked.charges <= 1, "was charged more than once");
  expect(booked.charges == (paid ? 1U : 0U), "is paid without a charge, or charged without being paid");
  expect(booked.charged == (paid ? cents(order.total) : 0), "was charged another amount than its total");
  expect(booked.given_back <= booked.charged, "was given back more than was paid");
  expect(booked.given_back == cents(order.sum(paidonce::RefundState::done)),
         "was given back another amount than it says");
  expect(booked.refunds == (paid && wish.returns_some ? 2U : 0U), "was not refunded twice, as wished");
  expect(receipts == (paid ? 1 : 0), "has another number of receipts than payments");
  return found;
}

}  // namespace

Books compare(const std::vector<Wish>& plan, const std::vector<Order>& orders,
              const std::vector<Entry>& ledger, const std::map<std::string, int>& receipts,
              std::size_t waiting) {
  std::map<std::string, Booked> books;
  for (const Entry& entry : ledger) {
    Booked& booked = books[entry.order];
    if (entry.kind == Entry::Kind::charged) {
      ++booked.charges;
      booked.charged += entry.cents;
    } else if (entry.kind == Entry::Kind::given_back) {
      ++booked.refunds;
      booked.given_back += entry.cents;
    }
  }
  Books report;
  report.orders = static_cast<unsigned>(plan.size());
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const Booked booked = books[plan[i].order];
    const auto letters = receipts.find(plan[i].order);
    const int sent = letters == receipts.end() ? 0 : letters->second;
    if (orders[i].state == OrderState::cancelled)
      ++report.cancelled;
    else if (orders[i].state != OrderState::unpaid && orders[i].state != OrderState::paying)
      ++report.paid;
    report.charges += booked.charges;
    report.refunds += booked.refunds;
    report.receipts += static_cast<unsigned>(sent);
    report.double_charges += booked.charges > 1 ? booked.charges - 1 : 0;
    for (std::string& problem : problems_of(plan[i], orders[i], booked, sent))
      report.problems.push_back(std::move(problem));
  }
  if (waiting > 0) report.problems.push_back(std::to_string(waiting) + " messages still wait in the outbox");
  return report;
}

void Books::print(std::ostream& out) const {
  out << "orders          " << orders << "\n"
      << "  paid          " << paid << "\n"
      << "  cancelled     " << cancelled << "  (no good card)\n"
      << "charges         " << charges << "\n"
      << "double charges  " << double_charges << "\n"
      << "refunds         " << refunds << "\n"
      << "receipts        " << receipts << "\n";
  for (const std::string& problem : problems) out << "WRONG: " << problem << "\n";
  out << (agrees() ? "The books agree.\n" : "The books do not agree.\n");
}

}  // namespace checkout
