#pragma once
// The smallest of many values that come in any order, in as much memory as they take.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace common {

/// `Less` tells values apart: no two are equal.
template <class Value, class Less>
class Smallest {
 public:
  Smallest(std::size_t most, Less less) : most_(most), less_(std::move(less)) {}

  void add(Value value) {
    if (kept_.size() == most_) {  // the largest gives way, or this one does not come in
      more_ = true;
      if (kept_.empty() || !less_(value, kept_.front())) return;
      std::pop_heap(kept_.begin(), kept_.end(), less_);
      kept_.pop_back();
    }
    kept_.push_back(std::move(value));
    std::push_heap(kept_.begin(), kept_.end(), less_);
  }

  /// Whether there were more than are kept.
  bool more() const { return more_; }
  /// Smallest first. Nothing is kept afterwards.
  std::vector<Value> take() {
    std::sort_heap(kept_.begin(), kept_.end(), less_);
    return std::exchange(kept_, {});
  }

 private:
  std::size_t most_;
  Less less_;
  std::vector<Value> kept_ = {};
  bool more_ = false;
};

}  // namespace common
