#pragma once
// No lock at all: the record's compare-and-swap alone decides. Duplicates that wait poll the record.

#include <optional>

#include <paidonce/lock.hpp>

namespace paidonce::inline v1 {

struct NoLock {
  /// Holds nothing. Move-only like every other hold, so that code written for one lock fits all.
  struct Hold {
    Hold() = default;
    Hold(Hold&&) = default;
    Hold& operator=(Hold&&) = default;
  };

  std::optional<Hold> acquire(const IdempotencyKey&, Duration) const noexcept { return Hold{}; }
  void interrupt() const noexcept {}
};

static_assert(InterruptibleLock<NoLock>);

}  // namespace paidonce::inline v1
