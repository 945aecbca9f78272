#pragma once
// What can be chosen when a file store is opened, and what it tells of itself.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What an acknowledged write survives.
enum class Durability : std::uint8_t {
  power_loss,     ///< the machine losing power at any moment: each group of writes is synced to the disk
  process_crash,  ///< this process being killed; what the kernel had not written yet is lost with the machine
};

/// Whether a directory on a network file system is taken. Their locks and syncs do not hold what is needed.
enum class NetworkDirectory : std::uint8_t { refused, accepted };

/// Who prepares segments ahead and compacts.
enum class Housekeeping : std::uint8_t {
  background,  ///< a thread of the store
  by_hand,     ///< the callers: `compact()` compacts, and a writer that needs a segment prepares it
};

/// How far opening or a compaction has come.
struct FileStoreProgress {
  enum class Phase : std::uint8_t { opening, compacting };
  Phase phase = Phase::opening;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_in_all = 0;
};

struct FileStoreOptions {
  Durability durability = Durability::power_loss;
  /// Most bytes of one record's response and checkpoint together; a write beyond it throws `store_full`. At
  /// most 16 MiB.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// Size of the log's files once it has grown: they begin small and double. 64 KiB to 1 GiB.
  std::size_t segment_bytes = std::size_t{64} << 20;
  /// Room kept for the end of each unfinished payment, so that a full disk refuses new ones first. A result
  /// larger than that may find no room on a full disk, and is then in doubt, with evidence.
  std::size_t reserve_bytes = 1024;
  /// Compaction begins when this part of the log, in percent, holds nothing that is still current; 1 to 99.
  unsigned compact_at_percent = 60;
  NetworkDirectory network_directory = NetworkDirectory::refused;
  Housekeeping housekeeping = Housekeeping::background;
  /// Parts of the index with a lock each: a power of two from 1 to 4096.
  std::size_t shards = 64;
  /// Told from time to time while the store opens and compacts, on the thread that does it. What it throws
  /// ends the opening; in a compaction it is ignored.
  std::function<void(const FileStoreProgress&)> progress = {};
};

namespace detail {

/// Most bytes of a record's texts other than response and checkpoint together.
inline constexpr std::size_t most_other_record_bytes = std::size_t{16} << 10;

/// Throws `invalid_options`, naming the option.
inline void check(const FileStoreOptions& options) {
  const auto refuse = [](const char* why) { throw Error(errc::invalid_options, why); };
  if (options.max_record_bytes == 0 || options.max_record_bytes > std::size_t{16} << 20)
    refuse("FileStoreOptions::max_record_bytes must be from 1 to 16 MiB");
  if (options.segment_bytes < std::size_t{64} << 10 || options.segment_bytes > std::size_t{1} << 30)
    refuse("FileStoreOptions::segment_bytes must be from 64 KiB to 1 GiB");
  if (options.compact_at_percent < 1 || options.compact_at_percent > 99)
    refuse("FileStoreOptions::compact_at_percent must be from 1 to 99");
  if (options.reserve_bytes > std::size_t{1} << 20)
    refuse("FileStoreOptions::reserve_bytes must be at most 1 MiB");
}

[[noreturn, gnu::cold]] inline void refuse_long_record(std::size_t size, std::size_t most) {
  throw Error(errc::store_full, "the response and checkpoint of a record have " + std::to_string(size) +
                                    " bytes, more than FileStoreOptions::max_record_bytes, which is " +
                                    std::to_string(most) + ": store less, or allow for more");
}

[[noreturn, gnu::cold]] inline void refuse_long_texts(const Record& record) {
  if (record.amount.size() + record.description.size() > most_other_record_bytes)
    throw Error(errc::invalid_options,
                "CallOptions::amount and description have more than 16 KiB together: shorten them");
  throw Error(errc::store_full,
              "the amount, description, format and note of a record have more than 16 KiB together");
}

/// Throws `store_full` for what is longer than the options allow, `invalid_options` where the texts that a
/// caller passes along are.
inline void check_lengths(const Record& record, const FileStoreOptions& options) {
  const std::size_t most = options.max_record_bytes;
  if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
    refuse_long_record(record.response.size() + record.checkpoint.size(), most);
  if (record.amount.size() + record.description.size() + record.response_format.size() + record.note.size() >
      most_other_record_bytes)
    refuse_long_texts(record);
}

/// Bytes of the longest frame that these options allow. Throws as `check`.
inline std::size_t longest_frame(const FileStoreOptions& options) {
  check(options);
  const std::size_t heads_and_key = 1024;
  const std::size_t longest = options.max_record_bytes + most_other_record_bytes + heads_and_key;
  if (options.segment_bytes < 3 * longest)
    throw Error(errc::invalid_options,
                "FileStoreOptions::segment_bytes must be three times as large as a record may be: choose "
                "larger segments, or a smaller max_record_bytes");
  return longest;
}

}  // namespace detail

/// A look at a store, each figure as it was at some moment during the call.
struct FileStoreStats {
  std::uint64_t records = 0;              ///< in the index
  std::uint64_t unfinished = 0;           ///< of these in progress or in doubt
  std::uint64_t live_bytes = 0;           ///< of the log that is still current
  std::uint64_t log_bytes = 0;            ///< written to the log's files that are there
  std::uint64_t disk_bytes = 0;           ///< size of these files, with what is prepared ahead
  std::uint64_t segments = 0;             ///< files of the log in use
  std::uint64_t writes = 0;               ///< records and erasures made durable since opening
  std::uint64_t groups = 0;               ///< commits that these shared
  std::uint64_t compacted = 0;            ///< segments dropped by compaction since opening
  std::uint64_t compaction_failures = 0;  ///< compactions by the store itself that ended with an error
  std::string compaction_failure = {};    ///< what the last of them said; after damage none is tried again
  std::uint64_t recovered = 0;            ///< frames read when it was opened
  std::uint64_t cut_bytes = 0;            ///< of a torn, never acknowledged tail that opening left out
};

}  // namespace paidonce::inline v1
