// Programs that pay over one SQLite database are killed: before each call that changes the disk, within a
// transaction, and at random while others pay the same orders. The ledger is kept here, in another process:
// nothing is charged twice, and what a caller was told once stays so.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <poll.h>
#include <sqlite3.h>
#include <sys/socket.h>

#include <paidonce/stores/sqlite.hpp>

#include "fault/crash/wire.hpp"
#include "fault/fast_directory.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

namespace {

using namespace paidonce;
using namespace std::chrono_literals;
using fault::FastDirectory;
using integration::Process;

/// The provider, who deduplicates or not; and looks at what the payers' callers are told.
class Ledger {
 public:
  explicit Ledger(std::string does) : does_(std::move(does)) {}

  std::string charge(unsigned order, const std::string& provider_key) {
    Charges& of = charges_[order];
    if (does_ == "promise")
      for (const auto& [known, answer] : of)
        if (known == provider_key) return answer;
    if (!of.empty()) complain(order, "was charged twice");
    of.emplace_back(provider_key, order % 7 == 6 ? "" : "charge of order " + std::to_string(order));
    return of.back().second;
  }
  /// `before`: what was completed when the payer began; of what ends meanwhile it may hear late.
  void told(unsigned order, const std::string& what, const std::set<unsigned>& before) {
    // Its lease ran out, for the machine is busy, and another one has completed the payment: whose charge is
    // the same.
    if (what.starts_with("late ")) {
      const std::string& answer = charges_[order].front().second;
      if (what.substr(5) != (answer.empty() ? "declined" : answer)) complain(order, "has other evidence");
      return;
    }
    if (what.starts_with("completed ")) {
      const std::string bytes = what.substr(10);
      if (does_ == "transaction") {
        if (bytes != "booked " + std::to_string(order)) complain(order, "is completed with other bytes");
      } else if (charges_[order].empty()) {
        complain(order, "is completed without a charge");
      } else if (const std::string& answer = charges_[order].front().second;
                 bytes != (answer.empty() ? "declined" : answer)) {
        complain(order, "is completed with other bytes");
      }
      completed_.insert(order);
    } else if (before.contains(order) && what != "error") {
      complain(order, "was completed, and is told to be " + what);
    } else if (what == "in_doubt" && does_ != "doubt") {
      complain(order, "is told to be " + what);
    }
    if (!completed_.contains(order) || what.starts_with("completed ")) last_told_[order] = what.substr(0, 9);
  }
  /// Whether all that were told to try again have done so.
  bool all_ended(unsigned orders) {
    for (unsigned order = 0; order < orders; ++order)
      if (const std::string& last = last_told_[order]; last != "completed" && last != "in_doubt")
        return false;
    return true;
  }
  void expect_all(unsigned orders) {
    for (unsigned order = 0; order < orders; ++order)
      if (const std::string& last = last_told_[order];
          last != "completed" && !(does_ == "doubt" && last == "in_doubt"))
        complain(order, "is in the end told to be " + (last.empty() ? "nothing" : last));
  }
  void complain(unsigned order, const std::string& what) {
    wrong_.push_back("order " + std::to_string(order) + ' ' + what);
  }
  const std::set<unsigned>& completed() const { return completed_; }
  bool report(const std::string& context) const {
    if (wrong_.empty()) return true;
    std::string all;
    for (std::size_t at = 0; at < wrong_.size() && at < 6; ++at) all += "\n  " + wrong_[at];
    FAIL_CHECK(context << all);
    return false;
  }

