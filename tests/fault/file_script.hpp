#pragma once
// A fixed script of what a guard does to a file store, and what may be in the store after any of its steps:
// what was acknowledged is there, what was refused is not, and what broke off is there or not, for good once
// it was seen.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/file/options.hpp>

namespace fault {

using namespace paidonce;

struct Step {
  enum class Does : std::uint8_t { insert, replace, find, erase_expired, compact, reopen };
  Does does = Does::insert;
  unsigned key = 0;
  Version version = 0;   ///< of the record that is written
  Version expected = 0;  ///< by a replace
  State state = State::in_progress;
  std::size_t bytes = 0;  ///< of response or checkpoint
  bool joins = false;     ///< is started together with the step before, before that has ended
};

inline constexpr Timestamp script_begins{Duration(1'700'000'000'000)};
inline constexpr Duration retention = std::chrono::hours(1);

inline IdempotencyKey key_of(unsigned key) { return {"shop", "order-" + std::to_string(key)}; }

/// Every field follows from the step, so that a mixed-up record is seen.
inline Record record_of(const Step& step) {
  const std::string text = std::to_string(step.key) + "/" + std::to_string(step.version);
  Record made;
  made.fingerprint = fingerprint("script", step.key);
  made.state = step.state;
  made.version = step.version;
  made.attempt_id = step.key * 1000 + 7;
  made.attempts = 1;
  made.created_at = script_begins + Duration(step.key);
  made.updated_at = script_begins + Duration(step.version);
  made.lease_until = made.updated_at + std::chrono::seconds(30);
  made.amount = std::to_string(step.key) + ".50 EUR";
  made.description = "order " + text;
  std::string bytes(step.bytes, '\0');
  std::uint64_t mixed = step.key * 7919 + step.version;
  for (char& byte : bytes) {
    mixed = mixed * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<char>(mixed >> 56U);
  }
  if (step.state == State::in_progress || step.state == State::in_doubt) {
    made.checkpoint = bytes;
  } else {
    made.expires_at = script_begins + retention + Duration(step.key);
    made.response = bytes;
    made.response_format = "text";
  }
  if (step.state == State::in_doubt || step.state == State::released) made.note = "note " + text;
  return made;
}

/// The script: payments that begin, save checkpoints, end in every way, are asked for again; many at once;
/// results that fill segments, and one that is larger than a segment; retention that ends; compaction; and
/// closing and opening in between. `rounds` repeats it with other keys; `fills` payments have results of
/// `large` bytes.
class Script {
 public:
  explicit Script(unsigned rounds = 1, std::size_t large = 3900, unsigned fills = 5)
      : large_(large), fills_(fills) {
    for (unsigned round = 0; round < rounds; ++round) add_round(round * 100);
  }
  const std::vector<Step>& steps() const { return steps_; }
  const Step& operator[](std::size_t number) const { return steps_[number]; }
  std::size_t size() const { return steps_.size(); }
  unsigned keys() const { return keys_; }

 private:
  using Does = Step::Does;
  void add(Does does) { steps_.push_back({.does = does}); }
  void find(unsigned key) { steps_.push_back({.does = Does::find, .key = key}); }
  void begin(unsigned key, Version version = 10, bool joins = false) {
    steps_.push_back({.key = key, .version = version, .joins = joins});
    if (key >= keys_) keys_ = key + 1;
  }
  void change(unsigned key, Version expected, State state, std::size_t bytes, bool joins = false) {
    steps_.push_back({.does = Does::replace,
                      .key = key,
                      .version = expected + 1,
                      .expected = expected,
                      .state = state,
                      .bytes = bytes,
                      .joins = joins});
  }

