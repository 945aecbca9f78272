#pragma once
// The log of a file store while it is open: frames go to the end of the newest segment, group by group, each
// group synced before it counts.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/pending_frame.hpp>
#include <paidonce/stores/file/recovery.hpp>
#include <paidonce/stores/file/segment_file.hpp>
#include <paidonce/stores/file/segment_supply.hpp>

namespace paidonce::inline v1::detail {

/// `commit` is called by one thread at a time; the rest is thread-safe.
template <FilePolicy Files>
class FileLog {
 public:
  using Sequence = file_format::Sequence;

  struct Terms {
    Durability durability;
    std::uint64_t largest_segment;
    std::uint64_t longest_frame;
    file_format::ProcessId opener;
    file_format::Content content = file_format::Content::records;
  };

  /// Begins a fresh segment behind what was recovered. What recovery accepted without proof that it was
  /// synced is in it again, and synced before it gets its name. Throws where the disk does not allow for it.
  FileLog(Files& files, int directory, const RecoveredLog& recovered, const Terms& terms)
      : files_(files),
        directory_(directory),
        store_(recovered.store),
        terms_(terms),
        supply_(files, directory, terms.durability, fresh_number(recovered) + 1, sizes_of(terms)),
        segments_(recovered.segments.begin(), recovered.segments.end()) {
    if (last_is_replaced(recovered)) segments_.pop_back();
    sync_recovered();
    begin_fresh(recovered);
  }

  /// Writes the frames of a group and makes them durable. Throws where that fails; nothing may be written
  /// any more then.
  void commit(const PendingFrame* first) {
    for (const PendingFrame* frame = first; frame; frame = frame->next) {
      if (frame->carries == PendingFrame::Carries::nothing) continue;
      if (end_ + frame->size() >= current_.size) {  // never to its last byte: what is left shows by its cut
        flush();
        sync();
        begin_next(frame->sequence);
      } else if (end_ - buffer_begin_ + frame->size() > buffer_.size()) {
        flush();
      }
      append(frame->kind, frame->sequence, frame->payload, frame->payload_crc);
    }
    if (flushed_ == end_) return;
    flush();
    sync();
  }

  /// Cuts the segment that was left last to what is in it, once the one behind it is on disk: so the absence
  /// of that one can be noticed. What fails here is of no consequence.
  void cut_left_segment() noexcept {
    const NotCancellable whole;
    LogSegment left;
    {
      const std::lock_guard hold(segments_mutex_);
      if (!cut_ || cut_->first_sequence > on_disk_.load(std::memory_order_acquire)) return;
      left = *std::exchange(cut_, std::nullopt);
    }
    try {
      cut(left);
    } catch (const std::bad_alloc&) {
    }
  }

  SegmentSupply<Files>& supply() noexcept { return supply_; }
  const file_format::StoreId& store() const noexcept { return store_; }

  /// How full the segment that is written is, in bytes, and its size.
  std::pair<std::uint64_t, std::uint64_t> fill() const noexcept {
    return {filled_.load(std::memory_order_relaxed), capacity_.load(std::memory_order_relaxed)};
  }

  /// Of all frames that are there, current or not.
  std::uint64_t log_bytes() const noexcept {
    return closed_bytes_.load(std::memory_order_relaxed) + filled_.load(std::memory_order_relaxed);
  }

  /// Bytes written by `commit` since opening.
  std::uint64_t written() const noexcept { return written_.load(std::memory_order_relaxed); }

  /// The segments in use; the last is the one that is written, as long as it was when it was last synced.
  std::vector<LogSegment> segments() const {
    const std::lock_guard hold(segments_mutex_);
    std::vector<LogSegment> all(segments_.begin(), segments_.end());
    all.back().end = filled_.load(std::memory_order_relaxed);
    return all;
  }

  /// Size of the files that are prepared ahead.
  std::uint64_t ready_bytes() const noexcept { return supply_.ready_bytes(); }

  std::size_t segment_count() const {
    const std::lock_guard hold(segments_mutex_);
    return segments_.size();
  }

  /// Forgets the oldest segment, whose trim is durable, and unlinks its file. Throws where the file stays: it
  /// is then unlinked when the store is opened the next time.
  void drop_oldest() {
    std::uint64_t number;
    {
      const std::lock_guard hold(segments_mutex_);
      number = segments_.front().number;
      closed_bytes_.fetch_sub(segments_.front().end, std::memory_order_relaxed);
      segments_.pop_front();
    }
    unlink(file_format::segment_name(number));
    sync_directory(files_, directory_);
  }

 private:
  static constexpr std::size_t least_fresh = std::size_t{16} << 10;
  static constexpr std::size_t least_buffer = std::size_t{512} << 10;
  static constexpr std::size_t first_room = std::size_t{384} << 10;  // small: an opening waits for it

  /// Whether nothing in the last segment is recorded as synced: its head then may be in the page cache alone,
  /// so that the fresh segment cannot lean on it and takes its place.
  static bool last_is_replaced(const RecoveredLog& recovered) noexcept {
    return !recovered.segments.empty() && recovered.segments.back().end == file_format::segment_head_size;
  }

