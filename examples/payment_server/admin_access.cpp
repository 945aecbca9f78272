#include "admin_access.hpp"

#include <algorithm>
#include <cstddef>

#include <paidonce/errors.hpp>
#include <paidonce/http/message.hpp>

namespace payment_server {
namespace {

/// Of RFC 4648, section 4. Nullopt for anything that is not it.
std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0, count = 0;
  for (const char letter : text) {
    const std::size_t value = alphabet.find(letter);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

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
  const auto pair =
      from_base64(authorization.substr(std::min(authorization.find_first_not_of(' '), authorization.size())));
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
