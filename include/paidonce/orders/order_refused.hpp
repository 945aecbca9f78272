#pragma once
// Thrown through a guard where an order does not allow what was about to begin.

#include <string>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

class [[gnu::visibility("default")]] OrderRefused;  // caught across shared objects

/// An `Error{wrong_state}` of OrderStore: nothing was stored, nothing began. pay_order and refund_order turn
/// it into `Status::refused`; only who uses the keys of orders without them meets it.
class OrderRefused : public Error {
 public:
  explicit OrderRefused(std::string reason) : Error(errc::wrong_state, reason), reason_(std::move(reason)) {}
  const std::string& reason() const noexcept { return reason_; }

 private:
  std::string reason_;
};

}  // namespace paidonce::inline v1
