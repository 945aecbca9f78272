#pragma once
// What happened to a line, and what that means for its order.

#include <cstdint>
#include <string>
#include <string_view>

namespace pay_orders {

enum class LineStatus : std::uint8_t {
  paid,
  declined,
  key_reused,  ///< the order was asked for before with another amount or card
  refused,
  in_doubt,      ///< nobody knows whether it was paid; look at the provider, never pay under another name
  in_progress,   ///< somebody else is still at it
  not_executed,  ///< nothing happened; running again is safe
  error,         ///< the store failed; running again is safe
  malformed,
};

constexpr std::string_view to_string(LineStatus status) {
  switch (status) {
    case LineStatus::paid: return "paid";
    case LineStatus::declined: return "declined";
    case LineStatus::key_reused: return "key_reused";
    case LineStatus::refused: return "refused";
    case LineStatus::in_doubt: return "in_doubt";
    case LineStatus::in_progress: return "in_progress";
    case LineStatus::not_executed: return "not_executed";
    case LineStatus::error: return "error";
    case LineStatus::malformed: return "malformed";
  }
  return "unknown";
}

struct LineResult {
  LineStatus status = LineStatus::malformed;
  bool replayed = false;
  std::string charge = {};  ///< the provider's id, where there is a charge
  std::string reason = {};
};

}  // namespace pay_orders
