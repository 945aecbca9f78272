#pragma once
// What can be chosen when an audit log is opened, and what it tells of itself.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <paidonce/audit/chain.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/stores/file/options.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// When the entries of an event that matters (began, completed, in doubt) are on the disk.
enum class AuditDurability : std::uint8_t {
  in_background,     ///< soon; a process that is killed loses what it had not written yet
  before_returning,  ///< before the payment goes on, as far as `longest_wait` allows
};

struct AuditLogOptions {
  /// What seals are made with: 32 random bytes, kept where those who can write to the directory cannot read
  /// them. Empty: no seals.
  std::string secret = {};
  AuditKeys keys = AuditKeys::digest;
  AuditDurability audit_durability = AuditDurability::in_background;
  /// What an entry on the disk survives: see FileStoreOptions.
  Durability durability = Durability::power_loss;
  /// How long a payment waits, at most, for room in memory or for the disk. Then it goes on, and does not
  /// wait again until something was written. Up to an hour.
  Duration longest_wait = Duration(200);
  /// How long the first entry of a group waits for others, to share a write and a sync. Up to an hour.
  Duration gather = Duration(10);
  /// Entries that wait to be written take this much memory, twice. 64 KiB to 1 GiB.
  std::size_t queue_bytes = std::size_t{1} << 20;
  /// Until the next try after a failure; doubles up to a minute.
  Duration retry_after = Duration(1000);
  /// Size of the log's files once it has grown: they begin small and double. 64 KiB to 1 GiB.
  std::size_t segment_bytes = std::size_t{64} << 20;
  NetworkDirectory network_directory = NetworkDirectory::refused;
  /// Of a new log: the head of the one that it continues, which is not written any more. It stands in the
  /// first entry, and so fixes all of that log.
  std::optional<AuditHead> continues = {};
  /// Told on the log's own thread: `audit_failing` while nothing can be written, `audit_events_lost` while
  /// events are missing that no entry on the disk tells of.
  AlertSink alert = {};
};

/// A look at an audit log.
struct AuditStatus {
  std::uint64_t written = 0;   ///< entries that were made durable since opening
  std::uint64_t waiting = 0;   ///< entries that are in memory alone
  std::uint64_t lost = 0;      ///< events since opening for which there was no room
  std::uint64_t waits = 0;     ///< times that a payment had to wait for room or for the disk
  std::uint64_t failures = 0;  ///< tries to write that failed
  bool failing = false;        ///< the last one did
  std::string failure = {};    ///< what that said
};

namespace detail {

/// Throws `invalid_options`, naming the option.
inline void check(const AuditLogOptions& options) {
  const auto refuse = [](const char* why) { throw Error(errc::invalid_options, why); };
  const auto is_length = [](Duration length, int least) {
    return length >= Duration(least) && length <= Duration(3'600'000);
  };
  if (options.keys == AuditKeys::keyed && options.secret.empty())
    refuse("AuditLogOptions::keys: AuditKeys::keyed needs a secret");
  if (!is_length(options.longest_wait, 0) || !is_length(options.gather, 0))
    refuse("AuditLogOptions::longest_wait and gather must be from 0 to an hour");
  if (!is_length(options.retry_after, 1))
    refuse("AuditLogOptions::retry_after must be from a millisecond to an hour");
  if (options.queue_bytes < std::size_t{64} << 10 || options.queue_bytes > std::size_t{1} << 30)
    refuse("AuditLogOptions::queue_bytes must be from 64 KiB to 1 GiB");
  if (options.segment_bytes < std::size_t{64} << 10 || options.segment_bytes > std::size_t{1} << 30)
    refuse("AuditLogOptions::segment_bytes must be from 64 KiB to 1 GiB");
}

}  // namespace detail
}  // namespace paidonce::inline v1
