#pragma once
// The key of a request, as the client that makes it knows it: its text, and whether it may have been sent.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <paidonce/errors.hpp>
#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/time.hpp>
#include <paidonce/uuid.hpp>

namespace paidonce::inline v1::http {

/// How a key stands in its field.
enum class KeyForm : std::uint8_t {
  quoted,  ///< as a String of RFC 8941, which the draft asks for: "order-17", quotes and all
  bare,    ///< as Stripe, Adyen and most other providers take it: order-17
};

/// One for each logical request, made before the first try: kept with the order, durably, before anything is
/// sent, it is there after a crash. Regular.
class RequestKey {
 public:
  /// A UUID version 7. Throws `std::system_error` where the random source fails.
  static RequestKey fresh() {
    return {uuid_v7(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())), Use::first};
  }
  /// A name of your own, as an order's, that no request has carried. Throws `Error{invalid_key}` for a text
  /// that is not 1 to 255 bytes of printable ASCII.
  static RequestKey first_use(std::string_view text) { return {text, Use::first}; }
  /// The key of a request that may have been sent before: by a call that came to `unknown`, or by a process
  /// that is gone. Throws as `first_use`.
  static RequestKey again(std::string_view text) { return {text, Use::again}; }

  const std::string& text() const noexcept { return text_; }
  bool may_have_been_sent() const noexcept { return use_ == Use::again; }

  /// The field's value. Throws `Error{invalid_key}` for a text that cannot stand bare.
  std::string field_value(KeyForm form) const {
    if (form == KeyForm::quoted) return format_idempotency_key(text_);
    const auto bare = detail::bare_key(text_);
    if (!std::holds_alternative<std::string>(bare))
      throw Error(
          errc::invalid_key,
          "a key without quotes has no spaces, quotes, commas, semicolons or backslashes; use a UUID");
    return text_;
  }

  friend bool operator==(const RequestKey&, const RequestKey&) = default;

 private:
  enum class Use : std::uint8_t { first, again };

  RequestKey(std::string_view text, Use use) : text_(text), use_(use) {
    static_cast<void>(format_idempotency_key(text));  // throws
  }

  std::string text_;
  Use use_;
};

}  // namespace paidonce::inline v1::http
