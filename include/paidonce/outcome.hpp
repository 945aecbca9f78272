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
inline constexpr int handlers_for = (0 + ... + (std::is_invocable_v<H&, const Alternative&> ? 1 : 0));

/// Calls the handler that takes this alternative.
template <class Alternative, class H, class... Others>
decltype(auto) handle(const Alternative& alternative, H& handler, Others&... others) {
  if constexpr (std::is_invocable_v<H&, const Alternative&>)
    return handler(alternative);
  else
    return handle(alternative, others...);
}

template <class First, class... Others>
inline constexpr bool all_same = (... && std::is_same_v<First, Others>);

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
class Outcome {
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
    static_assert(detail::handlers_for<outcome::Completed<R>, H...> == 1,
                  "paidonce: visit needs exactly one handler for outcome::Completed");
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
    if constexpr (all_handled<H...>()) {
      static_assert(
          detail::all_same<decltype(detail::handle(outcome::KeyReused{}, handlers...)),
                           decltype(detail::handle(outcome::Completed<R>{*parts_.value, true, true},
                                                   handlers...)),
                           decltype(detail::handle(outcome::InProgress{}, handlers...)),
                           decltype(detail::handle(outcome::InDoubt<R>{reason(), nullptr, {}}, handlers...)),
                           decltype(detail::handle(outcome::NotExecuted{reason()}, handlers...)),
                           decltype(detail::handle(outcome::Refused{reason()}, handlers...))>,
          "paidonce: all handlers of visit must return the same type: write -> T where they differ");
      switch (parts_.status) {
        case Status::completed:
          return detail::handle(outcome::Completed<R>{*parts_.value, succeeded(), replayed()}, handlers...);
        case Status::in_progress: return detail::handle(outcome::InProgress{retry_after()}, handlers...);
        case Status::key_reused: return detail::handle(outcome::KeyReused{}, handlers...);
        case Status::not_executed: return detail::handle(outcome::NotExecuted{reason()}, handlers...);
        case Status::refused: return detail::handle(outcome::Refused{reason()}, handlers...);
        case Status::in_doubt: break;
      }
      return detail::handle(outcome::InDoubt<R>{reason(), evidence(), cause()}, handlers...);
    }
  }

  /// For guards and for those who test code that takes outcomes.
  explicit Outcome(detail::OutcomeParts<R>&& parts) : parts_(std::move(parts)) {}

 private:
  bool completed() const noexcept { return parts_.status == Status::completed; }
  void require_completed() const {
    if (!completed())
      throw std::logic_error("Outcome::response(): there is none, the status is " +
                             std::string(to_string(parts_.status)) + "; ask status() first or use visit()");
  }
  template <class... H>
  static constexpr bool all_handled() {
    return (... && !detail::is_catch_all<H>()) && detail::handlers_for<outcome::Completed<R>, H...> == 1 &&
           detail::handlers_for<outcome::InProgress, H...> == 1 &&
           detail::handlers_for<outcome::KeyReused, H...> == 1 &&
           detail::handlers_for<outcome::InDoubt<R>, H...> == 1 &&
           detail::handlers_for<outcome::NotExecuted, H...> == 1 &&
           detail::handlers_for<outcome::Refused, H...> == 1;
  }

  detail::OutcomeParts<R> parts_;
};

}  // namespace paidonce::inline v1
