#pragma once
// Where a client's key is valid: for its tenant, at one method and path.

#include <string>
#include <string_view>

#include <paidonce/digest/hex.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/http/message.hpp>

namespace paidonce::inline v1::http {

/// 64 hexadecimal digits: SHA-256 of tenant, method and path, each with its length, so that no two triples
/// meet. Neither an account's name nor a path can be read from it. Never changes between releases. Bytes
/// count: "/pay" and "/pay/" are two scopes.
inline std::string scope_of(const Tenant& tenant, std::string_view method, std::string_view path) {
  const Fingerprint triple = fingerprint(tenant.id, method, path);
  std::string digits(2 * triple.digest().size(), '0');
  paidonce::detail::hex(triple.digest().data(), triple.digest().size(), digits.data());
  return digits;
}

}  // namespace paidonce::inline v1::http
