#pragma once
// What a person should know, and how it is handed over.

#include <cstdint>
#include <functional>
#include <string>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// One thing that began to be wrong, or is right again. It carries no key and no payload.
struct Alert {
  enum class Edge : std::uint8_t { raised, cleared };
  std::string rule;  ///< its name in snake_case, as `left_in_doubt`
  Edge edge = Edge::raised;
  std::string text = {};        ///< one line for people
  std::string key_digest = {};  ///< `key_digest(key)` where it is about one payment
  Timestamp at = {};
};

/// Takes alerts one after the other, on the thread that noticed. What it throws is caught, and lost.
using AlertSink = std::function<void(const Alert&)>;

namespace detail {

/// What a sink throws is caught, and lost.
inline void deliver(const AlertSink& sink, const Alert& alert) {
  if (!sink) return;
  try {
    sink(alert);
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
  }
}

}  // namespace detail

}  // namespace paidonce::inline v1
