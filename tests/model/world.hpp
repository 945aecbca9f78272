#pragma once
// The state of one simulated world: clock, store, network, provider, clients, and what the invariants
// remember. A value: the explorer copies it at every branch.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenario.hpp"

namespace model {

/// Who wrote a record, as far as the invariants ask.
struct Writer {
  int client = -1;
  std::uint64_t attempts = 0;  ///< attempt ids of the call are this one and the next few
  flow::Purpose purpose = flow::Purpose::pay;
  bool after_begin = false;  ///< the call's own attempt has begun

  bool owns(const Record& record) const {
    return after_begin && record.attempt_id >= attempts && record.attempt_id < attempts + 50;
  }
};

/// A conditional write whose sender was told that it failed.
struct Delayed {
  bool insert = false;
  Version expected = 0;
  Record record = {};
  Writer writer = {};
};

struct Store {
  std::optional<Record> durable = {};
  std::optional<Record> staged = {};  ///< with what is not durable yet
  bool dirty = false;
  Writer dirty_writer = {};
  bool poisoned = false;
  bool sweeping = false;  ///< the sweep has seen a record whose retention was over
};

struct Request {
  enum class Fate : std::uint8_t { under_way, charged, declined, too_late };
  Timestamp payment = {};
  std::uint64_t key = 0;    ///< the provider key
  int client = -1;          ///< who waits for the reply; -1: nobody any more
  Timestamp deadline = {};  ///< the provider refuses it from here on
  Fate fate = Fate::under_way;
};

/// What the provider's own books say of one provider key.
struct Entry {
  Timestamp payment = {};
  int charges = 0;
  int declines = 0;
  std::vector<std::uint64_t> keys = {};  ///< of the requests that were decided

