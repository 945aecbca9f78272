#pragma once
// The other side of payments whose store fails: what the provider charged, and what callers were told. Each
// call checks the protocol's invariants.

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/guard.hpp>
#include <paidonce/guard/run.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"

namespace fault {

using namespace paidonce;

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

class Payments {
 public:
  static IdempotencyKey key_of(const std::string& order) { return IdempotencyKey("shop", order); }

  /// Pays through the provider. `before` and `after` the charge something may happen. `record(order)` looks
  /// where nothing fails.
  template <class Guard, class Before, class After, class Look>
  Told pay_by(Guard& by, const std::string& order, const Before& before, const After& after,
              const Look& record) {
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

  /// Once nothing goes wrong any more: the payment comes to its end, once, and stays there.
  template <class Pay>
  void settle_by(const std::string& order, const Pay& pay) {
    clock.advance(std::chrono::minutes(10));  // leases are over
    Told told;
    for (int tries = 0; tries < 20 && told.how != "completed"; ++tries) told = pay(order);
    CHECK(told.how == "completed");
    const int charges = till.charges();
    const Told again = pay(order);
    CHECK(again.how == "completed");
    CHECK(again.replayed);
    CHECK(till.charges() == charges);
  }

  ManualClock clock;
  Till till;
  std::map<std::string, std::string> completed;  // what callers were told once
};

}  // namespace fault
