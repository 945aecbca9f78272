#include "tenants.hpp"

#include <algorithm>
#include <array>

#include <paidonce/digest/sha256.hpp>

#include "common/base64.hpp"

namespace payment_server {
namespace {

std::string digest_of(std::string_view text) {
  const auto digest = paidonce::detail::sha256(text);
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// The API key in an Authorization field; empty where there is none.
std::string key_in(std::string_view authorization) {
  const std::size_t blank = authorization.find(' ');
  if (blank == authorization.npos) return {};
  const std::string_view scheme = authorization.substr(0, blank);
  std::string_view rest = authorization.substr(blank);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (paidonce::http::detail::same_name(scheme, "Bearer")) return std::string(rest);
  if (!paidonce::http::detail::same_name(scheme, "Basic")) return {};
  const std::string user_and_password = common::from_base64(rest).value_or("");
  const std::size_t colon = user_and_password.find(':');
  return colon == std::string::npos ? std::string() : user_and_password.substr(0, colon);
}

/// Looks at every byte, whatever it finds.
bool same_digest(std::string_view a, std::string_view b) {
  unsigned char difference = 0;
  for (std::size_t at = 0; at < a.size(); ++at) difference |= static_cast<unsigned char>(a[at] ^ b[at]);
  return difference == 0;
}

}  // namespace

void Tenants::add(std::string_view name, std::string_view api_key) {
  known_.push_back({std::string(name), digest_of(api_key)});
}

std::optional<paidonce::http::Tenant> Tenants::find(std::string_view authorization) const {
  const std::string key = key_in(authorization);
  const std::string digest = digest_of(key);
  const Known* found = nullptr;
  for (const Known& known : known_)
    if (same_digest(known.digest, digest)) found = &known;
  if (key.empty() || found == nullptr) return std::nullopt;
  return paidonce::http::Tenant(found->name);
}

}  // namespace payment_server
