#pragma once
// The other side of payers that die: the provider's ledger, kept by the test, in another process than theirs,
// and what their callers were told.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault/crash/wire.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

namespace crash {

/// The provider. Charges what it is asked to, once for each request or, where it deduplicates, once for each
/// key; and looks at what the payer's callers are told.
class Ledger {
 public:
  explicit Ledger(std::string mode) : mode_(std::move(mode)) {}

  /// `request`: the attempt's fence, and the key that the provider deduplicates by. "!": it is too late.
  std::string charge(unsigned order, const std::string& request) {
    const std::string provider_key = request.substr(request.find(' ') + 1);
    if (const auto barred = barred_.find(order);
        barred != barred_.end() && std::stoull(request) <= barred->second)
      return "!";
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
  /// Says what there is, and that nothing comes any more from an attempt whose fence is not higher.
  std::string look_up(unsigned order, const std::string& fence) {
    auto& barred = barred_[order];
    barred = std::max(barred, std::stoull(fence));
    const auto found = of_order_.find(order);
    if (found == of_order_.end()) return "";
    return found->second.back().empty() ? "declined" : found->second.back();
  }

  /// What was charged; null: nothing, and an empty text: declined.
  const std::string* charged(unsigned order) const {
    const auto found = of_order_.find(order);
    return found == of_order_.end() ? nullptr : &found->second.back();
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
  std::map<unsigned, unsigned long long> barred_;
  std::map<unsigned, std::string> completed_, last_told_;
  std::set<unsigned> completed_in_this_life_;
  std::vector<std::string> wrong_;
  std::size_t charges_ = 0;
};

struct Ended {
  int status = -1;
  std::string died_at;
  std::set<std::string> points;
};

/// Runs a payer until it ends or, where `kill_after` is given, is killed. The program is told the rest.
inline Ended run_payer(const std::vector<std::string>& command, Ledger::Others others, Ledger& ledger,
                       std::optional<std::chrono::microseconds> kill_after = std::nullopt) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  Ended ended;
  ledger.begin_life();
  integration::Process payer(command, ends[1], STDERR_FILENO);
  ::close(ends[1]);
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
      case crash::Verb::look_up: answer(ledger.look_up(message->order, message->text)); break;
      case crash::Verb::told: ledger.told(message->order, message->text, others); break;
      case crash::Verb::reached: ended.points.insert(message->text); break;
      case crash::Verb::dies: ended.died_at = message->text; break;
      case crash::Verb::asks: break;
    }
  }
  ::close(ends[0]);
  ended.status = payer.wait();
  if (ended.status != 0 && ended.status != 128 + SIGKILL)
    ledger.complain("the payer ended with status " + std::to_string(ended.status));
  return ended;
}

inline bool report(const Ledger& ledger, const std::string& context) {
  if (ledger.wrong().empty()) return true;
  std::string all;
  for (std::size_t at = 0; at < ledger.wrong().size() && at < 6; ++at) all += "\n  " + ledger.wrong()[at];
  FAIL_CHECK(context << all);
  return false;
}

}  // namespace crash
