#pragma once
// A guard over a PostgreSQL server that is out of reach, dies or hangs when a test says so, and the other
// side of the payments: what the provider charged, and what callers were told. Each call checks the
// protocol's invariants.

#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/guard.hpp>
#include <paidonce/guard/run.hpp>
#include <paidonce/guard/transaction.hpp>
#include <paidonce/locks/no_lock.hpp>
#include <paidonce/stores/postgres.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/pq.hpp"
#include "support/tcp_proxy.hpp"

namespace fault {

using namespace paidonce;

/// Short enough for a test that waits for each of them, long enough for a machine that has other things to
/// do.
inline PostgresStoreOptions short_timeouts(std::string schema) {
  PostgresStoreOptions options;
  options.schema = std::move(schema);
  options.connect_timeout = Duration(3000);
  options.statement_timeout = Duration(900);
  options.lock_timeout = Duration(300);
  options.acquire_timeout = Duration(300);
  options.idle_in_transaction_timeout = Duration(5000);
  options.reconnect = {Duration(5), Duration(50), Jitter::equal};
  return options;
}

/// The provider. Charges whoever asks, and remembers.
class Till {
 public:
  /// So many bytes longer than needed, which nothing can compress.
  std::size_t padding = 0;

  std::string charge(const IdempotencyKey& key) {
    const std::lock_guard lock(mutex_);
    std::string& text = charged_[std::string(key.bytes())];
    if (!text.empty()) twice_ = true;
    text = std::to_string(++charges_) + " charged ";
    text.append("\0\n\xff", 3);
    std::minstd_rand random;
    for (std::size_t byte = 0; byte < padding; ++byte) text += static_cast<char>(random() >> 8U & 0xffU);
    return text;
  }
  std::optional<std::string> look_up(const IdempotencyKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = charged_.find(std::string(key.bytes()));
    if (found == charged_.end()) return std::nullopt;
    return found->second;
  }
  int charges() const {
    const std::lock_guard lock(mutex_);
    return charges_;
  }
  bool charged_twice() const {
    const std::lock_guard lock(mutex_);
    return twice_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> charged_;
  int charges_ = 0;
  bool twice_ = false;
};

/// How a call ended: the outcome's status, or the code of what was thrown.
struct Told {
  std::string how = {};  // "completed", ..., or "thrown: " and the message of the code
  bool replayed = false;
  std::string response = {};
  std::string evidence = {};
  bool thrown() const { return how.starts_with("thrown"); }
};

/// Waits for what a server does by itself.
template <class Condition>
bool eventually(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < deadline)
    if (condition()) return true;
  return false;
}

/// A schema on a server, one store by way of a network that fails, and one that has a line of its own.
class PostgresWorld {
 public:
  using Guard = IdempotencyGuard<PostgresStore&, NoLock, ManualClock>;

  explicit PostgresWorld(PostgresServer& the_server = shared_postgres(),
                         const std::string& extra_conninfo = "",
                         PostgresStoreOptions options = short_timeouts(PostgresServer::fresh_name("w")),
                         int by_way_of = 0)
      : server(the_server),
        schema(options.schema),
        proxy(by_way_of == 0 ? server.port() : by_way_of),
        straight((PostgresStore(server.conninfo() + local, options).migrate(), server.conninfo() + local),
                 options),
        store(proxy.conninfo(server.conninfo()) + extra_conninfo, options),
        guard(store, NoLock(), clock) {
    server.exec("SET synchronous_commit = local; CREATE TABLE " + schema + ".rows (order_number text)");
  }
  ~PostgresWorld() {
    try {
      server.exec("SET synchronous_commit = local; DROP SCHEMA " + schema + " CASCADE");
    } catch (const std::exception&) {
      // It goes with its server.
    }
  }

  static IdempotencyKey key_of(const std::string& order) { return IdempotencyKey("shop", order); }

