#pragma once
// The payment that all peers make durable: a key of 32 bytes, a record when it begins, the same with a
// response of 200 bytes when it is completed. What a peer of bytes writes of a record beside key and response
// has the size that it has in a file store.

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace file_benchmark {

inline constexpr std::size_t response_size = 200;
inline constexpr std::size_t record_size = 88 + 4;  ///< state, numbers, times, digest, and the format's name

/// The key of a payment, as text.
class KeyText {
 public:
  explicit KeyText(std::uint64_t id) {
    // Spread, so that neighbours in time are none in a tree or table.
    const std::uint64_t spread = id * 0x9e3779b97f4a7c15u;
    std::memcpy(text_.data(), "payment-", 8);
    hex(text_.data() + 8, static_cast<std::uint32_t>(spread >> 40));
    hex(text_.data() + 16, static_cast<std::uint32_t>(id >> 32));
    hex(text_.data() + 24, static_cast<std::uint32_t>(id));
  }
  std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  static void hex(char* to, std::uint32_t value) {
    for (int i = 7; i >= 0; --i, value >>= 4) to[i] = "0123456789abcdef"[value & 15];
  }
  std::array<char, 32> text_;
};

inline paidonce::IdempotencyKey key_of(std::uint64_t id) {
  return paidonce::IdempotencyKey("", KeyText(id).view());
}

inline const std::string& response() {
  static const std::string bytes(response_size, 'r');
  return bytes;
}

inline paidonce::Record begun() {
  paidonce::Record record;
  record.fingerprint = paidonce::fingerprint("order", 1);
  record.version = 1'700'000'000'000'000;
  record.attempt_id = 0x123456789abcdef;
  record.attempts = 1;
  record.created_at = record.updated_at = paidonce::Timestamp(paidonce::Duration(1'700'000'000'000));
  record.lease_until = record.created_at + std::chrono::seconds(30);
  return record;
}

inline paidonce::Record completed() {
  paidonce::Record record = begun();
  record.state = paidonce::State::succeeded;
  record.version += 1;
  record.expires_at = record.created_at + std::chrono::hours(24);
  record.response = response();
  record.response_format = "text";
  return record;
}

/// What peers of bytes store: begin, and completion with the response behind it.
inline std::string_view begun_bytes() {
  static const std::string bytes(record_size - 4, 'b');
  return bytes;
}
inline std::string_view completed_bytes() {
  static const std::string bytes = std::string(record_size, 'c') + response();
  return bytes;
}

}  // namespace file_benchmark
