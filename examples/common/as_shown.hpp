#pragma once
// A store that takes a change of one payment only while its record is the one that a person was shown: others
// may use the store as well.

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>

#include <paidonce/errors.hpp>

#include "open_store.hpp"

namespace common {

/// The record is not the one that was shown, and nothing was done.
struct RecordChanged : std::runtime_error {
  RecordChanged() : std::runtime_error("the record has changed since it was shown, and nothing was done") {}
};

/// For one `resolve` of one payment, by one thread. Refers to the store.
class AsShown final : public OpenStore {
 public:
  AsShown(OpenStore& store, paidonce::Record shown) : store_(store), shown_(std::move(shown)) {}

  /// Throws `RecordChanged`.
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) override {
    auto there = store_.find(key);
    if (!written_ && there != shown_) refuse();
    return there;
  }
  bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
               const paidonce::Record& record) override {
    const bool first = !std::exchange(written_, true);  // also where it throws, and nobody knows
    try {
      const bool stored = store_.replace(key, expected, record);
      if (first && !stored) written_ = false;
      return stored;
    } catch (const paidonce::Error& error) {
      failure_ = error;
      throw;
    }
  }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                         const paidonce::Record& record) override {
    return store_.insert(key, record);
  }
  void scan(const paidonce::ScanFilter& filter, const Visitor& visitor) override {
    store_.scan(filter, visitor);
  }
  std::size_t erase_expired(paidonce::Timestamp now, std::size_t most) override {
    return store_.erase_expired(now, most);
  }
  bool holder_gone(const paidonce::IdempotencyKey& key, const paidonce::Record& record) override {
    return store_.holder_gone(key, record);
  }
  std::optional<paidonce::Record> find_here(const paidonce::IdempotencyKey&,
                                            const paidonce::Fingerprint&) override {
    return std::nullopt;  // a resolve asks for the record itself
  }

  /// Throws why it was not changed, where that is known: the guard says only that it was not, or may not be.
  void tell_why() const {
    if (refused_) throw RecordChanged();
    if (failure_ && !retryable(*failure_)) throw *failure_;
  }

 private:
  [[noreturn]] void refuse() {
    refused_ = true;
    throw RecordChanged();
  }

  OpenStore& store_;
  const std::optional<paidonce::Record> shown_;
  std::optional<paidonce::Error> failure_ = {};
  bool written_ = false, refused_ = false;
};

}  // namespace common
