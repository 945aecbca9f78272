// A program that pays through a guard over a file store is killed, at every named point and at random ones,
// and started again with the same orders. The ledger is kept here, in another process: nothing is charged
// twice, and what a caller was told once stays so.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "fault/crash/wire.hpp"
#include "fault/fast_directory.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

namespace {

using fault::FastDirectory;
using integration::Process;

/// The provider. Charges what it is asked to, once for each request or, where it deduplicates, once for each
/// key; and looks at what the payer's callers are told.
class Ledger {
 public:
  explicit Ledger(std::string mode) : mode_(std::move(mode)) {}

  std::string charge(unsigned order, const std::string& provider_key) {
    if (mode_ == "promise")
      if (const auto known = by_key_.find(provider_key); known != by_key_.end()) return known->second;
    std::string answer;
    if (order % 7 != 6) {
      answer = "charge " + std::to_string(++charges_) + " of order " + std::to_string(order) + ' ';
      answer.append(order % 3 == 0 ? 50 : 2500 + order * 977 % 1400, static_cast<char>('a' + order % 26));
    }
    of_order_[order].push_back(answer);
    if (of_order_[order].size() > 1) complain(order, "was charged twice");
    by_key_[provider_key] = answer;
    return answer;
  }
  std::string look_up(unsigned order) const {
    const auto found = of_order_.find(order);
    if (found == of_order_.end()) return "";
    return found->second.back().empty() ? "declined" : found->second.back();
  }

  enum class Others : std::uint8_t { none, may_be_at_it };
  void told(unsigned order, const std::string& what, Others others) {
    const auto charged = of_order_.find(order);
    if (what.starts_with("completed ")) {
      const bool declined = what.starts_with("completed declined ");
      const std::string bytes = what.substr(what.find(' ', 10) + 1);
      if (charged == of_order_.end() || (declined ? "" : bytes) != charged->second.back())
        complain(order, "is told to be completed, with what the provider did not say");
      if (completed_.emplace(order, what).first->second != what)
        complain(order, "is replayed with other bytes");
      completed_in_this_life_.insert(order);
    } else if (what == "in_progress" && others == Others::may_be_at_it &&
               completed_in_this_life_.contains(order)) {
      return;  // two threads had it at once, and the one that was turned away told so last
    } else if (completed_.contains(order)) {
      complain(order, "was completed, and is told to be " + what);
    } else if (what == "in_doubt" ? mode_ != "doubt" : what != "in_progress" || others == Others::none) {
      complain(order, "is told to be " + what);
    }
    last_told_[order] = what;
  }

  /// The payer begins anew.
  void begin_life() { completed_in_this_life_.clear(); }

  /// After a run to the end.
  void expect_all(unsigned orders) {
    for (unsigned order = 0; order < orders; ++order) {
      const std::string told = last_told_[order].substr(0, 9);
      if (told != "completed" && !(mode_ == "doubt" && told == "in_doubt"))
        complain(order, "is in the end told to be " + (told.empty() ? "nothing" : told));
      if (told == "completed" && of_order_[order].size() != 1)
        complain(order, "is completed without a charge");
    }
    last_told_.clear();
  }
  std::size_t in_doubt() const {
    std::size_t count = 0;
    for (const auto& [order, told] : last_told_) count += told == "in_doubt" ? 1U : 0U;
    return count;
  }
  const std::vector<std::string>& wrong() const { return wrong_; }
  void complain(const std::string& what) { wrong_.push_back(what); }

 private:
  void complain(unsigned order, const std::string& what) {
    wrong_.push_back("order " + std::to_string(order) + ' ' + what.substr(0, 80));
  }

