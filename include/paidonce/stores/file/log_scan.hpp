#pragma once
// Reads a whole log and decides what of it counts. Opens files for reading only: nothing on the disk changes.
//
// Frames count in order, up to the first that does not verify. Behind it there may be what was torn when the
// power went away, never acknowledged to anybody: that is cut. But if a head, or a frame that verifies
// wherever it stands, says that the missing one had been synced, then it was acknowledged and is damaged, and
// the log is refused. docs/file_format.md has the rules for other readers.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/stores/file/chunk_queue.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/latest_frames.hpp>
#include <paidonce/stores/file/log_heads.hpp>
#include <paidonce/stores/file/log_reader.hpp>
#include <paidonce/stores/file/packed_payload.hpp>
#include <paidonce/stores/file/recovered_log.hpp>

namespace paidonce::inline v1::detail {

/// One reading of a log: heads first, then all frames, which are handed over in chunks.
template <FilePolicy Files>
class LogScan {
 public:
  static constexpr std::size_t chunk_size = std::size_t{1} << 20;

  /// Reads the heads.
  LogScan(Files& files, int directory, FramesWanted wanted, file_format::Content content)
      : files_(files),
        directory_(directory),
        wanted_(wanted),
        content_(content),
        heads_(read_log_heads(files, directory, content)) {
    if (heads_.empty()) return;
    for (std::uint64_t number = heads_.first; number <= heads_.last; ++number) {
      bytes_ += heads_.limit(number);
      claim(heads_.at(number).head.synced, number, 0);
      claim(heads_.at(number).head.first_sequence - 1, number, 0);
    }
    next_ = heads_.at(heads_.first).head.first_sequence;
  }

  bool empty() const noexcept { return heads_.empty(); }
  std::uint64_t bytes() const noexcept { return bytes_; }

  /// Reads and verifies all frames. Throws where the log is damaged or cannot be read.
  void read(ChunkQueue& queue) {
    for (std::uint64_t number = heads_.first; number < heads_.last; ++number) read_whole(queue, number);
    read_last(queue);
    check_nothing_missing(heads_, trimmed());
  }

  /// What it comes to; behind `read`.
  RecoveredLog result() {
    RecoveredLog log;
    if (heads_.has_temporary) log.leftovers.emplace_back(file_format::temporary_name);
    log.others = std::move(heads_.others);
    if (empty()) return log;
    const file_format::SegmentHead& last = heads_.at(heads_.last).head;
    log.store = last.store;
    log.opener = last.opener;
    log.last_sequence = next_ - 1;
    log.trimmed = trimmed();
    log.closed = closed_;
    log.cut_bytes = cut_bytes_;
    log.frames = frames_;
    for (const auto& [number, segment] : heads_.found) {
      if (number > log.trimmed && number <= heads_.last)
        log.segments.push_back({.number = number,
                                .end = number == heads_.last ? synced_end_ : heads_.limit(number),
                                .size = segment.head.size,
                                .first_sequence = segment.head.first_sequence,
                                .opener = segment.head.opener});
      else
        log.leftovers.push_back(file_format::segment_name(number));
    }
    read_tail(log);
    return log;
  }

 private:
  /// A sequence that is said to have been synced, and who says so.
  struct Claim {
    file_format::Sequence synced = 0;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
  };

  void claim(file_format::Sequence synced, std::uint64_t segment, std::uint64_t offset) {
    if (synced > claim_.synced || claim_.segment == 0) claim_ = {synced, segment, offset};
  }

  std::uint64_t trimmed() const noexcept {
    const std::uint64_t by_head = heads_.at(heads_.last).head.oldest - 1;
    return trim_ > by_head ? trim_ : by_head;
  }

