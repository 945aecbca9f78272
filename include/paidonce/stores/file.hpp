#pragma once
// Records in one directory of a local disk: what was acknowledged survives the process and the machine losing
// power, at any moment. One process at a time; no server; the standard library and POSIX only.
//
// Writes are appended to a log, many callers sharing one sync; all records are in memory, so that reading
// costs no I/O. The parts are in stores/file/, in the order in which a write goes through them:
//
//   core (opens, admits) → durable_index (compares, marks) → group_commit (gathers) → log (writes, syncs)
//
// beside it segment_supply (room prepared ahead) and compaction (room given back); recovery reads it all
// back. docs/file_format.md has the bytes, docs/file_store.md what to do about each error.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/file/async_calls.hpp>
#include <paidonce/stores/file/core.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/file_write.hpp>
#include <paidonce/stores/file/files.hpp>
#include <paidonce/stores/file/options.hpp>
#include <paidonce/stores/file/sweep.hpp>
#include <paidonce/stores/memory/record_page.hpp>

namespace paidonce::inline v1 {

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads.
///
/// What every call may throw: `store_poisoned` once a write or sync has failed (nothing is answered any more
/// until the store is opened again); `store_forked` in a child that was forked while it was open;
/// `std::bad_alloc`. A call that throws `store_full`, `store_replaced` or `std::bad_alloc` has changed
/// nothing.
///
/// `Files` makes the system calls; `Hash` is called with a key and must not throw.
template <FilePolicy Files = PosixFiles, class Hash = KeyHash>
class BasicFileStore {
  using Core = detail::FileStoreCore<Files, Hash>;

 public:
  static constexpr bool local_find = true;

  /// Opens the store in `directory`, or makes one: the directory itself where it is not there, its parent
  /// must be. Returns when all of the log has been read and what of it was not known to be synced is.
  ///
  /// Throws `store_busy` while another handle has it open, here or in another process; `store_corrupt`
  /// where the log is damaged, naming file and offset; `unsupported_format` where a newer release wrote it;
  /// `invalid_options`; `unsafe_config` for a network file system; `store_full` and `store_unavailable` for
  /// what the disk says. Nothing on the disk is lost by any of these.
  explicit BasicFileStore(const std::filesystem::path& directory, FileStoreOptions options = {},
                          Files files = {}, Hash hash = {});

  /// `nullopt`: there is no record. Waits for a write to the same key that is not on disk yet.
  std::optional<Record> find(const IdempotencyKey& key);

  /// `nullopt`: the record is on disk. Otherwise what is there. Throws `store_full` where neither the disk
  /// nor what is reserved has room, or the record is too long; `store_replaced` where the directory was
  /// moved.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record);

  /// True: the record is on disk in place of version `expected`. False: that is not the version any more.
  /// Throws as `insert`.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record);

  /// As the calls above, without waiting: `handler(std::exception_ptr, result)` is called once, on the
  /// store's commit thread or, where nothing has to be waited for, before the call returns. It may call the
  /// store again in this way, must not block it and must not throw. What is passed by reference outlives the
  /// handler's call. Throws, and calls no handler, only where nothing was begun.
  template <class Handler>
  void async_find(const IdempotencyKey& key, Handler handler) {
    detail::async_find(*core_, key, std::move(handler));
  }
  template <class Handler>
  void async_insert(const IdempotencyKey& key, const Record& record, Handler handler) {
    detail::async_insert(*core_, key, record, std::move(handler));
  }
  template <class Handler>
  void async_replace(const IdempotencyKey& key, Version expected, const Record& record, Handler handler) {
    detail::async_replace(*core_, key, expected, record, std::move(handler));
  }

  /// In the order of the keys' hashes, which stays the same from scan to scan of one handle. What is written
  /// meanwhile is visited or not; what is visited is on disk. No lock is held while the visitor runs; it may
  /// call the store. A scan of what is in progress or in doubt alone costs what there is of that, not what is
  /// stored.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor);

  /// Erases completed records, and released ones without a checkpoint, whose `expires_at` has come by `now`,
  /// durably. Goes on where the last call stopped, so that many small calls come round to every record. One
  /// that is being written at the moment, by a compaction too, is left for the next round.
  std::size_t erase_expired(Timestamp now, std::size_t limit);

  /// Whether the process that began this attempt is dead, for records in progress and in doubt: the attempt
  /// was unfinished in the log when this process opened the store, and another process had written that log.
  /// One that had the store open earlier in this process proves nothing.
  bool holder_gone(const IdempotencyKey&, const Record& record);