  void add_round(unsigned k) {
    begin(k);
    change(k, 10, State::succeeded, 200);
    begin(k + 1);
    change(k + 1, 10, State::in_progress, 40);  // a checkpoint
    change(k + 1, 11, State::in_progress, 40);  // a longer lease
    find(k);
    begin(k, 20);                            // a duplicate
    change(k + 1, 10, State::succeeded, 9);  // of a version that has moved on
    change(k + 1, 12, State::in_doubt, 40);
    begin(k + 2);
    change(k + 2, 10, State::released, 0);
    change(k + 2, 11, State::in_progress, 0);  // its next attempt
    for (unsigned many = 3; many < 9; ++many) begin(k + many, 10, many > 3);
    for (unsigned many = 3; many < 8; ++many) change(k + many, 10, State::succeeded, 300, many > 3);
    add(Does::reopen);
    find(k + 3);
    change(k + 8, 10, State::declined, 1500);
    for (unsigned full = 0; full < fills_; ++full) {  // segments are filled
      begin(k + 30 + full);
      change(k + 30 + full, 10, State::succeeded, large_);
    }
    change(k + 1, 13, State::succeeded, large_);
    begin(k + 14);
    add(Does::compact);
    begin(k + 15);
    add(Does::erase_expired);
    begin(k, 30);  // anew
    change(k + 14, 10, State::succeeded, 100);
    add(Does::compact);
    change(k, 30, State::succeeded, 700);
    for (unsigned many = 16; many < 20; ++many) begin(k + many, 10, many > 16);
    add(Does::reopen);
    change(k + 16, 10, State::succeeded, 3000);
    change(k + 17, 10, State::in_doubt, 0, true);
    change(k + 15, 10, State::declined, 120, true);
    add(Does::compact);
    find(k);
    begin(k + 20);
    change(k + 2, 12, State::succeeded, 500);
  }

  std::vector<Step> steps_;
  std::size_t large_;
  unsigned fills_;
  unsigned keys_ = 0;
};

/// Erases all that the script has completed so far.
inline constexpr Timestamp script_expires = script_begins + retention + Duration(1'000'000);

inline std::string describe(const Step& step) {
  const char* const names[] = {"insert", "replace", "find", "erase_expired", "compact", "reopen"};
  return std::string(names[static_cast<std::size_t>(step.does)]) + " " + std::to_string(step.key) + " to " +
         std::to_string(step.version);
}

/// What a step came to, as its caller was told.
struct Told {
  std::optional<Record> record = {};  ///< by find and insert
  bool replaced = false;
  std::size_t erased = 0;
  std::exception_ptr failure = nullptr;
};

/// Whether an error says that its write did not happen and will not.
inline bool refuses(const Error& error) {
  return error.code() == errc::store_full || error.code() == errc::store_busy ||
         error.code() == errc::store_replaced || error.code() == errc::store_forked;
}

/// What may be in the store. Whatever is not as it must be is added to `wrong()`.
class Expectations {
 public:
  using Value = std::optional<Record>;

  /// The step has begun. Unless `settle` says more, it may have happened or not.
  void begin(const Step& step) {
    switch (step.does) {
      case Step::Does::insert:
        if (may_be(step.key, Value())) add(step.key, record_of(step));
        break;
      case Step::Does::replace:
        if (has_version(step.key, step.expected)) add(step.key, record_of(step));
        break;
      case Step::Does::erase_expired:
        for (auto& [key, values] : possible_)
          for (const Value& value : *std::shared_ptr(values))
            if (value && protocol::expired(*value, script_expires)) add(key, Value());
        break;
      default: break;
    }
  }

  /// The step has ended, and its caller was told this. `before` is a copy from before it began.
  void settle(const Step& step, const Told& told, const Expectations& before) {
    if (told.failure) {
      ++failures_;
      return failed(step, told.failure, before);
    }
    switch (step.does) {
      case Step::Does::insert:
        if (told.record) return see(step, told.record, before);
        if (!before.may_be(step.key, Value())) complain(step, "inserted over a record that was there");
        set(step.key, record_of(step));
        break;
      case Step::Does::replace:
        if (told.replaced) {
          if (!before.has_version(step.key, step.expected))
            complain(step, "replaced a version that was not there");
          set(step.key, record_of(step));
        } else {
          std::vector<Value> others;
          for (const Value& value : before.values(step.key))
            if (!value || value->version != step.expected) others.push_back(value);
          if (others.empty()) complain(step, "refused to replace the version that was there");
          put(step.key, std::move(others));
        }
        break;
      case Step::Does::find: see(step, told.record, before); break;
      case Step::Does::erase_expired: {
        std::size_t surely = 0, perhaps = 0;
        for (auto& [key, values] : possible_) {
          std::vector<Value> left;
          bool some = false, all = true;
          for (const Value& value : before.values(key)) {
            const bool goes = value && protocol::expired(*value, script_expires);
            (goes ? some : all) = goes;
            left.push_back(goes ? Value() : value);
          }
          surely += all && some ? 1U : 0U;
          perhaps += some ? 1U : 0U;
          values = std::make_shared<std::vector<Value>>(std::move(left));
        }
        if (told.erased < surely || told.erased > perhaps)
          complain(step, "erased " + std::to_string(told.erased) + " instead of " + std::to_string(surely) +
                             " to " + std::to_string(perhaps));
        break;
      }
      default: break;
    }
  }

