// Programs that pay over one PostgreSQL database are killed: at each named point, with each of their
// statements under way or done, and at random while others pay the same orders; paused for longer than a
// lease; and the server is killed under them. The ledger is kept here, in another process: nothing is charged
// twice, and what a caller was told once stays so.

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include <paidonce/stores/postgres.hpp>

#include "fault/crash/ledger.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

struct Terms {
  std::string mode = "reconcile";
  unsigned orders = 6, threads = 1;
  bool server_may_fail = false;
};

/// A schema of its own, the provider's ledger, and what the callers of all payers were told.
class Shop {
 public:
  Shop(PostgresServer& the_server, Terms the_terms)
      : server(the_server), terms(std::move(the_terms)), ledger(terms.mode) {
    paidonce::PostgresStore(server.conninfo(), {.schema = schema}).migrate();
    server.exec("CREATE TABLE " + schema + ".rows (number text)");
  }
  ~Shop() { server.exec("DROP SCHEMA " + schema + " CASCADE"); }
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;

  /// `known`: whether anybody had been told that it is completed, before this caller asked.
  void told(unsigned order, const std::string& what, bool known) {
    if (what.starts_with("completed ")) {
      const std::string* const charged = ledger.charged(order);
      const std::string expected = terms.mode == "transaction"
                                       ? "completed succeeded row of " + std::to_string(order)
                                   : charged == nullptr ? "nothing"
                                   : charged->empty()   ? "completed declined declined"
                                                        : "completed succeeded " + *charged;
      if (what != expected) complain(order, "is completed, with what the provider did not say");
      completed.insert(order);
    } else if (known && what != "error") {
      complain(order, "was completed, and is told to be " + what);
    } else if (what == "error" && !terms.server_may_fail) {
      complain(order, "is told of an error");
    } else if (what == "key_reused" || what == "refused") {
      complain(order, "is told to be " + what);
    }
    last_told[order] = what.substr(0, what.find(' '));
  }
  void complain(unsigned order, const std::string& what) {
    ledger.complain("order " + std::to_string(order) + ' ' + what.substr(0, 80));
  }
  bool is_settled(unsigned order) {
    const std::string& told = last_told[order];
    return told == "completed" || (terms.mode == "doubt" && told == "in_doubt");
  }
  std::string count(const std::string& what) {
    return server.value("SELECT count(*) FROM " + schema + '.' + what);
  }

  PostgresServer& server;
  const Terms terms;
  const std::string schema = PostgresServer::fresh_name("k");
  crash::Ledger ledger;
  std::set<unsigned> completed;
  std::map<unsigned, std::string> last_told;
};

