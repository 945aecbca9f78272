#pragma once
// Makes a race happen: a wrong store or lock waits at its weak spot until somebody else has come there.

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace conformance {

/// Thread-safe. Waits are bounded, so that nobody stands there for ever when nobody comes.
class Gate {
 public:
  /// Returns once this has been called twice with this name.
  void meet(const std::string& name) {
    pass(name);
    await(name, 2);
  }

  void pass(const std::string& name) {
    std::lock_guard lock(mutex_);
    ++passed_[name];
    changed_.notify_all();
  }

  /// Returns once `pass` has been called that often with this name.
  void await(const std::string& name, int times = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return passed_[name] >= times; });
  }

  /// True for the first who asks.
  bool first(const std::string& name) {
    std::lock_guard lock(mutex_);
    return ++asked_[name] == 1;
  }

 private:
  std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::map<std::string, int> passed_ = {};
  std::map<std::string, int> asked_ = {};
};

}  // namespace conformance