  /// Something was read: it stays so.
  void see(unsigned key, const Value& seen, const std::string& when) {
    if (!may_be(key, seen)) {
      std::string expected;
      for (const Value& value : values(key)) expected += (expected.empty() ? "" : " or ") + name(value);
      wrong_.push_back(when + ": order " + std::to_string(key) + " is " + name(seen) + ", not " + expected);
    }
    set(key, seen);
  }

  bool may_be(unsigned key, const Value& value) const {
    for (const Value& possible : values(key))
      if (possible == value) return true;
    return false;
  }
  void complain(const std::string& what) { wrong_.push_back(what); }
  const std::vector<std::string>& wrong() const { return wrong_; }
  /// Steps that threw.
  std::size_t failures() const { return failures_; }
  /// There is a new handle: a poisoned one is gone.
  void reopened() { poisoned_ = false; }

  void set(unsigned key, Value value) { put(key, {std::move(value)}); }

 private:
  static std::string name(const Value& value) {
    return value ? std::string(to_string(value->state)) + " " + std::to_string(value->version) : "absent";
  }
  const std::vector<Value>& values(unsigned key) const {
    static const std::vector<Value> absent{Value()};
    const auto known = possible_.find(key);
    return known == possible_.end() ? absent : *known->second;
  }
  void put(unsigned key, std::vector<Value> values) {
    possible_[key] = std::make_shared<std::vector<Value>>(std::move(values));
  }
  bool has_version(unsigned key, Version version) const {
    for (const Value& value : values(key))
      if (value && value->version == version) return true;
    return false;
  }
  void add(unsigned key, Value value) {
    if (may_be(key, value)) return;
    std::vector<Value> all = values(key);
    all.push_back(std::move(value));
    put(key, std::move(all));
  }
  void see(const Step& step, const Value& seen, const Expectations& before) {
    put(step.key, before.values(step.key));
    see(step.key, seen, describe(step));
  }
  void failed(const Step& step, const std::exception_ptr& failure, const Expectations& before) {
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      const std::string what = error.what();
      if (what.size() < 30) complain(step, "an error that says too little: " + what);
      if (error.code() == errc::store_corrupt) complain(step, "sound files were called corrupt: " + what);
      const bool poisoned = error.code() == errc::store_poisoned;
      if (refuses(error) || (poisoned && before.poisoned_)) take_back(step, before);
      if (poisoned) poisoned_ = true;
    } catch (const std::exception& other) {
      complain(step, std::string("threw something else: ") + other.what());
    }
  }
  void take_back(const Step& step, const Expectations& before) {
    if (step.does == Step::Does::erase_expired)
      possible_ = before.possible_;
    else
      put(step.key, before.values(step.key));
  }
  void complain(const Step& step, const std::string& what) { wrong_.push_back(describe(step) + ": " + what); }

  // By key; shared, since a copy of all is made before every step.
  std::map<unsigned, std::shared_ptr<const std::vector<Value>>> possible_;
  std::vector<std::string> wrong_;
  bool poisoned_ = false;
  std::size_t failures_ = 0;
};

/// Waits for callbacks. Lives on until the last of them.
class Replies {
 public:
  explicit Replies(std::size_t expected) : state_(std::make_shared<State>()) {
    state_->told.resize(expected);
    state_->missing = expected;
  }
  template <class Set>
  auto handler(std::size_t number, Set set) const {
    return [state = state_, number, set](std::exception_ptr failure, auto&& result) {
      const std::lock_guard lock(state->mutex);
      if (failure)
        state->told[number].failure = std::move(failure);
      else
        set(state->told[number], std::forward<decltype(result)>(result));
      if (--state->missing == 0) state->all_there.notify_all();
    };
  }
  /// For a call that threw instead of telling.
  void failed(std::size_t number, std::exception_ptr why) const {
    const std::lock_guard lock(state_->mutex);
    state_->told[number].failure = std::move(why);
    --state_->missing;
  }
  /// Once. What was told is the caller's alone then: ThreadSanitizer does not see how exceptions are counted.
  std::vector<Told> wait() const {
    std::unique_lock lock(state_->mutex);
    state_->all_there.wait(lock, [&] { return state_->missing == 0; });
    return std::move(state_->told);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable all_there;
    std::vector<Told> told;
    std::size_t missing = 0;
  };
  std::shared_ptr<State> state_;
};

