#pragma once
// Basic authentication (RFC 7617) as Stripe uses it: the API key is the user name, any key will do here.

#include <string>
#include <string_view>

#include "../common/base64.hpp"

namespace gateway {

inline bool has_api_key(std::string_view authorization) {
  constexpr std::string_view scheme = "Basic ";
  if (!authorization.starts_with(scheme)) return false;
  const std::string user_and_password = common::from_base64(authorization.substr(scheme.size())).value_or("");
  const std::size_t colon = user_and_password.find(':');
  return colon != std::string::npos && colon > 0;
}

}  // namespace gateway