  /// Judges a frame that verifies, and lists it in the chunk.
  void on_frame(const file_format::FrameHead& head, std::uint64_t offset, std::string_view payload,
                std::uint64_t segment, LogChunk& chunk) {
    bool fits = false;
    PackedLayout layout;
    std::string_view key;
    switch (head.kind) {
      case file_format::Kind::put:
        fits = read_layout(payload, layout);
        key = layout.key;
        break;
      case file_format::Kind::erase:
        fits = is_key_bytes(payload);
        key = payload;
        break;
      case file_format::Kind::closed: fits = payload.empty(); break;
      case file_format::Kind::entry: fits = true; break;
      case file_format::Kind::trim:
        if (payload.size() != 8) break;
        const auto number = file_format::detail::get<std::uint64_t>(payload.data());
        fits = number < segment;
        if (number > trim_) trim_ = number;
        break;
    }
    const bool is_entry = head.kind == file_format::Kind::entry;
    if (!fits || is_entry != (content_ == file_format::Content::audit))
      throw_damaged(file_format::segment_name(segment), offset,
                    "this frame verifies, and what it holds does not add up");
    closed_ = head.kind == file_format::Kind::closed;
    claim(head.synced, segment, offset);

    if (wanted_ == FramesWanted::lasting && !key.empty()) {
      const std::uint32_t before = latest_.note(key, static_cast<std::uint32_t>(chunk.frames.size()),
                                                [&](std::uint32_t at) { return chunk.frames[at].key; });
      if (before != LatestFrames::none) chunk.frames[before].superseded = true;
    }
    chunk.frames.push_back({.kind = head.kind, .sequence = head.sequence, .payload = payload, .key = key});
  }

  [[noreturn, gnu::cold]] void damaged(std::uint64_t number, std::uint64_t offset,
                                       const std::string& why) const {
    throw_damaged(file_format::segment_name(number), offset,
                  "frame " + std::to_string(next_) + " of the log does not verify here, and " + why);
  }

  /// Reads the frames of a segment whose end is known.
  void read_whole(ChunkQueue& queue, std::uint64_t number) {
    const std::uint64_t limit = heads_.limit(number);
    const std::string after = file_format::segment_name(number + 1);
    const Place end = read_frames(queue, number, limit, [](auto&&...) {});
    if (end.why != WalkEnd::limit)
      damaged(number, end.offset, after + " says that frames go on to offset " + std::to_string(limit));
    if (next_ != heads_.at(number + 1).head.first_sequence)
      throw_damaged(after, 40,
                    "this segment begins with frame " +
                        std::to_string(heads_.at(number + 1).head.first_sequence) +
                        " of the log, and frame " + std::to_string(next_) + " is the next");
  }

  /// Reads the last segment in use, and searches for proof that more of the log had been synced.
  void read_last(ChunkQueue& queue) {
    const std::uint64_t number = heads_.last;
    const std::uint64_t limit = heads_.limit(number);
    open_.clear();
    open_from_ = next_;
    const Place end =
        read_frames(queue, number, limit, [&](const file_format::FrameHead& head, std::uint64_t offset) {
          if (head.synced + 1 >= head.sequence) {  // all before it
            open_.clear();
            open_from_ = head.sequence;
          }
          open_.push_back(offset);
        });
    if (end.why == WalkEnd::sequence) damaged(number, end.offset, "the one that stands here is another");
    cut_bytes_ = search(number, end.offset) - end.offset;
    for (auto later = heads_.found.upper_bound(number); later != heads_.found.end(); ++later) {
      if (later->second.file_size < file_format::segment_head_size)
        throw_damaged(file_format::segment_name(later->first), later->second.file_size,
                      "the file ends here; a segment has its size before it gets its name");
      const std::uint64_t content = search(later->first, 0);
      cut_bytes_ += content;
      if (content > 0 && later->first > number + 1)
        throw_damaged(file_format::segment_name(later->first), 0,
                      "this segment was written to, and that before it has no head that can be read");
    }
    if (claim_.synced >= next_)
      damaged(number, end.offset,
              file_format::segment_name(claim_.segment) + " says at offset " + std::to_string(claim_.offset) +
                  " that frames up to " + std::to_string(claim_.synced) + " were on the disk");
    end_ = end.offset;
    const std::uint64_t known = claim_.synced + 1 - open_from_;  // of `open_`
    synced_end_ = known < open_.size() ? open_[known] : end_;
  }

  /// Searches what does not count for claims; where its content ends.
  std::uint64_t search(std::uint64_t number, std::uint64_t from) {
    const file_format::SegmentHead& head = heads_.at(heads_.last).head;
    LogFile<Files> file(files_, directory_, file_format::segment_name(number));
    const Claims found = with_frames_of(head, [&](auto version) {
      return search_claims(version, file, head.store, number, from, claim_.synced, next_);
    });
    claim(found.synced, number, found.said_at);
    return found.content_end;
  }

  struct Place {
    std::uint64_t offset = 0;
    WalkEnd why = WalkEnd::more;
  };

