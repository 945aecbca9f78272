#pragma once
// The digests of a request under a Fingerprinter's previous secrets: shared, never changed, and mostly not
// there.

#include <atomic>
#include <utility>
#include <vector>

#include <paidonce/digest/sha256.hpp>

namespace paidonce::inline v1::detail {

/// A handle on a shared list, or on none. Every record holds one, so what happens to an empty one is a
/// comparison and all else is out of the way.
class PreviousDigests {
 public:
  PreviousDigests() noexcept = default;
  explicit PreviousDigests(std::vector<Digest> digests) : list_(new List{std::move(digests)}) {}
  PreviousDigests(const PreviousDigests& other) noexcept : list_(other.list_) {
    if (list_) list_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  PreviousDigests(PreviousDigests&& other) noexcept : list_(std::exchange(other.list_, nullptr)) {}
  PreviousDigests& operator=(PreviousDigests other) noexcept {
    std::swap(list_, other.list_);
    return *this;
  }
  ~PreviousDigests() {
    if (list_) drop();
  }

  /// Null where there are none.
  const std::vector<Digest>* get() const noexcept { return list_ ? &list_->digests : nullptr; }

 private:
  struct List {
    std::vector<Digest> digests;
    std::atomic<int> owners = 1;
  };

  [[gnu::cold, gnu::noinline]] void drop() noexcept {
    if (list_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete list_;
  }

  List* list_ = nullptr;
};

}  // namespace paidonce::inline v1::detail
