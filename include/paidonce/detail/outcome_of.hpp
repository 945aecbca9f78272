#pragma once
// The response type of what a callable returns: callables around a guard.

#include <type_traits>

#include <paidonce/outcome.hpp>

namespace paidonce::inline v1::detail {

template <class T>
struct ResponseOf {
  static constexpr bool is_outcome = false;
  using type = void;
};
template <class R>
struct ResponseOf<Outcome<R>> {
  static constexpr bool is_outcome = true;
  using type = R;
};

/// `R`, where calling gives an `Outcome<R>`.
template <class Call, class... Args>
struct OutcomeOf {
  static_assert(
      std::is_invocable_v<Call&, Args...>,
      "paidonce: the callable does not take these arguments: nothing for retry, (guard, payment) for "
      "execute_many");
  using Answer = ResponseOf<std::remove_cvref_t<std::invoke_result_t<Call&, Args...>>>;
  static_assert(Answer::is_outcome,
                "paidonce: the callable must return the Outcome of the guard: return guard.execute(...)");
  using R = typename Answer::type;
};

}  // namespace paidonce::inline v1::detail
