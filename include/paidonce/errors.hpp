#pragma once
// Errors of infrastructure and misuse. What a caller has to decide on is never an error but an Outcome.

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "paidonce needs C++20: compile with -std=c++20"
#endif

#include <string>
#include <system_error>
#include <type_traits>

namespace paidonce::inline v1 {

/// What went wrong. An `Error` that leaves `IdempotencyGuard::execute` means that this call did not start the
/// payment; it does not mean that no earlier call did.
enum class errc {
  invalid_key = 1,     ///< key text is not 1..255 bytes, or its scope is longer than 255
  invalid_options,     ///< a duration or a combination of options that cannot work
  store_unavailable,   ///< the store did not answer; retry with the same key
  store_full,          ///< no room for a new record; nothing was started
  store_corrupt,       ///< the store holds bytes that do not verify; it refuses to guess
  store_busy,          ///< somebody else holds the store exclusively
  store_replaced,      ///< the store's files are no longer the ones that were opened
  store_poisoned,      ///< a durable write failed; reopen the store
  store_forked,        ///< the store was opened by another process than this one
  unsafe_config,       ///< the server may forget acknowledged writes as it is configured
  lock_unavailable,    ///< the lock service did not answer; retry with the same key
  lease_lost,          ///< the record moved on while this attempt ran
  wrong_state,         ///< the record is not in a state from which this is allowed
  codec_failure,       ///< stored bytes could not be decoded into the result type
  reentrant_call,      ///< the same key is already being executed further up this call chain
  shutting_down,       ///< the guard takes no new calls
  unsupported_format,  ///< the stored result was written by another codec, or a newer version
};

namespace detail {

class ErrorCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "paidonce"; }
  [[gnu::cold]] std::string message(int value) const override {
    static constexpr const char* messages[] = {nullptr,
                                               "invalid idempotency key",
                                               "invalid options",
                                               "store unavailable",
                                               "store full",
                                               "store corrupt",
                                               "store busy",
                                               "store replaced",
                                               "store poisoned by a failed write",
                                               "store used in a forked process",
                                               "unsafe server configuration",
                                               "lock unavailable",
                                               "lease lost",
                                               "wrong state",
                                               "stored response cannot be decoded",
                                               "reentrant call for the same key",
                                               "shutting down",
                                               "unsupported format"};
    constexpr int count = sizeof messages / sizeof *messages;
    if (value > 0 && value < count) return messages[value];
    return "unknown paidonce error " + std::to_string(value);
  }
};

}  // namespace detail

/// The category of `errc`. Exported from every shared object, so that codes compare equal across them.
[[gnu::visibility("default")]] inline const std::error_category& error_category() noexcept {
  static const detail::ErrorCategory category;
  return category;
}

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

class [[gnu::visibility(
    "default")]] Error;  // one type across shared objects, however they hide their symbols

/// Thrown for infrastructure failures and misuse: `error.code() == errc::store_full`. Its text never carries
/// a key, a payload or a connection string.
class Error : public std::system_error {
 public:
  explicit Error(errc code) : std::system_error(make_error_code(code)) {}
  /// `what` says what happened and what to do about it.
  [[gnu::cold]] Error(errc code, const std::string& what) : std::system_error(make_error_code(code), what) {}
  [[gnu::cold]] Error(errc code, const char* what) : std::system_error(make_error_code(code), what) {}
};

/// Whether the same call, with the same key, may succeed later without anything being mended.
inline bool retryable(const Error& error) noexcept {
  if (error.code().category() != error_category()) return false;
  switch (static_cast<errc>(error.code().value())) {
    case errc::store_unavailable:
    case errc::lock_unavailable:
    case errc::store_full:
    case errc::store_busy:
    case errc::shutting_down: return true;
    default: return false;
  }
}

}  // namespace paidonce::inline v1

template <>
struct std::is_error_code_enum<paidonce::errc> : std::true_type {};
