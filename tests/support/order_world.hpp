#pragma once
// A shop whose every step may fail or be its last: the store, the orders and the provider count their calls
// together. In three builds: orders apart from the payments, together with them in one database (OrderStore),
// and together, but with that hidden from pay_order by a decorator.

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/orders/orders.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/row_orders.hpp"

namespace order_tests {

using namespace paidonce;

/// Counts steps; the nth fails before or after it was done, and where the process is to die, all after it do.
class Steps {
 public:
  enum class Fails { before, after };
  enum class Then { goes_on, dies };

  void arm(std::size_t at, Fails how, Then then) {
    at_ = at;
    how_ = how;
    then_ = then;
    steps_ = 0;
    tripped_ = false;
  }
  void heal() { at_ = 0; }
  bool tripped() const { return tripped_; }

  template <class Operation>
  auto step(Operation&& operation) {
    ++steps_;
    const bool here = at_ != 0 && steps_ == at_;
    const bool dead = at_ != 0 && steps_ > at_ && then_ == Then::dies;
    tripped_ = tripped_ || here;
    if (dead || (here && how_ == Fails::before)) throw Error(errc::store_unavailable, "tripped");
    if constexpr (std::is_void_v<std::invoke_result_t<Operation&>>) {
      operation();
      if (here) throw Error(errc::store_unavailable, "tripped");
    } else {
      auto answer = operation();
      if (here) throw Error(errc::store_unavailable, "tripped");
      return answer;
    }
  }

 private:
  std::size_t at_ = 0, steps_ = 0;
  Fails how_ = Fails::before;
  Then then_ = Then::goes_on;
  bool tripped_ = false;
};

template <class S>
class StepStore : public detail::ForwardTransaction<S> {
 public:
  static constexpr bool local_find = detail::has_local_find<S>();
  StepStore(S& store, Steps& steps) : store_(store), steps_(steps) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    return steps_.step([&] { return store_.find(key); });
  }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return steps_.step([&] { return store_.insert(key, record); });
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    return steps_.step([&] { return store_.replace(key, expected, record); });
  }
  template <class Body>
  void transact(Body&& body) requires TransactionalStore<S> {
    steps_.step([&] { store_.transact(body); });
  }
  template <class Visitor>
  requires ScannableStore<S>
  void scan(const ScanFilter& filter, Visitor&& visitor) { store_.scan(filter, visitor); }

 private:
  S& store_;
  Steps& steps_;
};

template <class Orders>
class StepOrders {
 public:
  StepOrders(Orders& orders, Steps& steps) : orders_(orders), steps_(steps) {}

  std::optional<Order> find(std::string_view number) {
    std::optional<Order> order = steps_.step([&] { return orders_.find(number); });
    ++finds;
    if (const auto hook = after_find) hook();
    return order;
  }
  bool insert(const Order& order) { return orders_.insert(order); }
  std::optional<Order> change(std::string_view number, const OrderChange& change) {
    if (const auto hook = std::exchange(before_change, nullptr)) hook();
    return steps_.step([&] { return orders_.change(number, change); });
  }
  std::vector<Order> open(std::string_view after, std::size_t limit) { return orders_.open(after, limit); }
  template <class Transaction>
  requires TransactionalOrders<Orders, Transaction> std::optional<Order> find_in(Transaction& transaction,
                                                                                 std::string_view number) {
    return steps_.step([&] { return orders_.find_in(transaction, number); });
  }
  template <class Transaction>
  requires TransactionalOrders<Orders, Transaction> std::optional<Order> change_in(
      Transaction& transaction, std::string_view number, const OrderChange& change) {
    return steps_.step([&] { return orders_.change_in(transaction, number, change); });
  }

  int finds = 0;
  std::function<void()> after_find = {};
  std::function<void()> before_change = {};  ///< once

 private:
  Orders& orders_;
  Steps& steps_;
};

/// What the provider has really done, by its own keys.
class OrderLedger {
 public:
  struct Entry {
    std::string what = {};  ///< "paid", "declined" or "back", and the amount
    int times = 0;
  };

  PaymentResult<std::string> charge(std::string_view provider_key, const Order& order) {
    if (order.payment <= declines) return declined(add(provider_key, "declined"));
    return succeeded(add(provider_key, "paid " + order.total.text()));
  }
  PaymentResult<std::string> give_back(std::string_view provider_key, const Refund& refund) {
    return succeeded(add(provider_key, "back " + refund.amount.text()));
  }
  /// Nothing is under way any more when this is asked, so not to know it is proof.
  PaymentResult<std::string> ask(std::string_view provider_key) const {
    const auto found = entries.find(std::string(provider_key));
    if (found == entries.end()) return not_executed("the ledger does not have it");
    if (found->second.what == "declined") return declined(found->second.what);
    return succeeded(found->second.what);
  }

  std::uint32_t declines = 0;  ///< so many payments of an order at first
  std::map<std::string, Entry> entries = {};

  int count(std::string_view what) const {
    int times = 0;
    for (const auto& [key, entry] : entries)
      if (entry.what.starts_with(what)) times += entry.times;
    return times;
  }

 private:
  std::string add(std::string_view provider_key, std::string what) {
    Entry& entry = entries[std::string(provider_key)];
    entry.what = what;
    ++entry.times;
    return what;
  }
};

struct Apart {
  static constexpr bool one_database = false;
  using Store = StepStore<MemoryStore>;
  using Orders = StepOrders<MemoryOrders>;

