#pragma once
// What a program that pays, and dies where it is told to, is made of: the points where it may end, a lock, an
// observer, a codec and a provider that pass them, and the payment of one order.

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include <paidonce/paidonce.hpp>

#include "fault/crash/wire.hpp"

namespace crash {

using namespace paidonce;

/// Where the process may end. Each name is told to the ledger once, so that it knows which there are.
class Points {
 public:
  Points(int socket, std::string name, unsigned long count)
      : socket_(socket), name_(std::move(name)), left_(count) {}

  void pass(const std::string& name) {
    if (name_ == "none") return;
    if (name_ != "any" && name_ != name && name_ != "list") return;
    const std::lock_guard lock(mutex_);
    if (name_ == "list") {
      if (known_.insert(name).second) crash::send(socket_, {crash::Verb::reached, 0, name});
    } else if (--left_ == 0) {
      die(name);
    }
  }

  /// The last that is heard of this process.
  [[noreturn]] void die(const std::string& name) const {
    crash::send(socket_, {crash::Verb::dies, 0, name});
    for (;;) ::kill(::getpid(), SIGKILL);
  }

 private:
  int socket_;
  std::string name_;
  unsigned long left_;
  std::mutex mutex_;
  std::set<std::string> known_;
};

inline Points* points = nullptr;

inline void point(const std::string& name) { points->pass(name); }

struct CrashingLock : KeyedMutex {
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    point("guard: before the lock");
    auto hold = KeyedMutex::acquire(key, wait);
    point("guard: locked, before the begin");
    return hold;
  }
};

struct CrashingObserver {
  void on(const events::Began&) const noexcept { point("guard: begun, before the callable"); }
  void on(const events::Completed&) const noexcept { point("guard: completed, before the unlock"); }
  void on(const events::Replayed&) const noexcept { point("guard: replayed, before the answer"); }
  void on(const events::InDoubt&) const noexcept { point("guard: in doubt, before the answer"); }
  template <class Event>
  void on(const Event&) const noexcept {}
};

struct Charge {
  std::string bytes;
};

}  // namespace crash

template <>
struct paidonce::Codec<crash::Charge> {
  static constexpr std::string_view format = "charge";
  static std::string encode(const crash::Charge& charge) {
    crash::point("guard: the result is being encoded");
    return charge.bytes;
  }
  static crash::Charge decode(std::string_view bytes) {
    crash::point("guard: a replay is being decoded");
    return {std::string(bytes)};
  }
};

namespace crash {

/// The provider, as a client sees it. One question at a time.
class Provider {
 public:
  explicit Provider(int socket) : socket_(socket) {}
  std::string ask(crash::Verb verb, unsigned order, const std::string& text) {
    const std::lock_guard lock(mutex_);
    crash::send(socket_, {verb, order, text});
    const auto answer = crash::receive(socket_);
    if (!answer) std::_Exit(9);  // the test is gone
    return answer->text;
  }
  void announce(unsigned order) {
    const std::lock_guard lock(mutex_);
    crash::send(socket_, {crash::Verb::asks, order, ""});
  }
  void tell(unsigned order, const std::string& what) {
    const std::lock_guard lock(mutex_);
    crash::send(socket_, {crash::Verb::told, order, what});
  }

 private:
  int socket_;
  std::mutex mutex_;
};

/// What a caller of one payment is told, in words.
template <class Guard>
std::string pay_one(Guard& guard, Provider& provider, unsigned order, const std::string& mode) {
  const IdempotencyKey key("shop", "order-" + std::to_string(order));
  const auto charge = [&](Attempt& attempt) -> PaymentResult<Charge> {
    point("callable: before the charge");
    if (order % 5 == 0) attempt.save_checkpoint("about to charge");
    const std::string charged =
        provider.ask(crash::Verb::charge, order,
                     std::to_string(attempt.fence()) + ' ' + std::string(attempt.provider_key()));
    point("callable: after the charge");
    if (charged == "!") return not_executed("the provider was asked about this attempt, and refuses it now");
    if (charged.empty()) return declined(Charge{"declined"});
    return succeeded(Charge{charged});
  };
  const auto look_up = [&](const Record& record) -> PaymentResult<Charge> {
    point("reconcile: before the question");
    const std::string found = provider.ask(crash::Verb::look_up, order, std::to_string(record.version));
    point("reconcile: after the question");
    if (found == "declined") return declined(Charge{found});
    if (!found.empty()) return succeeded(Charge{found});
    return not_executed("the provider has no such charge, and nobody is charging");
  };
  const auto outcome = mode == "reconcile" ? guard.execute(key, fingerprint(order), charge, look_up)
                                           : guard.execute(key, fingerprint(order), charge);
  std::string told(to_string(outcome.status()));
  if (outcome.status() == Status::completed)
    told += (outcome.succeeded() ? " succeeded " : " declined ") + outcome.response().bytes;
  return told;
}

}  // namespace crash
