#pragma once
// What reading a log gives.

#include <cstdint>
#include <string>
#include <vector>

#include <paidonce/stores/file/format.hpp>

namespace paidonce::inline v1::detail {

struct LogSegment {
  std::uint64_t number = 0;
  std::uint64_t end = 0;   ///< behind its last frame; in the last segment, behind the last recorded as synced
  std::uint64_t size = 0;  ///< as it was made; the file may have been cut since
  file_format::Sequence first_sequence = 1;  ///< of the first frame in it
  file_format::ProcessId opener = {};        ///< where it was read: of the process that had the store open
};

struct TailFrame {
  file_format::Kind kind = file_format::Kind::put;
  file_format::Sequence sequence = 0;
  std::string payload = {};
};

/// What reading a log gave.
struct RecoveredLog {
  file_format::StoreId store = {};
  std::vector<LogSegment> segments = {};    ///< in use, oldest first; none: there is no store here yet
  file_format::Sequence last_sequence = 0;  ///< of the last frame that counts, the tail's included
  std::vector<TailFrame> tail = {};         ///< count, and are not recorded as synced: to be written again
  std::uint64_t trimmed = 0;                ///< the last segment that is no longer part of the log
  file_format::ProcessId opener = {};       ///< of the newest segment
  bool closed = false;                      ///< the last frame that counts says so
  std::uint64_t cut_bytes = 0;              ///< behind the last frame that counts, zeros not counted
  std::uint64_t frames = 0;                 ///< that were read and count
  std::vector<std::string> leftovers =
      {};                                ///< files of the log that are no longer, or never became, part of it
  std::vector<std::string> others = {};  ///< names in the directory that are not the log's
};

/// Which frames are of interest.
enum class FramesWanted : std::uint8_t {
  all,
  lasting,  ///< not those of a put or an erase that is known to be superseded soon behind it
};

}  // namespace paidonce::inline v1::detail