 private:
  using Charges = std::vector<std::pair<std::string, std::string>>;  // provider key, answer
  std::string does_;
  std::map<unsigned, Charges> charges_;
  std::set<unsigned> completed_;
  std::map<unsigned, std::string> last_told_;
  std::vector<std::string> wrong_;
};

/// A payer and our end of its socket.
class Payer {
 public:
  Payer(const std::filesystem::path& database, const std::string& does, unsigned orders, std::uint64_t seed,
        unsigned long last_call, const Ledger& ledger)
      : completed_before_(ledger.completed()) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::system_error(errno, std::generic_category(), "socketpair");
    socket_ = ends[0];
    process_ = std::make_unique<Process>(
        std::vector<std::string>{SQLITE_PAYER, database.string(), does, std::to_string(orders),
                                 std::to_string(seed), std::to_string(last_call)},
        ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  Payer(const Payer&) = delete;
  Payer& operator=(const Payer&) = delete;
  ~Payer() { ::close(socket_); }

  int socket() const { return socket_; }
  Process& process() { return *process_; }

  /// Answers one message. False: there are no more, for it has ended.
  bool answer(Ledger& ledger) {
    const auto message = crash::receive(socket_);
    if (!message) return false;
    if (message->verb == crash::Verb::told) ledger.told(message->order, message->text, completed_before_);
    if (message->verb == crash::Verb::charge) {
      const std::string charged = ledger.charge(message->order, message->text);
      try {  // it may be dead by now, and has charged nevertheless
        crash::send(socket_, {message->verb, message->order, charged});
      } catch (const std::system_error&) {
      }
    }
    return true;
  }
  int run_to_the_end(Ledger& ledger) {
    while (answer(ledger)) continue;
    return process_->wait();
  }

 private:
  const std::set<unsigned> completed_before_;
  int socket_ = -1;
  std::unique_ptr<Process> process_;
};

constexpr int killed = 128 + SIGKILL;

/// Lives until every order has come to an end; on a machine that is busy a lease can run out meanwhile.
void pay_the_rest(const std::filesystem::path& database, const std::string& does, unsigned orders,
                  Ledger& ledger) {
  for (unsigned time = 0; time < 10; ++time) {
    CHECK(Payer(database, does, orders, time, 0, ledger).run_to_the_end(ledger) == 0);
    if (ledger.all_ended(orders)) break;
  }
  ledger.expect_all(orders);
}

std::multiset<std::string> column(const std::filesystem::path& database, const char* sql) {
  std::multiset<std::string> values;
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open(database.c_str(), &connection) == SQLITE_OK);
  sqlite3_busy_timeout(connection, 5000);
  const int code = sqlite3_exec(
      connection, sql,
      [](void* to, int, char** texts, char**) {
        static_cast<std::multiset<std::string>*>(to)->insert(texts[0] ? texts[0] : "");
        return 0;
      },
      &values, nullptr);
  CHECK(code == SQLITE_OK);
  sqlite3_close(connection);
  return values;
}

void make_bookings(const std::filesystem::path& database) {
  SqliteStore(database).transact([](SqliteStore::Transaction& transaction) {
    REQUIRE(sqlite3_exec(transaction.native(), "CREATE TABLE bookings (number)", nullptr, nullptr, nullptr) ==
            SQLITE_OK);
  });
}

/// Several payers of the same orders, each killed and started again some times, and then let live.
void pay_beside_each_other(const std::string& does, unsigned orders, unsigned payers, unsigned lives,
                           std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const FastDirectory files;
  const auto database = files / "payments.db";
  if (does == "transaction") make_bookings(database);
  Ledger ledger(does);
  std::vector<unsigned> lives_of(payers, 0);
  std::vector<std::unique_ptr<Payer>> running(payers);
  std::size_t deaths = 0, ended = 0;
  const auto begin = [&](std::size_t place) {
    const bool last = ++lives_of[place] > lives;
    running[place] = std::make_unique<Payer>(database, does, orders, random(),
                                             last ? 0 : 1 + random() % (orders * 2), ledger);
  };
  for (std::size_t place = 0; place < payers; ++place) begin(place);
  const auto deadline = std::chrono::steady_clock::now() + 5min;
  while (ended < payers) {
    std::vector<::pollfd> polled;
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < payers; ++place)
      if (running[place]) {
        polled.push_back({running[place]->socket(), POLLIN, 0});
        places.push_back(place);
      }
    ::poll(polled.data(), polled.size(), 1000);
    if (std::chrono::steady_clock::now() > deadline) {
      ledger.complain(0, "and others: the payers do not come to an end");
      break;
    }
    for (std::size_t at = 0; at < polled.size(); ++at) {
      if (polled[at].revents == 0 || running[places[at]]->answer(ledger)) continue;
      const int status = running[places[at]]->process().wait();
      running[places[at]].reset();
      deaths += status == killed ? 1U : 0U;
      if (status != 0 && status != killed) ledger.complain(0, "a payer ended with " + std::to_string(status));
      if (status == 0 && lives_of[places[at]] > lives)
        ++ended;
      else
        begin(places[at]);
    }
  }
  running.clear();
  pay_the_rest(database, does, orders, ledger);
  CHECK(ledger.report("seed " + std::to_string(seed) + ", " + does));
  CHECK(ledger.completed().size() > orders / 2);
  CHECK(deaths > payers);
  if (does == "transaction") {
    const auto bookings = column(database, "SELECT number FROM bookings");
    CHECK(bookings.size() == orders);
    CHECK(std::set(bookings.begin(), bookings.end()).size() == orders);
  }
  CHECK(column(database, "PRAGMA integrity_check") == std::multiset<std::string>{"ok"});
}

}  // namespace

