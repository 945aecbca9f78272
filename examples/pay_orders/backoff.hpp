#pragma once
// Pauses between tries: twice as long each time, up to a limit, and at random between half and all of that,
// so that many who were refused together do not come back together.

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

namespace pay_orders {

/// One for each thing that is tried; not shared between threads.
class Backoff {
 public:
  /// `tries` counts the first one too.
  Backoff(unsigned tries, std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : left_(tries), ceiling_(first), longest_(longest) {}

  /// Sleeps and returns true; false, at once, when no try is left.
  bool pause() {
    if (left_ <= 1) return false;
    --left_;
    std::uniform_int_distribution<std::chrono::milliseconds::rep> part(ceiling_.count() / 2,
                                                                       ceiling_.count());
    std::this_thread::sleep_for(std::chrono::milliseconds(part(random_)));
    ceiling_ = std::min(2 * ceiling_, longest_);
    return true;
  }

 private:
  unsigned left_;
  std::chrono::milliseconds ceiling_, longest_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace pay_orders
