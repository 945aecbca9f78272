#pragma once
// Reading the log: walks the frames of a segment and verifies each, and searches behind damage for what
// proves that more had been there. Opens files for reading only; knows nothing of records.

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/format.hpp>

namespace paidonce::inline v1::detail {

/// What to do about damage to a store: how each text of `throw_damaged` ends.
inline constexpr std::string_view what_to_do_about_damage =
    ". Nothing was changed. Keep a copy of the directory as it is, then restore all of it from a backup; "
    "payments made since that backup are to be looked up at the provider";

/// Throws what all damage is reported as. `what` says what is wrong there.
[[noreturn, gnu::cold]] inline void throw_damaged(const std::string& file, std::uint64_t offset,
                                                  const std::string& what) {
  throw Error(errc::store_corrupt, file + ", offset " + std::to_string(offset) + ": " + what +
                                       std::string(what_to_do_about_damage));
}

// ---- the one place that chooses by version --------------------------------------------------------------

/// How the frames of version 1 are read.
struct FramesVersion1 {
  static bool decode_unverified(const char* from, file_format::FrameHead& head) noexcept {
    return file_format::decode_unverified(from, head);
  }
  static bool decode(const char* from, std::size_t available, const file_format::FramePlace& place,
                     file_format::FrameHead& head) noexcept {
    return file_format::decode(from, available, place, head);
  }
};

/// Reads a segment's head, of whichever version it is. Throws `unsupported_format` for a version that this
/// program does not know. What comes behind is read with `with_frames_of`.
inline file_format::HeadState read_segment_head(const char* from, const std::string& file,
                                                file_format::SegmentHead& head) {
  const file_format::HeadState state = file_format::decode(from, head);
  if (state == file_format::HeadState::newer)
    throw Error(errc::unsupported_format,
                file + " has format version " +
                    std::to_string(file_format::detail::get<std::uint32_t>(from + 8)) +
                    "; this program reads version 1: use a release that knows it. Nothing was changed");
  return state;
}

/// Calls `use` with the way to read frames behind this head. Each version ever landed has its line here, and
/// `read_segment_head` lets no other through.
template <class Use>
decltype(auto) with_frames_of(const file_format::SegmentHead&, Use&& use) {
  return use(FramesVersion1{});
}

// ---- frames in memory -----------------------------------------------------------------------------------

enum class WalkEnd : std::uint8_t {
  limit,     ///< the last frame ends where frames have to end
  more,      ///< the next frame is not all there yet
  no_frame,  ///< what stands there does not verify
  sequence,  ///< a frame that verifies, and is not the one that comes next
};

struct Walked {
  std::size_t bytes = 0;  ///< of the frames that were walked
  WalkEnd end = WalkEnd::more;
};

/// Walks frames from `bytes`, which stand at `place.offset`, up to `limit`, an offset in the file that no
/// frame may cross. `on_frame(head, offset, payload)` is called for each frame whose sequence is the next.
template <class Version, class OnFrame>
Walked walk_frames(Version, std::string_view bytes, file_format::FramePlace place, std::uint64_t limit,
                   file_format::Sequence next, OnFrame&& on_frame) {
  const char* const begin = bytes.data();
  std::size_t at = 0;
  for (;;) {
    const std::uint64_t left = limit - place.offset;
    if (left == 0) return {at, WalkEnd::limit};
    const std::size_t here = bytes.size() - at;
    if (left < file_format::frame_head_size) return {at, WalkEnd::no_frame};
    if (here < file_format::frame_head_size) return {at, WalkEnd::more};
    file_format::FrameHead head;
    if (!Version::decode_unverified(begin + at, head)) return {at, WalkEnd::no_frame};
    const std::uint64_t size = file_format::frame_head_size + std::uint64_t{head.payload_size};
    if (size > left) return {at, WalkEnd::no_frame};
    if (size > here) return {at, WalkEnd::more};
    if (!Version::decode(begin + at, static_cast<std::size_t>(size), place, head))
      return {at, WalkEnd::no_frame};
    if (head.sequence != next) return {at, WalkEnd::sequence};
    on_frame(head, place.offset,
             std::string_view(begin + at + file_format::frame_head_size, head.payload_size));
    ++next;
    at += static_cast<std::size_t>(size);
    place.offset += size;
  }
}

/// Whether all of these bytes are zeros.
inline bool all_zeros(const char* from, std::size_t size) noexcept {
  std::uint64_t word[8];
  for (; size >= sizeof word; from += sizeof word, size -= sizeof word) {
    std::memcpy(word, from, sizeof word);
    if ((word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] | word[7]) != 0) return false;
  }
  for (; size > 0; ++from, --size)
    if (*from != 0) return false;
  return true;
}

// ---- frames in files ------------------------------------------------------------------------------------

