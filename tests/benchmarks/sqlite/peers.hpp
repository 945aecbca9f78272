#pragma once
// The store in a SQLite database, alone and under the guard, beside the same statements by hand.

#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/guard.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"

namespace sqlite_benchmark {

using namespace file_benchmark;

inline std::filesystem::path database_of(const Setup& setup) { return setup.directory / "payments.db"; }

/// The store's own table, columns and indexes, written by a connection for each thread: what the store's
/// layers cost is the difference.
class BarePeer final : public Peer {
 public:
  explicit BarePeer(const Setup& setup) {
    { paidonce::SqliteStore{database_of(setup)}; }
    for (std::size_t i = 0; i < setup.width.threads; ++i) {
      connections_.push_back(std::make_unique<paidonce::detail::SqliteConnection>(
          database_of(setup).string(), "", paidonce::detail::SqliteConnection::Use::writes,
          Clock::now() + std::chrono::minutes(10)));
      records_.push_back(
          std::make_unique<paidonce::detail::SqliteRecords>(connections_.back()->get(), "paidonce_payments"));
    }
  }
  void pay(Lane& lane) override {
    const paidonce::detail::SqliteRecords& records = *records_[lane.number()];
    const paidonce::Record first = begun(), second = completed();
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(id);
      if (!records.insert(key.bytes(), first) || !records.replace(key.bytes(), first.version, second))
        throw std::runtime_error("a statement changed nothing");
    });
  }

 private:
  std::vector<std::unique_ptr<paidonce::detail::SqliteConnection>> connections_;
  std::vector<std::unique_ptr<paidonce::detail::SqliteRecords>> records_;
};

class StorePeer final : public Peer {
 public:
  explicit StorePeer(const Setup& setup) : store_(database_of(setup)) {}
  void pay(Lane& lane) override {
    const paidonce::Record first = begun(), second = completed();
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(id);
      if (store_.insert(key, first) || !store_.replace(key, first.version, second))
        throw std::runtime_error("the store refused a payment");
    });
  }

 private:
  paidonce::SqliteStore store_;
};

class GuardPeer final : public Peer {
 public:
  explicit GuardPeer(const Setup& setup) : guard_(paidonce::SqliteStore(database_of(setup))) {}
  void pay(Lane& lane) override {
    const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
    lane.pay_one_by_one([&](std::uint64_t id) {
      if (!guard_.execute(key_of(id), request, [] { return response(); }).succeeded())
        throw std::runtime_error("a payment did not succeed");
    });
  }

 private:
  paidonce::IdempotencyGuard<paidonce::SqliteStore> guard_;
};

/// Begin, the application's row and the end in one transaction.
class TransactionPeer final : public Peer {
 public:
  explicit TransactionPeer(const Setup& setup) : guard_(paidonce::SqliteStore(database_of(setup))) {
    guard_.store().transact([](paidonce::SqliteStore::Transaction& transaction) {
      sqlite3_exec(transaction.native(), "CREATE TABLE bookings (id INTEGER PRIMARY KEY, text TEXT)", nullptr,
                   nullptr, nullptr);
    });
  }
  void pay(Lane& lane) override {
    const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
    lane.pay_one_by_one([&](std::uint64_t id) {
      const auto book = [&](paidonce::Attempt&, paidonce::SqliteStore::Transaction& transaction) {
        sqlite3_stmt* statement = nullptr;
        sqlite3_prepare_v2(transaction.native(), "INSERT INTO bookings (text) VALUES ('booked')", -1,
                           &statement, nullptr);
        const int code = sqlite3_step(statement);
        sqlite3_finalize(statement);
        if (code != SQLITE_DONE) throw std::runtime_error("the booking failed");
        return response();
      };
      if (!guard_.execute_in_transaction(key_of(id), request, book).succeeded())
        throw std::runtime_error("a payment did not succeed");
    });
  }

 private:
  paidonce::IdempotencyGuard<paidonce::SqliteStore> guard_;
};

}  // namespace sqlite_benchmark
