#pragma once
// An outbox in the rows of a TransactionalMemoryStore, for tests of what puts messages or relays them without
// a database. It reads all of its rows at each call: thousands of messages, not millions.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/testing/transactional_store.hpp>

namespace paidonce::inline v1 {

/// Leases and pauses run on `clock`. The store is referred to and outlives the outbox; its rows whose names
/// begin with "outbox/" belong to the outbox. Any number of threads may use it.
template <Clock C = SystemClock>
class MemoryOutbox {
  using Transaction = TransactionalMemoryStore::Transaction;
  using Rows = TransactionalMemoryStore::Rows;

 public:
  /// Throws `Error{invalid_options}`.
  explicit MemoryOutbox(TransactionalMemoryStore& store, C clock = C(), Duration keep_delivered = Duration(0))
      : store_(store), clock_(std::move(clock)), keep_delivered_(detail::checked_keeping(keep_delivered)) {}

  /// `transaction` is that of the store, or of one around it.
  template <class In>
  requires requires(In& transaction) {
    { transaction.native() } -> std::convertible_to<Rows&>;
  }
  std::int64_t put(In& transaction, std::string_view key, std::string_view topic, std::string_view payload) {
    detail::check_message(key, topic, payload);
    Rows& rows = transaction.native();
    const std::int64_t id = number(rows["outbox/last"]) + 1;
    rows["outbox/last"] = std::to_string(id);
    Message message;
    message.key = key;
    message.topic = topic;
    message.payload = payload;
    message.put = now();
    rows[name_of(id)] = message.text();
    rows.try_emplace(name_of(key), Key::of(now()).text());
    return id;
  }

  std::vector<ClaimedKey> claim(ClaimId claim, const ClaimLimits& limits) {
    std::vector<ClaimedKey> claimed;
    store_.transact([&](Transaction& transaction) {
      claimed.clear();
      Rows& rows = transaction.native();
      std::multimap<std::int64_t, std::string> due;
      each(rows, keys, [&](const std::string& name, const std::string& text) {
        const std::int64_t at = Key(text).due;
        if (at <= now()) due.emplace(at, name);
      });
      std::map<std::string, std::size_t, std::less<>> places;
      for (const auto& [at, name] : due) {
        if (claimed.size() >= limits.keys) break;
        Key key(rows[name]);
        key.claim = claim;
        key.due = now() + limits.lease.count();
        rows[name] = key.text();
        places[name.substr(keys.size())] = claimed.size();
        claimed.push_back({name.substr(keys.size()), static_cast<std::uint32_t>(key.failures), key.alerted});
      }
      each(rows, messages, [&](const std::string& name, const std::string& text) {
        Message message(text);
        const auto place = places.find(message.key);
        if (place == places.end() || message.ended != 0) return;
        auto& taken = claimed[place->second].messages;
        if (taken.size() < limits.messages_per_key)
          taken.push_back({id_of(name), message.key, message.topic, message.payload});
      });
    });
    return claimed;
  }

  std::size_t settle(ClaimId claim, std::span<const SettledKey> settled) {
    std::size_t held = 0;
    store_.transact([&](Transaction& transaction) {
      held = 0;
      Rows& rows = transaction.native();
      for (const SettledKey& one : settled) {
        const auto there = rows.find(name_of(one.key));
        if (there == rows.end()) continue;
        Key key(there->second);
        if (key.claim != claim) continue;
        ++held;
        for (const std::int64_t id : one.delivered) end(rows, id);
        key.claim = 0;
        key.due = now() + one.pause.count();
        key.alerted = one.alerted;
        if (one.failure || !one.delivered.empty()) key.failures = one.failure ? one.failure->in_row : 0;
        key.failure = one.failure ? one.failure->text : std::string();
        if (first_of(rows, one.key) == 0)
          rows.erase(there);
        else
          there->second = key.text();
      }
    });
    return held;
  }

  bool set_aside(std::int64_t id, std::string_view actor, std::string_view why) {
    detail::check_set_aside(actor, why);
    bool done = false;
    store_.transact([&](Transaction& transaction) {
      done = false;
      Rows& rows = transaction.native();
      const auto there = rows.find(name_of(id));
      if (there == rows.end()) return;
      Message message(there->second);
      if (message.ended != 0) return;
      done = true;
      const bool was_first = first_of(rows, message.key) == id;
      message.ended = now();
      message.actor = actor;
      message.why = why;
      there->second = message.text();
      if (!was_first) return;
      std::string& row = rows[name_of(message.key)];
      Key key(row);
      if (key.claim == 0) key.due = now();  // a lease goes on: somebody may be sending
      key.claim = 0;
      key.failures = 0;
      key.failure.clear();
      row = key.text();
    });
    return done;
  }

