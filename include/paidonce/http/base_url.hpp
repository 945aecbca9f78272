#pragma once
// The address of a server: scheme, host and port, nothing else. Pure.

#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::http {

/// `http://host`, `https://host:port`, `http://[::1]:8000`: without the slashes at its end. Throws
/// `Error{invalid_options}` for anything else: credentials and paths belong to the request. The error does
/// not quote what it was given.
inline std::string base_url(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  std::string_view authority = url;
  for (const std::string_view scheme : {"http://", "https://"})
    if (url.starts_with(scheme)) authority.remove_prefix(scheme.size());
  bool plain = authority.size() < url.size() && !authority.empty();
  for (const char c : authority)
    plain = plain && c > ' ' && c < 0x7f && std::string_view("/?#@\\").find(c) == std::string_view::npos;
  const auto bracket = authority.rfind(']');  // the end of an IPv6 address, which has colons of its own
  const auto colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  if (!plain || colon == 0)
    throw Error(errc::invalid_options,
                "a server's URL is scheme, host and port alone, as in https://api.example.com or "
                "http://127.0.0.1:8000: no user, path or query");
  if (colon != authority.npos) {
    const std::string_view text = authority.substr(colon + 1);
    unsigned port = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (problem != std::errc() || end != text.data() + text.size() || port < 1 || port > 65'535)
      throw Error(errc::invalid_options, "the port in a server's URL is a number from 1 to 65535");
  }
  return std::string(url);
}

}  // namespace paidonce::inline v1::http
