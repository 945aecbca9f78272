#pragma once
// An alert that is raised once, stands while something is wrong, and is cleared once.

#include <atomic>
#include <initializer_list>
#include <mutex>
#include <string_view>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe. The sink outlives it; `sinks` keeps sinks of one worker from being called at once.
class StandingAlert {
 public:
  StandingAlert(const AlertSink& sink, std::mutex& sinks, const char* rule)
      : sink_(sink), sinks_(sinks), rule_(rule) {}

  bool stands() const noexcept { return stands_.load(std::memory_order_relaxed); }
  /// The text is what `parts` say one after the other.
  template <class C>
  void raise(C& clock, std::initializer_list<std::string_view> parts) {
    if (!stands()) turn(Alert::Edge::raised, clock, parts);
  }
  template <class C>
  void clear(C& clock, std::string_view text) {
    if (stands()) turn(Alert::Edge::cleared, clock, {text});
  }

 private:
  /// Without memory, or a clock, nobody is told; the payments go on.
  template <class C>
  void turn(Alert::Edge to, C& clock, std::initializer_list<std::string_view> parts) try {
    const std::lock_guard lock(sinks_);
    if (stands() == (to == Alert::Edge::raised)) return;  // another was faster
    stands_.store(to == Alert::Edge::raised, std::memory_order_relaxed);
    if (!sink_) return;
    Alert alert{rule_};
    alert.edge = to;
    for (const std::string_view part : parts) alert.text.append(part);
    alert.at = clock.now();
    deliver(sink_, alert);
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
  }

  const AlertSink& sink_;
  std::mutex& sinks_;
  const char* const rule_;
  std::atomic<bool> stands_{false};
};

}  // namespace paidonce::inline v1::detail
