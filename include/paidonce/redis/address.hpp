#pragma once
// What a redis:// URI says. https://www.iana.org/assignments/uri-schemes/prov/redis

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/redis/options.hpp>

namespace paidonce::inline v1::detail {

struct RedisAddress {
  /// One server; or several of one cluster, the first that answers tells of the others.
  std::vector<RedisEndpoint> endpoints = {};
  std::string user = {}, password = {};
  int database = 0;
  bool tls = false;
};

/// Reads `redis://[[user][:password]@]host[:port][,host[:port]...][/database]`, `rediss://…` for TLS, and
/// `redis+unix:///path[?db=n]`. Names and passwords may be percent-encoded; an IPv6 address stands in
/// brackets. Pure; throws `invalid_options`, and never repeats the URI, which may hold a password.
class RedisUri {
 public:
  explicit RedisUri(std::string_view text) : rest_(text) {}

  RedisAddress read() {
    RedisAddress address;
    if (take_scheme("redis+unix://") || take_scheme("unix://")) {
      credentials(address);
      const std::size_t query = rest_.find('?');
      address.endpoints.push_back({{}, 0, decoded(rest_.substr(0, query))});
      if (rest_.empty() || rest_[0] != '/') bad("has no path of a socket");
      if (query != rest_.npos) {
        rest_.remove_prefix(query + 1);
        if (!take_scheme("db=")) bad("has a query other than db=<number>");
        address.database = number(rest_, 0, 1'000'000, "database");
      }
      return address;
    }
    address.tls = take_scheme("rediss://");
    if (!address.tls && !take_scheme("redis://"))
      bad("begins with neither redis://, rediss:// nor redis+unix://");
    credentials(address);
    const std::size_t slash = rest_.find('/');
    std::string_view hosts = rest_.substr(0, slash);
    if (slash != rest_.npos && slash + 1 < rest_.size())
      address.database = number(rest_.substr(slash + 1), 0, 1'000'000, "database");
    for (bool more = true; more;) {
      const std::size_t comma = hosts.find(',');
      address.endpoints.push_back(endpoint(hosts.substr(0, comma)));
      more = comma != hosts.npos;
      if (more) hosts.remove_prefix(comma + 1);
    }
    return address;
  }

 private:
  [[noreturn]] static void bad(const char* what) {
    throw Error(errc::invalid_options, std::string("the URI of Redis ") + what +
                                           ": write redis://[user[:password]@]host[:port][/database]");
  }

  bool take_scheme(std::string_view scheme) {
    if (!rest_.starts_with(scheme)) return false;
    rest_.remove_prefix(scheme.size());
    return true;
  }

  void credentials(RedisAddress& address) {
    const std::size_t at = rest_.substr(0, rest_.find('/')).rfind('@');
    if (at == rest_.npos) return;
    const std::string_view both = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    const std::size_t colon = both.find(':');
    address.user = decoded(both.substr(0, colon));
    if (both.empty()) bad("has neither user nor password before its @");
    if (colon == both.npos) return;
    address.password = decoded(both.substr(colon + 1));
    if (address.password.empty()) bad("has an empty password");
  }

  static RedisEndpoint endpoint(std::string_view text) {
    RedisEndpoint made;
    std::string_view port;
    if (text.starts_with('[')) {
      const std::size_t end = text.find(']');
      if (end == text.npos) bad("has a bracket that is not closed");
      made.host = text.substr(1, end - 1);
      port = text.substr(end + 1);
    } else {
      const std::size_t colon = text.find(':');
      made.host = decoded(text.substr(0, colon));
      if (colon != text.npos) port = text.substr(colon);
    }
    if (made.host.empty()) bad("has no host");
    if (!port.empty() && port[0] != ':') bad("has something other than a port behind its host");
    made.port = port.empty() ? 6379 : number(port.substr(1), 1, 65535, "port");
    return made;
  }

  static int number(std::string_view digits, int least, int most, const char* what) {
    int value = -1;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failed != std::errc() || end != digits.data() + digits.size() || value < least || value > most)
      bad((std::string("has a ") + what + " that is none").c_str());
    return value;
  }

  static std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '%') {
        out.push_back(text[at]);
        continue;
      }
      unsigned value = 0;
      const char* const from = text.data() + at + 1;
      if (at + 2 >= text.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2)
        bad("has a percent sign without two hexadecimal digits");
      out.push_back(static_cast<char>(value));
      at += 2;
    }
    return out;
  }

  std::string_view rest_;
};

/// The address, with the options' credentials where the URI has none, or their password for its user.
inline RedisAddress redis_address(std::string_view uri, const RedisOptions& options) {
  RedisAddress address = RedisUri(uri).read();
  if (address.password.empty()) {
    if (address.user.empty()) address.user = options.user;
    address.password = options.password;
  }
  if (!address.user.empty() && address.password.empty())
    throw Error(errc::invalid_options,
                "the URI of Redis has a user, and no password is given: write user:password@host, or set "
                "RedisOptions::password (in the environment of paidonce_admin: REDISCLI_AUTH)");
  if (address.tls && !options.connect)
    throw Error(errc::invalid_options,
                "a rediss:// URI needs RedisOptions::connect, a function that opens connections over TLS");
  return address;
}

}  // namespace paidonce::inline v1::detail
