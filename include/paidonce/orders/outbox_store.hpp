#pragma once
// A store of payments that announces how they ended: the record that completes a payment and a message about
// it commit in one transaction of the store below. So the message is there exactly for the payments that
// ended, however they did: by their callable, by recovery after a crash, by an operator's resolve.

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <paidonce/key.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// A message in the making; see OutboxMessage.
struct Announcement {
  std::string key = {}, topic = {}, payload = {};
};

/// `OutboxStore store{payments, outbox, announce}` around a store with transactions and an outbox in the same
/// database. `announce(key, record)` returns an `std::optional<Announcement>`; it is asked whenever a payment
/// is written as succeeded or declined, which for one payment happens once. It only looks at what it is
/// given: it may be asked again where a write is repeated, and what it throws leaves a payment in doubt that
/// was made.
///
/// An lvalue is referred to and outlives this, an rvalue is moved in; the outbox is referred to. Any number
/// of threads, as far as store, outbox and `announce` go. Around an OrderStore it is the outer one.
template <class S, class Box, class Announce>
class OutboxStore {
  using Below = std::remove_reference_t<S>;
  static_assert(TransactionalStore<Below>, "paidonce: OutboxStore needs a store with transactions");
  static_assert(OutboxFor<Box, typename Below::Transaction>,
                "paidonce: OutboxStore needs an outbox in the database of its store: a SqliteOutbox over a "
                "SqliteStore, a PostgresOutbox over a PostgresStore");
  static_assert(std::is_invocable_r_v<std::optional<Announcement>, const Announce&, const IdempotencyKey&,
                                      const Record&>,
                "paidonce: announce takes (const IdempotencyKey&, const Record&) and returns "
                "std::optional<Announcement>");

 public:
  static constexpr bool local_find = detail::has_local_find<S>();
  static constexpr bool moves_orders = requires { requires Below::moves_orders; };

  explicit OutboxStore(std::type_identity_t<S> store, Box& outbox, Announce announce)
      : store_(std::forward<S>(store)), outbox_(outbox), announce_(std::move(announce)) {}

  /// The transaction below; itself a store, which announces likewise.
  class Transaction {
   public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    std::optional<Record> find(const IdempotencyKey& key) { return below_.find(key); }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      std::optional<Record> there = below_.insert(key, record);
      if (!there) put(key, record);
      return there;
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      if (!below_.replace(key, expected, record)) return false;
      put(key, record);
      return true;
    }
    decltype(auto) native() { return below_.native(); }
    typename Below::Transaction& below() noexcept { return below_; }

   private:
    friend OutboxStore;
    Transaction(typename Below::Transaction& below, OutboxStore& store) : below_(below), store_(store) {}

    void put(const IdempotencyKey& key, const Record& record) {
      if (const std::optional<Announcement> message = store_.announcement(key, record))
        store_.outbox_.put(below_, message->key, message->topic, message->payload);
    }

    typename Below::Transaction& below_;
    OutboxStore& store_;
  };

  std::optional<Record> find(const IdempotencyKey& key) { return store_.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    if (!announcement(key, record)) return store_.insert(key, record);
    std::optional<Record> there;
    transact([&](Transaction& transaction) { there = transaction.insert(key, record); });
    return there;
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (!announcement(key, record)) return store_.replace(key, expected, record);
    bool stored = false;
    transact([&](Transaction& transaction) { stored = transaction.replace(key, expected, record); });
    return stored;
  }

  /// As the store's: commits when `body(Transaction&)` returns, rolls back when it throws.
  template <class Body>
  void transact(Body&& body) {
    store_.transact([&](typename Below::Transaction& below) {
      Transaction transaction(below, *this);
      body(transaction);
    });
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

 private:
  std::optional<Announcement> announcement(const IdempotencyKey& key, const Record& record) const {
    if (record.state != State::succeeded && record.state != State::declined) return std::nullopt;
    return announce_(key, record);
  }

  S store_;
  Box& outbox_;
  Announce announce_;
};

template <TransactionalStore S, class Box, class Announce>
OutboxStore(S&&, Box&, Announce) -> OutboxStore<S, Box, Announce>;

}  // namespace paidonce::inline v1
