#pragma once
// Random bytes of the operating system, fetched a batch at a time for each thread.
//
// A forked child must not hand out what its parent hands out. One page of the process is marked so that the
// kernel gives a child zeros in its place (MADV_WIPEONFORK, Linux 4.14); it holds a random number, the mark
// of the process, and a batch counts only while its own mark is that one. Where there is no such page nothing
// is batched. Every byte is handed out once and overwritten in the batch.

#include <sys/mman.h>
#include <sys/random.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <system_error>

#if !defined(__linux__)
#include <unistd.h>
#endif

namespace paidonce::inline v1 {
namespace detail {

/// Fills from the operating system's source. Throws std::system_error with its errno where that refuses.
inline void os_random(void* out, std::size_t size) {
  auto* bytes = static_cast<unsigned char*>(out);
  while (size > 0) {
#if defined(__linux__)
    const ssize_t got = ::getrandom(bytes, size, 0);
    if (got < 0 && errno == EINTR) continue;
#else
    const std::size_t part = size < 256 ? size : 256;
    const ssize_t got = ::getentropy(bytes, part) == 0 ? static_cast<ssize_t>(part) : -1;
#endif
    if (got <= 0) {
      throw std::system_error(got < 0 ? errno : EIO, std::generic_category(),
                              "the random source of the operating system failed");
    }
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
}

using ProcessMark = std::atomic<std::uint64_t>;

/// The mark of this process: zero until somebody sets it, and zero again in a child. Null: there is no such
/// page.
inline ProcessMark* process_mark() noexcept {
#if defined(MADV_WIPEONFORK)
  static ProcessMark* const mark = []() noexcept -> ProcessMark* {
    constexpr std::size_t size = sizeof(ProcessMark);
    void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return nullptr;
    if (::madvise(page, size, MADV_WIPEONFORK) == 0) return static_cast<ProcessMark*>(page);
    ::munmap(page, size);
    return nullptr;
  }();
  return mark;
#else
  return nullptr;
#endif
}

struct RandomBatch {
  std::uint64_t mark;
  std::size_t left;
  unsigned char bytes[512];
};

/// The batch of this thread; zeros at the start, which is an empty batch.
inline RandomBatch& random_batch() noexcept {
  static thread_local constinit RandomBatch batch{};
  return batch;
}

inline void refill(RandomBatch& batch, ProcessMark& mark) {
  batch.left = 0;
  std::uint64_t current = mark.load(std::memory_order_relaxed);
  while (current == 0) {  // the first of this process to come here, or a race with it
    std::uint64_t fresh = 0;
    os_random(&fresh, sizeof fresh);
    if (mark.compare_exchange_strong(current, fresh, std::memory_order_relaxed)) current = fresh;
  }
  os_random(batch.bytes, sizeof batch.bytes);
  batch.mark = current;
  batch.left = sizeof batch.bytes;
}

/// Fills `size` bytes; throws as `os_random`. Safe from any thread and after fork, not in a signal handler.
inline void random_fill(void* out, std::size_t size) {
  ProcessMark* const mark = process_mark();
  if (mark == nullptr || size > 64) return os_random(out, size);
  RandomBatch& batch = random_batch();
  const std::uint64_t current = mark->load(std::memory_order_relaxed);
  if (batch.left < size || batch.mark != current || current == 0) refill(batch, *mark);
  unsigned char* const from = batch.bytes + sizeof batch.bytes - batch.left;
  std::memcpy(out, from, size);
  std::memset(from, 0, size);
  batch.left -= size;
}

inline std::uint64_t random_u64() {
  std::uint64_t value;
  random_fill(&value, sizeof value);
  return value;
}

}  // namespace detail
}  // namespace paidonce::inline v1