/// A program that pays, and our end of its socket.
class Payer {
 public:
  Payer(Shop& shop, const std::string& point, unsigned long count, std::uint64_t seed, unsigned threads)
      : shop_(shop) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::system_error(errno, std::generic_category(), "socketpair");
    socket_ = ends[0];
    process_ = std::make_unique<integration::Process>(
        std::vector<std::string>{POSTGRES_PAYER, shop.server.conninfo(), shop.schema,
                                 std::to_string(shop.terms.orders), shop.terms.mode, std::to_string(threads),
                                 point, std::to_string(count), std::to_string(seed)},
        ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  ~Payer() { ::close(socket_); }
  Payer(const Payer&) = delete;
  Payer& operator=(const Payer&) = delete;

  int socket() const { return socket_; }
  void signal(int number) const { process_->signal(number); }

  /// Answers one message. False: there are no more, and it has ended.
  bool answer() {
    const auto message = crash::receive(socket_);
    if (!message) {
      status = process_->wait();
      if (status != 0 && status != 128 + SIGKILL)
        shop_.ledger.complain("a payer ended with status " + std::to_string(status));
      return false;
    }
    const auto reply = [&](const std::string& text) {
      // It may be dead by now, and has charged nevertheless.
      try {
        crash::send(socket_, {message->verb, message->order, text});
      } catch (const std::system_error&) {
      }
    };
    switch (message->verb) {
      case crash::Verb::charge: reply(shop_.ledger.charge(message->order, message->text)); break;
      case crash::Verb::look_up: reply(shop_.ledger.look_up(message->order, message->text)); break;
      case crash::Verb::asks: known_[message->order] = shop_.completed.contains(message->order); break;
      case crash::Verb::told: shop_.told(message->order, message->text, known_[message->order]); break;
      case crash::Verb::reached: points.insert(message->text); break;
      case crash::Verb::dies: died_at = message->text; break;
    }
    return true;
  }
  void run_to_the_end() {
    while (answer()) {
    }
  }

  int status = -1;
  std::string died_at;
  std::set<std::string> points;

 private:
  Shop& shop_;
  int socket_ = -1;
  std::unique_ptr<integration::Process> process_;
  std::map<unsigned, bool> known_;  // of those asked for: each once by a payer
};

/// One life; where it ended, and what it passed.
std::pair<std::string, std::set<std::string>> live_once(Shop& shop, const std::string& point,
                                                        unsigned long count, std::uint64_t seed) {
  Payer payer(shop, point, count, seed, shop.terms.threads);
  payer.run_to_the_end();
  return {payer.died_at, payer.points};
}

/// Lives until every order has come to its end; then what is stored is compared with what was said.
bool settle(Shop& shop, const std::string& context) {
  const auto all_settled = [&] {
    for (unsigned order = 0; order < shop.terms.orders; ++order)
      if (!shop.is_settled(order)) return false;
    return true;
  };
  for (unsigned life = 0; life < 20; ++life) {
    shop.last_told.clear();
    live_once(shop, "none", 0, life);
    if (all_settled()) break;
  }
  if (!all_settled()) shop.ledger.complain("not every order came to its end");
  const std::string orders = std::to_string(shop.terms.orders);
  CHECK(shop.count("payments") == orders);
  if (shop.terms.mode == "transaction") {
    CHECK(shop.count("rows") == orders);
    CHECK(shop.server.value("SELECT count(DISTINCT number) FROM " + shop.schema + ".rows") == orders);
    CHECK(shop.count("payments WHERE state = 2") == orders);
  } else {
    // Without a way to settle it, a doubt stays, and is the only thing that does.
    CHECK(shop.count("payments WHERE state NOT IN (2, 3)") ==
          (shop.terms.mode == "doubt" ? shop.count("payments WHERE state = 4") : "0"));
  }
  return crash::report(shop.ledger, context);
}

/// What happens to payers that pay the same orders at the same time.
struct Mishaps {
  unsigned payers = 4, lives = 6;  // of each payer, before one that is spared
  unsigned server_kills = 0;
  bool pauses = true;
};

struct Happened {
  std::size_t deaths = 0, pauses = 0, server_kills = 0;
};

Happened pay_beside_each_other(PostgresServer& server, const Terms& terms, const Mishaps& mishaps,
                               std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Shop shop(server, terms);
  Happened happened;
  struct Place {
    unsigned lives = 0;
    std::unique_ptr<Payer> payer = {};
    std::optional<Steady::time_point> paused_until = {};
    Steady::time_point killed_at = Steady::time_point::max();
  };
  std::vector<Place> places(mishaps.payers);
  const auto begin = [&](Place& place) {
    const bool spared = place.lives++ >= mishaps.lives;
    const bool by_itself = random() % 2 == 0;
    place.payer = std::make_unique<Payer>(shop, spared || !by_itself ? "none" : "any",
                                          1 + random() % (2 * terms.orders), random(),
                                          1 + static_cast<unsigned>(random() % 4));
    place.paused_until.reset();
    place.killed_at = spared || by_itself ? Steady::time_point::max()
                                          : Steady::now() + std::chrono::milliseconds(20 + random() % 400);
  };
  for (Place& place : places) begin(place);
  const auto began = Steady::now();
  auto next_mishap = began;
  for (std::size_t running = places.size(); running > 0;) {
    std::vector<::pollfd> polled;
    for (const Place& place : places) polled.push_back({place.payer ? place.payer->socket() : -1, POLLIN, 0});
    ::poll(polled.data(), polled.size(), 5);
    for (std::size_t at = 0; at < places.size(); ++at) {
      Place& place = places[at];
      if (polled[at].revents == 0 || place.payer->answer()) continue;
      const bool over = place.payer->status == 0 && place.lives > mishaps.lives;
      happened.deaths += place.payer->status == 0 ? 0U : 1U;
      place.payer.reset();
      if (over)
        --running;
      else
        begin(place);
    }
    const auto now = Steady::now();
    for (Place& place : places) {
      if (!place.payer) continue;
      if (now >= place.killed_at) {
        place.payer->signal(SIGKILL);
        place.killed_at = Steady::time_point::max();
      }
      if (place.paused_until && now >= *place.paused_until) {
        place.payer->signal(SIGCONT);
        place.paused_until.reset();
      }
    }
    if (now >= next_mishap) {
      next_mishap = now + std::chrono::milliseconds(10 + random() % 40);
      Place& place = places[random() % places.size()];
      // For longer than its lease: others take over, and it goes on as if nothing had happened.
      if (mishaps.pauses && place.payer && !place.paused_until) {
        place.payer->signal(SIGSTOP);
        place.paused_until = now + std::chrono::milliseconds(60 + random() % 100);
        ++happened.pauses;
      }
      const bool first = happened.server_kills == 0 && happened.deaths > 0;
      if (happened.server_kills < mishaps.server_kills && (first || random() % 4 == 0)) {
        server.kill();
        server.start();
        ++happened.server_kills;
      }
    }
    if (now - began > 5min) {
      shop.ledger.complain("the payers do not come to an end");
      break;
    }
  }
  places.clear();
  settle(shop, "seed " + std::to_string(seed) + ", " + terms.mode);
  return happened;
}

const char* const modes[] = {"reconcile", "promise", "doubt", "transaction"};

}  // namespace

