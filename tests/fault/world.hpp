#pragma once
// A guard whose store, lock, clock and codec fail when they are told to, and a provider with a ledger.

#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/tested_store.hpp"

namespace fault {

using namespace paidonce;
using support::TestedStore;

/// Throws at the nth step from when it was set, `times` times.
class Tripwire {
 public:
  enum class Throws { error, integer };

  void set(std::size_t at, std::size_t times, Throws what = Throws::error) {
    at_ = at;
    times_ = times;
    what_ = what;
    steps_ = 0;
    tripped_ = false;
  }
  void clear() { at_ = 0; }
  bool tripped() const { return tripped_; }

  void step(errc code) {
    if (at_ == 0 || ++steps_ < at_ || steps_ - at_ >= times_) return;
    tripped_ = true;
    if (what_ == Throws::integer) throw 42;
    throw Error(code, "tripped");
  }

 private:
  std::size_t at_ = 0, times_ = 0, steps_ = 0;
  Throws what_ = Throws::error;
  bool tripped_ = false;
};

/// The result of a payment, whose codec can be made to throw.
struct Receipt {
  std::string text = {};
  bool operator==(const Receipt&) const = default;

  static Tripwire& encoding() {
    static thread_local Tripwire wire;
    return wire;
  }
  static Tripwire& decoding() {
    static thread_local Tripwire wire;
    return wire;
  }
};

/// A per-key mutex, or no lock at all, whose `acquire` can be made to throw.
template <class L>
class TripLock {
 public:
  using Hold = typename L::Hold;
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    wire.step(errc::lock_unavailable);
    return lock_.acquire(key, wait);
  }
  void interrupt() noexcept { lock_.interrupt(); }

  Tripwire wire = {};

 private:
  L lock_ = {};
};

class TripClock {
 public:
  Timestamp now() {
    wire.step(errc::store_unavailable);
    return time.now();
  }

  ManualClock time = {};
  Tripwire wire = {};
};

/// What the provider knows, by provider key.
class Ledger {
 public:
  struct Entry {
    int charges = 0;
    int declines = 0;
    std::string text = {};
  };

  Receipt charge(std::string_view provider_key) {
    Entry& entry = entries_[std::string(provider_key)];
    if (deduplicates && entry.charges > 0) return {entry.text};
    ++entry.charges;
    entry.text = receipt("charged", provider_key);
    return {entry.text};
  }
  Receipt decline(std::string_view provider_key) {
    Entry& entry = entries_[std::string(provider_key)];
    ++entry.declines;
    entry.text = receipt("declined", provider_key);
    return {entry.text};
  }
  PaymentResult<Receipt> ask(std::string_view provider_key) const {
    const auto found = entries_.find(std::string(provider_key));
    if (found == entries_.end()) return not_executed("the ledger does not have it");
    if (found->second.charges > 0) return succeeded(Receipt{found->second.text});
    return declined(Receipt{found->second.text});
  }

  Entry at(std::string_view provider_key) const {
    const auto found = entries_.find(std::string(provider_key));
    return found == entries_.end() ? Entry{} : found->second;
  }
  bool charged_twice() const {
    for (const auto& [provider_key, entry] : entries_)
      if (entry.charges > 1 || (entry.charges > 0 && entry.declines > 0)) return true;
    return false;
  }

  bool deduplicates = false;

 private:
  /// Another text for each charge, with bytes that no text layer leaves alone.
  std::string receipt(std::string_view what, std::string_view provider_key) {
    std::string text = std::to_string(++serial_) + ' ' + std::string(what) + ' ' + std::string(provider_key);
    text.append("\0\n\xff", 3);
    return text;
  }

  int serial_ = 0;
  std::map<std::string, Entry> entries_ = {};
};

/// A store that is far away: the guard does not read it before it locks.
struct RemoteStore : TestedStore {
  using TestedStore::TestedStore;
  static constexpr bool local_find = false;
};

template <class L = KeyedMutex, class S = TestedStore>
struct World {
  explicit World(GuardOptions options) : guard(store, lock, clock, options) {}

  IdempotencyKey key{"shop", "order-1001"};
  Fingerprint request = fingerprint("order-1001", "4.50", "EUR");
  FaultStore<S> store{S(MemoryStoreOptions{.shards = 1})};
  TripLock<L> lock = {};
  TripClock clock = {};
  Ledger ledger = {};
  IdempotencyGuard<FaultStore<S>&, TripLock<L>&, TripClock&> guard;

  std::optional<Record> record() { return store.inner().find(key); }
  std::string provider_key_of(const Record& payment) const { return provider_key(key, payment.created_at); }

  void heal() {
    store.heal();
    lock.wire.clear();
    clock.wire.clear();
    Receipt::encoding().clear();
    Receipt::decoding().clear();
  }
};

}  // namespace fault

template <>
struct paidonce::Codec<fault::Receipt> {
  static constexpr std::string_view format = "receipt";
  static std::string encode(const fault::Receipt& receipt) {
    fault::Receipt::encoding().step(errc::codec_failure);
    return receipt.text;
  }
  static fault::Receipt decode(std::string_view bytes) {
    fault::Receipt::decoding().step(errc::codec_failure);
    return {std::string(bytes)};
  }
};
