#pragma once
// One thread waits until another tells it, once. It sleeps at once: std::binary_semaphore gives the processor
// away a few times first, which cost a third of what many callers of a combiner spend.

#include <semaphore.h>

#include <cerrno>
#include <chrono>
#include <ctime>

namespace paidonce::inline v1::detail {

/// The one who waits may destroy it as soon as it is told.
class Told {
 public:
  Told() noexcept { ::sem_init(&told_, 0, 0); }
  ~Told() { ::sem_destroy(&told_); }
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;

  void tell() noexcept { ::sem_post(&told_); }

  /// A point of cancellation, as the next: who cannot bear that forbids it.
  void await() noexcept {
    while (::sem_wait(&told_) != 0) {
    }
  }

  /// False: not yet, and about so long is over; longer or shorter where the system's clock is set meanwhile.
  bool await_for(std::chrono::milliseconds pause) noexcept {
    std::timespec until{};
    std::timespec_get(&until, TIME_UTC);
    const auto ns = until.tv_nsec + std::chrono::nanoseconds(pause).count();
    until.tv_sec += static_cast<std::time_t>(ns / 1'000'000'000);
    until.tv_nsec = static_cast<decltype(until.tv_nsec)>(ns % 1'000'000'000);
    while (::sem_timedwait(&told_, &until) != 0)
      if (errno != EINTR) return false;
    return true;
  }

 private:
  ::sem_t told_;
};

}  // namespace paidonce::inline v1::detail
