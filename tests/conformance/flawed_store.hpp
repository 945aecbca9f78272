#pragma once
// A store with all refinements, and one flaw. With Flaw::none it is right, and passes the whole suite.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/protocol.hpp>
#include <paidonce/store.hpp>

#include "flaws.hpp"
#include "gate.hpp"

namespace conformance {

using namespace paidonce;

struct Entry {
  IdempotencyKey key;
  Record record;
  Record before;                     // what the record was one write ago
  State first = State::in_progress;  // as it was inserted
};
using Entries = std::map<std::string, Entry>;

/// What all handles share, and what outlives them.
struct Backing {
  explicit Backing(Flaw given) : flaw(given) {}

  const Flaw flaw;
  std::mutex mutex = {};    // one operation
  std::mutex writers = {};  // one transaction, or one write outside of any
  Entries entries = {};
  Entries erased = {};
  std::string last = {};  // name of the entry that was written last
  std::size_t room = std::numeric_limits<std::size_t>::max();
  std::atomic<bool> broken = false;
  bool same_hashes = false;
  bool reopened = false;
  bool torn = false;   // a record is half written, while the mutex is free
  bool races = false;  // the clause that runs is the one in which the flaw shows under a race
  Gate gate = {};
};

class FlawedStore {
 public:
  explicit FlawedStore(std::shared_ptr<Backing> backing) : b_(std::move(backing)) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    if (b_->broken) {
      if (has(Flaw::errors_as_absent)) return std::nullopt;
      fail(key);
    }
    std::lock_guard lock(b_->mutex);
    if (const auto cached = cache_.find(name(key)); cached != cache_.end()) return cached->second;
    if (b_->torn) b_->gate.pass("read while torn");
    if (has(Flaw::find_creates))
      b_->entries.try_emplace(name(key), Entry{key, Record(), Record(), State::in_progress});
    const auto found = b_->entries.find(name(key));
    if (found == b_->entries.end()) return std::nullopt;
    if (has(Flaw::handle_caches)) cache_[name(key)] = found->second.record;
    return has(Flaw::find_lags_behind) ? found->second.before : found->second.record;
  }

  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    if (b_->broken) {
      if (has(Flaw::errors_as_stored)) return std::nullopt;
      fail(key);
    }
    if (has(Flaw::insert_checks_then_sets) && b_->races && !find(key)) {
      b_->gate.meet(name(key));
      put(b_->entries, key, record);
      return std::nullopt;
    }
    std::lock_guard writer(b_->writers);
    return insert_into(b_->entries, key, record);
  }

  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (b_->broken) {
      if (has(Flaw::errors_as_conflict)) return false;
      fail(key);
    }
    if (has(Flaw::replace_checks_then_sets) && b_->races) {
      if (find(key)->version != expected) return false;
      b_->gate.meet(name(key));
      put(b_->entries, key, record);
      return true;
    }
    const bool meets_sweep = has(Flaw::sweep_checks_then_erases) && b_->races && b_->gate.first("replace");
    if (meets_sweep) b_->gate.await("sweep has checked");
    std::unique_lock writer(b_->writers);
    const bool done = replace_in(b_->entries, key, expected, record);
    writer.unlock();
    if (meets_sweep) b_->gate.pass("replaced");
    return done;
  }

  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor visitor) {
    std::vector<std::pair<IdempotencyKey, Record>> chosen;
    {
      std::lock_guard lock(b_->mutex);
      auto at = filter.after.empty() ? b_->entries.begin() : b_->entries.upper_bound(filter.after);
      if (has(Flaw::scan_repeats_last) && !filter.after.empty()) at = b_->entries.lower_bound(filter.after);
      if (has(Flaw::scan_continues_by_count)) {
        at = b_->entries.begin();
        if (filter.after.empty()) scanned_ = 0;
        for (std::size_t i = 0; i < scanned_ && at != b_->entries.end(); ++i) ++at;
      }
      ScanFilter applied = filter;
      if (has(Flaw::scan_ignores_states)) applied.states.clear();
      if (has(Flaw::scan_ignores_time)) applied.updated_before.reset();
      for (; at != b_->entries.end(); ++at) {
        if (chosen.size() >= filter.limit && !has(Flaw::scan_ignores_limit)) break;
        ++scanned_;
        const Record& shown = has(Flaw::scan_shows_old_versions) ? at->second.before : at->second.record;
        Record indexed = shown;
        if (has(Flaw::scan_goes_by_first_states)) indexed.state = at->second.first;
        if (detail::passes(applied, indexed)) chosen.emplace_back(at->second.key, shown);
      }
    }
    for (const auto& [key, record] : chosen)
      if (!visitor(key, record) && !has(Flaw::scan_ignores_stop)) return;
  }

  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    if (has(Flaw::sweep_ignores_limit)) limit = std::numeric_limits<std::size_t>::max();
    if (has(Flaw::sweep_erases_nothing)) return 0;
    std::vector<std::string> chosen;
    std::size_t looked_at = 0;
    std::unique_lock lock(b_->mutex);
    for (const auto& [id, entry] : b_->entries) {
      if (chosen.size() >= limit) break;
      ++looked_at;
      if (forgettable(entry.record, now)) chosen.push_back(id);
    }
    if (has(Flaw::sweep_checks_then_erases) && b_->races) {
      lock.unlock();
      if (b_->gate.first("sweep")) {
        b_->gate.pass("sweep has checked");
        b_->gate.await("replaced");
      }
      lock.lock();
    }
    for (const std::string& id : chosen) {
      const auto found = b_->entries.find(id);
      if (found == b_->entries.end()) continue;
      b_->erased.insert_or_assign(id, found->second);
      b_->entries.erase(found);
    }
    return has(Flaw::sweep_counts_what_it_looked_at) ? looked_at : chosen.size();
  }

  bool holder_gone(const IdempotencyKey&, const Record&) {
    return has(Flaw::holder_always_gone) || (has(Flaw::reopen_takes_holders_for_gone) && b_->reopened);
  }

  class Transaction {
   public:
    std::optional<Record> find(const IdempotencyKey& key) {
      const auto found = draft_.find(store_.name(key));
      if (found == draft_.end()) return std::nullopt;
      return found->second.record;
    }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      if (store_.has(Flaw::transaction_overwrites)) draft_.erase(store_.name(key));
      return store_.insert_into(draft_, key, record);
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      return store_.replace_in(draft_, key, expected, record);
    }

   private:
    friend class FlawedStore;
    Transaction(FlawedStore& store, Entries& draft) : store_(store), draft_(draft) {}
    FlawedStore& store_;
    Entries& draft_;
  };

  template <class Body>
  void transact(Body&& body) {
    std::lock_guard writer(b_->writers);
    Entries draft = entries();
    Transaction transaction(*this, has(Flaw::transaction_is_dirty) ? b_->entries : draft);
    const Entries before = draft;
    try {
      body(transaction);
    } catch (...) {
      std::lock_guard lock(b_->mutex);
      if (has(Flaw::transaction_keeps_on_throw)) b_->entries = draft;
      if (has(Flaw::transaction_is_dirty)) b_->entries = before;
      if (has(Flaw::transaction_swallows)) return;
      throw;
    }
    if (has(Flaw::transaction_is_dirty) || has(Flaw::transaction_forgets)) return;
    std::lock_guard lock(b_->mutex);
    b_->entries = std::move(draft);
  }

 private:
  bool has(Flaw flaw) const { return b_->flaw == flaw; }

  Entries entries() {
    std::lock_guard lock(b_->mutex);
    return b_->entries;
  }

  [[noreturn]] void fail(const IdempotencyKey& key) const {
    throw Error(errc::store_unavailable,
                has(Flaw::errors_tell_the_key) ? "no answer for " + std::string(key.text()) : "no answer");
  }

  std::string name(const IdempotencyKey& key) const {
    if (has(Flaw::keys_compared_by_hash) && b_->same_hashes) return "the one hash";
    if (has(Flaw::scope_ignored)) return std::string(key.text());
    if (has(Flaw::scope_joined_with_a_colon)) return std::string(key.scope()) + ":" + std::string(key.text());
    std::string text(key.text());
    if (has(Flaw::keys_end_at_nul)) text = text.c_str();
    if (has(Flaw::keys_fold_case))
      for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (has(Flaw::keys_are_trimmed))
      while (!text.empty() && text.back() == ' ') text.pop_back();
    if (has(Flaw::keys_are_cut)) text.resize(text.size() < 128 ? text.size() : 128);
    return std::string(1, static_cast<char>(key.scope().size())) + std::string(key.scope()) + text;
  }

  bool forgettable(Record record, Timestamp now) const {
    if (has(Flaw::sweep_erases_in_progress) && record.state == State::in_progress)
      record.state = State::succeeded;
    if (has(Flaw::sweep_erases_in_doubt) && record.state == State::in_doubt) record.state = State::succeeded;
    if (has(Flaw::sweep_erases_checkpoints)) record.checkpoint.clear();
    if (has(Flaw::sweep_is_early)) now += Duration(1);
    if (has(Flaw::sweep_is_late)) now -= Duration(1);
    return protocol::expired(record, now);
  }

  /// What the flaw makes of a record that is to be stored over that one.
  Record spoilt(Record record, const Record* over) const {
    if (has(Flaw::fingerprint_lost)) record.fingerprint = Fingerprint();
    if (has(Flaw::fingerprint_lost_on_completion) && record.state == State::succeeded)
      record.fingerprint = Fingerprint();
    if (has(Flaw::texts_end_at_nul)) record.response = record.response.c_str();
    if (has(Flaw::ids_are_doubles))
      record.attempt_id = static_cast<std::uint64_t>(static_cast<double>(record.attempt_id >> 1U)) << 1U;
    if (has(Flaw::times_in_seconds))
      record.updated_at = std::chrono::floor<std::chrono::seconds>(record.updated_at);
    if (has(Flaw::empty_fields_keep_the_old) && over) {
      if (record.checkpoint.empty()) record.checkpoint = over->checkpoint;
      if (record.note.empty()) record.note = over->note;
    }
    if (has(Flaw::store_numbers_versions)) record.version = over ? over->version + 1 : 1;
    return record;
  }

  void put(Entries& entries, const IdempotencyKey& key, const Record& record) {
    std::lock_guard lock(b_->mutex);
    store(entries, key, record);
  }

  /// The mutex is held.
  void store(Entries& entries, const IdempotencyKey& key, const Record& record) {
    const auto found = entries.find(name(key));
    const Record* over = found == entries.end() ? nullptr : &found->second.record;
    Record before = over ? *over : record;
    const State first = over ? found->second.first : record.state;
    entries.insert_or_assign(name(key), Entry{key, spoilt(record, over), std::move(before), first});
    b_->last = name(key);
  }

  /// Entries of a transaction are its own; those of the store are guarded by the mutex.
  std::optional<Record> insert_into(Entries& entries, const IdempotencyKey& key, const Record& record) {
    std::lock_guard lock(b_->mutex);
    cache_.erase(name(key));
    const auto found = entries.find(name(key));
    if (found != entries.end()) {
      if (has(Flaw::insert_tells_all_stored)) return std::nullopt;
      if (has(Flaw::insert_overwrites)) {
        store(entries, key, record);
        return std::nullopt;
      }
      Record existing = found->second.record;
      if (has(Flaw::insert_returns_half)) existing.response.clear(), existing.note.clear();
      return existing;
    }
    if (has(Flaw::insert_forgets)) return std::nullopt;
    if (entries.size() >= b_->room && !make_room(entries)) {
      if (has(Flaw::full_says_stored)) return std::nullopt;
      throw Error(errc::store_full, "no room for another record");
    }
    store(entries, key, record);
    return std::nullopt;
  }

  bool make_room(Entries& entries) const {
    for (auto at = entries.begin(); at != entries.end(); ++at) {
      const State state = at->second.record.state;
      const bool unfinished = state == State::in_progress || state == State::in_doubt;
      if (unfinished ? has(Flaw::evicts_unfinished) : has(Flaw::evicts_completed)) {
        entries.erase(at);
        return true;
      }
    }
    return false;
  }

  bool replace_in(Entries& entries, const IdempotencyKey& key, Version expected, const Record& record) {
    std::unique_lock lock(b_->mutex);
    cache_.erase(name(key));
    const auto found = entries.find(name(key));
    if (found == entries.end()) {
      const bool ghost = has(Flaw::sweep_leaves_a_ghost) && b_->erased.contains(name(key));
      if (!ghost && !has(Flaw::replace_inserts_absent)) return false;
      store(entries, key, record);
      return true;
    }
    const Version there = found->second.record.version;
    if (has(Flaw::full_refuses_replace) && entries.size() >= b_->room)
      throw Error(errc::store_full, "no room for another record");
    if (has(Flaw::replace_acknowledges_nothing)) return there == expected;
    const bool same = has(Flaw::replace_compares_32_bits)
                          ? static_cast<std::uint32_t>(there) == static_cast<std::uint32_t>(expected)
                          : there == expected;
    const bool older = has(Flaw::replace_ignores_what_is_newer) && expected < there;
    if (!same && !older && !has(Flaw::replace_unconditional)) return false;
    if (has(Flaw::torn_writes) && b_->races && b_->gate.first("torn")) {
      Record half = record;
      half.note = found->second.record.note;
      found->second.record = half;
      b_->torn = true;
      lock.unlock();
      b_->gate.await("read while torn");
      lock.lock();
      b_->torn = false;
    }
    store(entries, key, record);
    return true;
  }

  std::shared_ptr<Backing> b_;
  std::map<std::string, Record> cache_ = {};
  std::size_t scanned_ = 0;
};

