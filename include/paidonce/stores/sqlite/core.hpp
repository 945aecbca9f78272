#pragma once
// What a handle owns: admits calls, and has concurrent writes done in one transaction.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/combine/combiner.hpp>
#include <paidonce/stores/sqlite/database_file.hpp>
#include <paidonce/stores/sqlite/options.hpp>
#include <paidonce/stores/sqlite/readers.hpp>
#include <paidonce/stores/sqlite/turns.hpp>
#include <paidonce/stores/sqlite/writer.hpp>

namespace paidonce::inline v1::detail {

/// What one caller wants written, and what became of it.
struct SqliteOperation : CombinedOperation {
  enum class Kind : std::uint8_t { insert, replace, erase };

  SqliteOperation(Kind the_kind, const IdempotencyKey& the_key, Version if_version, const Record& to_write,
                  SteadyTime until) noexcept
      : CombinedOperation(the_key.bytes()),
        kind(the_kind),
        deadline(until),
        record(&to_write),
        expected(if_version) {}
  /// Erases up to `most` records that have expired. A batch holds one of these at most: its key, which no
  /// payment has, is the same for all.
  SqliteOperation(Timestamp now, std::size_t most, SteadyTime until) noexcept
      : CombinedOperation({}), kind(Kind::erase), deadline(until), expired_by(now), most_erased(most) {}

  const Kind kind;
  const SteadyTime deadline;
  const Record* const record = nullptr;
  const Version expected = 0;
  const Timestamp expired_by = {};
  const std::size_t most_erased = 0;

  bool stored = false;
  std::optional<Record> there = {};  // of an insert that was not
  std::size_t erased = 0;
};

class SqliteStoreCore {
 public:
  SqliteStoreCore(const std::filesystem::path& path, SqliteStoreOptions options)
      : options_((check(options), std::move(options))),
        file_(path),
        writer_(file_.path(), options_, deadline()),
        readers_(file_.path(), options_),
        combiner_(1, options_.max_batch) {
    file_.remember();
    if (int moved = 0;
        sqlite3_file_control(writer_.native(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
        moved != 0)
      file_.throw_replaced();
  }
  SqliteStoreCore(const SqliteStoreCore&) = delete;
  SqliteStoreCore& operator=(const SqliteStoreCore&) = delete;

  bool is_own_process() const noexcept { return own_.is_this_one(); }
  const SqliteStoreOptions& options() const noexcept { return options_; }

  std::optional<Record> find(const IdempotencyKey& key) {
    admit();
    return readers_.with([&](SqliteReader& reader) { return reader.find(key.bytes()); });
  }

  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    SqliteOperation operation(SqliteOperation::Kind::insert, key, 0, record, deadline());
    write(operation);
    if (!operation.stored && !operation.there) throw_ignored();
    return std::move(operation.there);
  }

  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    SqliteOperation operation(SqliteOperation::Kind::replace, key, expected, record, deadline());
    write(operation);
    return operation.stored;
  }

