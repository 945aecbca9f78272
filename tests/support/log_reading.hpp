#pragma once
// One reading of a log in memory, and what came of it.

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/stores/file/recovery.hpp>

#include "support/log_builder.hpp"
#include "support/memory_files.hpp"

namespace support {

struct SeenFrame {
  format::Kind kind = format::Kind::put;
  format::Sequence sequence = 0;
  std::string payload = {};
  friend bool operator==(const SeenFrame&, const SeenFrame&) = default;
};

struct LogReading {
  std::error_code error = {};  ///< none: the log was accepted
  std::string why = {};
  paidonce::detail::RecoveredLog log = {};
  std::vector<SeenFrame> frames = {};

  bool accepted() const { return !error; }
  bool corrupt() const { return error == paidonce::make_error_code(paidonce::errc::store_corrupt); }

  /// The sequences of the tail.
  std::vector<format::Sequence> tail() const {
    std::vector<format::Sequence> sequences;
    for (const auto& frame : log.tail) sequences.push_back(frame.sequence);
    return sequences;
  }
  std::vector<std::uint64_t> segments() const {
    std::vector<std::uint64_t> numbers;
    for (const auto& segment : log.segments) numbers.push_back(segment.number);
    return numbers;
  }
};

inline LogReading read_log(MemoryFiles files) {
  LogReading reading;
  try {
    reading.log = paidonce::detail::recover_log(
        files, MemoryFiles::directory,
        [&](format::Kind kind, format::Sequence sequence, std::string_view payload) {
          reading.frames.push_back({kind, sequence, std::string(payload)});
        },
        [](std::uint64_t, std::uint64_t) {});
  } catch (const paidonce::Error& error) {
    reading.error = error.code();
    reading.why = error.what();
  }
  return reading;
}

inline LogReading read_log(const FilesByName& names) { return read_log(MemoryFiles(names)); }
inline LogReading read_log(const LogBuilder& log) { return read_log(log.files()); }

}  // namespace support
