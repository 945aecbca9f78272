#pragma once
// The key under which a provider knows a payment.

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/digest/sha256.hpp>
#include <paidonce/key.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// A UUID (RFC 9562, version 8) that is the same for every attempt at one payment and another for the next
/// payment under the same key. Made of SHA-256 over "paidonce provider key 1", `created_at` in milliseconds
/// (8 bytes, little-endian) and `key.bytes()`, so that the client's own key never leaves the house. Never
/// changes between releases.
inline std::string provider_key(const IdempotencyKey& key, Timestamp created_at) {
  char millis[8];
  const auto count = static_cast<std::uint64_t>(created_at.time_since_epoch().count());
  for (std::size_t byte = 0; byte < sizeof millis; ++byte)
    millis[byte] = static_cast<char>(count >> (8 * byte));
  constexpr std::string_view purpose = "paidonce provider key 1";
  detail::Sha256 hash;
  hash.update(purpose);
  hash.update(std::string_view(millis, sizeof millis));
  hash.update(key.bytes());
  auto digest = hash.finish();
  return detail::uuid_string(reinterpret_cast<unsigned char*>(digest.data()), 8);
}

}  // namespace paidonce::inline v1
