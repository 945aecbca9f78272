#pragma once
// Reads a log for whoever wants what it says: frames come in order, verified, on the caller's thread, while
// another reads ahead where there is much to read. Nothing on the disk changes.

#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include <paidonce/detail/background_thread.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/chunk_queue.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/log_reader.hpp>
#include <paidonce/stores/file/log_scan.hpp>
#include <paidonce/stores/file/recovered_log.hpp>

namespace paidonce::inline v1::detail {

/// Joins a thread that reads, whatever happens to the one that uses what is read.
class ReadingThread {
 public:
  template <class Read>
  ReadingThread(ChunkQueue& queue, Read read) : queue_(queue) {
    thread_ = start_store_thread([&queue, read] { read_into(queue, read); });
  }
  ~ReadingThread() {
    queue_.give_up();
    thread_.join();
  }
  ReadingThread(const ReadingThread&) = delete;
  ReadingThread& operator=(const ReadingThread&) = delete;

  template <class Read>
  static void read_into(ChunkQueue& queue, const Read& read) {
    std::exception_ptr error;
    try {
      read();
    } catch (...) {
      error = std::current_exception();
    }
    queue.end(std::move(error));
    queue.prepare_rest();
  }

 private:
  ChunkQueue& queue_;
  std::thread thread_;
};

/// A log of more bytes than this is read by a thread of its own, beside the one that uses it.
inline constexpr std::uint64_t small_log = std::uint64_t{4} << 20;

/// Reads the log in a directory. `prepare(LogChunk&)` is called for every chunk of frames that count, in any
/// order and on this thread or another, and then `use(LogChunk&, bytes_done, bytes_in_all)` on this thread,
/// in order; what they point to lives until that returns. `progress(bytes_done, bytes_in_all)` is called on
/// this thread from time to time. What they throw comes out. Where the log is damaged, frames before the
/// damage have been used, and this throws; a store throws them away.
///
/// Throws `store_corrupt`, naming file and offset, `unsupported_format`, also where the log has other
/// content, and `store_unavailable` where a call fails.
template <FilePolicy Files, class Use, class Progress>
RecoveredLog recover_chunks(Files& files, int directory, FramesWanted wanted, ChunkQueue::Prepare prepare,
                            Use&& use, Progress&& progress,
                            file_format::Content content = file_format::Content::records) {
  LogScan<Files> scan(files, directory, wanted, content);
  if (scan.empty()) return scan.result();
  std::uint64_t done = 0;
  const auto use_all = [&](ChunkQueue& queue) {
    while (std::optional<LogChunk> chunk = queue.next()) {
      use(*chunk, done, scan.bytes());
      done += chunk->used;
      queue.give_back(std::move(*chunk));
      progress(done, scan.bytes());
    }
  };
  if (scan.bytes() <= small_log) {
    ChunkQueue queue(0, std::move(prepare));
    std::exception_ptr damage;
    try {
      scan.read(queue);
    } catch (const Error&) {
      damage = std::current_exception();
    }
    queue.end(std::move(damage));
    use_all(queue);
  } else {
    ChunkQueue queue(8, std::move(prepare));
    const ReadingThread reading(queue, [&] { scan.read(queue); });
    use_all(queue);
  }
  progress(scan.bytes(), scan.bytes());
  return scan.result();
}

/// The same, frame by frame: calls `apply(Kind, Sequence, std::string_view payload)` for every frame that
/// counts and is wanted, in order.
template <FilePolicy Files, class Apply, class Progress>
RecoveredLog recover_log(Files& files, int directory, Apply&& apply, Progress&& progress,
                         FramesWanted wanted = FramesWanted::all) {
  const auto use = [&](const LogChunk& chunk, auto...) {
    for (const LogFrame& frame : chunk.frames) apply(frame.kind, frame.sequence, frame.payload);
  };
  return recover_chunks(files, directory, wanted, {}, use, progress);
}

}  // namespace paidonce::inline v1::detail
