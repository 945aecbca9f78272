#pragma once
// Basic authentication (RFC 7617) as Stripe uses it: the API key is the user name, any key will do here.

#include <string>
#include <string_view>

namespace gateway {

/// The bytes before the first character that is not of the base64 alphabet (RFC 4648, section 4).
inline std::string base64_decoded(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0, held = 0;
  for (const char letter : text) {
    const std::size_t value = alphabet.find(letter);
    if (value == std::string_view::npos) break;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffff;
    held += 6;
    if (held >= 8) bytes.push_back(static_cast<char>(bits >> (held -= 8) & 0xff));
  }
  return bytes;
}

inline bool has_api_key(std::string_view authorization) {
  constexpr std::string_view scheme = "Basic ";
  if (!authorization.starts_with(scheme)) return false;
  const std::string user_and_password = base64_decoded(authorization.substr(scheme.size()));
  const std::size_t colon = user_and_password.find(':');
  return colon != std::string::npos && colon > 0;
}

}  // namespace gateway
