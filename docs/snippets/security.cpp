// The snippets about scopes and secrets.

#include <paidonce/paidonce.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;

namespace security {

// [scope]
IdempotencyKey key_of(std::string_view authenticated_tenant, std::string_view header) {
  return {authenticated_tenant, header};  // the tenant comes from the session, never from the request's body
}
// [/scope]

// [fingerprinter]
Fingerprint request_of(const Fingerprinter& fingerprinter, std::string_view card, std::string_view amount) {
  return fingerprinter(card, amount, "EUR");
}
// [/fingerprinter]

}  // namespace security

TEST_CASE("scopes and secrets keep apart what they should", "[docs]") {
  using namespace security;
  CHECK(key_of("tenant-a", "1") != key_of("tenant-b", "1"));
  const std::string secret = "32 random bytes from a vault", old_secret = "those of last year";
  // [rotate]
  const Fingerprinter fingerprinter{secret, {old_secret}};
  // [/rotate]
  const Fingerprint stored = request_of(Fingerprinter(old_secret), "4242424242424242", "4.50");
  CHECK(request_of(fingerprinter, "4242424242424242", "4.50").matches(stored));
  CHECK_FALSE(request_of(fingerprinter, "4242424242424242", "45.0").matches(stored));
}
