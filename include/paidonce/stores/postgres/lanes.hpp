#pragma once
// Single operations, combined: callers queue, and a connection for each lane takes what is queued as a batch.
// An operation that meets a row which somebody else's transaction holds does not keep its batch waiting: its
// own caller waits, on a connection of the pool.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/stores/combine/combiner.hpp>
#include <paidonce/stores/postgres/batch.hpp>
#include <paidonce/stores/postgres/connector.hpp>
#include <paidonce/stores/postgres/failure.hpp>
#include <paidonce/stores/postgres/operation.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/pool.hpp>
#include <paidonce/stores/postgres/repeat.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe.
class PostgresLanes {
 public:
  PostgresLanes(PostgresConnector& connector, PostgresPool& pool, const PostgresStatements& sql,
                const PostgresStoreOptions& options)
      : connector_(connector),
        pool_(pool),
        sql_(sql),
        options_(options),
        short_lock_timeout_(std::to_string(std::min(options.lock_timeout, lane_lock_timeout).count())),
        lock_timeout_(std::to_string(options.lock_timeout.count())),
        combiner_(options.lanes, options.max_batch) {
    lanes_.reserve(options.lanes);
    while (lanes_.size() < options.lanes) lanes_.push_back(Lane{{}, PostgresBatch(sql), {}});
  }

  void run(PostgresOperation& operation) {
    combiner_.run(operation, [this](std::span<PostgresOperation* const> batch, std::size_t lane) {
      execute(batch, lanes_[lane]);
    });
    if (operation.met_lock) run_alone(operation);
  }

  /// Opens the first lane's connection, and throws where that cannot be.
  void open_first() { connector_.open_now(lanes_[0].slot); }

  auto counts() const noexcept { return combiner_.counts(); }
  std::size_t queued() const noexcept { return combiner_.queued(); }
  std::uint64_t repeats() const noexcept { return repeats_.load(std::memory_order_relaxed); }
  std::uint64_t undone() const noexcept { return undone_.load(std::memory_order_relaxed); }

 private:
  struct Lane {
    PostgresSlot slot;
    PostgresBatch batch;
    std::vector<PostgresOperation*> open;  // asked again, each for itself
  };

  /// What a row in the middle of somebody's commit takes; longer than that, and it is a transaction's.
  static constexpr Duration lane_lock_timeout{100};

  void execute(std::span<PostgresOperation* const> batch, Lane& lane) {
    PostgresConnection& connection = connector_.ready(lane.slot);
    const PostgresDeadline deadline = postgres_deadline(options_.statement_timeout);
    while (!batch.empty()) {
      const std::size_t length = pipeline_length(batch);
      together(connection, batch.first(length), lane, deadline);
      batch = batch.subspan(length);
    }
  }

  /// In one pipeline; where that is undone, each for itself.
  void together(PostgresConnection& connection, std::span<PostgresOperation* const> batch, Lane& lane,
                PostgresDeadline deadline) {
    if (batch.size() == 1) return one_by_one(connection, batch, deadline);
    lane.open.clear();
    try {
      if (!connection.usable()) throw PostgresConnection::lost();
      const std::string failure = lane.batch.run(connection, batch, short_lock_timeout_, deadline, lane.open);
      if (failure.empty()) return one_by_one(connection, lane.open, deadline);
    } catch (...) {
      for (PostgresOperation* const each : batch) each->failure = std::current_exception();
      return;
    }
    undone_.fetch_add(1, std::memory_order_relaxed);
    one_by_one(connection, batch, deadline);
  }

  /// Each for itself: what one meets does not concern the others, unless the connection is lost.
  void one_by_one(PostgresConnection& connection, std::span<PostgresOperation* const> batch,
                  PostgresDeadline deadline) {
    const std::string* patience = &short_lock_timeout_;
    for (PostgresOperation* const each : batch) {
      try {
        if (!connection.usable()) throw PostgresConnection::lost();
        run_one(connection, *each, *patience, deadline);
      } catch (const LockMet&) {
        each->met_lock = true;
        patience = &no_lock_timeout_;
      } catch (...) {
        each->failure = std::current_exception();
      }
    }
  }

  struct LockMet {};

  void run_one(PostgresConnection& connection, PostgresOperation& operation, const std::string& lock_timeout,
               PostgresDeadline deadline) {
    PostgresCall call(sql_, operation, lock_timeout);
    PostgresRepeats repeats(deadline);
    for (;;) {
      const PostgresAnswers answers = connection.run({call.request()}, deadline);
      if (answers.failure.empty()) {
        if (call.read(answers.results[0]) == PostgresFate::done) return;
      } else {
        const PostgresVerdict verdict = verdict_of(answers.failure);
        if (verdict == PostgresVerdict::locked && &lock_timeout != &lock_timeout_) throw LockMet{};
        if (verdict != PostgresVerdict::repeat) throw postgres_error(answers.failure);
      }
      repeats_.fetch_add(1, std::memory_order_relaxed);
      if (!repeats.again()) throw postgres_error("40001");
    }
  }

  void run_alone(PostgresOperation& operation) {
    PostgresPool::Lease lease(pool_);
    run_one(lease.ready(), operation, lock_timeout_, postgres_deadline(options_.statement_timeout));
  }

  PostgresConnector& connector_;
  PostgresPool& pool_;
  const PostgresStatements& sql_;
  const PostgresStoreOptions& options_;
  const std::string no_lock_timeout_ = "1", short_lock_timeout_, lock_timeout_;
  std::vector<Lane> lanes_;
  Combiner<PostgresOperation> combiner_;
  std::atomic<std::uint64_t> repeats_{0}, undone_{0};
};

}  // namespace paidonce::inline v1::detail
