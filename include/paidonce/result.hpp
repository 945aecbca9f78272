#pragma once
// What the payment callable reports: exactly one of succeeded, declined, not executed, in doubt.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/codec.hpp>

namespace paidonce::inline v1 {

/// The four things that a payment callable, or a provider that is asked, can report.
enum class Report : std::uint8_t { succeeded, declined, not_executed, in_doubt };

/// Thrown by a callable to report that nothing happened, as `not_executed(reason)` does. It counts as proof
/// only while this attempt has not saved a checkpoint; afterwards, like anything else thrown, it means in
/// doubt.
class NotExecuted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class R>
class PaymentResult;

namespace detail {

struct NotExecutedReport {
  std::string reason;
};
struct InDoubtReport {
  std::string reason;
};

template <class T>
struct ResultType {
  using type = T;
};
template <>
struct ResultType<const char*> {
  using type = std::string;
};
template <>
struct ResultType<char*> {
  using type = std::string;
};
template <>
struct ResultType<std::string_view> {
  using type = std::string;
};

/// The type under which a value is kept: decayed, and `std::string` for all that is text.
template <class T>
using result_type_t = typename ResultType<std::decay_t<T>>::type;

template <class T>
inline constexpr bool is_payment_result = false;
template <class R>
inline constexpr bool is_payment_result<PaymentResult<R>> = true;

/// Whether a callable may return this, and a store keep it.
template <class R>
inline constexpr bool can_be_result = Encodable<R>;
template <>
inline constexpr bool can_be_result<void> = false;
template <>
inline constexpr bool can_be_result<bool> = false;
template <class R>
inline constexpr bool can_be_result<PaymentResult<R>> = false;

template <class R>
consteval void require_result_type() {
  static_assert(!std::is_void_v<R>,
                "paidonce: a payment must return something to replay: return succeeded(value)");
  static_assert(!std::is_same_v<R, bool>,
                "paidonce: bool does not say what happened: return succeeded(value), declined(value), "
                "not_executed(reason) or in_doubt(reason)");
  static_assert(!is_payment_result<R>,
                "paidonce: a PaymentResult inside a PaymentResult: return the inner one as it is");
  static_assert(!std::is_same_v<R, NotExecutedReport> && !std::is_same_v<R, InDoubtReport>,
                "paidonce: not_executed and in_doubt carry no result type: write the callable's return type, "
                "-> PaymentResult<R>");
  if constexpr (!std::is_void_v<R> && !std::is_same_v<R, bool> && !is_payment_result<R> &&
                !std::is_same_v<R, NotExecutedReport> && !std::is_same_v<R, InDoubtReport>)
    static_assert(Encodable<R>,
                  "paidonce: this result type has no Codec: specialise paidonce::Codec<R>, include "
                  "<paidonce/codecs/json.hpp>, or return a std::string");
}

}  // namespace detail

/// Proof that nothing happened: the key is free for another attempt. Converts to any `PaymentResult<R>`.
inline detail::NotExecutedReport not_executed(std::string reason) { return {std::move(reason)}; }

/// Nobody knows whether it happened. Converts to any `PaymentResult<R>`.
inline detail::InDoubtReport in_doubt(std::string reason) { return {std::move(reason)}; }

/// The report of a payment whose result is an `R`. A value; as copyable and as movable as `R`.
template <class R>
class [[nodiscard]] PaymentResult {
 public:
  using value_type = R;

  static PaymentResult succeeded(R response) { return PaymentResult(Report::succeeded, std::move(response)); }
  static PaymentResult declined(R response) { return PaymentResult(Report::declined, std::move(response)); }
  static PaymentResult not_executed(std::string reason) {
    return PaymentResult(Report::not_executed, std::move(reason), Why{});
  }
  static PaymentResult in_doubt(std::string reason) {
    return PaymentResult(Report::in_doubt, std::move(reason), Why{});
  }

  PaymentResult(detail::NotExecutedReport why)
      : PaymentResult(Report::not_executed, std::move(why.reason), Why{}) {}
  PaymentResult(detail::InDoubtReport why) : PaymentResult(Report::in_doubt, std::move(why.reason), Why{}) {}

  template <class U>
  requires(!std::is_same_v<U, R> && std::is_convertible_v<U, R>) PaymentResult(PaymentResult<U> other)
      : report_(other.report()), reason_(other.reason()) {
    if (U* response = other.response_if()) response_.emplace(std::move(*response));
  }

  Report report() const noexcept { return report_; }
  /// Why it was not executed or is in doubt; otherwise empty.
  const std::string& reason() const noexcept { return reason_; }
  /// The response of a payment that succeeded or was declined; otherwise null.
  const R* response_if() const noexcept { return response_ ? &*response_ : nullptr; }
  R* response_if() noexcept { return response_ ? &*response_ : nullptr; }

 private:
  struct Why {};
  PaymentResult(Report report, R&& response) : report_(report), response_(std::move(response)) {
    detail::require_result_type<R>();
  }
  PaymentResult(Report report, std::string&& reason, Why) : report_(report), reason_(std::move(reason)) {
    detail::require_result_type<R>();
  }

  Report report_;
  std::optional<R> response_;
  std::string reason_;
};

/// The payment happened; final.
template <class T>
PaymentResult<detail::result_type_t<T>> succeeded(T&& response) {
  return PaymentResult<detail::result_type_t<T>>::succeeded(
      detail::result_type_t<T>(std::forward<T>(response)));
}

/// The payment was declined; final, and replayed like a success.
template <class T>
PaymentResult<detail::result_type_t<T>> declined(T&& response) {
  return PaymentResult<detail::result_type_t<T>>::declined(
      detail::result_type_t<T>(std::forward<T>(response)));
}

}  // namespace paidonce::inline v1