TEST_CASE("a payer is killed before each call that changes the disk, and nothing is charged twice",
          "[store][sqlite][crash]") {
  const std::string does = GENERATE("promise", "doubt");
  constexpr unsigned orders = 5;
  unsigned long last = 0;
  for (int status = killed; status == killed;) {
    const FastDirectory files;
    const auto database = files / "payments.db";
    Ledger ledger(does);
    status = Payer(database, does, orders, 1, ++last, ledger).run_to_the_end(ledger);
    // The next one finds what it left, and dies as well, at another place.
    Payer(database, does, orders, 2, last % 13 + 5, ledger).run_to_the_end(ledger);
    pay_the_rest(database, does, orders, ledger);
    if (!ledger.report(does + ", killed before change " + std::to_string(last))) return;
  }
  CHECK(last > 60);
}

TEST_CASE("a row of the application and its record are both there or neither, wherever the payer is killed",
          "[store][sqlite][crash][transact]") {
  constexpr unsigned orders = 5;
  unsigned long last = 0;
  std::set<std::size_t> seen;
  for (int status = killed; status == killed;) {
    const FastDirectory files;
    const auto database = files / "payments.db";
    make_bookings(database);
    Ledger ledger("transaction");
    INFO("killed before change " << last + 1);
    status = Payer(database, "transaction", orders, 1, ++last, ledger).run_to_the_end(ledger);
    const auto bookings = column(database, "SELECT 'order-' || number FROM bookings");
    CHECK(bookings ==
          column(database, "SELECT key FROM paidonce_payments_readable WHERE state = 'succeeded'"));
    CHECK(column(database, "SELECT key FROM paidonce_payments_readable").size() == bookings.size());
    seen.insert(bookings.size());
    CHECK(bookings.size() >= ledger.completed().size());
    pay_the_rest(database, "transaction", orders, ledger);
    CHECK(column(database, "SELECT number FROM bookings").size() == orders);
    if (!ledger.report("killed before change " + std::to_string(last))) return;
  }
  CHECK(last > 40);
  CHECK(seen.size() == orders + 1);
}

TEST_CASE("a process that holds the database keeps others waiting, and its death lets them go",
          "[store][sqlite][crash][busy]") {
  const FastDirectory files;
  SqliteStore store(files / "payments.db", {.busy_timeout = 50ms});
  Payer holder(files / "payments.db", "hold", 0, 0, 0, Ledger("hold"));
  const auto said = crash::receive(holder.socket());
  REQUIRE(said);
  CHECK(said->text == "holds");
  const IdempotencyKey key("shop", "order-1");
  Record record;
  record.version = 7;
  const auto before = std::chrono::steady_clock::now();
  CHECK_THROWS_MATCHES(store.insert(key, record), Error, support::has_code<Error>(errc::store_busy));
  const auto waited = std::chrono::steady_clock::now() - before;
  CHECK(waited >= 45ms);
  CHECK(waited < 5s);
  CHECK_FALSE(store.find(key));
  holder.process().signal(SIGKILL);
  holder.process().wait();
  CHECK_FALSE(store.insert(key, record));
  CHECK(store.find(key) == record);
  CHECK(column(files / "payments.db", "SELECT name FROM sqlite_master WHERE name = 'bookings'").empty());
}

TEST_CASE("four processes pay the same orders and are killed, and nothing is charged twice",
          "[store][sqlite][crash]") {
  const std::uint64_t seed = std::random_device()();
  const std::string does = GENERATE("promise", "doubt");
  pay_beside_each_other(does, 1000, 4, 6, seed);
}

TEST_CASE("four processes book the same orders and are killed, and each is booked once",
          "[store][sqlite][crash][transact]") {
  const std::uint64_t seed = std::random_device()();
  pay_beside_each_other("transaction", 300, 4, 6, seed);
}

TEST_CASE("four processes make 10000 payments under 1000 keys at a time, and nothing is charged twice",
          "[store][sqlite][crash][soak]") {
  const std::uint64_t seed = std::random_device()();
  for (unsigned round = 0; round < 10; ++round)
    pay_beside_each_other(round % 2 == 0 ? "promise" : "doubt", 1000, 4, 10, seed + round);
}
