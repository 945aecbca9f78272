#pragma once
// A frame on its way to the disk.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <paidonce/stores/file/crc32c.hpp>
#include <paidonce/stores/file/format.hpp>

namespace paidonce::inline v1::detail {

/// One write that waits for its commit or, where it carries nothing, a wait for those before it. Whoever
/// makes it keeps it, and what its payload points to, until it is settled.
struct PendingFrame {
  enum class Carries : std::uint8_t { frame, nothing };
  /// Who is told when it is settled.
  enum class Tells : std::uint8_t { waiter, callback, nobody };
  enum State : std::uint32_t { waiting, asleep, leading, settled };

  /// A wait for all that is submitted before.
  explicit PendingFrame(Tells whom) noexcept : tells(whom) {}
  PendingFrame(const PendingFrame&) = delete;
  PendingFrame& operator=(const PendingFrame&) = delete;

  /// Makes it a write. The bytes outlive the commit.
  void carry(file_format::Kind what, std::string_view bytes) noexcept {
    carries = Carries::frame;
    kind = what;
    payload = bytes;
    payload_crc = crc32c(0, bytes.data(), bytes.size());
  }

  bool is_of_a_record() const noexcept {
    return kind == file_format::Kind::put || kind == file_format::Kind::erase;
  }

  std::size_t size() const noexcept {
    return carries == Carries::frame ? file_format::frame_head_size + payload.size() : 0;
  }

  PendingFrame* next = nullptr;
  std::string_view payload = {};
  std::uint32_t payload_crc = 0;
  file_format::Kind kind = file_format::Kind::put;
  Carries carries = Carries::nothing;
  Tells tells;
  bool durable = false;                       ///< once settled: false where the commit failed
  std::atomic<std::uint32_t> state{waiting};  ///< one futex word for each waiter
  file_format::Sequence sequence = 0;         ///< its own or, where it carries nothing, the last before it
  void (*call)(PendingFrame&) noexcept = nullptr;  ///< for Tells::callback
};

}  // namespace paidonce::inline v1::detail
