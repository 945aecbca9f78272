#include "books.hpp"

#include <map>
#include <set>

namespace queue_worker {

Books compare(const std::vector<Order>& orders, const std::vector<common::Entry>& ledger,
              const std::vector<Line>& journal, unsigned unreadable,
              const std::function<bool(const Order&)>& on_record) {
  Books books;
  books.orders = static_cast<unsigned>(orders.size());
  std::set<std::string> open, received, dead;
  for (const Line& line : journal) switch (line.word) {
      case Word::sent:
        ++books.sent;
        open.insert(line.message);
        break;
      case Word::received: books.again += !received.insert(line.message).second; break;
      case Word::paid: ++books.paid; break;
      case Word::asked: ++books.asked; break;
      case Word::replayed: ++books.replayed; break;
      case Word::dead: books.dead += dead.insert(line.message).second; break;  // its repeat is no other
      case Word::killed: ++books.killed; break;
      case Word::all_sent: break;
    }
  for (const Line& line : journal)
    if (line.word == Word::paid || line.word == Word::asked || line.word == Word::replayed ||
        line.word == Word::dead)
      open.erase(line.message);
  if (!open.empty()) books.problems.push_back(std::to_string(open.size()) + " messages were not settled");
  if (books.dead != unreadable)
    books.problems.push_back(std::to_string(books.dead) + " dead letters, of " + std::to_string(unreadable) +
                             " messages that cannot be read");

  std::map<std::string, std::vector<std::int64_t>> charges;
  for (const common::Entry& entry : ledger)
    if (entry.kind == common::Entry::Kind::charged) charges[entry.order].push_back(entry.cents);
  for (const Order& order : orders) {
    const std::vector<std::int64_t>& of_it = charges[order.number];
    books.charges += static_cast<unsigned>(of_it.size());
    if (of_it.size() > 1) books.double_charges += static_cast<unsigned>(of_it.size()) - 1;
    if (of_it.size() != 1)
      books.problems.push_back(order.number + " was charged " + std::to_string(of_it.size()) + " times");
    else if (of_it[0] != order.cents)
      books.problems.push_back(order.number + " was charged " + std::to_string(of_it[0]) + " cents, not " +
                               std::to_string(order.cents));
    if (!on_record(order)) books.problems.push_back(order.number + " is not on record as paid");
  }
  return books;
}

void Books::print(std::ostream& out) const {
  out << "orders              " << orders << "\n"
      << "messages            " << sent << "  (some orders were sent twice, some messages are none)\n"
      << "workers killed      " << killed << "\n"
      << "delivered again     " << again << "\n"
      << "settled by paying   " << paid << "\n"
      << "  by asking         " << asked << "  (a worker died after the charge: the provider knew)\n"
      << "  by a replay       " << replayed << "\n"
      << "  as dead letters   " << dead << "\n"
      << "charges             " << charges << "\n"
      << "double charges      " << double_charges << "\n";
  for (const std::string& problem : problems) out << "WRONG: " << problem << "\n";
  out << (agrees() ? "The books agree: each order was charged once.\n" : "The books do not agree.\n");
}

}  // namespace queue_worker
