#pragma once
// The guard over the store: payments, payments with a row of the application's in one transaction or beside,
// and replays.

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/postgres.hpp>

#include "benchmarks/postgres/bare.hpp"
#include "benchmarks/postgres/server.hpp"

namespace postgres_benchmark {

using Guard = paidonce::IdempotencyGuard<paidonce::PostgresStore>;

/// How operations are combined; none of it where the store's own defaults are meant.
struct Combining {
  std::size_t lanes = 0, most = 0;

  paidonce::PostgresStoreOptions apply(paidonce::PostgresStoreOptions options) const {
    if (lanes != 0) options.lanes = lanes;
    if (most != 0) options.max_batch = most;
    return options;
  }
  /// A statement for each operation, and a connection for each thread.
  static Combining none(const Width& width) { return {width.threads, 1}; }
};

inline void expect_success(const paidonce::Outcome<std::string>& outcome) {
  if (!outcome.succeeded() || outcome.response().size() != response_size)
    throw std::runtime_error("a payment did not succeed");
}

/// New payments; each thread has made one before the time begins, so that connections are open.
class GuardPeer : public Peer {
 public:
  GuardPeer(const Schema& schema, const Combining& combining)
      : guard_(paidonce::PostgresStore(schema.server().conninfo(), combining.apply(schema.options()))) {}
  void enter(Lane& lane) override { pay_one(lane.next_id()); }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(id); });
  }
  paidonce::PostgresStore& store() { return guard_.store(); }
  void pay_one(std::uint64_t id) {
    expect_success(guard_.execute(key_of(id), request_, [] { return response(); }));
  }

 private:
  Guard guard_;
  const paidonce::Fingerprint request_ = paidonce::fingerprint("order", 1);
};

/// The same few keys, all of them paid before.
class ReplayPeer final : public Peer {
 public:
  static constexpr std::uint64_t keys = 1000;
  ReplayPeer(const Schema& schema, const Combining& combining) : payments_(schema, combining) {
    for (std::uint64_t id = 0; id < keys; ++id) payments_.pay_one(id);
  }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { payments_.pay_one(id * 7919 % keys); });
  }

 private:
  GuardPeer payments_;
};

/// The same by a bare SELECT of all columns.
class SelectPeer final : public Peer {
 public:
  SelectPeer(const Schema& schema, const Width& width) {
    GuardPeer payments(schema, {});
    for (std::uint64_t id = 0; id < ReplayPeer::keys; ++id) payments.pay_one(id);
    for (std::size_t i = 0; i < width.threads; ++i) {
      connections_.push_back(std::make_unique<BareConnection>(schema.server().conninfo()));
      connections_.back()->prepare("find",
                                   "SELECT * FROM " + schema.name() + ".payments WHERE key = $1::bytea");
    }
  }
  void pay(Lane& lane) override {
    BareConnection& connection = *connections_[lane.number()];
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(id * 7919 % ReplayPeer::keys);
      paidonce::detail::PostgresParameters row;
      row.bytes(key.bytes());
      if (connection.run("find", row) != 1) throw std::runtime_error("a payment is not there");
    });
  }

 private:
  std::vector<std::unique_ptr<BareConnection>> connections_;
};

/// The application's own row.
class Purchase {
 public:
  explicit Purchase(const Schema& schema)
      : text_("INSERT INTO " + schema.name() + ".purchases (payment, euros) VALUES ($1::bytea, 70)") {}
  void insert(PGconn* connection, std::uint64_t id) const {
    const KeyText key(id);
    const char* const value = key.view().data();
    const int length = static_cast<int>(key.view().size()), binary = 1;
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(
        PQexecParams(connection, text_.c_str(), 1, nullptr, &value, &length, &binary, 1), &PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
      throw std::runtime_error(PQerrorMessage(connection));
  }

 private:
  const std::string text_;
};

/// A payment with a row, in one transaction.
class TransactionPeer final : public Peer {
 public:
  TransactionPeer(const Schema& schema, const Width& width)
      : guard_(paidonce::PostgresStore(schema.server().conninfo(), with_connections(schema, width))),
        purchase_(schema) {}
  void enter(Lane& lane) override { pay_one(lane.next_id()); }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(id); });
  }

 private:
  static paidonce::PostgresStoreOptions with_connections(const Schema& schema, const Width& width) {
    paidonce::PostgresStoreOptions options = schema.options();
    options.connections = width.threads;
    return options;
  }
  void pay_one(std::uint64_t id) {
    expect_success(guard_.execute_in_transaction(
        key_of(id), request_, [&](paidonce::Attempt&, paidonce::PostgresStore::Transaction& transaction) {
          purchase_.insert(transaction.native(), id);
          return paidonce::PaymentResult<std::string>(paidonce::succeeded(response()));
        }));
  }

  Guard guard_;
  const Purchase purchase_;
  const paidonce::Fingerprint request_ = paidonce::fingerprint("order", 1);
};

/// A payment with a row that is committed by itself, on a connection of each thread's own.
class TwoStepPeer final : public Peer {
 public:
  TwoStepPeer(const Schema& schema, const Width& width, const Combining& combining)
      : guard_(paidonce::PostgresStore(schema.server().conninfo(), combining.apply(schema.options()))),
        purchase_(schema) {
    for (std::size_t i = 0; i < width.threads; ++i)
      connections_.push_back(std::make_unique<BareConnection>(schema.server().conninfo()));
  }
  void enter(Lane& lane) override { pay_one(lane, lane.next_id()); }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(lane, id); });
  }

 private:
  void pay_one(Lane& lane, std::uint64_t id) {
    expect_success(guard_.execute(key_of(id), request_, [&] {
      purchase_.insert(connections_[lane.number()]->native(), id);
      return response();
    }));
  }

  Guard guard_;
  const Purchase purchase_;
  std::vector<std::unique_ptr<BareConnection>> connections_;
  const paidonce::Fingerprint request_ = paidonce::fingerprint("order", 1);
};

}  // namespace postgres_benchmark
