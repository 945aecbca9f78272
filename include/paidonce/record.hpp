#pragma once
// What a store keeps for a key, and its byte form for stores that hold opaque values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Where a payment stands. `protocol.hpp` has the table of the moves that are allowed between states.
enum class State : std::uint8_t {
  in_progress = 1,  ///< an attempt runs, or its holder vanished without a word
  succeeded,        ///< the payment happened; final
  declined,         ///< it was declined; final
  in_doubt,         ///< nobody knows whether it happened; never run again without evidence
  released,         ///< it is proven that nothing happened; the key is free for another attempt
};

/// Name of a state, for people and programs.
constexpr std::string_view to_string(State state) noexcept {
  switch (state) {
    case State::in_progress: return "in_progress";
    case State::succeeded: return "succeeded";
    case State::declined: return "declined";
    case State::in_doubt: return "in_doubt";
    case State::released: return "released";
  }
  return "unknown";
}

/// One payment's memory. A plain value: stores copy it whole and compare it whole.
struct Record {
  Fingerprint fingerprint = {};  ///< of the request that this key stands for
  State state = State::in_progress;
  Version version = 0;           ///< rises with every change; what compare-and-swap compares
  std::uint64_t attempt_id = 0;  ///< random, fresh at every begin
  std::uint32_t attempts = 0;    ///< 1 for the first
  Timestamp created_at = {};     ///< first begin of this payment
  Timestamp updated_at = {};
  Timestamp lease_until = {};        ///< until when the running attempt may not be called abandoned
  Timestamp expires_at = {};         ///< when a completed or released record may be forgotten
  std::string amount = {};           ///< "4.50 EUR": for surveys and people, never for the decision
  std::string description = {};      ///< what it is for; never card data
  std::string checkpoint = {};       ///< what the callable saved between its steps
  std::string response = {};         ///< encoded result
  std::string response_format = {};  ///< `Codec<R>::format` of the response
  std::string note = {};             ///< why it is in doubt or released; who resolved it

  friend bool operator==(const Record&, const Record&) = default;
};

namespace detail {

inline constexpr char record_format_version = 1;

template <class Integer>
void put_integer(std::string& out, Integer value) {
  char bytes[sizeof value];
  for (std::size_t byte = 0; byte < sizeof value; ++byte)
    bytes[byte] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte));
  out.append(bytes, sizeof value);
}

inline void put_text(std::string& out, std::string_view text) {
  if (text.size() > UINT32_MAX) throw Error(errc::store_full, "a record field is longer than 4 GiB");
  put_integer(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

/// Reads what `to_bytes` wrote; every length is checked before anything is allocated.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}

  template <class Integer>
  Integer integer() {
    const std::string_view bytes = take(sizeof(Integer));
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < sizeof(Integer); ++byte)
      value |= std::uint64_t{static_cast<unsigned char>(bytes[byte])} << (8 * byte);
    return static_cast<Integer>(value);
  }
  Timestamp time() { return Timestamp(Duration(integer<std::int64_t>())); }
  std::string text() { return std::string(take(integer<std::uint32_t>())); }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw Error(errc::store_corrupt, "the bytes of a stored record end too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  void expect_end() const {
    if (!rest_.empty()) throw Error(errc::store_corrupt, "the bytes of a stored record go on past its end");
  }

 private:
  std::string_view rest_;
};

}  // namespace detail

/// Versioned byte form of a record, for stores that keep values as bytes. Layout, integers little-endian:
/// version (1); fingerprint algorithm (1) and digest (32); state (1); version (8); attempt_id (8); attempts
/// (4); created_at, updated_at, lease_until, expires_at in milliseconds (8 each); then amount, description,
/// checkpoint, response, response_format, note, each behind its length (4). Throws `store_full` for a field
/// of 4 GiB and more.
inline std::string to_bytes(const Record& record) {
  std::string out;
  out.reserve(120 + record.amount.size() + record.description.size() + record.checkpoint.size() +
              record.response.size() + record.response_format.size() + record.note.size());
  out.push_back(detail::record_format_version);
  out.push_back(static_cast<char>(record.fingerprint.algorithm()));
  const auto digest = record.fingerprint.digest();
  out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  out.push_back(static_cast<char>(record.state));
  detail::put_integer(out, record.version);
  detail::put_integer(out, record.attempt_id);
  detail::put_integer(out, record.attempts);
  for (const Timestamp time : {record.created_at, record.updated_at, record.lease_until, record.expires_at})
    detail::put_integer(out, static_cast<std::int64_t>(time.time_since_epoch().count()));
  for (const std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                                  &record.response_format, &record.note})
    detail::put_text(out, *text);
  return out;
}

/// The record that `to_bytes` made these bytes of. Throws `Error{store_corrupt}` or `Error{codec_failure}`
/// when they are damaged and `Error{unsupported_format}` when a newer version wrote them.
inline Record record_from_bytes(std::string_view bytes) {
  detail::RecordReader reader(bytes);
  if (const char version = reader.take(1)[0]; version != detail::record_format_version)
    throw Error(errc::unsupported_format,
                "a stored record has format version " + std::to_string(static_cast<unsigned char>(version)) +
                    "; this program reads version 1: use the release that wrote it");
  Record record;
  const auto algorithm = static_cast<FingerprintAlgorithm>(reader.integer<std::uint8_t>());
  std::array<std::byte, 32> digest;
  std::memcpy(digest.data(), reader.take(digest.size()).data(), digest.size());
  record.fingerprint = Fingerprint::from_digest(algorithm, digest);
  const auto state = reader.integer<std::uint8_t>();
  if (state < 1 || state > 5)
    throw Error(errc::store_corrupt, "a stored record has a state that does not exist");
  record.state = static_cast<State>(state);
  record.version = reader.integer<Version>();
  record.attempt_id = reader.integer<std::uint64_t>();
  record.attempts = reader.integer<std::uint32_t>();
  for (Timestamp* time : {&record.created_at, &record.updated_at, &record.lease_until, &record.expires_at})
    *time = reader.time();
  for (std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                            &record.response_format, &record.note})
    *text = reader.text();
  reader.expect_end();
  return record;
}

}  // namespace paidonce::inline v1
