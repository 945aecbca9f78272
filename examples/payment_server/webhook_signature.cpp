#include "webhook_signature.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/hmac.hpp>

namespace payment_server {
namespace {

/// Looks at all of both, whatever it finds.
bool same(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  unsigned char differ = 0;
  for (std::size_t at = 0; at < one.size(); ++at)
    differ = static_cast<unsigned char>(differ | (one[at] ^ other[at]));
  return differ == 0;
}

std::string hex_of(const paidonce::detail::Digest& digest) {
  std::string digits(2 * digest.size(), '\0');
  paidonce::detail::hex(digest.data(), digest.size(), digits.data());
  return digits;
}

}  // namespace

Signature check_signature(std::string_view header, std::string_view body, std::string_view secret,
                          paidonce::Timestamp now) {
  if (secret.empty()) return Signature::wrong;  // anybody can sign with nothing
  std::string_view time;
  std::vector<std::string_view> given;
  for (std::size_t from = 0; from <= header.size();) {
    const std::size_t comma = std::min(header.find(',', from), header.size());
    const std::string_view item = header.substr(from, comma - from);
    if (item.starts_with("t=")) {
      if (!time.empty()) return Signature::malformed;
      time = item.substr(2);
    }
    if (item.starts_with("v1=")) given.push_back(item.substr(3));
    from = comma + 1;
  }
  std::uint64_t seconds = 0;
  const auto [end, problem] = std::from_chars(time.data(), time.data() + time.size(), seconds);
  if (time.empty() || time.size() > 12 || problem != std::errc() || end != time.data() + time.size() ||
      given.empty())
    return Signature::malformed;

  const paidonce::detail::HmacKey key(secret);
  auto inner = key.start();
  inner.update(time);
  inner.update(".");
  inner.update(body);
  const std::string right = hex_of(key.finish(inner));
  bool fits = false;
  for (const std::string_view signature : given) fits = same(signature, right) || fits;
  if (!fits) return Signature::wrong;

  const paidonce::Timestamp made{std::chrono::seconds(static_cast<std::int64_t>(seconds))};
  return made < now - signature_tolerance || made > now + signature_tolerance ? Signature::old
                                                                              : Signature::valid;
}

}  // namespace payment_server
