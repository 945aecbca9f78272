#pragma once
// Records in a SQLite database: one host, many processes, and rows of the application in the same
// transaction. SQLite 3.35 or newer.
//
// WAL and synchronous=FULL: what was acknowledged survives the process and the machine losing power.
// Concurrent writes of a process share one transaction, and so one sync; find and scan read beside them. The
// parts are in stores/sqlite/: core (admits, combines) → writer (transactions) → records (statements),
// readers beside it, schema (tables), database_file (the file itself). docs/stores/sqlite.md has its
// operation.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/sqlite/core.hpp>
#include <paidonce/stores/sqlite/options.hpp>

namespace paidonce::inline v1 {

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads. Several handles and processes may have the same file open.
///
/// What every call may throw: `store_busy` when others held the database for as long as `busy_timeout`, and
/// nothing was changed; `store_replaced` where the file is not the one any more that was opened, nothing was
/// changed; `store_forked` in a child that was forked while it was open; `store_corrupt`;
/// `store_unavailable`, after which a write may be stored or not; `store_poisoned` once the disk has failed a
/// write: that one may be stored or not, and nothing is answered any more until the store is opened again;
/// `std::bad_alloc`.
class SqliteStore {
 public:
  static constexpr bool local_find = true;

  /// Opens the database file, or makes it, of mode 0600 in a directory that is there, and its tables. What a
  /// process that died had not synced yet is synced before this returns.
  ///
  /// Throws `invalid_options`, also for `:memory:` and for a link in place of the file; `unsafe_config` where
  /// writes could not be kept: on a network file system, without a write-ahead log, or without permission to
  /// write; `store_corrupt` for what is no database; `unsupported_format` for tables of a newer release.
  explicit SqliteStore(const std::filesystem::path& file, SqliteStoreOptions options = {})
      : core_(new detail::SqliteStoreCore(file, std::move(options))) {}

  /// Waits for nobody. `nullopt`: there is no record.
  std::optional<Record> find(const IdempotencyKey& key) { return core_->find(key); }

  /// `nullopt`: the record is on disk. Otherwise what is there. Throws `store_full` where the disk has no
  /// room, or the record is too long, and `invalid_options` where a trigger or constraint that somebody has
  /// added to the table refuses it: nothing was changed (but RAISE(FAIL) means in SQLite that the row stays).
  /// std::logic_error from within `transact`.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return core_->insert(key, record);
  }

  /// True: the record is on disk in place of version `expected`. False: that is not the version any more.
  /// Throws as `insert`.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    return core_->replace(key, expected, record);
  }

  /// In the order of the keys' bytes. What is written meanwhile is visited or not. Neither lock nor snapshot
  /// is held while the visitor runs; it may call the store. A scan of what is in progress or in doubt alone
  /// costs what there is of that, not what is stored.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    core_->scan(filter, visitor);
  }

  /// Erases completed records, and released ones without a checkpoint, whose `expires_at` has come by `now`,
  /// those first that expired first; a few at a time, in one transaction with the payments that come
  /// meanwhile.
  std::size_t erase_expired(Timestamp now, std::size_t limit) { return core_->erase_expired(now, limit); }

  /// What the body of a transaction works on; itself a store. Sees its own writes; nobody else does before
  /// the commit. Belongs to the thread that runs the body, and ends with it.
  class Transaction {
   public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    std::optional<Record> find(const IdempotencyKey& key) { return writer_.find(key.bytes()); }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      detail::check_lengths(record, options_);
      if (writer_.insert(key.bytes(), record)) return std::nullopt;
      std::optional<Record> there = find(key);
      if (!there) detail::throw_ignored();
      return there;
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      detail::check_lengths(record, options_);
      return writer_.replace(key.bytes(), expected, record);
    }

    /// The connection, within BEGIN IMMEDIATE: for the application's own rows. Not to be closed, nor the
    /// transaction ended; statements are finalized before the body ends.
    sqlite3* native() noexcept { return writer_.native(); }

   private:
    friend class SqliteStore;
    Transaction(detail::SqliteWriter& writer, const SqliteStoreOptions& options) noexcept
        : writer_(writer), options_(options) {}
    detail::SqliteWriter& writer_;
    const SqliteStoreOptions& options_;
  };

  /// Runs `body(Transaction&)` once within BEGIN IMMEDIATE, commits when it returns, rolls back and passes on
  /// what it throws. `store_busy`: the body was not called. Nobody else writes to the database meanwhile, in
  /// this process or another: they wait, up to their `busy_timeout`. The body may read past the transaction
  /// by `find`; to write past it is std::logic_error, and so is a body that has ended the transaction.
  template <class Body>
  void transact(Body&& body) {
    core_->transact([&](detail::SqliteWriter& writer) {
      Transaction transaction(writer, core_->options());
      body(transaction);
    });
  }

  SqliteStoreStats stats() const { return core_->stats(); }

 private:
  /// A child of a fork must not touch the parent's connections, nor close them: it leaves all as it is.
  /// https://www.sqlite.org/howtocorrupt.html, 2.6
  struct Close {
    void operator()(detail::SqliteStoreCore* core) const noexcept {
      if (core->is_own_process()) delete core;
    }
  };

  std::unique_ptr<detail::SqliteStoreCore, Close> core_;
};

}  // namespace paidonce::inline v1
