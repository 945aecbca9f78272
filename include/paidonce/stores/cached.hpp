#pragma once
// A memory of completed payments in front of a store that is far away: a duplicate of what was completed a
// moment ago is answered without asking it. Nothing else is: what is unfinished, released or absent is always
// the store's to tell.
//
// There is no `local_find` unless the store has it. A guard that looked first would ask the store for every
// new payment before its insert does, a round trip for nothing; without, it inserts at once, and the insert
// of a duplicate is answered here.

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/cached/completed_cache.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct CachedStoreOptions {
  /// Most records kept, 64 bytes and what they hold each: at least 1.
  std::size_t most_records = std::size_t{1} << 16;
  /// Most bytes that they take together: at least 4 KiB. It is divided among up to 64 parts of 1 MiB and
  /// more; a record that is greater than a part is not kept.
  std::size_t most_bytes = std::size_t{64} << 20;
  /// For how long a record is told without asking the store again: at least 1 ms. What is deleted in the
  /// store by hand is told here for so long.
  Duration most_age = std::chrono::minutes(10);
  /// How far clocks of those who write to the store may be apart: a record is told until so long before its
  /// `expires_at`, so that nobody has begun anew under its key.
  Duration clock_skew = std::chrono::seconds(1);
};

namespace detail {

/// Throws `invalid_options`.
inline const CachedStoreOptions& checked(const CachedStoreOptions& options) {
  if (options.most_records == 0)
    throw Error(errc::invalid_options, "CachedStoreOptions::most_records must be at least 1");
  if (options.most_bytes < 4096)
    throw Error(errc::invalid_options, "CachedStoreOptions::most_bytes must be at least 4096");
  if (options.most_age < Duration(1))
    throw Error(errc::invalid_options, "CachedStoreOptions::most_age must be at least 1 ms");
  if (options.clock_skew < Duration(0))
    throw Error(errc::invalid_options, "CachedStoreOptions::clock_skew must not be negative");
  return options;
}

}  // namespace detail

/// A store over another: an lvalue is referred to and must outlive it, an rvalue is moved in; so is the
/// clock, which should be the guard's. A handle, movable where the store is; everything may be called from
/// any number of threads. It throws what the store throws, what the clock throws, and std::bad_alloc; never
/// because of memory once the store has answered.
template <Store S, Clock C = SystemClock>
class CachedStore {
  using Below = std::remove_reference_t<S>;

 public:
  static constexpr bool local_find = detail::has_local_find<S>();

  /// How much is kept.
  using Size = detail::CompletedCache::Size;

  /// Throws `Error{invalid_options}`.
  explicit CachedStore(std::type_identity_t<S> store, C clock = C(), const CachedStoreOptions& options = {})
      : store_(std::forward<S>(store)),
        clock_(std::forward<C>(clock)),
        most_age_(detail::checked(options).most_age),
        clock_skew_(options.clock_skew),
        cache_(std::make_unique<detail::CompletedCache>(options.most_records, options.most_bytes)) {}
  template <class DefaultClock = C>
  explicit CachedStore(std::type_identity_t<S> store, const CachedStoreOptions& options)
      : CachedStore(std::forward<S>(store), DefaultClock(), options) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    if (std::optional<Record> kept = cache_->find(key, clock_.now())) return kept;
    const Seen seen = cache_->seen(key);
    std::optional<Record> there = store_.find(key);
    if (there && is_final(*there)) keep(key, *there, seen);
    return there;
  }

  /// A record that is kept answers only a request with its fingerprint; the store decides about others.
  std::optional<Record> find_here(const IdempotencyKey& key, const Fingerprint& fingerprint) {
    std::optional<Record> kept = cache_->find(key, clock_.now());
    if (kept && !(fingerprint == kept->fingerprint)) kept.reset();
    return kept;
  }

  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    std::optional<Record> there = find_here(key, record.fingerprint);
    if (there) return there;
    const Seen seen = cache_->seen(key);
    try {
      there = store_.insert(key, record);
    } catch (...) {
      cache_->forget(key);
      throw;
    }
    if (there && is_final(*there))
      keep(key, *there, seen);
    else
      cache_->forget(key);  // there may be one of another fingerprint that the store has no more
    return there;
  }

  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    const Seen before = cache_->forget(key);
    bool stored = false;
    try {
      stored = store_.replace(key, expected, record);
    } catch (...) {
      cache_->forget(key);
      throw;
    }
    const Seen after = cache_->forget(key);
    const bool alone = after == static_cast<Seen>(before + 1);  // else the last of them is not known here
    if (stored && alone && is_final(record)) keep(key, record, after);
    return stored;
  }

  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) requires ScannableStore<S> {
    store_.scan(filter, std::forward<Visitor>(visitor));
  }

  std::size_t erase_expired(Timestamp now, std::size_t limit) requires SweepableStore<S> {
    // What has expired by this clock is not told anyway.
    if (now <= saturating_add(clock_.now(), clock_skew_)) return store_.erase_expired(now, limit);
    std::size_t erased = 0;
    try {
      erased = store_.erase_expired(now, limit);
    } catch (...) {
      cache_->forget_expired(now);
      throw;
    }
    cache_->forget_expired(now);
    return erased;
  }

  bool holder_gone(const IdempotencyKey& key, const Record& record) requires HolderAwareStore<S> {
    return store_.holder_gone(key, record);
  }

  /// To be called after a record was deleted in the store, or changed, past this handle.
  void forget(const IdempotencyKey& key) noexcept { cache_->forget(key); }
  void forget_all() noexcept { cache_->forget_all(); }

  Size size() const noexcept { return cache_->size(); }
  Below& store() noexcept { return store_; }

 private:
  using Seen = detail::CompletedCache::Seen;

  static bool is_final(const Record& record) noexcept {
    return record.state == State::succeeded || record.state == State::declined;
  }

  /// The store has answered by now: nothing that fails here may change that.
  void keep(const IdempotencyKey& key, const Record& record, Seen seen) {
    try {
      const Timestamp now = clock_.now();
      const Timestamp by_age = saturating_add(now, most_age_);
      const Timestamp by_retention = saturating_add(record.expires_at, -clock_skew_);
      const Timestamp until = by_age < by_retention ? by_age : by_retention;
      if (now < until) cache_->keep(key, record, now, until, seen);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }

  S store_;
  C clock_;
  Duration most_age_, clock_skew_;
  std::unique_ptr<detail::CompletedCache> cache_;
};

// Lvalues are referred to, rvalues moved in.
template <Store S>
CachedStore(S&&) -> CachedStore<S>;
template <Store S>
CachedStore(S&&, CachedStoreOptions) -> CachedStore<S>;
template <Store S, Clock C>
CachedStore(S&&, C&&) -> CachedStore<S, C>;
template <Store S, Clock C>
CachedStore(S&&, C&&, CachedStoreOptions) -> CachedStore<S, C>;

}  // namespace paidonce::inline v1
