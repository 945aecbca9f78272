#pragma once
// HTTP to a gateway that speaks Stripe's API: one try for each call, which says truthfully what it knows.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/http/message.hpp>

namespace common {

using Form = std::vector<std::pair<std::string, std::string>>;

/// What a request that moves money came to.
struct Posted {
  /// Whole, of whatever status. None: there was no such reply.
  std::optional<paidonce::http::Response> reply = {};
  /// It is proven that not a byte of the request left.
  bool nothing_sent = false;
};

/// Safe to use from any number of threads: each request has a connection of its own, which is never used
/// again, so a late reply to one request cannot be taken for the reply to another. `timeout` is for a whole
/// request, however slowly its reply comes. A reply that does not say where it ends is none, since it would
/// look the same when it was cut off.
class GatewayHttp {
 public:
  /// Throws `Error{invalid_options}` for what is no server's address, and `std::invalid_argument` for
  /// https:// where httplib was built without TLS.
  GatewayHttp(std::string_view url, const std::string& api_key, std::chrono::milliseconds timeout);

  /// Under that key, once: whether it is sent again is for the guard to say.
  Posted post(std::string_view path, const Form& form, std::string_view key) const;
  /// Throws `std::runtime_error`, which begins with `otherwise`, where no whole reply comes.
  paidonce::http::Response get(const std::string& path, const std::string& otherwise) const;

 private:
  std::string url_, authorization_;
  std::chrono::milliseconds timeout_;
};

}  // namespace common
