#pragma once
// A short name for a key, for places where the key itself must not stand: logs, alerts, file names.

#include <cstddef>
#include <string>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/sha256.hpp>
#include <paidonce/key.hpp>

namespace paidonce::inline v1 {

/// The first 16 hex digits of SHA-256 over `key.bytes()`. It tells payments apart for people who look for
/// one; it hides a key only as far as keys cannot be guessed.
inline std::string key_digest(const IdempotencyKey& key) {
  detail::Sha256 hash;
  hash.update(key.bytes());
  const auto digest = hash.finish();
  std::string digits(16, '0');
  detail::hex(digest.data(), digits.size() / 2, digits.data());
  return digits;
}

}  // namespace paidonce::inline v1
