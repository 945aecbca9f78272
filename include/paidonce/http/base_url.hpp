#pragma once
// The address of a server: scheme, host and port, nothing else. Pure.

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::http {

/// What is wrong with a server's address.
enum class UrlProblem : std::uint8_t {
  none,
  shape,  ///< not scheme, host and port alone
  port,   ///< not a number from 1 to 65535
};

/// Of a URL like `http://host`, `https://host:port` or `http://[::1]:8000`, with or without slashes at its
/// end. Credentials, paths and queries belong to the request.
inline UrlProblem problem_of_url(std::string_view url) noexcept {
  while (url.ends_with('/')) url.remove_suffix(1);
  std::string_view authority = url;
  for (const std::string_view scheme : {"http://", "https://"})
    if (url.starts_with(scheme)) authority.remove_prefix(scheme.size());
  bool plain = authority.size() < url.size() && !authority.empty();
  for (const char c : authority)
    plain = plain && c > ' ' && c < 0x7f && std::string_view("/?#@\\").find(c) == std::string_view::npos;
  const auto bracket = authority.rfind(']');  // the end of an IPv6 address, which has colons of its own
  const auto colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  if (!plain || colon == 0) return UrlProblem::shape;
  if (colon == authority.npos) return UrlProblem::none;
  const std::string_view text = authority.substr(colon + 1);
  unsigned port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool is_port =
      problem == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65'535;
  return is_port ? UrlProblem::none : UrlProblem::port;
}

/// The same without the slashes at its end. Throws `Error{invalid_options}`, which does not quote the URL.
inline std::string base_url(std::string_view url) {
  switch (problem_of_url(url)) {
    case UrlProblem::shape:
      throw Error(errc::invalid_options,
                  "a server's URL is scheme, host and port alone, as in https://api.example.com or "
                  "http://127.0.0.1:8000: no user, path or query");
    case UrlProblem::port:
      throw Error(errc::invalid_options, "the port in a server's URL is a number from 1 to 65535");
    case UrlProblem::none: break;
  }
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

}  // namespace paidonce::inline v1::http
