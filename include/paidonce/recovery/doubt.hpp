#pragma once
// What is known of a payment in doubt by whoever asks its provider what became of it.

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <paidonce/key.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Handed to the function that asks the provider; lives as long as that call.
struct Doubt {
  const IdempotencyKey& key;
  const Record& record;  ///< it is in doubt
  /// How long this observer has seen this very attempt in doubt, on its own timer, and where `holder` is
  /// `gone`, with that proof: before it died it may have sent another request. Starts at zero with every
  /// process, and with every attempt.
  Duration seen_for;
  protocol::Holder holder;  ///< `gone`: there is proof that nobody can go on with this attempt
  std::uint32_t round;      ///< 1 for the first time that it is asked about

  /// What the provider knows this payment by: `Attempt::provider_key()` of all of its attempts.
  std::string provider_key() const { return paidonce::provider_key(key, record.created_at); }
};

namespace detail {

/// The result type of a function that asks the provider; does not compile, and says why, where it is none.
template <class Ask>
struct Asks {
  static_assert(std::is_invocable_v<const Ask&, const Doubt&>,
                "paidonce: the function that asks the provider takes const Doubt& and is called on several "
                "threads: it must be callable when const");
  template <class R>
  static std::type_identity<R> result_of(const PaymentResult<R>&);
  static std::type_identity<void> result_of(...);
  using R =
      typename decltype(result_of(std::declval<std::invoke_result_t<const Ask&, const Doubt&>>()))::type;
  static_assert(!std::is_void_v<R>,
                "paidonce: the function that asks the provider returns PaymentResult<R> with the R of the "
                "payments: succeeded(value), declined(value), not_executed(reason) or in_doubt(reason)");
};

}  // namespace detail

}  // namespace paidonce::inline v1
