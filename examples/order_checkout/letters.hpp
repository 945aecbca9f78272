#pragma once
// The receiver of the outbox's messages: it prints receipts, and keeps them in a database of its own. A
// message that comes again makes no second one.

#include <sqlite3.h>

#include <filesystem>
#include <map>
#include <string>

#include <paidonce/guard.hpp>
#include <paidonce/orders/receive.hpp>
#include <paidonce/stores/sqlite.hpp>

namespace checkout {

class Letters {
 public:
  explicit Letters(const std::filesystem::path& file) : store_(file) {
    store_.transact([](auto& transaction) {
      run(transaction,
          "CREATE TABLE IF NOT EXISTS letters (customer TEXT NOT NULL, order_number TEXT NOT NULL)", "", "");
    });
  }

  /// For the relay: returns where the receipt is kept, since now or before, and throws otherwise. The payload
  /// of a message is the order's number.
  void receive(const paidonce::OutboxMessage& message) {
    paidonce::require_received(paidonce::receive_in_transaction(
        guard_, "order_checkout", message,
        [&](paidonce::Attempt&, paidonce::SqliteStore::Transaction& transaction) {
          run(transaction, "INSERT INTO letters (customer, order_number) VALUES (?1, ?2)", message.key,
              message.payload);
          return std::string("printed");
        }));
  }

  /// How many receipts there are for each order of a run.
  std::map<std::string, int> of_run(const std::string& name) {
    std::map<std::string, int> counts;
    store_.transact([&](auto& transaction) {
      sqlite3_stmt* statement = nullptr;
      sqlite3_prepare_v2(transaction.native(), "SELECT order_number FROM letters", -1, &statement, nullptr);
      while (sqlite3_step(statement) == SQLITE_ROW) {
        const std::string order(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));
        if (order.starts_with(name + "-")) ++counts[order];
      }
      sqlite3_finalize(statement);
    });
    return counts;
  }

 private:
  template <class Transaction>
  static void run(Transaction& transaction, const char* sql, const std::string& first,
                  const std::string& second) {
    sqlite3_stmt* statement = nullptr;
    int status = sqlite3_prepare_v2(transaction.native(), sql, -1, &statement, nullptr);
    if (status == SQLITE_OK && sqlite3_bind_parameter_count(statement) == 2) {
      sqlite3_bind_text(statement, 1, first.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_text(statement, 2, second.c_str(), -1, SQLITE_STATIC);
    }
    if (status == SQLITE_OK) status = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (status != SQLITE_DONE) throw std::runtime_error("the receipt could not be written");
  }

  paidonce::SqliteStore store_;
  paidonce::IdempotencyGuard<paidonce::SqliteStore&> guard_{store_};
};

}  // namespace checkout
