#pragma once
// Gives disk space back. The log is a queue of segments: the oldest is read, what is still current in it is
// written again at the log's end by ordinary commits, a frame that says so is made durable, and the file
// goes. A crash at any point leaves either the old file or both, which say the same.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/log_reader.hpp>
#include <paidonce/stores/file/options.hpp>
#include <paidonce/stores/file/packed_payload.hpp>
#include <paidonce/stores/file/pending_frame.hpp>
#include <paidonce/stores/file/recovery.hpp>
#include <paidonce/stores/memory/packed_record.hpp>

namespace paidonce::inline v1::detail {

/// What went wrong with compactions that nobody asked for. Thread-safe.
class CompactionFailures {
 public:
  void note(const std::exception& failure) noexcept {
    const auto* const error = dynamic_cast<const Error*>(&failure);
    const std::lock_guard hold(mutex_);
    ++count_;
    // The records are in memory, and whole; the next opening will tell.
    if (error && error->code() == errc::store_corrupt) damaged_ = true;
    try {
      last_ = failure.what();
    } catch (...) {
    }
  }
  bool damaged() const noexcept {
    const std::lock_guard hold(mutex_);
    return damaged_;
  }
  void tell(FileStoreStats& stats) const {
    const std::lock_guard hold(mutex_);
    stats.compaction_failures = count_;
    stats.compaction_failure = last_;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;
  std::string last_;
  bool damaged_ = false;
};

/// Empties one segment after the other, oldest first. One at a time; payments go on beside it, and none waits
/// longer than for one commit.
template <FilePolicy Files, class Log, class Commit, class Index>
class Compaction {
 public:
  Compaction(Files& files, int directory, Log& log, Commit& commit, Index& index) noexcept
      : files_(files), directory_(directory), log_(log), commit_(commit), index_(index) {}

  /// Drops the oldest segment, unless it is the one that is written. False: that is the only one, or
  /// `go_on(bytes_done, bytes_in_all)` said so; nothing was dropped then. `room.take(bytes)` is asked before
  /// anything is copied, and may throw; `room.give(bytes)` takes it back,
  /// and `room.written()` is told when all that was taken has been used. Throws `store_corrupt` where the
  /// segment does not verify any more.
  template <class Room, class GoOn>
  bool drop_oldest(Room&& room, GoOn&& go_on) {
    const auto segments = log_.segments();
    if (segments.size() < 2) return false;
    const LogSegment oldest = segments.front();
    if (!copy_current(oldest, room, go_on)) return false;

    char number[8];
    std::memcpy(number, &oldest.number, sizeof number);
    PendingFrame trim(PendingFrame::Tells::waiter);
    trim.carry(file_format::Kind::trim, {number, sizeof number});
    room.take_for_trim(trim.size());
    commit_.submit(trim);
    commit_.settle(trim);
    log_.drop_oldest();
    return true;
  }

 private:
  static constexpr std::size_t step = std::size_t{64} << 10;  // a payment beside it waits for no more

  template <class Room, class GoOn>
  bool copy_current(const LogSegment& segment, Room& room, GoOn& go_on) {
    LogFile<Files> file(files_, directory_, file_format::segment_name(segment.number));
    std::size_t capacity = step;
    auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
    if (segment.end > file.size()) throw_damaged(file.name(), file.size(), "the file ends too early");
    file.read(buffer.get(), file_format::segment_head_size, 0);
    file_format::SegmentHead head;
    if (read_segment_head(buffer.get(), file.name(), head) != file_format::HeadState::right ||
        head.store != log_.store() || head.number != segment.number)
      throw_damaged(file.name(), 0, "the segment's head does not verify any more");

    file_format::Sequence next = head.first_sequence;
    for (std::uint64_t at = file_format::segment_head_size; at < segment.end;) {
      if (!go_on(at, segment.end)) return false;
      const std::uint64_t left = segment.end - at;
      const auto size = static_cast<std::size_t>(left < capacity ? left : capacity);
      file.read(buffer.get(), size, at);
      const Walked walked =
          copy_step({buffer.get(), size}, {log_.store(), segment.number, at}, segment.end, head, next, room);
      if (walked.end == WalkEnd::no_frame || walked.end == WalkEnd::sequence)
        throw_damaged(file.name(), at + walked.bytes, "a frame that was right does not verify any more");
      at += walked.bytes;
      if (walked.bytes > 0) continue;
      capacity *= 2;  // a frame longer than the buffer
      buffer = std::make_unique_for_overwrite<char[]>(capacity);
    }
    return true;
  }

  template <class Room>
  Walked copy_step(std::string_view bytes, const file_format::FramePlace& place, std::uint64_t end,
                   const file_format::SegmentHead& head, file_format::Sequence& next, Room& room) {
    std::deque<PendingFrame> copies;  // kept until they are settled, also when something throws
    Walked walked;
    try {
      walked = with_frames_of(head, [&](auto version) {
        return walk_frames(version, bytes, place, end, next,
                           [&](const file_format::FrameHead& frame, std::uint64_t, std::string_view payload) {
                             if (frame.kind == file_format::Kind::put)
                               copy(frame.sequence, payload, copies, room);
                             next = frame.sequence + 1;
                           });
      });
    } catch (...) {
      settle(copies, room);
      throw;
    }
    settle(copies, room);
    return walked;
  }

  template <class Room>
  void copy(file_format::Sequence sequence, std::string_view payload, std::deque<PendingFrame>& copies,
            Room& room) {
    const auto layout = packed_layout(payload);
    if (!layout) return;  // recovery has refused it
    const IdempotencyKey key = IdempotencyKey::from_bytes(layout->key);
    if (!index_.is_held_by(sequence, key)) return;
    const std::size_t size = file_format::frame_head_size + payload.size();
    room.take(size);  // not under the index's lock: it may wait for the disk
    PendingFrame& frame = copies.emplace_back(PendingFrame::Tells::nobody);
    if (index_.copy_if_held_by(sequence, key, frame)) return;
    copies.pop_back();
    room.give(size);
  }

  template <class Room>
  void settle(const std::deque<PendingFrame>& copies, Room& room) {
    if (!copies.empty()) commit_.settle_all();
    room.written();
  }

  Files& files_;
  const int directory_;
  Log& log_;
  Commit& commit_;
  Index& index_;
};

}  // namespace paidonce::inline v1::detail
