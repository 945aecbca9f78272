#pragma once
// Tells a process from its forked children, at the cost of reading one word.

#include <unistd.h>

#include <cstdint>

#include <paidonce/digest/random.hpp>

namespace paidonce::inline v1::detail {

/// Remembers the process in which it was made.
class OwnProcess {
 public:
  /// Throws std::system_error where the random source fails.
  OwnProcess() : pid_(::getpid()) {
    if (ProcessMark* const mark = process_mark()) {
      random_u64();  // sets the mark
      mark_ = mark->load(std::memory_order_relaxed);
    }
  }

  /// Whether this is still that process, and not a child that was forked from it.
  bool is_this_one() const noexcept {
    if (const ProcessMark* const mark = process_mark(); mark && mark_ != 0)
      return mark->load(std::memory_order_relaxed) == mark_;
    return ::getpid() == pid_;
  }

 private:
  ::pid_t pid_;
  std::uint64_t mark_ = 0;
};

}  // namespace paidonce::inline v1::detail
