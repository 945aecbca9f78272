#pragma once
// Where a client's key is valid: for its tenant, at one method and path.

#include <string>
#include <string_view>

#include <paidonce/fingerprint.hpp>
#include <paidonce/http/message.hpp>

namespace paidonce::inline v1::http {

/// 64 hexadecimal digits: SHA-256 of tenant, method and path, each with its length, so that no two triples
/// meet. Neither an account's name nor a path can be read from it. Never changes between releases.
inline std::string scope_of(const Tenant& tenant, std::string_view method, std::string_view path) {
  return fingerprint(std::string_view(tenant.id), method, path).hex().substr(2);
}

}  // namespace paidonce::inline v1::http