  /// Reads frames up to `limit` or to the first that does not verify.
  template <class OnFrame>
  Place read_frames(ChunkQueue& queue, std::uint64_t number, std::uint64_t limit, OnFrame&& also) {
    const file_format::SegmentHead& head = heads_.at(number).head;
    LogFile<Files> file(files_, directory_, file_format::segment_name(number));
    std::uint64_t offset = file_format::segment_head_size;
    std::size_t have = 0;
    LogChunk chunk = queue.take();
    chunk.reserve(first_size(limit), 0);
    for (;;) {
      const std::uint64_t left = limit - offset - have;
      const std::size_t room = chunk.capacity - have;
      const std::size_t now = left < room ? static_cast<std::size_t>(left) : room;
      file.read(chunk.bytes.get() + have, now, offset + have);
      have += now;
      const std::string_view bytes(chunk.bytes.get(), have);
      chunk.frames.clear();
      if (wanted_ == FramesWanted::lasting) latest_.clear();
      const Walked walked = with_frames_of(head, [&](auto version) {
        return walk_frames(
            version, bytes, {head.store, number, offset}, limit, next_,
            [&](const file_format::FrameHead& frame, std::uint64_t at, std::string_view payload) {
              on_frame(frame, at, payload, number, chunk);
              also(frame, at);
              ++next_;
              ++frames_;
            });
      });
      if (wanted_ == FramesWanted::lasting)
        std::erase_if(chunk.frames, [](const LogFrame& frame) { return frame.superseded; });
      const std::string_view rest = bytes.substr(walked.bytes);
      const std::size_t need = walked.end == WalkEnd::more ? wanted(head, rest) : 0;
      offset += walked.bytes;
      if (walked.bytes == 0 && walked.end == WalkEnd::more) {
        chunk.reserve(need, have);
        continue;
      }
      LogChunk next;
      if (walked.end == WalkEnd::more) {
        next = queue.take();
        next.reserve(need, 0);
        std::memcpy(next.bytes.get(), rest.data(), rest.size());
        have = rest.size();
      }
      chunk.used = walked.bytes;
      queue.give(std::move(chunk));
      if (walked.end != WalkEnd::more) return {offset, walked.end};
      chunk = std::move(next);
    }
  }

  static std::size_t first_size(std::uint64_t limit) noexcept {
    return limit < chunk_size ? static_cast<std::size_t>(limit) : chunk_size;
  }

  /// Room for the frame whose beginning `rest` is.
  std::size_t wanted(const file_format::SegmentHead& head, std::string_view rest) const {
    std::size_t size = first_size(heads_.limit(head.number));
    file_format::FrameHead frame;
    if (rest.size() >= file_format::frame_head_size &&
        with_frames_of(head, [&](auto version) { return version.decode_unverified(rest.data(), frame); }) &&
        file_format::frame_head_size + std::size_t{frame.payload_size} > size)
      size = file_format::frame_head_size + std::size_t{frame.payload_size};
    return size;
  }

  /// Reads once more the frames that are not recorded as synced. They are few: those of the last group.
  void read_tail(RecoveredLog& log) {
    if (synced_end_ == end_) return;
    const file_format::SegmentHead& head = heads_.at(heads_.last).head;
    LogFile<Files> file(files_, directory_, file_format::segment_name(heads_.last));
    std::string bytes(static_cast<std::size_t>(end_ - synced_end_), '\0');
    file.read(bytes.data(), bytes.size(), synced_end_);
    const Walked walked = with_frames_of(head, [&](auto version) {
      return walk_frames(
          version, bytes, {head.store, head.number, synced_end_}, end_, claim_.synced + 1,
          [&](const file_format::FrameHead& frame, std::uint64_t, std::string_view payload) {
            log.tail.push_back(
                {.kind = frame.kind, .sequence = frame.sequence, .payload = std::string(payload)});
          });
    });
    if (walked.end != WalkEnd::limit)
      throw Error(errc::store_unavailable, file.name() +
                                               " changed while it was read: something else writes to "
                                               "the store's directory");
  }

  Files& files_;
  int directory_;
  FramesWanted wanted_;
  file_format::Content content_;
  LatestFrames latest_;
  LogHeads heads_;
  std::uint64_t bytes_ = 0;
  file_format::Sequence next_ = 1;
  std::uint64_t trim_ = 0;
  Claim claim_;
  std::uint64_t frames_ = 0;
  std::uint64_t cut_bytes_ = 0;
  bool closed_ = false;
  std::vector<std::uint64_t> open_;  // offsets of frames of the last segment that no frame says were synced
  file_format::Sequence open_from_ = 1;  // of the first of these
  std::uint64_t end_ = 0, synced_end_ = 0;
};

}  // namespace paidonce::inline v1::detail