  Steps steps = {};
  MemoryStore records = MemoryStore(MemoryStoreOptions{.shards = 1});
  MemoryOrders rows = MemoryOrders();
  Store store{records, steps};
  Orders orders{rows, steps};
};

struct Together {
  static constexpr bool one_database = true;
  using Below = StepStore<TransactionalMemoryStore>;
  using Rows = RowOrders<Below>;
  using Orders = StepOrders<Rows>;
  using Store = OrderStore<Below&, Orders&>;

  Steps steps = {};
  TransactionalMemoryStore records = TransactionalMemoryStore();
  Below below{records, steps};
  Rows rows{below, records};
  Orders orders{rows, steps};
  Store store{below, orders};
};

struct Hidden {
  static constexpr bool one_database = true;
  using Rows = RowOrders<TransactionalMemoryStore>;
  using Moving = OrderStore<TransactionalMemoryStore&, Rows&>;
  using Store = StepStore<Moving>;
  using Orders = StepOrders<Rows>;

  Steps steps = {};
  TransactionalMemoryStore records = TransactionalMemoryStore();
  Rows rows{records, records};
  Moving moving{records, rows};
  Store store{moving, steps};
  Orders orders{rows, steps};
};

/// A build, a clock, a provider, and a process at work on them: its guard.
template <class Build>
struct Shop : Build {
  using Guard = IdempotencyGuard<typename Build::Store&, KeyedMutex, ManualClock&>;
  static GuardOptions options() {
    GuardOptions options;
    options.heartbeat = false;
    return options;
  }

  ManualClock clock = {};
  OrderLedger ledger = {};
  std::vector<std::string> alerts = {};
  int moved_unbegun = 0;  ///< money, while the order did not know of it
  std::optional<Guard> process{std::in_place, this->store, KeyedMutex(), clock, options()};
  Guard& guard() { return *process; }

  OrderCallOptions call() {
    OrderCallOptions call;
    call.alert = [this](const Alert& alert) { alerts.push_back(alert.rule); };
    return call;
  }

  Order order(std::string_view number = "o") { return this->rows.find(number).value(); }
  std::optional<Record> record(const OrderKey& key) { return this->records.find(key.key()); }

  /// The process is gone, and another one comes after its leases.
  void restart() {
    this->steps.heal();
    clock.advance(options().lease + Duration(1));
    process.reset();
    process.emplace(this->store, KeyedMutex(), clock, options());
  }

  Outcome<std::string> pay(std::string_view number = "o") {
    return pay_order(guard(), this->orders, number, charging(), call());
  }
  Outcome<std::string> pay_or_ask(std::string_view number = "o") {
    return pay_order(guard(), this->orders, number, charging(), asking(), call());
  }
  Outcome<std::string> refund(const char* id, const char* amount, std::string_view number = "o") {
    return refund_order(guard(), this->orders, number, id, Money::parse(amount, "EUR"), giving_back(),
                        call());
  }
  Outcome<std::string> refund_or_ask(const char* id, const char* amount, std::string_view number = "o") {
    return refund_order(guard(), this->orders, number, id, Money::parse(amount, "EUR"), giving_back(),
                        asking(), call());
  }

  auto ask_ledger() {
    return [this](const Doubt& doubt) { return ledger.ask(doubt.provider_key()); };
  }

 private:
  auto charging() {
    return [this](Attempt& attempt, const Order& order) {
      return this->steps.step([&] {
        if (this->order(order.number).state != OrderState::paying) ++moved_unbegun;
        return ledger.charge(attempt.provider_key(), order);
      });
    };
  }
  auto giving_back() {
    return [this](Attempt& attempt, const Order& order, const Refund& refund) {
      return this->steps.step([&] {
        const Order now = this->order(order.number);
        if (!now.refund(refund.id) || now.refund(refund.id)->state != RefundState::reserved) ++moved_unbegun;
        return ledger.give_back(attempt.provider_key(), refund);
      });
    };
  }
  auto asking() {
    return [this](const Doubt& doubt) { return ledger.ask(doubt.provider_key()); };
  }
};

/// Whether an order says what the records say; what is wrong, else empty.
template <class Shop>
std::string disagreement(Shop& shop, std::string_view number = "o") {
  const Order order = shop.order(number);
  check_order(order);
  const std::optional<Record> payment = shop.record(OrderKey::of_payment(number, order.payment));
  const State state = payment ? payment->state : State::released;
  const bool unfinished = state == State::in_progress || state == State::in_doubt;
  const bool unpaid = order.state == OrderState::unpaid || order.state == OrderState::cancelled;
  const bool agrees = unfinished                  ? order.state == OrderState::paying
                      : state == State::succeeded ? !unpaid && order.state != OrderState::paying
                                                  : unpaid;
  if (!agrees)
    return "the order is " + std::string(to_string(order.state)) + ", its payment " +
           (payment ? std::string(to_string(state)) : "unknown");
  for (const Refund& refund : order.refunds) {
    const std::optional<Record> record = shop.record(OrderKey::of_refund(number, refund.id));
    const State how = record ? record->state : State::released;
    const RefundState expected = how == State::succeeded ? RefundState::done
                                 : how == State::in_progress || how == State::in_doubt
                                     ? RefundState::reserved
                                     : RefundState::released;
    if (refund.state != expected)
      return "refund " + refund.id + " is " + std::string(to_string(refund.state)) + ", its record " +
             std::string(record ? to_string(how) : "unknown");
  }
  return {};
}

}  // namespace order_tests