  static std::uint64_t fresh_number(const RecoveredLog& recovered) noexcept {
    if (recovered.segments.empty()) return recovered.trimmed + 1;
    return recovered.segments.back().number + (last_is_replaced(recovered) ? 0 : 1);
  }

  /// Small at first, for small stores, and then each twice as large.
  static typename SegmentSupply<Files>::Sizes sizes_of(const Terms& terms) noexcept {
    const std::uint64_t smallest = block_end(file_format::segment_head_size + 2 * terms.longest_frame);
    const std::uint64_t second = std::uint64_t{2} << 20;
    const std::uint64_t largest = block_begin(terms.largest_segment);
    const std::uint64_t next = second < smallest ? smallest : second;
    return {next < largest ? next : largest, largest, smallest};
  }

  /// What was read may be in the page cache alone, whatever its frames say: copied from a backup a moment
  /// ago, or written under `Durability::process_crash`.
  void sync_recovered() {
    if (terms_.durability == Durability::process_crash) return;
    for (const LogSegment& segment : segments_) {
      const std::string name = file_format::segment_name(segment.number);
      const OpenFile<Files> file = open_file(files_, directory_, name, O_RDONLY);
      if (files_.sync_data(file.fd()) != 0) throw_file_error(errno, "cannot sync " + name);
    }
  }

  /// Filled. Where the disk is full, what was prepared ahead gives way, and as much as there is must do.
  SegmentInTheMaking<Files> make_fresh(std::uint64_t size, std::uint64_t least,
                                       const RecoveredLog& recovered) {
    SegmentInTheMaking<Files> making(files_, directory_, size, terms_.durability);
    const auto fill = [&] {
      while (!making.filled()) making.step();
    };
    try {
      fill();
      return making;
    } catch (const Error& error) {
      if (error.code() != errc::store_full) throw;
    }
    for (const std::string& name : recovered.leftovers)
      if (name != file_format::temporary_name)
        uninterrupted([&] { return files_.unlink_at(directory_, name.c_str()); });
    try {
      fill();
    } catch (const Error& error) {
      if (error.code() != errc::store_full || making.done() < least) throw;
      making.cut_here();
    }
    return making;
  }

  void begin_fresh(const RecoveredLog& recovered) {
    const std::uint64_t room = first_room < terms_.largest_segment ? first_room : terms_.largest_segment;
    std::uint64_t size = file_format::segment_head_size + room;
    for (const TailFrame& frame : recovered.tail) size += file_format::frame_head_size + frame.payload.size();
    SegmentInTheMaking<Files> making = make_fresh(size, size - room + least_fresh, recovered);

    // For good: a commit allocates nothing. All of the tail goes out at once.
    const std::uint64_t longest = size - room > terms_.longest_frame ? size - room : terms_.longest_frame;
    buffer_ = AlignedBuffer(static_cast<std::size_t>(
        block_end((longest > least_buffer ? longest : least_buffer) + 2 * file_block)));
    number_ = fresh_number(recovered);
    last_ = recovered.last_sequence - recovered.tail.size();
    const LogSegment before = segments_.empty() ? LogSegment() : segments_.back();  // number 0: there is none
    std::uint64_t previous_end = before.end;
    if (before.number == 0 && number_ > 1)
      previous_end = file_format::segment_head_size;  // of one that was trimmed
    begin_buffer(making.size(), previous_end, recovered.last_sequence);
    synced_ = last_;
    for (const TailFrame& frame : recovered.tail)
      append(frame.kind, frame.sequence, frame.payload,
             crc32c(0, frame.payload.data(), frame.payload.size()));
    making.write(buffer_.data(), static_cast<std::size_t>(block_end(end_)), 0);
    current_ = std::move(making).finish(number_);
    take_over(current_.size, number_);
    keep_last_block();
    synced_ = last_;
    supply_.give_room(static_cast<std::int64_t>(current_.size - end_));
    for (const LogSegment& segment : segments_)
      if (segment.number != number_) closed_bytes_.fetch_add(segment.end, std::memory_order_relaxed);
    clear_away(recovered);
    if (before.number != 0) cut(before);
  }

  /// What is not part of the log any more. What cannot be removed is found again by the next opening.
  void clear_away(const RecoveredLog& recovered) {
    const std::string fresh = file_format::segment_name(number_);
    for (const std::string& name : recovered.leftovers)
      if (name != fresh && name != file_format::temporary_name)
        uninterrupted([&] { return files_.unlink_at(directory_, name.c_str()); });
  }

  void cut(const LogSegment& segment) {
    if (segment.end >= segment.size) return;
    const std::string name = file_format::segment_name(segment.number);
    const int fd = uninterrupted([&] { return files_.open_at(directory_, name.c_str(), O_RDWR); });
    if (fd < 0) return;
    const OpenFile<Files> file(files_, fd);
    uninterrupted([&] { return files_.truncate(fd, static_cast<off_t>(segment.end)); });
  }

  void unlink(const std::string& name) {
    if (uninterrupted([&] { return files_.unlink_at(directory_, name.c_str()); }) != 0 && errno != ENOENT)
      throw_file_error(errno, "cannot remove " + name);
  }

