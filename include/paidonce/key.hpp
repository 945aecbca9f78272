#pragma once
// The idempotency key: who asks, and what they call it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/digest/hash64.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/uuid.hpp>

namespace paidonce::inline v1 {

/// A key is a scope (a tenant, an endpoint: whoever may choose texts of their own) and a text within it. Both
/// are opaque bytes, of any value; the same text in two scopes is two keys. Immutable, so it is safe to read
/// from any number of threads; a moved-from key may only be assigned to or destroyed.
class IdempotencyKey {
 public:
  static constexpr std::size_t max_size = 255;  ///< bytes, of the scope and of the text

  /// Throws Error{errc::invalid_key} unless the text has 1..255 bytes and the scope 0..255. The error names
  /// the lengths, never the key.
  IdempotencyKey(std::string_view scope, std::string_view text) : bytes_(encode(scope, text)) {}

  /// A key with a fresh UUID version 7 as its text. Make it once a payment and keep it with the order: a key
  /// that is generated again at each try protects from nothing. Throws std::system_error where the random
  /// source fails.
  static IdempotencyKey generate(std::string_view scope) {
    return {scope, uuid_v7(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()))};
  }

  /// The key whose `bytes()` these are; Error{errc::invalid_key} for anything else.
  static IdempotencyKey from_bytes(std::string_view bytes) {
    const std::size_t scope = bytes.empty() ? 0 : static_cast<unsigned char>(bytes[0]);
    if (bytes.size() < scope + 2) {
      throw Error(errc::invalid_key, "these bytes are not a key as IdempotencyKey::bytes() writes it");
    }
    return {bytes.substr(1, scope), bytes.substr(1 + scope)};
  }

  std::string_view scope() const noexcept {
    return bytes().substr(0, text_at()).substr(bytes_.empty() ? 0 : 1);
  }
  std::string_view text() const noexcept { return bytes().substr(text_at()); }

  /// Both in one, as stores keep them and other programs may: the length of the scope in one byte, the scope,
  /// the text. Never changes between releases.
  std::string_view bytes() const noexcept { return bytes_; }

  /// 64-bit hash of `bytes()`, computed once. For tables in memory: it may differ between machines and
  /// releases, and whoever chooses keys can make collisions, so a table compares the keys themselves.
  std::uint64_t hash() const noexcept { return hash_; }

  friend bool operator==(const IdempotencyKey& a, const IdempotencyKey& b) noexcept {
    return a.hash_ == b.hash_ && a.bytes_ == b.bytes_;
  }

 private:
  static std::string encode(std::string_view scope, std::string_view text) {
    if (text.empty()) {
      throw Error(errc::invalid_key, "the key's text is empty; give the payment's own name, 1 to 255 bytes");
    }
    if (text.size() > max_size) refuse("text", text.size());
    if (scope.size() > max_size) refuse("scope", scope.size());
    std::string bytes;
    bytes.reserve(1 + scope.size() + text.size());
    bytes += static_cast<char>(scope.size());
    bytes += scope;
    bytes += text;
    return bytes;
  }

  [[noreturn]] static void refuse(const char* what, std::size_t size) {
    throw Error(errc::invalid_key, std::string("the key's ") + what + " has " + std::to_string(size) +
                                       " bytes, more than 255; use a shorter name, or a digest of it");
  }

  std::size_t text_at() const noexcept {  // 0 in a moved-from key, whose scope and text are empty
    return bytes_.empty() ? 0 : std::size_t{1} + static_cast<unsigned char>(bytes_.front());
  }

  std::string bytes_;
  std::uint64_t hash_ = detail::hash64(bytes_);
};

}  // namespace paidonce::inline v1

template <>
struct std::hash<paidonce::IdempotencyKey> {
  std::size_t operator()(const paidonce::IdempotencyKey& key) const noexcept {
    return static_cast<std::size_t>(key.hash());
  }
};
