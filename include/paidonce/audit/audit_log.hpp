#pragma once
// An audit trail: an observer that writes what happens in a guard to a log of its own, in a directory of its
// own, in which each entry is tied to all before it. Who cuts or changes it is found out by
// audit/verify.hpp; docs/audit.md says what is found by what, and what is not.
//
//   on(event) → queue (memory, bounded) → writer (a thread: chain) → the file store's log (frames, syncs)

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include <paidonce/audit/core.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/audit/options.hpp>
#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/files.hpp>

namespace paidonce::inline v1 {

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads. Give it to the guard as an lvalue, and let it outlive the guard.
///
/// No payment fails by its audit: what cannot be written is kept in memory, tried again, and at last counted,
/// and the count is an entry of the log once writing works again. Entries are in the order in which the guard
/// called, which for one key is the order of its events; versions tell the order of changes beyond doubt.
/// Payloads and keys never enter it: a key by its name (`AuditKeys`), a record by state, attempts, version,
/// attempt id, amount and note.
///
/// In a forked child nothing is recorded, and nothing is told.
template <FilePolicy Files = PosixFiles, Clock C = SystemClock>
class BasicAuditLog {
  using Core = detail::AuditCore<Files, C>;
  using Weight = detail::AuditQueue::Weight;

 public:
  /// Opens the log in `directory`, or makes one: the directory itself where it is not there, its parent must
  /// be. Reads and verifies all of it.
  ///
  /// Throws `store_corrupt` where it was cut or changed: keep it as it is, as evidence, and begin a new one
  /// in another directory; `store_busy` while another handle has it open, here or in another process;
  /// `unsupported_format` where the directory holds a store, or a newer release wrote it; `invalid_options`;
  /// `unsafe_config` for a network file system; `store_full` and `store_unavailable` for what the disk says.
  explicit BasicAuditLog(const std::filesystem::path& directory, AuditLogOptions options = {},
                         Files files = {}, C clock = C()) try
      : core_(new Core(directory, std::move(options), std::move(files), std::forward<C>(clock))) {
  } catch (const Error& error) {
    detail::throw_named(error, "audit log " + directory.string());
  }

  void on(const events::Began& event) noexcept {
    core_->add(Core::entry_of(AuditKind::began, event.record), event.key, Weight::heavy);
  }
  void on(const events::Completed& event) noexcept {
    core_->add(Core::entry_of(AuditKind::completed, event.record), event.key, Weight::heavy);
  }
  void on(const events::InDoubt& event) noexcept {
    AuditEntry entry;
    entry.kind = AuditKind::in_doubt;
    entry.text = event.reason;
    core_->add(entry, event.key, Weight::heavy);
  }
  void on(const events::Replayed& event) noexcept {
    core_->add(Core::entry_of(AuditKind::replayed, event.record), event.key, Weight::light);
  }
  void on(const events::Refused& event) noexcept {
    AuditEntry entry;
    entry.kind = AuditKind::refused;
    entry.detail = static_cast<std::uint8_t>(event.refusal);
    core_->add(entry, event.key, Weight::light);
  }
  void on(const events::Waited& event) noexcept {
    AuditEntry entry;
    entry.kind = AuditKind::waited;
    entry.attempt_id = static_cast<std::uint64_t>(event.waited.count());
    core_->add(entry, event.key, Weight::light);
  }
  void on(const events::LeaseLost& event) noexcept {
    AuditEntry entry;
    entry.kind = AuditKind::lease_lost;
    entry.version = event.fence;
    core_->add(entry, event.key, Weight::heavy);
  }
  void on(const events::StoreFailed& event) noexcept {
    AuditEntry entry;
    entry.kind = AuditKind::store_failed;
    entry.detail = static_cast<std::uint8_t>(event.call);
    core_->add(entry, event.key, Weight::light);
  }

  /// Waits until all that was told before is on the disk. False: a try to write it failed, and it is kept for
  /// the next; or this is a forked child. Waits for ever on a disk that neither writes nor fails.
  bool flush() noexcept { return core_->is_own_process() && core_->queue().flush(); }

  /// The last entry that is on the disk. Publish it where those who can write to the directory cannot:
  /// `to_string(log.head())` in a log line, a metric, a mail.
  AuditHead head() const noexcept { return core_->is_own_process() ? core_->queue().head() : AuditHead(); }

  AuditStatus status() const { return core_->is_own_process() ? core_->queue().status() : AuditStatus(); }

 private:
  /// A child of a fork has no thread to join and must not touch the parent's lock: it leaves all as it is.
  struct Close {
    void operator()(Core* core) const noexcept {
      if (core->is_own_process()) delete core;
    }
  };

  std::unique_ptr<Core, Close> core_;
};

/// The log on the operating system's own files.
using AuditLog = BasicAuditLog<>;

static_assert(Observer<AuditLog>);

}  // namespace paidonce::inline v1
