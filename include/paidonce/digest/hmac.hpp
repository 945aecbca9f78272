#pragma once
// HMAC-SHA-256 (RFC 2104, FIPS 198-1). The key object keeps the two states that follow the padded key, never
// the key itself, so a message costs no more than its own blocks and two.

#include <cstring>
#include <string_view>

#include <paidonce/digest/sha256.hpp>

namespace paidonce::inline v1 {
namespace detail {

/// Overwrites memory that held a secret; the compiler may not leave it out.
inline void wipe(void* memory, std::size_t size) noexcept {
  std::memset(memory, 0, size);
  __asm__ __volatile__("" : : "r"(memory) : "memory");
}

class HmacKey {
 public:
  explicit HmacKey(std::string_view secret) noexcept {
    char block[64] = {};
    if (secret.size() > sizeof block) {
      const Digest shortened = sha256(secret);
      std::memcpy(block, shortened.data(), shortened.size());
    } else if (!secret.empty()) {
      std::memcpy(block, secret.data(), secret.size());
    }
    inner_ = padded(block, 0x36);
    outer_ = padded(block, 0x36 ^ 0x5c);
    wipe(block, sizeof block);
  }

  /// A digest that takes the message.
  Sha256 start() const noexcept { return Sha256(inner_, 64); }

  /// The code of the message that `inner`, made by `start`, has taken.
  Digest finish(Sha256& inner) const noexcept {
    const Digest digest = inner.finish();
    Sha256 outer(outer_, 64);
    outer.update({reinterpret_cast<const char*>(digest.data()), digest.size()});
    return outer.finish();
  }

 private:
  static Sha256State padded(char (&block)[64], int pad) noexcept {
    for (char& byte : block) byte = static_cast<char>(byte ^ pad);
    Sha256State state = sha256_start;
    sha256_best()(state, reinterpret_cast<const unsigned char*>(block), 1);
    return state;
  }

  Sha256State inner_;
  Sha256State outer_;
};

inline Digest hmac_sha256(std::string_view secret, std::string_view message) noexcept {
  const HmacKey key(secret);
  Sha256 inner = key.start();
  inner.update(message);
  return key.finish(inner);
}

}  // namespace detail
}  // namespace paidonce::inline v1