/// A segment's file, open for reading. Throws `store_unavailable`, naming the file, where a call fails.
template <FilePolicy Files>
class LogFile {
 public:
  LogFile(Files& files, int directory, std::string name)
      : files_(files),
        name_(std::move(name)),
        file_(open_file(files, directory, name_, O_RDONLY | O_NONBLOCK)) {
    struct ::stat status {};
    if (uninterrupted([&] { return files_.status(file_.fd(), status); }) != 0)
      throw_file_error(errno, "cannot ask for the size of " + name_);
    if (!S_ISREG(status.st_mode)) throw_damaged(name_, 0, "this is not a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }

  /// Reads all of it; what is wanted must lie within `size()`.
  void read(char* to, std::size_t size, std::uint64_t at) {
    while (size > 0) {
      const ssize_t got =
          uninterrupted([&] { return files_.read(file_.fd(), to, size, static_cast<off_t>(at)); });
      if (got < 0) throw_file_error(errno, "cannot read " + name_ + " at offset " + std::to_string(at));
      if (got == 0)
        throw Error(errc::store_unavailable, name_ +
                                                 " became shorter while it was read: something else writes "
                                                 "to the store's directory");
      to += got;
      at += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
  }

 private:
  Files& files_;
  std::string name_;
  OpenFile<Files> file_;
  std::uint64_t size_ = 0;
};

/// What a search found.
struct Claims {
  file_format::Sequence synced = 0;  ///< the highest that a frame which verifies says was synced
  std::uint64_t said_at = 0;         ///< where that frame stands
  std::uint64_t content_end = 0;  ///< behind the last byte that is not zero; where the search began if none
};

/// Searches a file from `from` on, where frame `enough` is missed, for a frame that verifies, wherever it
/// begins, and says that this one was synced or, at least, all before it, above `known`. Looks at no others:
/// what is torn may hold any number of bytes that look like frames, and verifying each would take for ever.
template <class Version, FilePolicy Files>
Claims search_claims(Version, LogFile<Files>& file, const file_format::StoreId& store, std::uint64_t number,
                     std::uint64_t from, file_format::Sequence known, file_format::Sequence enough) {
  constexpr std::size_t step = std::size_t{256} << 10;
  constexpr std::size_t overlap = file_format::frame_head_size - 1;
  constexpr std::uint64_t most_before = std::uint64_t{2} << 30;  // bytes from the missing frame to here
  constexpr std::uint32_t longest_payload = std::uint32_t{32} << 20;
  Claims claims{.synced = known, .said_at = from, .content_end = from};
  if (from >= file.size()) return claims;
  const std::uint64_t most = file.size() - from;
  const auto buffer = std::make_unique_for_overwrite<char[]>(
      most < step + overlap ? static_cast<std::size_t>(most) : step + overlap);
  std::string whole;
  for (std::uint64_t begin = from; begin < file.size(); begin += step) {
    const std::uint64_t left = file.size() - begin;
    const auto size = static_cast<std::size_t>(left < step + overlap ? left : step + overlap);
    const std::size_t own = size < step ? size : step;  // what is behind belongs to the next round
    file.read(buffer.get(), size, begin);
    if (all_zeros(buffer.get(), own)) continue;
    std::size_t content = own;
    while (content > 64 && all_zeros(buffer.get() + content - 64, 64)) content -= 64;
    while (buffer[content - 1] == 0) --content;
    claims.content_end = begin + content;
    for (std::size_t at = 0; at < own && size - at >= file_format::frame_head_size; ++at) {
      const void* const found = std::memchr(buffer.get() + at, file_format::frame_magic[0], own - at);
      if (!found) break;
      at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer.get());
      file_format::FrameHead head;
      if (size - at < file_format::frame_head_size || !Version::decode_unverified(buffer.get() + at, head) ||
          head.synced + 1 < enough || head.synced <= claims.synced)
        continue;  // what is torn may hold anything, frames too: only what decides the matter is verified
      const std::uint64_t offset = begin + at;
      const std::uint64_t most_frames =
          (from == 0 ? most_before : offset - from) / file_format::frame_head_size;
      if (head.sequence - enough > most_frames + 1) continue;
      const std::uint64_t frame = file_format::frame_head_size + std::uint64_t{head.payload_size};
      if (frame > file.size() - offset || head.payload_size > longest_payload) continue;
      const char* bytes = buffer.get() + at;
      if (frame > size - at) {
        whole.resize(static_cast<std::size_t>(frame));
        file.read(whole.data(), whole.size(), offset);
        bytes = whole.data();
      }
      if (!Version::decode(bytes, static_cast<std::size_t>(frame), {store, number, offset}, head)) continue;
      claims.synced = head.synced;
      claims.said_at = offset;
      if (claims.synced >= enough) return claims;
    }
  }
  return claims;
}

}  // namespace paidonce::inline v1::detail
