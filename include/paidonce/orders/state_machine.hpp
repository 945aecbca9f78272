#pragma once
// A list of allowed moves between states, known to the compiler: a move that is not in it does not compile,
// and one that is only known while the program runs is refused.

#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

/// One allowed move.
template <class State>
struct Move {
  State from, to;
};

/// The moves of something that is in one `State` at a time. No instance, no memory, no I/O.
template <class State, Move<State>... Moves>
struct StateMachine {
  StateMachine() = delete;

  static constexpr bool allows(State from, State to) noexcept {
    return (... || (Moves.from == from && Moves.to == to));
  }

  /// `state`, which is `From`, becomes `To`. Does not compile for a move that is not in the list; throws
  /// `Error{wrong_state}`, and changes nothing, where `state` is another.
  template <State From, State To>
  static constexpr void move(State& state) {
    static_assert(
        allows(From, To),
        "paidonce: this move is not in the state machine's list: nothing may go from here to there");
    if (state != From) refuse();
    state = To;
  }

  /// Throws `Error{wrong_state}` for a move that is not in the list. Staying is no move, and allowed.
  static constexpr void require(State from, State to) {
    if (from != to && !allows(from, to)) refuse();
  }

 private:
  [[noreturn, gnu::cold]] static void refuse() {
    throw Error(errc::wrong_state, "the state machine has no move from the present state to the wanted one");
  }
};

}  // namespace paidonce::inline v1
