#pragma once
// A store of payments that moves their orders: the record of an order's payment or refund and the order
// itself change in one transaction of the store below, so that they agree after any crash, after recovery and
// after an operator's resolve.

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/orders/order_alert.hpp>
#include <paidonce/orders/order_refused.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/rules.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

struct OrderStoreOptions {
  AlertSink alert = {};  ///< `order_contradicts_payment`: money moved that the order cannot account for
};

/// `OrderStore store{payments, orders}` around a store with transactions and orders in the same database. An
/// lvalue is referred to and outlives this, an rvalue is moved in. Records whose keys are not an order's pass
/// through untouched. Any number of threads.
///
/// | write                            | in the same transaction                                                |
/// | -------------------------------- | ---------------------------------------------------------------------- |
/// | a payment, or a refund, begins   | `order_rules::begin`; where that refuses, `OrderRefused` is thrown and |
/// |                                  | nothing is stored                                                      |
/// | it ends                          | `order_rules::follow`; the record is stored whatever the order says    |
/// | lease, checkpoint, doubt         | nothing: no transaction                                                |
template <class S, class T>
class OrderStore {
  using Below = std::remove_reference_t<S>;
  static_assert(TransactionalStore<Below>, "paidonce: OrderStore needs a store with transactions");
  static_assert(TransactionalOrders<T, typename Below::Transaction>,
                "paidonce: OrderStore needs orders with find_in and change_in for transactions of its store: "
                "SqliteOrders over a SqliteStore, PostgresOrders over a PostgresStore");

 public:
  static constexpr bool local_find = detail::has_local_find<S>();
  static constexpr bool moves_orders = true;

  explicit OrderStore(std::type_identity_t<S> store, std::type_identity_t<T> orders,
                      OrderStoreOptions options = {})
      : store_(std::forward<S>(store)), orders_(std::forward<T>(orders)), options_(std::move(options)) {}

  /// The transaction below; itself a store, which moves orders likewise.
  class Transaction {
   public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    std::optional<Record> find(const IdempotencyKey& key) { return below_.find(key); }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      std::optional<Record> there = below_.insert(key, record);
      if (!there) follow(key, record, Begins::yes);
      return there;
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      std::optional<Record> before;
      if (record.state == State::in_progress) before = below_.find(key);
      if (!below_.replace(key, expected, record)) return false;
      follow(key, record, before && before->attempt_id == record.attempt_id ? Begins::no : Begins::yes);
      return true;
    }
    decltype(auto) native() { return below_.native(); }
    typename Below::Transaction& below() noexcept { return below_; }

   private:
    friend OrderStore;
    enum class Begins : std::uint8_t { no, yes };
    Transaction(typename Below::Transaction& below, std::remove_reference_t<T>& orders)
        : below_(below), orders_(orders) {}

    void follow(const IdempotencyKey& key, const Record& record, Begins begins) {
      using order_rules::Followed;
      const std::optional<OrderKey> of = OrderKey::from(key);
      if (!of || record.state == State::in_doubt) return;
      if (record.state == State::in_progress) {
        if (begins == Begins::yes) begin(*of, record);
        return;
      }
      for (Followed followed = Followed::moved; followed == Followed::moved;) {
        const bool known =
            orders_
                .change_in(below_, of->number,
                           [&](Order& order) { followed = order_rules::follow(order, *of, record); })
                .has_value();
        if (!known) followed = record.state == State::succeeded ? Followed::contradicts : Followed::nothing;
        if (followed == Followed::contradicts) contradictions_.push_back(key);
      }
    }

    void begin(const OrderKey& of, const Record& record) {
      order_rules::Refusal refusal;
      const bool known = orders_
                             .change_in(below_, of.number,
                                        [&](Order& order) {
                                          Order moved = order;
                                          refusal = order_rules::begin(moved, of, record);
                                          if (!refusal) order = std::move(moved);
                                        })
                             .has_value();
      if (!known) refusal = "there is no such order";
      if (refusal) throw OrderRefused(*std::move(refusal));
    }

    typename Below::Transaction& below_;
    std::remove_reference_t<T>& orders_;
    std::vector<IdempotencyKey> contradictions_ = {};
  };

  std::optional<Record> find(const IdempotencyKey& key) { return store_.find(key); }

  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    if (!OrderKey::from(key)) return store_.insert(key, record);
    std::optional<Record> there;
    transact([&](Transaction& transaction) { there = transaction.insert(key, record); });
    return there;
  }

  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (record.state == State::in_doubt || !OrderKey::from(key)) return store_.replace(key, expected, record);
    if (record.state == State::in_progress) {
      const std::optional<Record> before = store_.find(key);
      if (!before || before->version != expected) return false;
      if (before->attempt_id == record.attempt_id) return store_.replace(key, expected, record);
    }
    bool stored = false;
    transact([&](Transaction& transaction) { stored = transaction.replace(key, expected, record); });
    return stored;
  }

  /// As the store's: commits when `body(Transaction&)` returns, rolls back when it throws.
  template <class Body>
  void transact(Body&& body) {
    std::vector<IdempotencyKey> contradictions;
    store_.transact([&](typename Below::Transaction& below) {
      Transaction transaction(below, orders_);
      body(transaction);
      contradictions = std::move(transaction.contradictions_);
    });
    for (const IdempotencyKey& key : contradictions)
      detail::alert_about(options_.alert, detail::order_contradicts_payment, key,
                          std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()));
  }

  template <class Visitor>
  requires ScannableStore<Below>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    store_.scan(filter, std::forward<Visitor>(visitor));
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) requires SweepableStore<Below> {
    return store_.erase_expired(now, limit);
  }
  bool holder_gone(const IdempotencyKey& key, const Record& record) requires HolderAwareStore<Below> {
    return store_.holder_gone(key, record);
  }

  Below& below() noexcept { return store_; }
  std::remove_reference_t<T>& orders() noexcept { return orders_; }

 private:
  S store_;
  T orders_;
  OrderStoreOptions options_;
};

template <TransactionalStore S, class T>
OrderStore(S&&, T&&) -> OrderStore<S, T>;
template <TransactionalStore S, class T>
OrderStore(S&&, T&&, OrderStoreOptions) -> OrderStore<S, T>;

}  // namespace paidonce::inline v1
