#pragma once
// The messages that a consumer of a queue holds: which of them may go out, and when. Pure: it does no I/O,
// has no lock and no clock; whoever calls it brings the time, as an `elapsed()` of a Timer.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <paidonce/queue/message.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// A message waits here, goes out by `next`, and is settled by `done` or comes back by `retry`. Those with
/// one non-empty key go out in the order in which they were added, one at a time: the first of them holds the
/// others back, whether it is out or waits for its retry. Between keys the one that is due for longest goes
/// first.
///
/// `Handle` is what the source needs to settle a message at its broker, as a delivery tag or the id of an
/// entry and its partition. It stays here; the caller has the token, which is never used twice: so what
/// settles a message of a connection that is gone finds nothing.
///
/// `next`, `done` and `give_back`'s and `drop`'s effect on those that stay do not allocate. Not thread-safe.
template <class Handle>
class Backlog {
 public:
  using Token = std::uint64_t;

  /// A message that the broker has handed to this consumer.
  void add(Message message, Handle handle, Duration now) {
    Turns turn;
    const Token token = last_ + 1;
    turn.emplace(now, token);
    message.token = token;
    const auto item =
        items_.emplace_hint(items_.end(), token, Item{std::move(message), std::move(handle), now});
    item->second.turn = turn.extract(turn.begin());
    try {
      if (!item->second.message.key.empty()) queue_up(item->second, token);
    } catch (...) {
      items_.erase(item);
      throw;
    }
    last_ = token;
    if (is_first(token, item->second)) line_up(item->second);
  }

  /// The message that goes out now.
  std::optional<Message> next(Duration now) {
    if (turns_.empty() || turns_.begin()->first > now) return std::nullopt;
    Item& item = items_.find(turns_.begin()->second)->second;
    item.turn = turns_.extract(turns_.begin());
    item.where = Where::out;
    ++out_;
    return std::move(item.message);
  }

  /// For how long nothing will go out: zero where something may now. Null: until something is added or done.
  std::optional<Duration> next_due(Duration now) const {
    if (turns_.empty()) return std::nullopt;
    const Duration due = turns_.begin()->first;
    return due > now ? due - now : Duration(0);
  }

  /// What the source needs to settle a message that is out. Null: it is not this consumer's any more.
  const Handle* find(Token token) const {
    const auto item = items_.find(token);
    return item != items_.end() && item->second.where == Where::out ? &item->second.handle : nullptr;
  }

  /// The message is settled: the next of its key is free. False: it was not this consumer's any more.
  bool done(Token token) {
    const auto item = items_.find(token);
    if (item == items_.end() || item->second.where == Where::here) return false;
    const bool was_ours = item->second.where == Where::out;
    forget(item);
    return was_ours;
  }

  /// The message that is out comes again at `due`, counted as delivered once more, and before the others of
  /// its key. False: it was not this consumer's any more, and is forgotten.
  bool retry(Message message, Duration due) {
    const auto found = items_.find(message.token);
    if (found == items_.end() || found->second.where == Where::here) return false;
    Item& item = found->second;
    if (item.where == Where::lost) return done(message.token);
    item.message = std::move(message);
    ++item.message.deliveries;
    item.where = Where::here;
    --out_;
    item.due = item.turn.value().first = due;
    line_up(item);
    return true;
  }

  /// Takes away what is not out and whose handle `which(handle)`, in the order in which it was added: so that
  /// others get it.
  template <class Which>
  std::vector<Handle> give_back(Which which) {
    std::vector<Handle> taken;
    for (auto item = items_.begin(); item != items_.end();) {
      const auto here = item++;
      if (here->second.where != Where::here || !which(std::as_const(here->second.handle))) continue;
      taken.push_back(std::move(here->second.handle));
      forget(here);
    }
    return taken;
  }

  /// These are this consumer's no more (their partition is another's, their connection is gone). What is out
  /// stays out, and holds its key back, until whoever has it settles it, which then does nothing else.
  template <class Which>
  void drop(Which which) {
    for (auto item = items_.begin(); item != items_.end();) {
      const auto here = item++;
      if (here->second.where == Where::lost || !which(std::as_const(here->second.handle))) continue;
      if (here->second.where == Where::out) {
        here->second.where = Where::lost;
        --out_;
        ++lost_;
      } else {
        forget(here);
      }
    }
  }

  /// What the broker has handed out to this consumer and not heard of again.
  std::size_t held() const noexcept { return items_.size() - lost_; }
  /// Of these, what is out.
  std::size_t out() const noexcept { return out_; }

 private:
  enum class Where : std::uint8_t { here, out, lost };
  using Turns = std::set<std::pair<Duration, Token>>;  // when it is due
  using Lanes = std::unordered_map<std::string, std::list<Token>>;

  struct Item {
    Message message;
    Handle handle;
    Duration due;
    Where where = Where::here;
    typename Lanes::value_type* lane = nullptr;  // of its key; null where that is empty
    typename Turns::node_type turn = {};         // while it is not among those whose turn may come
  };
  using Items = std::map<Token, Item>;

  void queue_up(Item& item, Token token) {
    const auto lane = lanes_.try_emplace(item.message.key).first;
    try {
      lane->second.push_back(token);
    } catch (...) {
      if (lane->second.empty()) lanes_.erase(lane);
      throw;
    }
    item.lane = &*lane;
  }
  static bool is_first(Token token, const Item& item) noexcept {
    return !item.lane || item.lane->second.front() == token;
  }
  void line_up(Item& item) { turns_.insert(std::move(item.turn)); }

  void forget(typename Items::iterator item) {
    const Token token = item->first;
    const Where was = item->second.where;
    out_ -= was == Where::out;
    lost_ -= was == Where::lost;
    if (was == Where::here && item->second.turn.empty()) turns_.erase({item->second.due, token});
    if (auto* const lane = item->second.lane) {
      const bool was_first = is_first(token, item->second);
      lane->second.remove(token);
      if (lane->second.empty())
        lanes_.erase(lanes_.find(lane->first));
      else if (was_first)
        line_up(items_.find(lane->second.front())->second);
    }
    items_.erase(item);
  }

  Items items_;
  Turns turns_;
  Lanes lanes_;
  Token last_ = 0;
  std::size_t out_ = 0, lost_ = 0;
};

}  // namespace paidonce::inline v1::detail
