#pragma once
// What tests of outboxes and relays work on: an outbox of whatever kind behind one face, so that the tests
// are compiled once.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/guard.hpp>
#include <paidonce/orders/outbox_store.hpp>
#include <paidonce/orders/relay.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"

namespace outbox_suite {

using namespace paidonce;
using namespace std::chrono_literals;
using support::has_code;

class AnyOutbox {
 public:
  virtual ~AnyOutbox() = default;
  virtual std::vector<ClaimedKey> claim(ClaimId claim, const ClaimLimits& limits) = 0;
  virtual std::size_t settle(ClaimId claim, std::span<const SettledKey> keys) = 0;
  virtual bool set_aside(std::int64_t id, std::string_view actor, std::string_view why) = 0;
  virtual std::vector<StuckMessage> stuck(std::uint32_t failures, std::size_t most) = 0;
  virtual OutboxBacklog backlog() = 0;
  virtual std::size_t erase_delivered(std::size_t most) = 0;
};

template <class Box>
class OutboxOf : public AnyOutbox {
 public:
  template <class... Arguments>
  explicit OutboxOf(Arguments&&... arguments) : box(std::forward<Arguments>(arguments)...) {}
  std::vector<ClaimedKey> claim(ClaimId id, const ClaimLimits& most) override { return box.claim(id, most); }
  std::size_t settle(ClaimId id, std::span<const SettledKey> keys) override { return box.settle(id, keys); }
  bool set_aside(std::int64_t id, std::string_view actor, std::string_view why) override {
    return box.set_aside(id, actor, why);
  }
  std::vector<StuckMessage> stuck(std::uint32_t failures, std::size_t most) override {
    return box.stuck(failures, most);
  }
  OutboxBacklog backlog() override { return box.backlog(); }
  std::size_t erase_delivered(std::size_t most) override { return box.erase_delivered(most); }

  Box box;
};

using Put =
    std::function<std::int64_t(std::string_view key, std::string_view topic, std::string_view payload)>;
using Pay = std::function<PaymentResult<std::string>()>;

/// A store, an outbox in its database, and their time.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual AnyOutbox& outbox() = 0;
  /// Another handle to it, that keeps what was delivered.
  virtual AnyOutbox& keeping(Duration time) = 0;
  /// Lets time pass for leases and pauses.
  virtual void pass(Duration time) = 0;
  virtual void transact(const std::function<void(const Put&)>& body) = 0;
  /// A payment of rows.
  virtual Outcome<std::string> book(const std::string& order,
                                    const std::function<PaymentResult<std::string>(const Put&)>& pay) = 0;
  /// A payment at a provider, or one of rows, whose success is announced to customer-7; and a person's word.
  virtual Outcome<std::string> announce(const std::string& order, const Pay& pay) = 0;
  virtual Outcome<std::string> announce_in_transaction(const std::string& order,
                                                       const std::string& result) = 0;
  virtual Outcome<std::string> resolve(const std::string& order, const std::string& result) = 0;
};

/// Of a bench that has `store()` and `box()`.
template <class Self, class Store, class Box>
class BenchOf : public Bench {
  using Transaction = typename Store::Transaction;
  static_assert(OutboxFor<Box, Transaction>);

 public:
  void transact(const std::function<void(const Put&)>& body) override {
    self().store().transact([&](Transaction& transaction) { body(put_in(transaction)); });
  }
  Outcome<std::string> book(const std::string& order,
                            const std::function<PaymentResult<std::string>(const Put&)>& pay) override {
    IdempotencyGuard guard{self().store()};
    return guard.execute_in_transaction(
        IdempotencyKey("shop", order), fingerprint(order),
        [&](Attempt&, Transaction& transaction) { return pay(put_in(transaction)); });
  }
  Outcome<std::string> announce(const std::string& order, const Pay& pay) override {
    Announcing announcing = announcing_store();
    IdempotencyGuard guard{announcing};
    return guard.execute(IdempotencyKey("shop", order), fingerprint(order), pay);
  }
  Outcome<std::string> announce_in_transaction(const std::string& order, const std::string& result) override {
    Announcing announcing = announcing_store();
    IdempotencyGuard guard{announcing};
    return guard.execute_in_transaction(IdempotencyKey("shop", order), fingerprint(order),
                                        [&](Attempt&, auto& transaction) {
                                          static_cast<void>(transaction.native());
                                          return result;
                                        });
  }
  Outcome<std::string> resolve(const std::string& order, const std::string& result) override {
    Announcing announcing = announcing_store();
    IdempotencyGuard guard{announcing};
    return guard.resolve(IdempotencyKey("shop", order), PaymentResult<std::string>(succeeded(result)), "ann",
                         "asked the provider");
  }

