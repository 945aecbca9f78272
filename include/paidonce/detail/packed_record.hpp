#pragma once
// A record and its key in one block of memory that never changes once it is made:
//
//   head (64 bytes) | key | numbers, 1 to 10 bytes each | texts
//
// The numbers are the attempts, three times as distances from `created_at`, and the lengths of the texts.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// The head of such a block, and what can be asked of it.
class PackedRecord {
 public:
  struct Free {
    void operator()(const PackedRecord* block) const noexcept {
      ::operator delete(const_cast<PackedRecord*>(block));
    }
  };
  using Owner = std::unique_ptr<const PackedRecord, Free>;

  /// Throws std::bad_alloc, and `store_full` for a text of 4 GiB and more.
  static Owner make(std::string_view key, std::uint32_t hash, const Record& record) {
    std::array<char, most_numbers> numbers;
    char* end = numbers.data();
    const std::int64_t created = record.created_at.time_since_epoch().count();
    put(end, record.attempts);
    for (const Timestamp time : {record.updated_at, record.lease_until, record.expires_at})
      put(end, zigzag(time.time_since_epoch().count(), created));
    const auto texts = texts_of<const std::string>(record);
    std::size_t size = sizeof(PackedRecord) + key.size();
    for (const std::string* text : texts) {
      if (text->size() > UINT32_MAX) throw Error(errc::store_full, "a record field is longer than 4 GiB");
      put(end, text->size());
      size += text->size();
    }
    const auto numbers_size = static_cast<std::size_t>(end - numbers.data());

    void* const memory = ::operator new(size + numbers_size);
    auto* const head =
        ::new (memory) PackedRecord(hash, static_cast<std::uint16_t>(key.size()), record, created);
    char* out = static_cast<char*>(memory) + sizeof(PackedRecord);
    copy(out, key.data(), key.size());
    copy(out, numbers.data(), numbers_size);
    for (const std::string* text : texts) copy(out, text->data(), text->size());
    return Owner(head);
  }

  std::uint32_t hash() const noexcept { return hash_; }
  Version version() const noexcept { return version_; }
  State state() const noexcept { return state_; }
  std::string_view key() const noexcept { return {behind_head(), key_size_}; }
  Timestamp updated_at() const noexcept { return time(numbers().updated_at); }

  /// Whether its retention is over: only what is completed, or released with no step taken, ever is.
  bool expired(Timestamp now) const noexcept {
    const bool final = state_ == State::succeeded || state_ == State::declined;
    if (!final && state_ != State::released) return false;
    const Numbers found = numbers();
    return now >= time(found.expires_at) && (final || found.sizes[checkpoint_at] == 0);
  }

  /// Fills a record that is as `Record{}`. Throws std::bad_alloc.
  void unpack(Record& record) const {
    const Numbers found = numbers();
    record.fingerprint = Fingerprint::from_digest(algorithm_, digest_);
    record.state = state_;
    record.version = version_;
    record.attempt_id = attempt_id_;
    record.attempts = static_cast<std::uint32_t>(found.attempts);
    record.created_at = Timestamp(Duration(created_at_));
    record.updated_at = time(found.updated_at);
    record.lease_until = time(found.lease_until);
    record.expires_at = time(found.expires_at);
    const char* from = found.texts;
    const auto texts = texts_of<std::string>(record);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (found.sizes[i] == 0) continue;
      texts[i]->assign(from, found.sizes[i]);
      from += found.sizes[i];
    }
  }

 private:
  static constexpr std::size_t checkpoint_at = 2;
  static constexpr std::size_t most_numbers = 5 + 3 * 10 + 6 * 5;

  struct Numbers {
    std::uint64_t attempts, updated_at, lease_until, expires_at;
    std::array<std::size_t, 6> sizes;
    const char* texts;
  };

  PackedRecord(std::uint32_t hash, std::uint16_t key_size, const Record& record,
               std::int64_t created) noexcept
      : hash_(hash),
        key_size_(key_size),
        state_(record.state),
        algorithm_(record.fingerprint.algorithm()),
        version_(record.version),
        attempt_id_(record.attempt_id),
        created_at_(created),
        digest_(record.fingerprint.digest()) {}

  /// In the order in which they are kept; `checkpoint_at` is a place in it.
  template <class Text, class AnyRecord>
  static std::array<Text*, 6> texts_of(AnyRecord& record) noexcept {
    return {&record.amount,   &record.description,     &record.checkpoint,
            &record.response, &record.response_format, &record.note};
  }

  const char* behind_head() const noexcept {
    return reinterpret_cast<const char*>(this) + sizeof(PackedRecord);
  }

  Timestamp time(std::uint64_t distance) const noexcept {
    const std::uint64_t signed_distance = (distance >> 1) ^ (~(distance & 1) + 1);
    return Timestamp(
        Duration(static_cast<std::int64_t>(static_cast<std::uint64_t>(created_at_) + signed_distance)));
  }

  Numbers numbers() const noexcept {
    const char* from = behind_head() + key_size_;
    Numbers found;
    found.attempts = take(from);
    found.updated_at = take(from);
    found.lease_until = take(from);
    found.expires_at = take(from);
    for (std::size_t& size : found.sizes) size = static_cast<std::size_t>(take(from));
    found.texts = from;
    return found;
  }

  /// How far `value` is from `base`, with its sign in the lowest bit: small for both directions.
  static std::uint64_t zigzag(std::int64_t value, std::int64_t base) noexcept {
    const std::uint64_t distance = static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(base);
    return (distance << 1) ^ (~(distance >> 63) + 1);
  }

  /// Seven bits a byte, lowest first; the highest bit says that more follow.
  static void put(char*& out, std::uint64_t value) noexcept {
    for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
    *out++ = static_cast<char>(value);
  }

  static std::uint64_t take(const char*& from) noexcept {
    std::uint64_t byte = static_cast<unsigned char>(*from++);
    std::uint64_t value = byte & 0x7f;
    for (unsigned shift = 7; byte >= 0x80; shift += 7) {
      byte = static_cast<unsigned char>(*from++);
      value |= (byte & 0x7f) << shift;
    }
    return value;
  }

  static void copy(char*& out, const char* from, std::size_t size) noexcept {
    if (size == 0) return;
    std::memcpy(out, from, size);
    out += size;
  }

  std::uint32_t hash_;
  std::uint16_t key_size_;
  State state_;
  FingerprintAlgorithm algorithm_;
  Version version_;
  std::uint64_t attempt_id_;
  std::int64_t created_at_;
  std::array<std::byte, 32> digest_;
};

static_assert(sizeof(PackedRecord) == 64);

}  // namespace paidonce::inline v1::detail
