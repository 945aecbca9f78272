#pragma once
// The fingerprint: a digest of what is asked for. A key that comes back with another fingerprint is another
// request.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/hmac.hpp>
#include <paidonce/digest/previous_digests.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/fingerprint_sink.hpp>

namespace paidonce::inline v1 {

/// How a digest was made. The numbers are stored; they never change.
enum class FingerprintAlgorithm : std::uint8_t { nothing = 0, sha_256 = 1, hmac_sha_256 = 2 };

/// A digest of 32 bytes and the id of its algorithm. A value: copies are independent.
class Fingerprint {
 public:
  /// Of nothing: equal only to itself, never to that of any request.
  Fingerprint() noexcept = default;

  /// What a store kept as `algorithm()` and `digest()`. Throws Error{errc::unsupported_format} for an id that
  /// this version does not know and Error{errc::codec_failure} for a digest of nothing that is not zeros.
  static Fingerprint from_digest(FingerprintAlgorithm algorithm, const detail::Digest& digest) {
    if (algorithm > FingerprintAlgorithm::hmac_sha_256) {
      throw Error(errc::unsupported_format,
                  "a fingerprint made by a newer version of paidonce; upgrade this program");
    }
    if (algorithm == FingerprintAlgorithm::nothing && digest != detail::Digest{}) malformed();
    return Fingerprint(algorithm, digest);
  }

  /// 66 lower-case hexadecimal digits: the algorithm's id, then the digest.
  std::string hex() const {
    std::string text(66, '0');
    text[1] = static_cast<char>('0' + static_cast<int>(algorithm_));
    detail::hex(digest_.data(), digest_.size(), text.data() + 2);
    return text;
  }

  /// Reads exactly what `hex` writes. Throws Error{errc::codec_failure} for anything else, upper case
  /// included, and as `from_digest` does.
  static Fingerprint from_hex(std::string_view hex) {
    if (hex.size() != 66) malformed();
    detail::Digest digest;
    for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = hex_byte(hex.substr(2 + 2 * i));
    return from_digest(static_cast<FingerprintAlgorithm>(hex_byte(hex)), digest);
  }

  FingerprintAlgorithm algorithm() const noexcept { return algorithm_; }
  const std::array<std::byte, 32>& digest() const noexcept { return digest_; }

  /// In constant time, over digest and algorithm.
  friend bool operator==(const Fingerprint& a, const Fingerprint& b) noexcept {
    return same(a.digest_, b.digest_) & (a.algorithm_ == b.algorithm_);
  }

  /// Whether this request may have stored that fingerprint: they are equal, or it was made from the same
  /// parts under a previous secret of the Fingerprinter that made this one. In constant time for a given
  /// number of secrets.
  bool matches(const Fingerprint& stored) const noexcept {
    bool found = *this == stored;
    if (const auto* previous = previous_.get()) {
      for (const detail::Digest& digest : *previous) {
        found |= same(digest, stored.digest_) & (stored.algorithm_ == algorithm_);
      }
    }
    return found;
  }

  /// The same without the digests under previous secrets, as a record keeps it.
  Fingerprint current_only() const noexcept { return Fingerprint(algorithm_, digest_); }

 private:
  template <class... Parts>
  friend Fingerprint fingerprint(const Parts&... parts);
  friend class Fingerprinter;

  Fingerprint(FingerprintAlgorithm algorithm, const detail::Digest& digest) noexcept
      : digest_(digest), algorithm_(algorithm) {}

  static bool same(const detail::Digest& a, const detail::Digest& b) noexcept {
    std::uint64_t x[4], y[4];
    std::memcpy(x, a.data(), sizeof x);
    std::memcpy(y, b.data(), sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
  }

  static std::byte hex_byte(std::string_view digits) {
    unsigned value = 0;
    for (const char c : digits.substr(0, 2)) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit && !(c >= 'a' && c <= 'f')) malformed();
      value = value << 4 | static_cast<unsigned>(digit ? c - '0' : c - 'a' + 10);
    }
    return static_cast<std::byte>(value);
  }

  [[noreturn]] static void malformed() {
    throw Error(errc::codec_failure, "not a fingerprint as Fingerprint::hex() writes it");
  }

  template <class... Parts>
  static Fingerprint of(const Parts&... parts) {
    FingerprintSink sink{detail::Sha256()};
    sink(parts...);
    return {FingerprintAlgorithm::sha_256, sink.hash_.finish()};
  }

  detail::Digest digest_{};
  FingerprintAlgorithm algorithm_ = FingerprintAlgorithm::nothing;
  detail::PreviousDigests previous_;  // mostly null; never compared or stored
};

/// SHA-256 of the parts, in the encoding of fingerprint_sink.hpp: everything that makes the request what it
/// is (order, amount, currency, payer), and nothing that differs between tries (times, trace ids). Its values
/// never change between releases. For parts that can be guessed, card numbers above all, use a Fingerprinter.
template <class... Parts>
Fingerprint fingerprint(const Parts&... parts) {
  return Fingerprint::of(parts...);
}

/// HMAC-SHA-256 of the parts under a secret, so that who reads the store cannot try card numbers until one
/// fits. Keeps nothing from which the secrets could be read back easily, only the states that they lead to;
/// what it was given as `previous_secrets` is overwritten. Safe to call from any number of threads.
class Fingerprinter {
 public:
  /// `previous_secrets`: what `secret` replaced, for as long as records made under them are kept; their
  /// fingerprints `match` too. Throws Error{errc::invalid_options} for an empty secret.
  explicit Fingerprinter(std::string_view secret, std::vector<std::string> previous_secrets = {})
      : key_(checked(secret)) {
    previous_.reserve(previous_secrets.size());
    for (std::string& previous : previous_secrets) {
      previous_.emplace_back(checked(previous));
      detail::wipe(previous.data(), previous.size());
    }
  }

  template <class... Parts>
  Fingerprint operator()(const Parts&... parts) const {
    std::vector<detail::Sha256> hashes;
    hashes.reserve(previous_.size());
    for (const detail::HmacKey& key : previous_) hashes.push_back(key.start());
    FingerprintSink sink(key_.start(), hashes.data(), hashes.size());
    sink(parts...);
    return finish(sink.hash_, hashes);
  }

 private:
  static std::string_view checked(std::string_view secret) {
    if (secret.empty())
      throw Error(errc::invalid_options, "a Fingerprinter's secret is empty; use 32 random bytes");
    return secret;
  }

  Fingerprint finish(detail::Sha256& hash, std::vector<detail::Sha256>& hashes) const {
    Fingerprint result(FingerprintAlgorithm::hmac_sha_256, key_.finish(hash));
    if (!hashes.empty()) {
      std::vector<detail::Digest> digests;
      digests.reserve(hashes.size());
      for (std::size_t i = 0; i < hashes.size(); ++i) digests.push_back(previous_[i].finish(hashes[i]));
      result.previous_ = detail::PreviousDigests(std::move(digests));
    }
    return result;
  }

  detail::HmacKey key_;
  std::vector<detail::HmacKey> previous_;
};

}  // namespace paidonce::inline v1
