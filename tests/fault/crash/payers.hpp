#pragma once
// Programs that pay the same orders beside each other, are killed, and paused for longer than a lease; and
// the server is killed under them. The ledger is kept here, in another process: nothing is charged twice, and
// what a caller was told once stays so.

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

#include "fault/crash/ledger.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

namespace crash {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

struct Terms {
  std::string mode = "reconcile";
  unsigned orders = 6, threads = 1;
  bool server_may_fail = false;
};

/// Some place to keep records, the provider's ledger, and what the callers of all payers were told.
class Shop {
 public:
  explicit Shop(Terms the_terms) : terms(std::move(the_terms)), ledger(terms.mode) {}
  virtual ~Shop() = default;
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;

  /// A program that pays, and where its records are: what follows is <orders> <mode> <threads> <point>
  /// <count> <seed>.
  virtual std::vector<std::string> payer() const = 0;
  virtual void restart_server() = 0;
  /// Once every order has come to its end.
  virtual void check_stored() = 0;

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

  const Terms terms;
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
    std::vector<std::string> words = shop.payer();
    for (const std::string& word :
         {std::to_string(shop.terms.orders), shop.terms.mode, std::to_string(threads), point,
          std::to_string(count), std::to_string(seed)})
      words.push_back(word);
    process_ = std::make_unique<integration::Process>(words, ends[1], STDERR_FILENO);
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
inline std::pair<std::string, std::set<std::string>> live_once(Shop& shop, const std::string& point,
                                                               unsigned long count, std::uint64_t seed) {
  Payer payer(shop, point, count, seed, shop.terms.threads);
  payer.run_to_the_end();
  return {payer.died_at, payer.points};
}

/// Lives until every order has come to its end; then what is stored is compared with what was said.
inline bool settle(Shop& shop, const std::string& context) {
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
  shop.check_stored();
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

inline Happened pay_beside_each_other(Shop& shop, const Mishaps& mishaps, std::uint64_t seed) {
  const Terms& terms = shop.terms;
  std::mt19937_64 random(seed);
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
        shop.restart_server();
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

}  // namespace crash
