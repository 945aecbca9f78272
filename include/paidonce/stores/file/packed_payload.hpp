#pragma once
// The payload of a put frame as other programs read it: key and record, packed (docs/file_format.md has the
// bytes). Trusts nothing; the checksum of the frame only tells that nobody changed it by accident.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Whether these are `IdempotencyKey::bytes()` of some key.
inline bool is_key_bytes(std::string_view bytes) noexcept {
  if (bytes.size() < 2) return false;
  const std::size_t scope = static_cast<unsigned char>(bytes[0]);
  return bytes.size() >= scope + 2 && bytes.size() <= scope + 1 + IdempotencyKey::max_size;
}

/// Where the parts of a packed record are.
struct PackedLayout {
  static constexpr std::size_t head = 64, narrow = 24, wide = 56;
  static constexpr std::size_t key_size_at = 4, state_at = 6, layout_at = 7, version_at = 8,
                               attempt_id_at = 16, created_at_at = 24, digest_at = 32;
  static constexpr std::int32_t not_set = INT32_MIN + 1;

  std::int64_t times[3] = {};  // updated_at, lease_until, expires_at
  std::uint32_t attempts = 0;
  std::uint32_t sizes[6] = {};  // amount, description, checkpoint, response, response_format, note
  std::string_view key = {};
  std::string_view texts = {};
};

template <class Integer>
Integer integer_at(std::string_view bytes, std::size_t at) noexcept {
  return file_format::detail::get<Integer>(bytes.data() + at);
}

/// Fills what is as `PackedLayout{}`. False for bytes that do not add up.
inline bool read_layout(std::string_view bytes, PackedLayout& found) noexcept {
  using L = PackedLayout;
  if (bytes.size() < L::head + L::narrow) return false;
  const auto state = integer_at<std::uint8_t>(bytes, L::state_at);
  const auto layout = integer_at<std::uint8_t>(bytes, L::layout_at);
  const unsigned algorithm = layout >> 1U;
  if (state < 1 || state > 5 || algorithm > static_cast<unsigned>(FingerprintAlgorithm::hmac_sha_256))
    return false;
  if (algorithm == 0) {
    std::uint64_t digest[4];
    std::memcpy(digest, bytes.data() + L::digest_at, sizeof digest);
    if ((digest[0] | digest[1] | digest[2] | digest[3]) != 0) return false;
  }

  std::size_t at = L::head;
  if ((layout & 1) == 0) {
    const auto created = integer_at<std::uint64_t>(bytes, L::created_at_at);
    for (std::int64_t& time : found.times) {
      const auto distance = integer_at<std::int32_t>(bytes, at);
      if (distance == INT32_MIN) return false;
      if (distance != L::not_set)
        time = static_cast<std::int64_t>(created + static_cast<std::uint64_t>(std::int64_t{distance}));
      at += 4;
    }
    found.attempts = integer_at<std::uint16_t>(bytes, at);
    found.sizes[2] = integer_at<std::uint16_t>(bytes, at + 2);
    found.sizes[3] = integer_at<std::uint16_t>(bytes, at + 4);
    found.sizes[0] = integer_at<std::uint8_t>(bytes, at + 6);
    found.sizes[1] = integer_at<std::uint8_t>(bytes, at + 7);
    found.sizes[4] = integer_at<std::uint8_t>(bytes, at + 8);
    found.sizes[5] = integer_at<std::uint8_t>(bytes, at + 9);
    at = L::head + L::narrow;
  } else {
    if (bytes.size() < L::head + L::wide) return false;
    for (std::int64_t& time : found.times) {
      time = integer_at<std::int64_t>(bytes, at);
      at += 8;
    }
    for (std::uint32_t& size : found.sizes) {
      size = integer_at<std::uint32_t>(bytes, at);
      at += 4;
    }
    found.attempts = integer_at<std::uint32_t>(bytes, at);
    at = L::head + L::wide;
  }

  const std::size_t key_size = integer_at<std::uint16_t>(bytes, L::key_size_at);
  std::uint64_t expected = at + key_size;
  for (const std::uint32_t size : found.sizes) expected += size;
  if (bytes.size() != expected) return false;
  found.key = bytes.substr(at, key_size);
  found.texts = bytes.substr(at + key_size);
  return is_key_bytes(found.key);
}

/// Nothing for bytes that do not add up.
inline std::optional<PackedLayout> packed_layout(std::string_view bytes) noexcept {
  PackedLayout found;
  if (!read_layout(bytes, found)) return std::nullopt;
  return found;
}

/// Whether these bytes are a key and a record as `PackedRecord` packs them.
inline bool is_packed_record(std::string_view bytes) noexcept { return packed_layout(bytes).has_value(); }

struct KeyAndRecord {
  IdempotencyKey key;
  Record record;
};

/// Throws Error{errc::store_corrupt} for bytes that do not add up.
inline KeyAndRecord unpack_payload(std::string_view bytes) {
  using L = PackedLayout;
  const std::optional<L> found = packed_layout(bytes);
  if (!found) throw Error(errc::store_corrupt, "a stored record's parts do not add up");
  Record record;
  Digest digest;
  std::memcpy(digest.data(), bytes.data() + L::digest_at, digest.size());
  const unsigned algorithm = integer_at<std::uint8_t>(bytes, L::layout_at) >> 1U;
  record.fingerprint = Fingerprint::from_digest(static_cast<FingerprintAlgorithm>(algorithm), digest);
  record.state = static_cast<State>(integer_at<std::uint8_t>(bytes, L::state_at));
  record.version = integer_at<Version>(bytes, L::version_at);
  record.attempt_id = integer_at<std::uint64_t>(bytes, L::attempt_id_at);
  record.attempts = found->attempts;
  record.created_at = Timestamp(Duration(integer_at<std::int64_t>(bytes, L::created_at_at)));
  record.updated_at = Timestamp(Duration(found->times[0]));
  record.lease_until = Timestamp(Duration(found->times[1]));
  record.expires_at = Timestamp(Duration(found->times[2]));
  const std::array<std::string*, 6> texts = {&record.amount,   &record.description,     &record.checkpoint,
                                             &record.response, &record.response_format, &record.note};
  std::size_t at = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    *texts[i] = found->texts.substr(at, found->sizes[i]);
    at += found->sizes[i];
  }
  return {IdempotencyKey::from_bytes(found->key), std::move(record)};
}

}  // namespace paidonce::inline v1::detail