TEST_CASE(
    "a payer over PostgreSQL is killed at each point and with each statement, and nothing is charged twice",
    "[store][postgres][crash]") {
  const std::string mode = GENERATE(from_range(std::begin(modes), std::end(modes)));
  Terms terms;
  terms.mode = mode;
  PostgresServer& server = shared_postgres();
  const char* const charged = mode == "transaction" ? "body: after its row" : "callable: after the charge";
  std::set<std::string> points, died;
  {
    // The points of a first life and, after a death in a payment, of a later one.
    Shop shop(server, terms);
    CHECK(live_once(shop, charged, 3, 1).first == charged);
    points = live_once(shop, "list", 0, 1).second;
    CHECK(settle(shop, mode));
    points.merge(live_once(shop, "list", 0, 1).second);
  }
  const bool transaction = mode == "transaction";
  for (const char* const statement : {"INSERT INTO", transaction ? "COMMIT" : "UPDATE"})
    for (const char* const when : {"sent ", "done "}) points.insert(std::string(when) + statement);
  for (const std::string& point : points) {
    Shop shop(server, terms);
    const auto die = [&](const std::string& where, unsigned long count, std::uint64_t seed) {
      const std::string died_at = live_once(shop, where, count, seed).first;
      if (!died_at.empty()) died.insert(died_at);
    };
    die(charged, 2, 1);  // the later lives find what the earlier ones left
    die(point, 1, 2);
    die(point, 2, 3);
    if (!settle(shop, mode + ", " + point)) return;
  }
  std::string names;
  for (const std::string& name : points)
    names += "\n  " + name + (died.contains(name) ? "" : " (never died there)");
  INFO(mode << names);
  std::vector<std::string> expected = {
      "guard: begun, before the callable", "guard: the result is being encoded",
      "guard: completed, before the unlock", "sent INSERT INTO", "done INSERT INTO"};
  if (mode == "transaction")
    expected.insert(expected.end(),
                    {"body: before its row", "body: after its row", "sent COMMIT", "done COMMIT"});
  else
    expected.insert(expected.end(), {"callable: before the charge", "callable: after the charge",
                                     "sent UPDATE", "done UPDATE", "guard: replayed, before the answer"});
  if (mode == "reconcile")
    expected.insert(expected.end(), {"reconcile: before the question", "reconcile: after the question"});
  for (const std::string& name : expected) {
    INFO(name);
    CHECK(died.contains(name));
  }
}

TEST_CASE(
    "four processes pay the same 1000 orders over PostgreSQL and are killed, and nothing is charged twice",
    "[store][postgres][crash]") {
  const std::uint64_t seed = std::random_device()();
  Terms terms;
  terms.orders = 1000;
  terms.mode = modes[seed % 4];
  const Happened happened = pay_beside_each_other(shared_postgres(), terms, {}, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.deaths >= 8);
  CHECK(happened.pauses > 0);
}

TEST_CASE("a server is killed under four processes that pay the same orders, and nothing is charged twice",
          "[store][postgres][crash]") {
  const std::uint64_t seed = std::random_device()();
  PostgresServer server;
  Terms terms;
  terms.orders = 200;
  terms.mode = modes[seed % 4];
  terms.server_may_fail = true;
  Mishaps mishaps;
  mishaps.lives = 2;
  mishaps.server_kills = 5;
  const Happened happened = pay_beside_each_other(server, terms, mishaps, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.server_kills > 0);
}

TEST_CASE(
    "four processes make 10000 payments under 1000 keys at a time over PostgreSQL, and none is charged twice",
    "[store][postgres][crash][soak]") {
  const std::uint64_t seed = std::random_device()();
  Happened all;
  PostgresServer server;
  for (unsigned round = 0; round < 10; ++round) {
    Terms terms;
    terms.orders = 1000;
    terms.mode = modes[round % 4];
    terms.server_may_fail = round % 2 == 0;
    Mishaps mishaps;
    mishaps.payers = 4 + round % 3;
    mishaps.lives = 10;
    mishaps.server_kills = round % 2 == 0 ? 10 : 0;
    const Happened happened = pay_beside_each_other(server, terms, mishaps, seed + round);
    all.deaths += happened.deaths;
    all.pauses += happened.pauses;
    all.server_kills += happened.server_kills;
  }
  WARN("first seed " << seed << ": " << all.deaths << " deaths and " << all.pauses << " pauses of payers, "
                     << all.server_kills << " of the server");
  CHECK(all.deaths > 100);
}