  bool knows(std::uint64_t key) const { return std::find(keys.begin(), keys.end(), key) != keys.end(); }
};

/// A reply of the store that its client has not read yet.
struct Reply {
  enum class Kind : std::uint8_t { found, inserted, replaced } kind = Kind::found;
  std::optional<Record> record = {};
  bool stored = false;
  protocol::Holder holder = protocol::Holder::may_live;
};

/// A heartbeat or a checkpoint of the running attempt.
struct Beat {
  enum class Phase : std::uint8_t { idle, adopting, writing } phase = Phase::idle;
  bool checkpoint = false;
  bool uncertain = false;
  bool lost = false;
  int again = 0;
  flow::Write write = {};
  Record next = {};
  std::uint64_t history = 0;
};

struct Client {
  std::size_t call = 0;
  std::uint32_t crashed_calls = 0;
  std::optional<flow::Payment> payment = {};  ///< none: no call runs
  std::uint64_t history = 0;  ///< everything that the payment was told: it is a function of that
  std::optional<Reply> reply = {};
  Writer writer = {};
  std::optional<Timestamp> begun = {};  ///< the payment whose attempt of this call is durable
  bool started = false;
  bool reported = false;
  bool sent = false;
  std::optional<Report> report = {};
  Version own_version = 0;  ///< the last one that this attempt is known to have written
  Timestamp deadline = {};  ///< of its requests: when the lease that it began with ends
  bool looked = false;      ///< since the lock was asked for
  bool no_time_left = false;
  std::optional<Record> seen = {};
  Timestamp seen_at = {};
  Beat beat = {};
};

/// What the invariants remember of one payment, by its `created_at`.
struct Payment {
  Timestamp created_at = {};
  Fingerprint fingerprint = {};
  std::vector<std::uint64_t> begun = {};
  std::optional<State> result = {};
  std::string response = {};
  std::uint32_t released = 0;   ///< the last attempt that was released
  bool proof_is_wrong = false;  ///< a person declared what was not so
};

struct World {
  Timestamp now{Duration(1000)};
  Budget budget = {};
  Store store = {};
  int lock_owner = -1;
  std::vector<Delayed> network = {};
  std::vector<Request> requests = {};
  std::vector<Entry> ledger = {};
  std::vector<Client> clients = {};
  Version last_version = 0;
  std::vector<Payment> payments = {};
};

template <class List>
auto* find_payment(List& list, Timestamp created_at) {
  for (auto& each : list) {
    if constexpr (requires { each.created_at; }) {
      if (each.created_at == created_at) return &each;
    } else {
      if (each.payment == created_at) return &each;
    }
  }
  return static_cast<decltype(&list[0])>(nullptr);
}

inline Entry entry_of(const World& world, Timestamp payment) {
  const Entry* entry = find_payment(world.ledger, payment);
  return entry ? *entry : Entry{.payment = payment};
}

/// Whether the provider may yet hear of this payment, from a request under way or a client that may send one.
inline bool may_yet_charge(const World& world, Timestamp payment) {
  for (const Request& request : world.requests)
    if (request.payment == payment && request.fate == Request::Fate::under_way) return true;
  for (const Client& client : world.clients)
    if (client.payment && client.begun == payment && !client.reported) return true;
  return false;
}

class Hash {
 public:
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T> Hash& operator()(T value) {
    state_ = (state_ ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 29;
    return *this;
  }
  Hash& operator()(Timestamp time) { return (*this)(time.time_since_epoch().count()); }
  Hash& operator()(std::string_view text) {
    return text.empty() ? (*this)(0) : (*this)(std::hash<std::string_view>()(text));
  }
  Hash& operator()(const Fingerprint& value) { return (*this)(std::to_integer<int>(value.digest()[0])); }
  Hash& operator()(const Record& r) {
    (*this)(r.fingerprint)(r.state)(r.version)(r.attempt_id)(r.attempts)(r.created_at)(r.updated_at);
    return (*this)(r.lease_until)(r.expires_at)(r.checkpoint)(r.response)(r.note);
  }
  template <class T>
  Hash& operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    return value ? (*this)(*value) : *this;
  }
  Hash& operator()(const Writer& w) { return (*this)(w.client)(w.attempts)(w.purpose)(w.after_begin); }
  Hash& operator()(const Delayed& d) { return (*this)(d.insert)(d.expected)(d.record)(d.writer); }
  Hash& operator()(const Request& r) { return (*this)(r.payment)(r.key)(r.client)(r.deadline)(r.fate); }
  Hash& operator()(const Entry& e) { return (*this)(e.payment)(e.charges)(e.declines)(e.keys); }
  Hash& operator()(const Reply& r) { return (*this)(r.kind)(r.record)(r.stored)(r.holder); }
  Hash& operator()(const Beat& b) {
    (*this)(b.phase)(b.uncertain)(b.lost);
    if (b.phase == Beat::Phase::idle) return *this;
    return (*this)(b.checkpoint)(b.again)(b.write.need())(b.write.expected())(b.history)(b.next);
  }
  Hash& operator()(const Client& c) {
    (*this)(c.call)(c.crashed_calls)(c.payment.has_value());
    if (!c.payment) return *this;
    (*this)(c.history)(c.reply)(c.writer)(c.begun)(c.reported)(c.sent);
    return (*this)(c.beat);  // the rest follows from the history
  }
  Hash& operator()(const Payment& p) {
    (*this)(p.created_at)(p.fingerprint)(p.result)(p.response)(p.released)(p.proof_is_wrong);
    return (*this)(p.begun);
  }
  template <class T>
  Hash& operator()(const std::vector<T>& list) {
    (*this)(list.size());
    for (const T& each : list) (*this)(each);
    return *this;
  }
  Hash& operator()(const World& w) {
    (*this)(w.now)(w.store.durable)(w.store.dirty)(w.store.poisoned)(w.store.sweeping)(w.lock_owner);
    (*this)(w.store.staged)(w.last_version)(w.network)(w.requests)(w.ledger)(w.clients)(w.payments);
    for (const std::uint8_t left : w.budget) (*this)(left);
    return *this;
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x2545f4914f6cdd1du;
};

}  // namespace model
