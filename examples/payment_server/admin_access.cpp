#include "admin_access.hpp"

#include <algorithm>
#include <cstddef>

#include <paidonce/errors.hpp>
#include <paidonce/http/message.hpp>

#include "common/base64.hpp"

namespace payment_server {
namespace {

std::string_view after_scheme(std::string_view origin) {
  const std::size_t at = origin.find("://");
  return at == std::string_view::npos ? std::string_view{} : origin.substr(at + 3);
}

}  // namespace

AdminAccess::AdminAccess(std::string_view password)
    : secret_(password), password_(secret_("password", password)) {}

std::optional<std::string> AdminAccess::user(std::string_view authorization) const {
  constexpr std::string_view scheme = "basic ";
  if (authorization.size() < scheme.size() ||
      !paidonce::http::detail::same_name(authorization.substr(0, scheme.size()), scheme))
    return std::nullopt;
  authorization.remove_prefix(scheme.size());
  const auto pair = common::from_base64(
      authorization.substr(std::min(authorization.find_first_not_of(' '), authorization.size())));
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return std::nullopt;
  if (!(secret_("password", std::string_view(*pair).substr(colon + 1)) == password_)) return std::nullopt;
  std::string name = pair->substr(0, colon);
  const bool unprintable =
      std::any_of(name.begin(), name.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
  if (name.empty() || name.size() > 64 || unprintable) return std::nullopt;
  return name;
}

std::string AdminAccess::seen(const paidonce::IdempotencyKey& key, const paidonce::Record& record) const {
  return secret_("record", key.bytes(), std::string_view(paidonce::to_bytes(record))).hex();
}

bool sent_from_elsewhere(std::string_view sec_fetch_site, std::string_view origin, std::string_view host) {
  if (!sec_fetch_site.empty() && sec_fetch_site != "same-origin") return true;
  return !origin.empty() && (host.empty() || !paidonce::http::detail::same_name(after_scheme(origin), host));
}

std::string hex_of_key(const paidonce::IdempotencyKey& key) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const char letter : key.bytes()) {
    const auto byte = static_cast<unsigned char>(letter);
    (text += digits[byte >> 4]) += digits[byte & 15];
  }
  return text;
}

std::optional<paidonce::IdempotencyKey> key_of_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  constexpr std::string_view alphabet = "0123456789abcdef";
  std::string bytes;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    const std::size_t high = alphabet.find(digits[at]), low = alphabet.find(digits[at + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  try {
    return paidonce::IdempotencyKey::from_bytes(bytes);
  } catch (const paidonce::Error&) {
    return std::nullopt;
  }
}

}  // namespace payment_server