  std::string mode_;
  std::map<unsigned, std::vector<std::string>> of_order_;
  std::map<std::string, std::string> by_key_;
  std::map<unsigned, std::string> completed_, last_told_;
  std::set<unsigned> completed_in_this_life_;
  std::vector<std::string> wrong_;
  std::size_t charges_ = 0;
};

struct Terms {
  std::string mode = "reconcile";
  unsigned orders = 64, threads = 1;  // each order comes twice
  bool compacts = true, direct = true;
};

struct Ended {
  int status = -1;
  std::string died_at;
  std::set<std::string> points;
};

/// Runs a payer until it ends or, where `kill_after` is given, is killed.
Ended run_payer(const std::filesystem::path& directory, const Terms& terms, const std::string& point,
                unsigned long count, Ledger& ledger,
                std::optional<std::chrono::microseconds> kill_after = std::nullopt) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  Ended ended;
  ledger.begin_life();
  Process payer({FILE_PAYER, directory.string(), std::to_string(terms.orders), terms.mode,
                 std::to_string(terms.threads), terms.compacts ? "compacts" : "grows",
                 terms.direct ? "direct" : "buffered", point, std::to_string(count)},
                ends[1], STDERR_FILENO);
  ::close(ends[1]);
  const auto others = terms.threads > 1 ? Ledger::Others::may_be_at_it : Ledger::Others::none;
  const auto deadline = std::chrono::steady_clock::now() + kill_after.value_or(std::chrono::minutes(2));
  for (bool killed = false;;) {
    if (!killed) {
      const auto left =
          std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - std::chrono::steady_clock::now());
      ::pollfd readable{ends[0], POLLIN, 0};
      const ::timespec wait{static_cast<time_t>(left.count() / 1'000'000'000), left.count() % 1'000'000'000};
      if (left.count() <= 0 || ::ppoll(&readable, 1, &wait, nullptr) == 0) {
        payer.signal(SIGKILL);
        killed = true;
        if (!kill_after) ledger.complain("the payer does not come to an end");
      }
    }
    const auto message = crash::receive(ends[0]);
    if (!message) break;
    const auto answer = [&](const std::string& text) {
      // It may be dead by now, and has charged nevertheless.
      try {
        crash::send(ends[0], {message->verb, message->order, text});
      } catch (const std::system_error&) {
      }
    };
    switch (message->verb) {
      case crash::Verb::charge: answer(ledger.charge(message->order, message->text)); break;
      case crash::Verb::look_up: answer(ledger.look_up(message->order)); break;
      case crash::Verb::told: ledger.told(message->order, message->text, others); break;
      case crash::Verb::reached: ended.points.insert(message->text); break;
      case crash::Verb::dies: ended.died_at = message->text; break;
    }
  }
  ::close(ends[0]);
  ended.status = payer.wait();
  if (ended.status != 0 && ended.status != 128 + SIGKILL)
    ledger.complain("the payer ended with status " + std::to_string(ended.status));
  return ended;
}

bool report(const Ledger& ledger, const std::string& context) {
  if (ledger.wrong().empty()) return true;
  std::string all;
  for (std::size_t at = 0; at < ledger.wrong().size() && at < 6; ++at) all += "\n  " + ledger.wrong()[at];
  FAIL_CHECK(context << all);
  return false;
}

const char* const modes[] = {"reconcile", "promise", "doubt"};

/// Kill after kill over one directory, from a seed; then a run to the end.
std::size_t random_kills(std::uint64_t seed, std::size_t kills) {
  std::mt19937_64 random(seed);
  Terms terms;
  terms.mode = modes[random() % 3];
  terms.threads = random() % 3 == 0 ? 4 : 1;
  terms.compacts = random() % 2 == 0;
  terms.direct = random() % 2 == 0;
  terms.orders = 16 + 2 * static_cast<unsigned>(random() % 30);
  const std::string context =
      "seed " + std::to_string(seed) + ", " + terms.mode + ", " + std::to_string(terms.threads) +
      " threads, " + (terms.compacts ? "compacts" : "grows") + (terms.direct ? ", direct" : ", buffered");
  const FastDirectory files;
  const auto directory = files / "store";
  Ledger ledger(terms.mode);
  std::size_t killed = 0;
  for (std::size_t kill = 0; kill < kills; ++kill) {
    Ended ended;
    if (random() % 2 == 0)
      ended = run_payer(directory, terms, "any", 1 + random() % (random() % 2 == 0 ? 60 : 600), ledger);
    else
      ended =
          run_payer(directory, terms, "none", 0, ledger, std::chrono::microseconds(200 + random() % 8000));
    killed += ended.status == 128 + SIGKILL ? 1U : 0U;
    if (!report(ledger, context + ", kill " + std::to_string(kill) + " at " + ended.died_at)) return killed;
  }
  CHECK(run_payer(directory, terms, "none", 0, ledger).status == 0);
  ledger.expect_all(terms.orders / 2);
  report(ledger, context + ", in the end");
  return killed;
}

}  // namespace

