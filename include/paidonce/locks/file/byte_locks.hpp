#pragma once
// Locks on single bytes of one file, as open file descriptions hold them, and which byte is whose.

#include <fcntl.h>
#include <sys/stat.h>

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <paidonce/digest/sha256.hpp>
#include <paidonce/key.hpp>
#include <paidonce/stores/file/files.hpp>

#ifndef F_OFD_SETLK
#error \
    "paidonce: FileLock needs fcntl's F_OFD_SETLK (Linux 3.15, glibc 2.20 with _GNU_SOURCE); use KeyedMutex here"
#endif

namespace paidonce::inline v1 {

static_assert(sizeof(off_t) == 8,
              "paidonce: FileLock needs 64-bit offsets: compile with -D_FILE_OFFSET_BITS=64");

/// What a FileLock asks of the system. Each call behaves as the POSIX call behind it: -1 and errno where it
/// fails. A policy is copied into the lock; its calls are made from several threads.
template <class F>
concept LockFilePolicy = std::copy_constructible<F> &&
    requires(F& files, int fd, const char* name, off_t at, short type, struct ::stat& status) {
  { files.open_at(fd, name, fd) } -> std::same_as<int>;
  { files.status(fd, status) } -> std::same_as<int>;
  { files.status_of(name, status) } -> std::same_as<int>;
  { files.is_on_network(fd) } -> std::same_as<int>;
  { files.lock_byte(fd, at, type) } -> std::same_as<int>;
  { files.close(fd) } -> std::same_as<int>;
};

/// The operating system's own.
struct PosixLockFiles : PosixFiles {
  /// Locks (F_WRLCK) or frees (F_UNLCK) one byte, which need not exist; never waits. The lock belongs to the
  /// open file description: to all threads alike, to no other `open`, and it goes when the last descriptor is
  /// closed, as at the holder's death (fcntl(2), "Open file description locks").
  int lock_byte(int fd, off_t at, short type) {
    struct ::flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = at;
    range.l_len = 1;
    return ::fcntl(fd, F_OFD_SETLK, &range);
  }
};

static_assert(LockFilePolicy<PosixLockFiles>);

/// The byte of a key: 61 bits of the SHA-256 of `key.bytes()`, the same in every program and release, since
/// all that share a file must agree. Keys that met on one byte would wait for each other, nothing worse;
/// nobody who chooses keys can aim at another's. Even, so that bytes of two keys never touch: the kernel
/// joins what touches, and may have no memory to split it again at a release. Below 2^62.
struct KeyOffset {
  off_t operator()(const IdempotencyKey& key) const noexcept {
    const detail::Digest digest = detail::sha256(key.bytes());
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < 8; ++i) head = head << 8 | std::to_integer<std::uint64_t>(digest[i]);
    return static_cast<off_t>(head >> 3 << 1);
  }
};

}  // namespace paidonce::inline v1
