#pragma once
// Who may use the admin page, and whether a form was sent from it. No I/O.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace payment_server {

/// Immutable. Keeps states that the password leads to, not the password. Instances with the same password
/// know each other's forms, so that any of several, also one started again, takes what another has shown.
class AdminAccess {
 public:
  /// Throws `paidonce::Error{invalid_options}` for an empty password.
  explicit AdminAccess(std::string_view password);

  /// The user's name, of an `Authorization` field with the right password (RFC 7617); nullopt for all else,
  /// a name with control characters or of more than 64 bytes included: it is written into records. In a time
  /// that does not tell how much of a password was right.
  std::optional<std::string> user(std::string_view authorization) const;

  /// What tells one version of a record from all others, and nothing else about it.
  std::string seen(const paidonce::IdempotencyKey& key, const paidonce::Record& record) const;

  /// What only this page can write into a form: for one user, one step and one payment. `about` is whatever
  /// the step is to be done with, so that it cannot be done with anything else.
  template <class... About>
  std::string token(std::string_view user, std::string_view step, const paidonce::IdempotencyKey& key,
                    const About&... about) const {
    return secret_("form", user, step, key.bytes(), std::string_view(about)...).hex();
  }
  /// In constant time.
  bool right(std::string_view given, std::string_view token) const {
    return secret_(given) == secret_(token);
  }

 private:
  paidonce::Fingerprinter secret_;
  paidonce::Fingerprint password_;
};

/// Whether a browser says that a form was sent by a page of another origin: by `Sec-Fetch-Site`
/// (https://www.w3.org/TR/fetch-metadata/) or by an `Origin` (RFC 6454) whose host is not the one that was
/// asked, `host`. Empty: the field was not there, as from programs. A proxy must leave `Host` as it is.
bool sent_from_elsewhere(std::string_view sec_fetch_site, std::string_view origin, std::string_view host);

/// A key in a path: two lower-case digits a byte, whatever the bytes are.
std::string hex_of_key(const paidonce::IdempotencyKey& key);
std::optional<paidonce::IdempotencyKey> key_of_hex(std::string_view digits);

}  // namespace payment_server
