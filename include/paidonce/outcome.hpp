#pragma once
// The guard's answer to one call: a closed set of six. Everything a caller must decide on is in here.

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// | status         | same key again?                       | a new key for this payment? |
/// | -------------- | ------------------------------------- | --------------------------- |
/// | `completed`    | yes, the same answer                  | no                          |
/// | `in_progress`  | yes, after `retry_after()`            | no                          |
/// | `key_reused`   | not with this request                 | no                          |
/// | `in_doubt`     | yes: reconciled, never run blindly    | **no**                      |
/// | `not_executed` | yes: it runs                          | no need                     |
/// | `refused`      | no use                                | no use                      |
enum class Status : std::uint8_t { completed, in_progress, key_reused, in_doubt, not_executed, refused };

/// Name of a status, for people and programs.
constexpr std::string_view to_string(Status status) noexcept {
  switch (status) {
    case Status::completed: return "completed";
    case Status::in_progress: return "in_progress";
    case Status::key_reused: return "key_reused";
    case Status::in_doubt: return "in_doubt";
    case Status::not_executed: return "not_executed";
    case Status::refused: return "refused";
  }
  return "unknown";
}

/// What `Outcome::visit` hands to its handlers, one for each status.
namespace outcome {

template <class R>
struct Completed {
  const R& response;
  bool succeeded;  ///< false: declined
  bool replayed;
};
struct InProgress {
  Duration retry_after;
};
struct KeyReused {};
template <class R>
struct InDoubt {
  const std::string& reason;
  const R* evidence;
  std::exception_ptr cause;
};
struct NotExecuted {
  const std::string& reason;
};
struct Refused {
  const std::string& reason;
};

}  // namespace outcome

namespace detail {

/// No alternative of an outcome: a handler that takes this takes anything.
struct NoAlternative {};

template <class H>
concept NamesItsArgument = std::is_pointer_v<std::decay_t<H>> || requires {
  &std::decay_t<H>::operator();
};

template <class H>
constexpr bool is_catch_all() {
  if constexpr (NamesItsArgument<H>)
    return std::is_invocable_v<H&, NoAlternative>;
  else
    return true;
}

template <class Alternative, class... H>
inline constexpr int handlers_for = (0 + ... + (std::is_invocable_v<H&, Alternative> ? 1 : 0));

template <class... H>
struct Handlers : H... {
  using H::operator()...;
};

/// Lets a plain function stand beside lambdas.
template <class H>
struct AsHandler : H {
  explicit AsHandler(H handler) : H(std::move(handler)) {}
  using H::operator();
};
template <class Result, class Argument>
struct AsHandler<Result (*)(Argument)> {
  Result (*function)(Argument);
  Result operator()(Argument argument) const { return function(argument); }
};

template <class R>
struct OutcomeParts {
  Status status = Status::in_doubt;
  State final_state = State::in_doubt;  // of the response or of the evidence
  bool replayed = false;
  Duration retry_after{0};
  std::optional<R> value = {};
  std::string reason = {};
  std::exception_ptr cause = {};
};

}  // namespace detail

/// A value; as copyable and as movable as `R`. Accessors that do not belong to the status are empty, zero or
/// null; only `response()` throws.
template <class R>
class [[nodiscard]] Outcome {
 public:
  using value_type = R;

  Status status() const noexcept { return parts_.status; }
  bool succeeded() const noexcept { return completed() && parts_.final_state == State::succeeded; }
  bool declined() const noexcept { return completed() && parts_.final_state == State::declined; }
  /// Whether the response was stored by an earlier call.
  bool replayed() const noexcept { return completed() && parts_.replayed; }

  /// What the payment returned. Throws `std::logic_error`, naming the status, unless completed.
  const R& response() const& {
    require_completed();
    return *parts_.value;
  }
  R response() && {
    require_completed();
    return std::move(*parts_.value);
  }

