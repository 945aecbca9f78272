#pragma once
// What a PaymentWorker is made of, and what the compiler says where that does not fit together.

#include <type_traits>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/no_reconcile.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/guard/inquiry.hpp>
#include <paidonce/key.hpp>
#include <paidonce/options.hpp>
#include <paidonce/queue/message_source.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>

namespace paidonce::inline v1 {

/// What a message asks for. The key is the payment's own, chosen by whoever ordered it and part of the body:
/// the broker's id of the message changes when the message is sent again.
template <class T>
struct PaymentRequest {
  IdempotencyKey key;
  Fingerprint fingerprint;
  T value;                   ///< what the callable gets
  CallOptions options = {};  ///< of this call to the guard
};

namespace detail {

template <class Request>
inline constexpr bool is_payment_request = false;
template <class T>
inline constexpr bool is_payment_request<PaymentRequest<T>> = true;

/// The first thing that is wrong is told, and nothing after it: `fit` is false then.
template <class Source, class Read, class Pay, class Reconcile>
struct WorkerParts {
  template <class R>
  static consteval auto request() {
    if constexpr (std::is_invocable_v<R&, const Message&>)
      return std::type_identity<std::remove_cvref_t<std::invoke_result_t<R&, const Message&>>>{};
    else
      return std::type_identity<void>{};
  }
  using Request = typename decltype(request<Read>())::type;

  template <class Asked>
  static consteval bool check() {
    if constexpr (!MessageSource<Source>) {
      static_assert(MessageSource<Source>,
                    "paidonce: the second argument is no MessageSource: it has receive(Duration, Stop&) that "
                    "returns std::optional<Message>, ack(const Message&), retry_later(const Message&, "
                    "Duration) and dead_letter(const Message&, std::string_view)");
      return false;
    } else if constexpr (std::is_void_v<Asked>) {
      static_assert(
          std::is_invocable_v<Read&, const Message&>,
          "paidonce: what reads a message takes (const Message&), and returns PaymentRequest<T>{key, "
          "fingerprint, value}");
      return false;
    } else if constexpr (!is_payment_request<Asked>) {
      static_assert(is_payment_request<Asked>,
                    "paidonce: what reads a message returns PaymentRequest<T>{key, fingerprint, value}");
      return false;
    } else {
      return check_payment<Asked, decltype(Asked::value)>();
    }
  }

 private:
  template <class Asked, class T>
  static consteval bool check_payment() {
    if constexpr (!std::is_invocable_v<Pay&, Attempt&, const T&>) {
      static_assert(std::is_invocable_v<Pay&, Attempt&, const T&>,
                    "paidonce: what pays takes (Attempt&, const T&), T being that of the PaymentRequest<T>");
      return false;
    } else {
      return check_reconcile<Asked, typename Paid<Pay, Attempt&, const T&>::R>();
    }
  }
  template <class Asked, class R>
  static consteval bool check_reconcile() {
    if constexpr (std::is_same_v<Reconcile, NoReconcile>) {
      return true;
    } else if constexpr (!std::is_invocable_v<Reconcile&, const Record&, const Asked&>) {
      static_assert(
          std::is_invocable_v<Reconcile&, const Record&, const Asked&>,
          "paidonce: a worker's reconcile function takes (const Record&, const PaymentRequest<T>&), "
          "T being that of what reads a message, and returns PaymentResult<R>");
      return false;
    } else {
      using Said = std::invoke_result_t<Reconcile&, const Record&, const Asked&>;
      static_assert(std::is_convertible_v<Said, PaymentResult<R>>,
                    "paidonce: a worker's reconcile function must return PaymentResult<R> with the R of the "
                    "payment: succeeded(value), declined(value), not_executed(reason) or in_doubt(reason)");
      return std::is_convertible_v<Said, PaymentResult<R>>;
    }
  }

 public:
  static constexpr bool fit = check<Request>();
};

}  // namespace detail

}  // namespace paidonce::inline v1