TEST_CASE("a payer is killed at each named point, and nothing is charged twice", "[store][file][crash]") {
  std::set<std::string> all, died;
  for (const char* const mode : modes)
    for (const bool direct : {true, false}) {
      Terms terms;
      terms.mode = mode;
      terms.direct = direct;
      const char* const charged = "callable: after the charge";
      // The points of a first life and, after a death in a payment, of a later one.
      std::set<std::string> points;
      {
        const FastDirectory files;
        Ledger ledger(mode);
        CHECK(run_payer(files / "store", terms, charged, 5, ledger).status == 128 + SIGKILL);
        points = run_payer(files / "store", terms, "list", 0, ledger).points;
      }
      {
        const FastDirectory files;
        Ledger ledger(mode);
        points.merge(run_payer(files / "store", terms, "list", 0, ledger).points);
      }
      for (const std::string& point : points) {
        const FastDirectory files;
        Ledger ledger(mode);
        // The later lives begin with what the earlier ones left: each comes to the point at another place,
        // and some with a payment in doubt.
        for (const unsigned long count : {1UL, 2UL, 5UL, 1UL, 3UL}) {
          run_payer(files / "store", terms, charged, count, ledger);
          const Ended ended = run_payer(files / "store", terms, point, count, ledger);
          if (!ended.died_at.empty()) died.insert(ended.died_at);
        }
        CHECK(run_payer(files / "store", terms, "none", 0, ledger).status == 0);
        ledger.expect_all(terms.orders / 2);
        CHECK(run_payer(files / "store", terms, "none", 0, ledger).status == 0);  // all of it replayed
        ledger.expect_all(terms.orders / 2);
        report(ledger, std::string(mode) + (direct ? ", direct, " : ", buffered, ") + point);
      }
      all.merge(points);
    }
  std::string names;
  for (const std::string& name : all)
    names += "\n  " + name + (died.contains(name) ? "" : " (never died there)");
  INFO(all.size() << " points:" << names);
  CHECK(all.size() >= 20);
  CHECK(died.size() >= 20);
  for (const char* const name : {"guard: before the lock",
                                 "guard: locked, before the begin",
                                 "guard: begun, before the callable",
                                 "callable: before the charge",
                                 "callable: after the charge",
                                 "guard: the result is being encoded",
                                 "guard: completed, before the unlock",
                                 "guard: unlocked and told",
                                 "reconcile: before the question",
                                 "reconcile: after the question",
                                 "open: rename, before",
                                 "open: rename, after",
                                 "open: sync, after",
                                 "pay: write, before",
                                 "pay: write, after",
                                 "pay: sync of data, before",
                                 "pay: sync of data, after",
                                 "pay: rename, before",
                                 "pay: rename, after",
                                 "compact: write, before",
                                 "compact: unlink, before",
                                 "compact: unlink, after"}) {
    INFO(name);
    CHECK(died.contains(name));
  }
}

TEST_CASE("a payer is killed at random, and nothing is charged twice", "[store][file][crash]") {
  const std::uint64_t first = std::random_device()();
  INFO("first seed " << first);
  std::size_t killed = 0;
  for (std::uint64_t seed = first; seed < first + 30; ++seed) killed += random_kills(seed, 10);
  CHECK(killed > 100);
}

TEST_CASE("a payer is killed at random 20000 times, and nothing is charged twice",
          "[store][file][crash][soak]") {
  const std::uint64_t first = std::random_device()();
  WARN("first seed " << first);
  std::size_t killed = 0, lives = 0;
  for (std::uint64_t seed = first; killed < 20'000; ++seed, ++lives) {
    killed += random_kills(seed, 40);
    if (lives % 100 == 99) WARN(killed << " kills, up to seed " << seed);
    REQUIRE(lives < 10'000);
  }
  WARN(killed << " kills of " << lives << " stores");
}
