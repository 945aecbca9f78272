#pragma once
// A store that is open for changes, of whatever kind: one type for guards, sweeps and recoveries of programs
// that are told at their start where payments are kept.

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>

namespace common {

/// A `SweepableStore`, `ScannableStore`, `HolderAwareStore` and `RememberingStore`.
class OpenStore {
 public:
  using Visitor = std::function<bool(const paidonce::IdempotencyKey&, const paidonce::Record&)>;

  OpenStore() = default;
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;
  virtual ~OpenStore() = default;

  virtual std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) = 0;
  virtual std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                                 const paidonce::Record& record) = 0;
  virtual bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
                       const paidonce::Record& record) = 0;
  virtual void scan(const paidonce::ScanFilter& filter, const Visitor& visitor) = 0;
  virtual std::size_t erase_expired(paidonce::Timestamp now, std::size_t most) = 0;
  virtual bool holder_gone(const paidonce::IdempotencyKey& key, const paidonce::Record& record) = 0;
  /// What it can tell without asking anybody: of a store that is at hand, all that it holds.
  virtual std::optional<paidonce::Record> find_here(const paidonce::IdempotencyKey& key,
                                                    const paidonce::Fingerprint& fingerprint) = 0;
};

static_assert(paidonce::ScannableStore<OpenStore> && paidonce::SweepableStore<OpenStore> &&
              paidonce::HolderAwareStore<OpenStore> && paidonce::RememberingStore<OpenStore>);

/// One of the library's stores.
template <class S>
class OpenStoreOf final : public OpenStore {
 public:
  explicit OpenStoreOf(S store) : store_(std::move(store)) {}

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) override {
    return store_.find(key);
  }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                         const paidonce::Record& record) override {
    return store_.insert(key, record);
  }
  bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
               const paidonce::Record& record) override {
    return store_.replace(key, expected, record);
  }
  void scan(const paidonce::ScanFilter& filter, const Visitor& visitor) override {
    store_.scan(filter, visitor);
  }
  std::size_t erase_expired(paidonce::Timestamp now, std::size_t most) override {
    return store_.erase_expired(now, most);
  }
  bool holder_gone(const paidonce::IdempotencyKey& key, const paidonce::Record& record) override {
    if constexpr (paidonce::HolderAwareStore<S>)
      return store_.holder_gone(key, record);
    else
      return false;
  }
  std::optional<paidonce::Record> find_here(const paidonce::IdempotencyKey& key,
                                            const paidonce::Fingerprint& fingerprint) override {
    if constexpr (paidonce::RememberingStore<S>)
      return store_.find_here(key, fingerprint);
    else if constexpr (requires { requires S::local_find; })
      return store_.find(key);
    else
      return std::nullopt;
  }

 private:
  S store_;
};

/// What the times of a store's records are compared with: the clock of this machine, or that of a server,
/// which was so much ahead when it was read.
class StoreClock {
 public:
  StoreClock() = default;
  explicit StoreClock(paidonce::Duration ahead) : ahead_(ahead) {}
  paidonce::Timestamp now() const { return paidonce::SystemClock{}.now() + ahead_; }

 private:
  paidonce::Duration ahead_{0};
};

}  // namespace common