  std::vector<StuckMessage> stuck(std::uint32_t failures, std::size_t most) {
    std::vector<StuckMessage> found;
    const Rows rows = store_.rows();
    each(rows, keys, [&](const std::string& name, const std::string& text) {
      const Key key(text);
      if (key.failures < failures || found.size() >= most) return;
      const std::int64_t id = first_of(rows, name.substr(keys.size()));
      if (id == 0) return;
      found.push_back(
          {id, Message(rows.at(name_of(id))).topic, static_cast<std::uint32_t>(key.failures), key.failure});
    });
    return found;
  }

  OutboxBacklog backlog() {
    OutboxBacklog backlog;
    each(store_.rows(), messages, [&](const std::string&, const std::string& text) {
      const Message message(text);
      if (message.ended != 0) return;
      ++backlog.messages;
      const Duration age(now() - message.put);
      if (age > backlog.oldest) backlog.oldest = age;
    });
    return backlog;
  }

  std::size_t erase_delivered(std::size_t most) {
    std::size_t erased = 0;
    store_.transact([&](Transaction& transaction) {
      Rows& rows = transaction.native();
      std::vector<std::string> old;
      each(rows, messages, [&](const std::string& name, const std::string& text) {
        const Message message(text);
        if (message.ended != 0 && message.actor.empty() && old.size() < most &&
            message.ended + keep_delivered_.count() <= now())
          old.push_back(name);
      });
      for (const std::string& name : old) rows.erase(name);
      erased = old.size();
    });
    return erased;
  }

 private:
  inline static const std::string messages = "outbox/m/", keys = "outbox/k/";

  /// The fields of a row, each after its length.
  static std::string packed(std::initializer_list<std::string_view> fields) {
    std::string text;
    for (const std::string_view field : fields)
      text.append(std::to_string(field.size())).append(":").append(field);
    return text;
  }
  static std::string next(std::string_view& text) {
    const std::size_t colon = text.find(':');
    const auto length = static_cast<std::size_t>(number(text.substr(0, colon)));
    std::string field(text.substr(colon + 1, length));
    text.remove_prefix(colon + 1 + length);
    return field;
  }
  static std::int64_t number(std::string_view digits) {
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }

  struct Message {
    std::string key = {}, topic = {}, payload = {};
    std::int64_t put = 0, ended = 0;  // when; delivered or set aside
    std::string actor = {}, why = {};

    Message() = default;
    explicit Message(std::string_view text)
        : key(next(text)),
          topic(next(text)),
          payload(next(text)),
          put(number(next(text))),
          ended(number(next(text))),
          actor(next(text)),
          why(next(text)) {}
    std::string text() const {
      return packed({key, topic, payload, std::to_string(put), std::to_string(ended), actor, why});
    }
  };

  struct Key {
    std::int64_t due = 0, claim = 0, failures = 0, alerted = 0;
    std::string failure = {};

    static Key of(std::int64_t due) {
      Key key;
      key.due = due;
      return key;
    }
    Key() = default;
    explicit Key(std::string_view text)
        : due(number(next(text))),
          claim(number(next(text))),
          failures(number(next(text))),
          alerted(number(next(text))),
          failure(next(text)) {}
    std::string text() const {
      return packed({std::to_string(due), std::to_string(claim), std::to_string(failures),
                     std::to_string(alerted), failure});
    }
  };

  static std::string name_of(std::int64_t id) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(id));
    return messages + digits;
  }
  static std::string name_of(std::string_view key) { return keys + std::string(key); }
  static std::int64_t id_of(const std::string& name) { return number(name.substr(messages.size())); }

  /// Visits the rows whose names begin so, in their order.
  template <class Visit>
  static void each(const Rows& rows, const std::string& beginning, Visit&& visit) {
    for (auto at = rows.lower_bound(beginning); at != rows.end() && at->first.starts_with(beginning); ++at)
      visit(at->first, at->second);
  }

  /// The oldest message of the key that waits; zero: none does.
  static std::int64_t first_of(const Rows& rows, std::string_view key) {
    std::int64_t first = 0;
    each(rows, messages, [&](const std::string& name, const std::string& text) {
      if (first != 0) return;
      const Message message(text);
      if (message.ended == 0 && message.key == key) first = id_of(name);
    });
    return first;
  }

  void end(Rows& rows, std::int64_t id) {
    const auto there = rows.find(name_of(id));
    if (there == rows.end()) return;
    Message message(there->second);
    if (message.ended != 0) return;
    message.ended = now();
    if (keep_delivered_.count() > 0)
      there->second = message.text();
    else
      rows.erase(there);
  }

  std::int64_t now() { return clock_.now().time_since_epoch().count(); }

  TransactionalMemoryStore& store_;
  C clock_;
  const Duration keep_delivered_;
};

static_assert(OutboxFor<MemoryOutbox<>, TransactionalMemoryStore::Transaction>);

}  // namespace paidonce::inline v1