  /// The current segment is full: what is in it is synced. The head of the next goes out with its first
  /// group.
  void begin_next(Sequence first_sequence) {
    supply_.give_room(-static_cast<std::int64_t>(current_.size - end_));
    SegmentFile<Files> next = supply_.take();
    const std::uint64_t end = end_;
    const std::uint64_t number = next.number;
    closed_bytes_.fetch_add(end, std::memory_order_relaxed);
    last_ = first_sequence - 1;
    number_ = number;
    begin_buffer(next.size, end, last_);
    {
      const std::lock_guard hold(segments_mutex_);
      segments_.back().end = end;
      cut_ = segments_.back();
      cut_->first_sequence = first_sequence;  // that says, once it is synced, that the head behind is
    }
    take_over(next.size, number);
    current_ = std::move(next);
  }

  void take_over(std::uint64_t size, std::uint64_t number) {
    const std::lock_guard hold(segments_mutex_);
    segments_.push_back({.number = number, .end = end_, .size = size, .first_sequence = first_sequence_});
    filled_.store(end_, std::memory_order_relaxed);
    capacity_.store(size, std::memory_order_relaxed);
  }

  /// The head of segment `number_` as the first bytes to be written.
  void begin_buffer(std::uint64_t size, std::uint64_t previous_end, Sequence synced) {
    file_format::SegmentHead head;
    head.content = terms_.content;
    head.store = store_;
    head.number = number_;
    head.first_sequence = first_sequence_ = last_ + 1;
    head.synced = synced;
    head.previous_end = previous_end;
    {
      const std::lock_guard hold(segments_mutex_);
      head.oldest = segments_.empty() ? number_ : segments_.front().number;
    }
    head.size = size;
    head.opener = terms_.opener;
    head.created_at_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
    buffer_begin_ = 0;
    std::memset(buffer_.data(), 0, buffer_.size());
    const auto bytes = file_format::encode(head);
    std::memcpy(buffer_.data(), bytes.data(), bytes.size());
    end_ = bytes.size();
    flushed_ = 0;
  }

  /// The buffer has room for it.
  void append(file_format::Kind kind, Sequence sequence, std::string_view payload,
              std::uint32_t payload_crc) {
    char* const to = buffer_.data() + (end_ - buffer_begin_);
    const file_format::FrameHead head{kind, static_cast<std::uint32_t>(payload.size()), sequence, synced_};
    file_format::encode(head, payload_crc, {store_, number_, end_}, to);
    if (!payload.empty()) std::memcpy(to + file_format::frame_head_size, payload.data(), payload.size());
    end_ += file_format::frame_head_size + payload.size();
    last_ = sequence;
  }

  /// Writes what is in the buffer. What stands in its last block is written again by the next flush.
  void flush() {
    if (flushed_ == end_) return;
    const bool whole_blocks = current_.sync_by == SyncBy::write;
    const std::uint64_t from = whole_blocks ? buffer_begin_ : flushed_;
    const std::uint64_t to = whole_blocks ? block_end(end_) : end_;
    write_all(files_, current_.file.fd(), buffer_.data() + (from - buffer_begin_),
              static_cast<std::size_t>(to - from), from, current_.name);
    keep_last_block();
  }

  void keep_last_block() {
    const std::uint64_t last_block = block_begin(end_);
    const auto moved = static_cast<std::size_t>(last_block - buffer_begin_);
    const auto kept = static_cast<std::size_t>(end_ - last_block);
    if (moved > 0) {
      std::memmove(buffer_.data(), buffer_.data() + moved, kept);
      std::memset(buffer_.data() + kept, 0, moved);
    }
    buffer_begin_ = last_block;
    flushed_ = end_;
  }

  void sync() {
    sync_segment(files_, current_);
    synced_ = last_;
    on_disk_.store(synced_, std::memory_order_release);
    const std::uint64_t before = filled_.exchange(end_, std::memory_order_relaxed);
    written_.store(written_.load(std::memory_order_relaxed) + (end_ - before), std::memory_order_relaxed);
  }

  Files& files_;
  const int directory_;
  const file_format::StoreId store_;
  const Terms terms_;
  SegmentSupply<Files> supply_;

  // The committer's.
  SegmentFile<Files> current_;
  AlignedBuffer buffer_;
  std::uint64_t number_ = 0;
  std::uint64_t buffer_begin_ = 0;  // where in the segment the buffer stands: at a block
  std::uint64_t flushed_ = 0;       // up to where the file has it
  std::uint64_t end_ = 0;           // of the last frame
  Sequence first_sequence_ = 1;     // of the first frame in this segment
  Sequence last_ = 0;               // of the last frame
  Sequence synced_ = 0;

  std::atomic<std::uint64_t> filled_{0}, capacity_{1}, closed_bytes_{0}, written_{0};
  mutable std::mutex segments_mutex_;
  std::deque<LogSegment> segments_;  // oldest first
  std::optional<LogSegment> cut_;    // left, and longer than what is in it
  std::atomic<Sequence> on_disk_{0};
};

}  // namespace paidonce::inline v1::detail
