#pragma once
// The operating system's random source, as a uniform random bit generator.

#include <cstdint>

#include <paidonce/digest/random.hpp>

namespace paidonce::inline v1 {

/// What pauses are drawn from where nothing has to be repeated: no seed, no state, any number of threads, and
/// a forked child draws other numbers than its parent. A draw throws `std::system_error` where the system
/// refuses.
struct SystemRandom {
  using result_type = std::uint64_t;
  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return UINT64_MAX; }
  result_type operator()() const { return detail::random_u64(); }
};

}  // namespace paidonce::inline v1