  /// Writes again what is still current in all segments but the newest, and drops them; returns how many it
  /// dropped. Payments go on meanwhile. With `Housekeeping::background` this happens by itself.
  std::size_t compact();

  FileStoreStats stats() const;

 private:
  /// A child of a fork has no threads to join and must not touch the parent's locks: it leaves all as it is.
  struct Close {
    void operator()(Core* core) const noexcept;
  };

  std::unique_ptr<Core, Close> core_;
};

/// The store on the operating system's own files.
using FileStore = BasicFileStore<>;

// Not in the class, so that they are not inline: a program with several sources compiles them once where it
// says `extern template class paidonce::BasicFileStore<>;` in all and `template class …` in one.

template <FilePolicy Files, class Hash>
BasicFileStore<Files, Hash>::BasicFileStore(const std::filesystem::path& directory, FileStoreOptions options,
                                            Files files, Hash hash) try
    : core_(new Core(directory, std::move(options), std::move(files), std::move(hash))) {
} catch (const Error& error) {
  detail::throw_named(error, directory.string());
}

template <FilePolicy Files, class Hash>
std::optional<Record> BasicFileStore<Files, Hash>::find(const IdempotencyKey& key) {
  core_->check_usable();
  std::optional<Record> found;
  core_->await(core_->index().find(core_->index().place_of(key), key, found));
  return found;
}

template <FilePolicy Files, class Hash>
std::optional<Record> BasicFileStore<Files, Hash>::insert(const IdempotencyKey& key, const Record& record) {
  detail::FileWrite<Core> write(*core_, key, record);
  detail::PendingFrame frame(detail::PendingFrame::Tells::waiter);
  std::optional<Record> there;
  for (;;) {
    const auto found = write.insert(frame, there);
    if (found.met == Core::Met::nothing) {
      core_->commit().settle(frame);
      core_->wrote();
      return std::nullopt;
    }
    core_->await(found.awaited);
    if (found.met == Core::Met::another) return there;
  }
}

template <FilePolicy Files, class Hash>
bool BasicFileStore<Files, Hash>::replace(const IdempotencyKey& key, Version expected, const Record& record) {
  detail::FileWrite<Core> write(*core_, key, record);
  detail::PendingFrame frame(detail::PendingFrame::Tells::waiter);
  for (;;) {
    const auto found = write.replace(frame, expected);
    if (found.met == Core::Met::nothing) {
      core_->commit().settle(frame);
      core_->wrote();
      return true;
    }
    core_->await(found.awaited);
    if (found.met == Core::Met::another) return false;
  }
}

template <FilePolicy Files, class Hash>
std::size_t BasicFileStore<Files, Hash>::erase_expired(Timestamp now, std::size_t limit) {
  core_->check_usable();
  const std::size_t erased = detail::Sweep<Core>(*core_, now).erase(limit);
  if (erased > 0) core_->poke();
  return erased;
}

template <FilePolicy Files, class Hash>
bool BasicFileStore<Files, Hash>::holder_gone(const IdempotencyKey&, const Record& record) {
  return core_->holder_gone(record);
}

template <FilePolicy Files, class Hash>
std::size_t BasicFileStore<Files, Hash>::compact() {
  return core_->compact();
}

template <FilePolicy Files, class Hash>
FileStoreStats BasicFileStore<Files, Hash>::stats() const {
  return core_->stats();
}

template <FilePolicy Files, class Hash>
void BasicFileStore<Files, Hash>::Close::operator()(Core* core) const noexcept {
  if (core->is_own_process()) delete core;
}

template <FilePolicy Files, class Hash>
template <class Visitor>
void BasicFileStore<Files, Hash>::scan(const ScanFilter& filter, Visitor&& visitor) {
  core_->check_usable();
  if (filter.limit == 0) return;
  auto& shards = core_->index().shards();
  auto cursor = shards.begin_of(filter.after);
  detail::RecordPage page;
  std::vector<const detail::PackedRecord*> room;
  std::size_t left = filter.limit;
  const auto visit = [&](const IdempotencyKey& key, const Record& record) {
    return visitor(key, record) && --left > 0;
  };
  for (;;) {
    page.clear();
    std::uint64_t awaited = 0;
    shards.read_page(filter, cursor, room, left, [&](const detail::PackedRecord& block) {
      const auto mark = detail::FrameMark::of(block);
      if (mark.erased) return true;
      if (mark.awaited() > awaited) awaited = mark.awaited();
      return page.add(block);
    });
    core_->await(awaited);
    if (!page.visit(visit) || shards.at_end(cursor)) return;
    std::this_thread::yield();  // here rather than where the scheduler has it, which may be in a lock
  }
}

}  // namespace paidonce::inline v1
