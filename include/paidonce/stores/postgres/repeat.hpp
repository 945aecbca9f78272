#pragma once
// Statements that the server undid because of others beside them (40001, 40P01), and inserts that met a row
// which their snapshot did not show, are repeated, within the deadline. Never what is around them: no
// callable.

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/stores/postgres/connection.hpp>

namespace paidonce::inline v1::detail {

/// Pauses between such tries.
class PostgresRepeats {
 public:
  explicit PostgresRepeats(PostgresDeadline deadline) : deadline_(deadline) {}

  /// Waits, and returns true; false where there is no time left.
  bool again() {
    SystemRandom random;
    last_ = pause_after(pauses, ++failures_, last_, random);
    if (std::chrono::steady_clock::now() + last_ >= deadline_) return false;
    std::this_thread::sleep_for(last_);
    return true;
  }

 private:
  static constexpr Backoff pauses{Duration(1), Duration(200), Jitter::full};
  const PostgresDeadline deadline_;
  std::uint32_t failures_ = 0;
  Duration last_{0};
};

}  // namespace paidonce::inline v1::detail