/// One step by the calling thread.
template <class S>
Told carry_out(S& store, const Step& step) {
  Told told;
  try {
    switch (step.does) {
      case Step::Does::insert: told.record = store.insert(key_of(step.key), record_of(step)); break;
      case Step::Does::replace:
        told.replaced = store.replace(key_of(step.key), step.expected, record_of(step));
        break;
      case Step::Does::find: told.record = store.find(key_of(step.key)); break;
      case Step::Does::erase_expired: told.erased = store.erase_expired(script_expires, 100'000); break;
      case Step::Does::compact: store.compact(); break;
      case Step::Does::reopen: break;
    }
  } catch (...) {
    told.failure = std::current_exception();
  }
  return told;
}

/// Steps that are under way at the same time, by callbacks.
template <class S>
std::vector<Told> carry_out_together(S& store, const Step* first, std::size_t count) {
  const Replies replies(count);
  std::vector<IdempotencyKey> keys;
  std::vector<Record> records;
  for (std::size_t at = 0; at < count; ++at) {
    keys.push_back(key_of(first[at].key));
    records.push_back(record_of(first[at]));
  }
  for (std::size_t at = 0; at < count; ++at) {
    try {
      if (first[at].does == Step::Does::insert)
        store.async_insert(keys[at], records[at], replies.handler(at, [](Told& told, auto&& there) {
          told.record = std::forward<decltype(there)>(there);
        }));
      else
        store.async_replace(keys[at], first[at].expected, records[at],
                            replies.handler(at, [](Told& told, bool done) { told.replaced = done; }));
    } catch (...) {
      replies.failed(at, std::current_exception());
    }
  }
  return replies.wait();
}

/// Told of each step by `play`: nothing.
struct NoJournal {
  void begins(std::size_t) {}
  void ended(std::size_t, const Told&) {}
};

/// Plays the script from step `from`. `open()` gives an owner (a unique_ptr) of a fresh handle and throws as
/// the store does; `journal` is told of every step before and after. Ends where a store cannot be opened:
/// the error is returned.
template <class Open, class Journal = NoJournal>
std::exception_ptr play(const Script& script, std::size_t from, const Open& open, Expectations& expect,
                        Journal&& journal = Journal()) {
  decltype(open()) store;
  const auto reopen = [&]() -> std::exception_ptr {
    store.reset();
    expect.reopened();
    try {
      store = open();
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  };
  if (auto failure = reopen()) return failure;
  for (std::size_t at = from; at < script.size();) {
    std::size_t count = 1;
    while (at + count < script.size() && script[at + count].joins) ++count;
    const Expectations before = expect;
    for (std::size_t step = at; step < at + count; ++step) {
      expect.begin(script[step]);
      journal.begins(step);
    }
    if (script[at].does == Step::Does::reopen) {
      if (auto failure = reopen()) return failure;
      journal.ended(at, Told());
    } else if (count == 1) {
      const Told told = carry_out(*store, script[at]);
      journal.ended(at, told);
      expect.settle(script[at], told, before);
    } else {
      // Each is of a key of its own, so each is settled by itself.
      const std::vector<Told> told = carry_out_together(*store, &script[at], count);
      for (std::size_t step = 0; step < count; ++step) {
        journal.ended(at + step, told[step]);
        expect.settle(script[at + step], told[step], before);
      }
    }
    at += count;
  }
  store.reset();
  return nullptr;
}

/// Reads everything, by `find` and by `scan`.
template <class S>
void look(S& store, const Script& script, Expectations& expect, const std::string& when) {
  std::size_t there = 0;
  for (unsigned key = 0; key < script.keys(); ++key) {
    const std::optional<Record> found = store.find(key_of(key));
    there += found ? 1U : 0U;
    expect.see(key, found, when);
  }
  if (store.find(key_of(999'999))) expect.complain(when + ": a record that nobody wrote");
  std::size_t scanned = 0;
  ScanFilter all;
  all.limit = 1'000'000;
  store.scan(all, [&](const IdempotencyKey& key, const Record& record) {
    ++scanned;
    const auto found = store.find(key);
    if (!found || *found != record) expect.complain(when + ": a scan sees another record");
    return true;
  });
  if (scanned != there)
    expect.complain(when + ": a scan sees " + std::to_string(scanned) + " records instead of " +
                    std::to_string(there));
}

}  // namespace fault
