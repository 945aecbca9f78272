#pragma once
// What ties the entries of an audit log to each other, and to a secret.
//
//   digest 0 = 32 zero bytes        digest n = SHA-256(digest n-1 | body n)
//   seal n   = the first 16 bytes of HMAC-SHA-256(secret, 'c' | digest n)
//
// Anybody can follow the digests; only who has the secret can make or check a seal. So a log that was changed
// by somebody without it, and its digests computed again, still shows.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

#include <paidonce/audit/entry.hpp>
#include <paidonce/digest/hmac.hpp>
#include <paidonce/digest/sha256.hpp>
#include <paidonce/key.hpp>

namespace paidonce::inline v1 {

/// What stands for a key in an audit log.
enum class AuditKeys : std::uint8_t {
  digest,  ///< SHA-256, found again by `key_digest`; hides a key only as far as keys cannot be guessed
  keyed,   ///< HMAC-SHA-256 under the log's secret: says nothing to who does not have it
};

namespace detail {

/// Safe to use from any number of threads.
class AuditChain {
 public:
  /// An empty secret: no seals.
  explicit AuditChain(std::string_view secret) noexcept {
    if (!secret.empty()) key_.emplace(secret);
  }

  bool seals() const noexcept { return key_.has_value(); }

  static Digest next(const Digest& before, std::string_view body) noexcept {
    Sha256 hash;
    hash.update(view(before));
    hash.update(body);
    return hash.finish();
  }

  /// Where there is a secret.
  Digest seal(const Digest& digest) const noexcept {
    Sha256 inner = key_->start();
    inner.update('c');  // no name of a key is the seal of a digest
    inner.update(view(digest));
    return key_->finish(inner);
  }

  /// `keyed` where there is a secret.
  AuditName name(const IdempotencyKey& key, AuditKeys how) const noexcept {
    Digest digest;
    if (how == AuditKeys::keyed) {
      Sha256 inner = key_->start();
      inner.update('k');
      inner.update(key.bytes());
      digest = key_->finish(inner);
    } else {
      digest = sha256(key.bytes());
    }
    AuditName name;
    std::memcpy(name.data(), digest.data(), name.size());
    return name;
  }

  /// Makes the entry that follows `head`, of this body, at `to`, where there is room for `longest_entry`
  /// bytes: its size. `head` is then its own.
  std::size_t append(AuditHead& head, std::string_view body, char* to) const noexcept {
    std::memcpy(to, body.data(), body.size());
    audit_format::set_number(to, ++head.number);
    if (seals()) audit_format::set_sealed(to);
    head.digest = next(head.digest, {to, body.size()});
    std::size_t size = body.size();
    std::memcpy(to + size, head.digest.data(), audit_format::digest_size);
    size += audit_format::digest_size;
    if (!seals()) return size;
    const Digest sealed = seal(head.digest);
    std::memcpy(to + size, sealed.data(), audit_format::seal_size);
    return size + audit_format::seal_size;
  }

  static std::string_view view(const Digest& digest) noexcept {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
  }

 private:
  std::optional<HmacKey> key_;
};

}  // namespace detail

/// What stands for a key in a log with `AuditKeys::digest`.
inline AuditName audit_name(const IdempotencyKey& key) noexcept {
  return detail::AuditChain({}).name(key, AuditKeys::digest);
}
/// What stands for it in a log with `AuditKeys::keyed` and this secret. Throws Error{errc::invalid_options}
/// for an empty secret.
inline AuditName audit_name(const IdempotencyKey& key, std::string_view secret) {
  if (secret.empty()) throw Error(errc::invalid_options, "the secret of the audit log is empty");
  return detail::AuditChain(secret).name(key, AuditKeys::keyed);
}

}  // namespace paidonce::inline v1