  /// A few at a time, in the batches of payments that come meanwhile: they share the sync.
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    std::size_t erased = 0;
    while (erased < limit) {
      SqliteOperation few(now, std::min(limit - erased, most_erased_at_once), deadline());
      write(few);
      erased += few.erased;
      if (few.erased < few.most_erased) break;
    }
    return erased;
  }

  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor& visitor) {
    admit();
    std::size_t left = filter.limit;
    std::string after = filter.after;
    SqliteReader::Page page;
    for (bool more = true; more && left > 0;) {
      page.clear();
      more = readers_.with(
          [&](SqliteReader& reader) { return reader.read_page(filter, options_.table, after, left, page); });
      for (const auto& [bytes, record] : page) {
        const IdempotencyKey key = IdempotencyKey::from_bytes(bytes);
        if (!visitor(key, record)) return;
      }
      left -= page.size();
    }
  }

  template <class Body>
  void transact(Body&& body) {
    admit();
    turns_.refuse_holder();
    const auto turn = writers_turn(deadline());
    writer_.transact([&] { body(writer_); });
    transactions_.fetch_add(1, std::memory_order_relaxed);
  }

  SqliteStoreStats stats() const noexcept {
    const auto combined = combiner_.counts();
    const auto checkpoints = writer_.checkpoints();
    return {.operations = combined.operations,
            .batches = combined.batches,
            .waiting = combiner_.queued(),
            .transactions = transactions_.load(std::memory_order_relaxed),
            .log_pages = checkpoints.log_pages,
            .checkpoints = checkpoints.complete,
            .held_up_checkpoints = checkpoints.held_up,
            .failed_checkpoints = checkpoints.failed};
  }

 private:
  /// What erasing adds to a batch of payments: a part of what its sync takes.
  static constexpr std::size_t most_erased_at_once = 16;

  SteadyTime deadline() const noexcept { return std::chrono::steady_clock::now() + options_.busy_timeout; }

  void admit() const {
    if (!own_.is_this_one())
      throw Error(
          errc::store_forked,
          "this SqliteStore was opened before a fork and belongs to the parent: open one in the child");
    refuse_poisoned();
    file_.check_same();
  }
  void refuse_poisoned() const {
    if (writer_.is_poisoned())
      throw Error(errc::store_poisoned,
                  "a write to the disk has failed in this store, which answers nothing any more: reopen it");
  }

  /// The writing connection, which waits for other processes until then as well.
  Turns::Turn writers_turn(SteadyTime until) {
    Turns::Turn turn = turns_.take(until);
    refuse_poisoned();
    writer_.set_deadline(until);
    return turn;
  }

  void write(SqliteOperation& operation) {
    if (operation.record) check_lengths(*operation.record, options_);
    admit();
    turns_.refuse_holder();
    combiner_.run(operation,
                  [this](std::span<SqliteOperation* const> batch, std::size_t) { execute(batch); });
  }

  void execute(std::span<SqliteOperation* const> batch) {
    SteadyTime until = batch.front()->deadline;
    for (const SqliteOperation* each : batch) until = std::min(until, each->deadline);
    const auto turn = writers_turn(until);
    if (batch.size() == 1) return execute_alone(*batch.front());
    if (!execute_together(batch))
      for (SqliteOperation* const each : batch) {
        try {
          refuse_poisoned();
          execute_alone(*each);
        } catch (...) {
          each->failure = std::current_exception();
        }
      }
  }

  /// One statement; what is in the way of an insert is read behind it.
  void make(SqliteOperation& each) {
    switch (each.kind) {
      case SqliteOperation::Kind::insert:
        each.stored = writer_.insert(each.key, *each.record);
        if (!each.stored) each.there = writer_.find(each.key);
        break;
      case SqliteOperation::Kind::replace:
        each.stored = writer_.replace(each.key, each.expected, *each.record);
        break;
      case SqliteOperation::Kind::erase:
        each.erased = static_cast<std::size_t>(writer_.erase(each.expired_by, each.most_erased));
        break;
    }
  }

  /// A statement of its own is a transaction of its own. So another process can erase what was in the way of
  /// an insert before it is read: then there is room.
  void execute_alone(SqliteOperation& each) {
    do make(each);
    while (each.kind == SqliteOperation::Kind::insert && !each.stored && !each.there &&
           std::chrono::steady_clock::now() < each.deadline);
  }

  /// False: nothing was done, since one of them failed; who that was is seen when each is done alone.
  bool execute_together(std::span<SqliteOperation* const> batch) {
    writer_.begin();
    try {
      for (SqliteOperation* const each : batch) make(*each);
      writer_.commit();
      return true;
    } catch (const Error& error) {
      writer_.roll_back();
      if (!is_of_one_row(error)) throw;
    } catch (...) {
      writer_.roll_back();
      throw;
    }
    for (SqliteOperation* const each : batch) {
      each->stored = false;
      each->there.reset();
    }
    return false;
  }

  /// Whether the others may fare better without that row.
  static bool is_of_one_row(const Error& error) noexcept {
    return error.code() == errc::store_full || error.code() == errc::invalid_options ||
           error.code() == errc::store_corrupt || error.code() == errc::unsupported_format;
  }

  const OwnProcess own_;
  const SqliteStoreOptions options_;
  SqliteFile file_;
  Turns turns_;
  SqliteWriter writer_;
  SqliteReaders readers_;
  Combiner<SqliteOperation> combiner_;
  std::atomic<std::uint64_t> transactions_{0};
};

}  // namespace paidonce::inline v1::detail