  /// Pays through the provider. `before` and `after` the charge something may happen.
  template <class Before, class After>
  Told pay(Guard& by, const std::string& order, const Before& before, const After& after) {
    const IdempotencyKey key = key_of(order);
    const bool charged_before = till.look_up(key).has_value();
    const Told told = tell([&] {
      return by.execute(
          key, fingerprint(order),
          [&]() -> PaymentResult<std::string> {
            before();
            std::string text = till.charge(key);
            after();
            return succeeded(std::move(text));
          },
          [&](const Record&) -> PaymentResult<std::string> {
            // Nobody charges at the same time in these tests, so that "not found" proves something.
            if (const auto found = till.look_up(key)) return succeeded(*found);
            return not_executed("there is no such charge");
          });
    });
    INFO("order " << order << " was told: " << told.how);
    CHECK_FALSE(till.charged_twice());
    const auto charged = till.look_up(key);
    if (told.how == "completed") {
      CHECK(told.response == charged.value_or("nothing"));
      CHECK(completed.emplace(order, told.response).first->second == told.response);
      const auto there = record(order);
      CHECK((there && there->state == State::succeeded && there->response == told.response));
    } else {
      CHECK_FALSE(completed.contains(order));
    }
    if (told.thrown() || told.how == "not_executed") CHECK((charged_before || !charged));
    if (!told.evidence.empty()) CHECK(told.evidence == charged.value_or("nothing"));
    return told;
  }
  Told pay(const std::string& order) {
    return pay(
        guard, order, [] {}, [] {});
  }

  /// A row and the record in one transaction.
  template <class After>
  Told pay_in_transaction(const std::string& order, const After& after) {
    const IdempotencyKey key = key_of(order);
    int runs = 0;
    const Told told = tell([&] {
      return guard.execute_in_transaction(
          key, fingerprint(order),
          [&](Attempt&, PostgresStore::Transaction& transaction) -> PaymentResult<std::string> {
            ++runs;
            const char* const number = order.c_str();
            const std::unique_ptr<PGresult, decltype(&PQclear)> result(
                PQexecParams(transaction.native(), ("INSERT INTO " + schema + ".rows VALUES ($1)").c_str(), 1,
                             nullptr, &number, nullptr, nullptr, 0),
                &PQclear);
            if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw std::runtime_error("no row");
            after(transaction);
            return succeeded("row of " + order);
          });
    });
    INFO("order " << order << " was told: " << told.how);
    CHECK(runs <= 1);
    const std::string there = rows(order);
    if (told.how == "completed") {
      CHECK(told.response == "row of " + order);
      CHECK(there == "1");
      const auto recorded = record(order);
      CHECK((recorded && recorded->state == State::succeeded));
    } else if (told.how != "in_doubt") {
      // It was not committed, and nothing can commit it any more: see settled().
      CHECK(there == "0");
    }
    return told;
  }
  Told pay_in_transaction(const std::string& order) {
    return pay_in_transaction(order, [](PostgresStore::Transaction&) {});
  }

  /// The answer, once the server is there to give it.
  template <class Question>
  static auto asked(const Question& question) {
    std::optional<decltype(question())> answer;
    const bool answered = eventually([&] {
      try {
        answer = question();
      } catch (const std::runtime_error&) {
      }
      return answer.has_value();
    });
    REQUIRE(answered);
    return *answer;
  }

  /// How many rows of an order are committed.
  std::string rows(const std::string& order) {
    return asked([&] {
      return server.value("SELECT count(*) FROM " + schema + ".rows WHERE order_number = '" + order + "'");
    });
  }
  std::optional<Record> record(const std::string& order) {
    return asked([&] { return straight.find(key_of(order)); });
  }

  /// Once nothing goes wrong any more, and leases are over: the payment comes to its end, once, and stays
  /// there.
  void settle(const std::string& order) {
    proxy.reset();
    clock.advance(std::chrono::minutes(10));
    Told told;
    for (int tries = 0; tries < 20 && told.how != "completed"; ++tries) told = pay(order);
    CHECK(told.how == "completed");
    const int charges = till.charges();
    const Told again = pay(order);
    CHECK(again.how == "completed");
    CHECK(again.replayed);
    CHECK(till.charges() == charges);
  }

  template <class Call>
  static Told tell(const Call& call) {
    try {
      const Outcome<std::string> outcome = call();
      Told told{std::string(to_string(outcome.status())), outcome.replayed()};
      if (outcome.status() == Status::completed) told.response = outcome.response();
      if (const std::string* const evidence = outcome.evidence()) told.evidence = *evidence;
      return told;
    } catch (const Error& error) {
      return {"thrown: " + error.code().message()};
    }
  }

  /// Where a server commits only with a standby, what the test itself writes does not wait for it.
  static constexpr const char* local = " options='-c synchronous_commit=local'";

  PostgresServer& server;
  const std::string schema;
  TcpProxy proxy;
  ManualClock clock;
  Till till;
  std::map<std::string, std::string> completed;  // what callers were told once
  PostgresStore straight, store;
  Guard guard;
};

}  // namespace fault