/// Everything that a fixture can offer.
class FlawedFixture {
 public:
  /// `race`: the clause in which the flaw waits for the other caller.
  explicit FlawedFixture(Flaw flaw, std::string race = {}) : flaw_(flaw), race_(std::move(race)) {}

  void begin_clause(const std::string& name) { races_ = name == race_; }

  FlawedStore make() {
    backing_ = std::make_shared<Backing>(flaw_);
    backing_->races = races_;
    return FlawedStore(backing_);
  }
  FlawedStore reopen() {
    backing_->reopened = true;
    if (flaw_ == Flaw::reopen_forgets_last) backing_->entries.erase(backing_->last);
    if (flaw_ == Flaw::reopen_forgets_replaces)
      for (auto& [name, entry] : backing_->entries) entry.record = entry.before;
    if (flaw_ == Flaw::reopen_forgets_erasure) backing_->entries.merge(backing_->erased);
    return FlawedStore(backing_);
  }
  FlawedStore second_handle() { return FlawedStore(backing_); }
  FlawedStore make_with_room_for(std::size_t records) {
    FlawedStore store = make();
    backing_->room = records;
    return store;
  }
  FlawedStore make_colliding() {
    FlawedStore store = make();
    backing_->same_hashes = true;
    return store;
  }
  void break_backend(FlawedStore&) { backing_->broken = true; }
  void mend_backend(FlawedStore&) { backing_->broken = false; }

 private:
  Flaw flaw_;
  std::string race_;
  bool races_ = false;
  std::shared_ptr<Backing> backing_ = {};
};

}  // namespace conformance
