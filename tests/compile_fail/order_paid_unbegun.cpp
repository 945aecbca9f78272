// An order makes the moves of its state machine, and no others.
// expect: this move is not in the state machine's list: nothing may go from here to there
#include <paidonce/orders/order_state.hpp>

void settle(paidonce::OrderState& state) {
  using paidonce::OrderState;
#ifdef FIXED
  paidonce::OrderMoves::move<OrderState::paying, OrderState::paid>(state);
#else
  paidonce::OrderMoves::move<OrderState::unpaid, OrderState::paid>(state);
#endif
}