  /// In doubt, yet the callable did return a result, which could not be recorded: that result. Otherwise
  /// null.
  const R* evidence() const& noexcept {
    return parts_.status == Status::in_doubt && parts_.value ? &*parts_.value : nullptr;
  }
  void evidence() && = delete;
  /// `succeeded` or `declined`, with evidence.
  std::optional<State> evidence_state() const noexcept {
    return evidence() ? std::optional(parts_.final_state) : std::nullopt;
  }

  /// When to ask again: in progress, not executed.
  Duration retry_after() const noexcept { return parts_.retry_after; }
  /// Why: in doubt, not executed, refused.
  const std::string& reason() const noexcept { return parts_.reason; }
  /// What the callable threw: in doubt, not executed.
  std::exception_ptr cause() const noexcept { return parts_.cause; }

  /// Calls the one handler that takes this outcome's alternative and returns what it returns. A missing
  /// handler, one too many, or one that takes anything does not compile. All handlers return the same type.
  template <class... H>
  decltype(auto) visit(H... handlers) const {
    static_assert(
        (... && !detail::is_catch_all<H>()),
        "paidonce: a handler of visit must name its alternative, e.g. [](outcome::InProgress) {...}; "
        "catch-alls hide the case that costs money");
    require_handler<outcome::Completed<R>, H...>();
    static_assert(detail::handlers_for<outcome::InProgress, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::InProgress");
    static_assert(detail::handlers_for<outcome::KeyReused, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::KeyReused");
    static_assert(detail::handlers_for<outcome::InDoubt<R>, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::InDoubt");
    static_assert(detail::handlers_for<outcome::NotExecuted, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::NotExecuted");
    static_assert(detail::handlers_for<outcome::Refused, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::Refused");
    if constexpr ((... && !detail::is_catch_all<H>()) && all_handled<H...>()) {
      detail::Handlers<detail::AsHandler<H>...> handler{detail::AsHandler<H>{std::move(handlers)}...};
      using Result = decltype(handler(outcome::KeyReused{}));
      switch (parts_.status) {
        case Status::completed:
          return static_cast<Result>(handler(outcome::Completed<R>{*parts_.value, succeeded(), replayed()}));
        case Status::in_progress: return static_cast<Result>(handler(outcome::InProgress{retry_after()}));
        case Status::key_reused: return static_cast<Result>(handler(outcome::KeyReused{}));
        case Status::not_executed: return static_cast<Result>(handler(outcome::NotExecuted{reason()}));
        case Status::refused: return static_cast<Result>(handler(outcome::Refused{reason()}));
        case Status::in_doubt: break;
      }
      return static_cast<Result>(handler(outcome::InDoubt<R>{reason(), evidence(), cause()}));
    }
  }

  /// For guards and for those who test code that takes outcomes.
  explicit Outcome(detail::OutcomeParts<R> parts) : parts_(std::move(parts)) {}

 private:
  bool completed() const noexcept { return parts_.status == Status::completed; }
  void require_completed() const {
    if (!completed())
      throw std::logic_error("Outcome::response(): there is none, the status is " +
                             std::string(to_string(parts_.status)) + "; ask status() first or use visit()");
  }
  template <class Alternative, class... H>
  static constexpr void require_handler() {
    static_assert(detail::handlers_for<Alternative, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::Completed");
  }
  template <class... H>
  static constexpr bool all_handled() {
    return detail::handlers_for<outcome::Completed<R>, H...> == 1 &&
           detail::handlers_for<outcome::InProgress, H...> == 1 &&
           detail::handlers_for<outcome::KeyReused, H...> == 1 &&
           detail::handlers_for<outcome::InDoubt<R>, H...> == 1 &&
           detail::handlers_for<outcome::NotExecuted, H...> == 1 &&
           detail::handlers_for<outcome::Refused, H...> == 1;
  }

  detail::OutcomeParts<R> parts_;
};

}  // namespace paidonce::inline v1
