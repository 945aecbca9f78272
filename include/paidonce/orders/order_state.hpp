#pragma once
// The states of an order and of a refund, and the moves between them. Standard library only.
//
//     unpaid ──> paying ──> paid ──> refunding ──> refunded
//       │ ^        │          ^         │
//       │ └────────┘          └─────────┘      taken back: no money moved, or a part of it was given back
//       v
//   cancelled

#include <cstdint>
#include <string_view>

#include <paidonce/orders/state_machine.hpp>

namespace paidonce::inline v1 {

/// Stored by these numbers: never renumbered.
enum class OrderState : std::uint8_t {
  unpaid = 1,  ///< no money moved, and nothing under way that could move any
  paying,      ///< a payment has begun, and how it ended is not known yet
  paid,        ///< all of it; perhaps a part was given back
  refunding,   ///< a refund has begun, and how it ended is not known yet
  refunded,    ///< all of it was given back; final
  cancelled,   ///< never paid; final
};

/// Whether money may be on its way: `settle_orders` looks at these.
constexpr bool is_open(OrderState state) noexcept {
  return state == OrderState::paying || state == OrderState::refunding;
}

/// All moves of an order. The two that lead back are made only on proof: that no money moved
/// (`paying` → `unpaid`), or that all refunds under way have ended with a part still kept (`refunding` →
/// `paid`).
using OrderMoves = StateMachine<OrderState, Move<OrderState>{OrderState::unpaid, OrderState::paying},
                                Move<OrderState>{OrderState::paying, OrderState::paid},
                                Move<OrderState>{OrderState::paid, OrderState::refunding},
                                Move<OrderState>{OrderState::refunding, OrderState::refunded},
                                Move<OrderState>{OrderState::unpaid, OrderState::cancelled},
                                Move<OrderState>{OrderState::paying, OrderState::unpaid},
                                Move<OrderState>{OrderState::refunding, OrderState::paid}>;

/// Stored by these numbers: never renumbered.
enum class RefundState : std::uint8_t {
  reserved = 1,  ///< its amount is spoken for: begun, and how it ended is not known yet
  done,          ///< the money was given back; final
  released,      ///< proven not to have happened, or declined: its amount is free again
};

/// All moves of a refund. `released` → `reserved` is another try at the same refund.
using RefundMoves = StateMachine<RefundState, Move<RefundState>{RefundState::reserved, RefundState::done},
                                 Move<RefundState>{RefundState::reserved, RefundState::released},
                                 Move<RefundState>{RefundState::released, RefundState::reserved}>;

constexpr std::string_view to_string(OrderState state) noexcept {
  switch (state) {
    case OrderState::unpaid: return "unpaid";
    case OrderState::paying: return "paying";
    case OrderState::paid: return "paid";
    case OrderState::refunding: return "refunding";
    case OrderState::refunded: return "refunded";
    case OrderState::cancelled: return "cancelled";
  }
  return "unknown";
}

constexpr std::string_view to_string(RefundState state) noexcept {
  switch (state) {
    case RefundState::reserved: return "reserved";
    case RefundState::done: return "done";
    case RefundState::released: return "released";
  }
  return "unknown";
}

}  // namespace paidonce::inline v1