 private:
  struct Announce {
    std::optional<Announcement> operator()(const IdempotencyKey& key, const Record& record) const {
      if (record.state != State::succeeded) return std::nullopt;
      return Announcement{"customer-7", "receipt", std::string(key.text()) + record.response};
    }
  };
  using Announcing = OutboxStore<Store&, Box, Announce>;
  Announcing announcing_store() { return Announcing(self().store(), self().box(), Announce{}); }
  Self& self() { return static_cast<Self&>(*this); }
  Put put_in(Transaction& transaction) {
    return [&](std::string_view key, std::string_view topic, std::string_view payload) {
      return self().box().put(transaction, key, topic, payload);
    };
  }
};

/// Joined wherever the test ends.
class Threads {
 public:
  ~Threads() { join(); }
  template <class Run>
  void start(Run&& run) {
    threads_.emplace_back(std::forward<Run>(run));
  }
  void join() {
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
};

/// What arrived, in its order.
struct Receiver {
  std::vector<OutboxMessage> messages = {};
  std::set<std::string> refused = {};                     // payloads that fail
  std::function<void(const OutboxMessage&)> before = {};  // each

  void operator()(const OutboxMessage& message) {
    if (before) before(message);
    if (refused.count(message.payload) > 0) throw std::runtime_error("refused");
    messages.push_back(message);
  }
  std::vector<std::string> of(std::string_view key) const {
    std::vector<std::string> payloads;
    for (const OutboxMessage& message : messages)
      if (message.key == key) payloads.push_back(message.payload);
    return payloads;
  }
  std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const OutboxMessage& message : messages) all.push_back(message.payload);
    return all;
  }
};
using Texts = std::vector<std::string>;

inline constexpr Duration lease = 10min;
inline constexpr ClaimLimits limits{16, 16, lease};
/// What a test stays away from the end of a lease or a pause.
inline constexpr Duration slack = 30s;

/// What was put, sent and told.
struct World {
  explicit World(std::unique_ptr<Bench> made)
      : owned(std::move(made)), bench(*owned), outbox(bench.outbox()) {}
  explicit World(Bench& of) : bench(of), outbox(bench.outbox()) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::unique_ptr<Bench> owned = nullptr;
  Bench& bench;
  AnyOutbox& outbox;
  ManualClock clock = {};
  Stop stop = {};
  Receiver receiver = {};
  std::vector<Alert> alerts = {};

  /// With times so long that a server's own time, which passes too, makes no difference.
  RelayOptions options() {
    RelayOptions options;
    options.lease = lease;
    options.deadline = 5min;
    options.backoff = {1min, 1h, Jitter::none};
    options.alert = [this](const Alert& alert) { alerts.push_back(alert); };
    options.alert_after = 3;
    options.seed = 1;
    return options;
  }
  using TestRelay = Relay<AnyOutbox, std::reference_wrapper<Receiver>, ManualClock, ManualClock>;
  TestRelay relay() { return relay(options()); }
  TestRelay relay(RelayOptions options) { return relay(outbox, std::move(options)); }
  TestRelay relay(AnyOutbox& of, RelayOptions options) {
    return TestRelay(of, std::ref(receiver), std::move(options), clock, clock);
  }
  RelayReport drain() { return relay().drain(stop); }

  std::int64_t put(std::string_view key, std::string_view payload, std::string_view topic = "receipt") {
    std::int64_t id = 0;
    bench.transact([&](const Put& put_message) { id = put_message(key, topic, payload); });
    return id;
  }
  void pass(Duration time) {
    clock.advance(time);
    bench.pass(time);
  }
  /// Alerts as "raised 7".
  Texts told() const {
    Texts all;
    for (const Alert& alert : alerts) {
      CHECK(alert.rule == "outbox_message_stuck");
      const auto digits = alert.text.find_first_of("0123456789");
      all.push_back((alert.edge == Alert::Edge::raised ? "raised " : "cleared ") +
                    std::to_string(std::stoll(alert.text.substr(digits))));
    }
    return all;
  }
};

}  // namespace outbox_suite
