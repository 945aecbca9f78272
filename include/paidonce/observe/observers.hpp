#pragma once
// Several observers as one.

#include <tuple>
#include <utility>

#include <paidonce/observer.hpp>

namespace paidonce::inline v1 {

/// Hands every event to each of its observers, in their order. One given as an lvalue is referred to and must
/// outlive this; an rvalue is moved in. Time is measured if one of them wants it, and then all are told.
///
///     Observers both{metrics, Watch{doubts}};
///
/// As thread-safe as its observers. It adds nothing to what they cost.
template <Observer... Os>
class Observers {
 public:
  static constexpr bool measures_time = (detail::measures_time<Os>() || ...);

  explicit Observers(Os... observers) : observers_(std::forward<Os>(observers)...) {}

  template <class Event>
  void on(const Event& event) noexcept {
    std::apply([&event](auto&... each) { (each.on(event), ...); }, observers_);
  }

 private:
  std::tuple<Os...> observers_;
};

template <Observer... Os>
Observers(Os&&...) -> Observers<Os...>;

}  // namespace paidonce::inline v1
