#pragma once
// Which files a log consists of: reads the heads of all segments in a directory and decides from them alone
// which are in use, and where each but the last ends. Damage that heads can show is reported here.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/log_reader.hpp>

namespace paidonce::inline v1::detail {

/// A file whose name is that of a segment.
struct FoundSegment {
  file_format::HeadState state = file_format::HeadState::unreadable;
  file_format::SegmentHead head = {};  ///< where it is right
  std::uint64_t file_size = 0;
};

struct LogHeads {
  std::map<std::uint64_t, FoundSegment> found;  ///< by number
  std::uint64_t first = 0, last = 0;  ///< those to be read: all between are there, their heads right
  bool has_temporary = false;         ///< a segment in the making was left behind
  std::vector<std::string> others;    ///< names that are not the log's

  bool empty() const noexcept { return found.empty(); }
  const FoundSegment& at(std::uint64_t number) const { return found.find(number)->second; }

  /// Where the frames of a segment have to end; of the last one only that they are not beyond it.
  std::uint64_t limit(std::uint64_t number) const {
    return number == last ? at(number).file_size : at(number + 1).head.previous_end;
  }
};

/// Throws where a head that verifies says what cannot be.
inline void check_head(const std::string& name, std::uint64_t number, const FoundSegment& segment) {
  const file_format::SegmentHead& head = segment.head;
  if (head.number != number)
    throw_damaged(name, 0,
                  "the head of this file is that of segment " + file_format::segment_name(head.number));
  const bool is_first = number == 1;
  if (head.first_sequence == 0 || head.oldest == 0 || head.oldest > number ||
      head.size < file_format::segment_head_size || (is_first && head.first_sequence != 1) ||
      (is_first ? head.previous_end != 0 : head.previous_end < file_format::segment_head_size))
    throw_damaged(name, 0, "the head of this segment contradicts itself");
  if (segment.file_size > head.size) throw_damaged(name, head.size, "the file is longer than it was made");
}

/// Throws where two neighbours do not fit together.
inline void check_neighbours(std::uint64_t number, const FoundSegment& before, const FoundSegment& segment) {
  const std::string name = file_format::segment_name(number);
  if (before.head.store != segment.head.store)
    throw_damaged(name, 16,
                  "this segment belongs to another store than " + file_format::segment_name(number - 1));
  if (segment.head.previous_end > before.file_size)
    throw_damaged(file_format::segment_name(number - 1), before.file_size,
                  "the file ends here, and its frames end at " + std::to_string(segment.head.previous_end) +
                      ", as " + name + " says");
}

/// Throws where a head that verifies is of a log for other things than those that are looked for.
inline void check_content(file_format::Content found, file_format::Content wanted) {
  if (found == wanted) return;
  throw Error(errc::unsupported_format,
              found == file_format::Content::audit
                  ? "the directory holds an audit log, and no records of payments: open it as AuditLog, or "
                    "name the directory of the store. Nothing was changed"
                  : "the directory holds a store, and no audit log: open it as FileStore, or name another "
                    "directory for the audit log. Nothing was changed");
}

/// Reads the heads. Throws `store_unavailable` where a call fails, `unsupported_format` for a newer format
/// or other content, and `store_corrupt` for damage.
template <FilePolicy Files>
LogHeads read_log_heads(Files& files, int directory, file_format::Content content) {
  LogHeads heads;
  std::vector<std::string> names;
  if (uninterrupted([&] {
        names.clear();
        return files.list(directory, names);
      }) != 0)
    throw_file_error(errno, "cannot list the store's directory");
  for (std::string& name : names) {
    const auto number = file_format::number_of_segment(name);
    if (name == file_format::temporary_name) {
      heads.has_temporary = true;
    } else if (!number || *number == 0) {
      heads.others.push_back(std::move(name));
    } else {
      FoundSegment& segment = heads.found[*number];
      LogFile<Files> file(files, directory, name);
      segment.file_size = file.size();
      if (file.size() < file_format::segment_head_size) continue;
      char bytes[file_format::segment_head_size];
      file.read(bytes, sizeof bytes, 0);
      segment.state = read_segment_head(bytes, name, segment.head);
      if (segment.state == file_format::HeadState::right) check_content(segment.head.content, content);
    }
  }
  if (heads.found.empty()) return heads;

  for (const auto& [number, segment] : heads.found)
    if (segment.state == file_format::HeadState::right) heads.last = number;
  if (heads.last == 0)
    throw_damaged(file_format::segment_name(heads.found.begin()->first), 0,
                  "no segment of the log has a head that can be read");
  const FoundSegment& last = heads.at(heads.last);
  check_head(file_format::segment_name(heads.last), heads.last, last);
  if (last.file_size != last.head.size)
    throw_damaged(file_format::segment_name(heads.last), last.file_size,
                  "the file ends here, and the last segment must have all of the " +
                      std::to_string(last.head.size) +
                      " bytes that it was made with: it was cut, or newer "
                      "segments are missing");

  // Down to the oldest that the newest head knows of, or to a gap: whether what is missing there had been
  // trimmed is known when the frames were read.
  heads.first = heads.last;
  while (heads.first > last.head.oldest) {
    const auto before = heads.found.find(heads.first - 1);
    if (before == heads.found.end() || before->second.state != file_format::HeadState::right) break;
    check_head(file_format::segment_name(before->first), before->first, before->second);
    check_neighbours(heads.first, before->second, heads.at(heads.first));
    --heads.first;
  }
  return heads;
}

/// Throws unless what was not read of the log had been trimmed: all up to `trimmed` was.
inline void check_nothing_missing(const LogHeads& heads, std::uint64_t trimmed) {
  if (heads.first <= trimmed + 1) return;
  const std::uint64_t number = heads.first - 1;
  const std::string name = file_format::segment_name(number);
  if (heads.found.count(number) != 0) throw_damaged(name, 0, "the head of this segment does not verify");
  throw_damaged(name, 0,
                "this file is missing: segments from number " + std::to_string(trimmed + 1) +
                    " on are part of the log");
}

}  // namespace paidonce::inline v1::detail
