#pragma once
// A transaction of a PostgresStore. It begins with its first statement, in the same round trip; a record that
// it has written itself, and that it holds locked therefore, is replaced in the round trip of the commit.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/postgres/failure.hpp>
#include <paidonce/stores/postgres/operation.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/pool.hpp>
#include <paidonce/stores/postgres/repeat.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1 {

/// What the body of a transaction works on; itself a store. Belongs to the thread that runs the body, and
/// ends with it. Any call that throws has undone all of the transaction.
class PostgresTransaction {
 public:
  PostgresTransaction(const PostgresTransaction&) = delete;
  PostgresTransaction& operator=(const PostgresTransaction&) = delete;
  ~PostgresTransaction() { roll_back(); }

  std::optional<Record> find(const IdempotencyKey& key) {
    if (const Own* own = find_own(key); own && own->pending) return *own->pending;
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::find, key);
    execute(operation);
    return std::move(operation.found);
  }

  /// Waits for a transaction that has written the key, for `lock_timeout`; then `store_busy`.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    detail::check_size(options_, record);
    if (const Own* own = find_own(key); own && own->pending) return *own->pending;
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::insert, key, &record);
    execute(operation);
    if (!operation.found) remember(key, record.version);
    return std::move(operation.found);
  }

  /// Likewise. True for a record that this transaction has written means that it is replaced where the
  /// transaction commits: it is sent with the commit, or before `native()`.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    detail::check_size(options_, record);
    if (Own* const own = find_own(key)) {
      if (own->version != expected) return false;
      if (!own->pending) own->stored = own->version;
      own->pending = record;
      own->version = record.version;
      return true;
    }
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::replace, key, &record, expected);
    execute(operation);
    if (operation.replaced) remember(key, record.version);
    return operation.replaced;
  }

  /// libpq's handle, for rows of the application's own: everything that this transaction was told so far has
  /// been sent, and PQexec and its relatives run in the transaction. It must be left as it is found, with
  /// all answers read, and the transaction not ended: `transact` throws `std::logic_error` otherwise.
  /// statement_timeout and lock_timeout are those of the store, for this transaction.
  PGconn* native() {
    if (!begun_) begin_alone();
    flush();
    if (!connection_->usable()) throw detail::PostgresConnection::lost();  // the body passed over why
    handed_out_ = true;
    connection_->leave_pipeline();
    return connection_->native();
  }

  /// For PostgresStore.
  PostgresTransaction(detail::PostgresPool& pool, const detail::PostgresStatements& sql,
                      const PostgresStoreOptions& options)
      : sql_(sql), options_(options), lease_(pool), connection_(&lease_.ready()) {
    lock_timeout_ = std::to_string(options.lock_timeout.count());
    statement_timeout_ = std::to_string(options.statement_timeout.count());
    idle_timeout_ = std::to_string(options.idle_in_transaction_timeout.count());
    token_ = std::to_string(detail::random_u64());
    for (const std::string* each : {&lock_timeout_, &statement_timeout_, &idle_timeout_, &token_})
      limits_.bytes(*each);
    seal_.bytes(token_);
  }

  /// For PostgresStore. Throws `store_unavailable` where the answer did not come: nobody knows then.
  void commit() {
    if (!begun_) return;
    check_handle();
    std::vector<Surely> writes = pending_writes();
    std::vector<detail::PostgresRequest> requests;
    requests.reserve(writes.size() + 2);
    for (const Surely& write : writes) requests.push_back({sql_.replace_surely, write->parameters});
    if (handed_out_) requests.push_back({sql_.seal, seal_});
    requests.push_back({sql_.commit, none_});
    begun_ = false;  // whatever comes, there is nothing left to roll back, or a connection that is closed
    const detail::PostgresAnswers answers = connection_->run(requests, deadline());
    if (answers.failure.empty()) {
      if (answers.results.back().tag() == "COMMIT") return;
      throw Error(errc::store_unavailable, "the server rolled the transaction back instead of committing it");
    }
    begun_ = connection_->usable() && PQtransactionStatus(connection_->native()) != PQTRANS_IDLE;
    roll_back();
    if (answers.failure == "22012")  // our own divisions by zero
      throw std::logic_error(
          "paidonce: the body of a transaction ended it, or changed the payment's record, through native()");
    throw detail::postgres_error(answers.failure);
  }

 private:
  /// A record that this transaction has written.
  struct Own {
    std::string key;
    Version version;     // as this transaction sees it
    Version stored = 0;  // as the server has it, where one is pending
    std::optional<Record> pending = {};
  };
  /// One pending write, with what its parameters refer to.
  struct Write {
    detail::PostgresParameters parameters = {};
    std::string fingerprint = {};
  };
  using Surely = std::unique_ptr<Write>;

  Own* find_own(const IdempotencyKey& key) noexcept {
    for (Own& own : own_)
      if (own.key == key.bytes()) return &own;
    return nullptr;
  }
  void remember(const IdempotencyKey& key, Version version) {
    own_.push_back({std::string(key.bytes()), version});
  }

  /// The server ends statements by itself, which leaves the connection alive; a little later so do we.
  detail::PostgresDeadline deadline() const {
    return detail::postgres_deadline(options_.statement_timeout + Duration(500));
  }

  /// Leaves the connection as `native()` has shown it.
  detail::PostgresAnswers run(std::vector<detail::PostgresRequest> requests) {
    detail::PostgresAnswers answers = connection_->run(requests, deadline());
    if (handed_out_) connection_->leave_pipeline();
    return answers;
  }

  void execute(detail::PostgresOperation& operation) {
    detail::PostgresRepeats repeats(deadline());
    detail::PostgresCall call(sql_, operation, lock_timeout_);
    do {
      check_handle();
      detail::PostgresAnswers answers;
      if (begun_) {
        answers = run({{call.request()}});
      } else {
        begun_ = true;
        answers = run({{{sql_.begin, none_}, {sql_.limits, limits_}, call.request()}});
      }
      answers.expect_done();
      if (call.read(answers.results.back()) == detail::PostgresFate::done) return;
    } while (repeats.again());
    throw Error(errc::store_busy, "a record of that key comes and goes; it was asked for in vain");
  }

  void begin_alone() {
    begun_ = true;
    run({{{sql_.begin, none_}, {sql_.limits, limits_}}}).expect_done();
  }

  std::vector<Surely> pending_writes() const {
    std::vector<Surely> writes;
    for (const Own& own : own_) {
      if (!own.pending) continue;
      writes.push_back(std::make_unique<Write>());
      Write& write = *writes.back();
      detail::add_row(write.parameters, own.key, *own.pending, write.fingerprint);
      write.parameters.bytes(lock_timeout_);
      write.parameters.integer(static_cast<std::int64_t>(own.stored));
    }
    return writes;
  }

  void flush() {
    const std::vector<Surely> writes = pending_writes();
    if (writes.empty()) return;
    check_handle();
    std::vector<detail::PostgresRequest> requests;
    for (const Surely& write : writes) requests.push_back({sql_.replace_surely, write->parameters});
    run(requests).expect_done();
    for (Own& own : own_) own.pending.reset();
  }

  /// What the body did through `native()` is over, and the transaction is not.
  void check_handle() {
    if (!begun_ || !handed_out_) return;
    PGconn* const handle = connection_->native();
    if (!connection_->usable()) throw detail::PostgresConnection::lost();
    const bool busy = PQisBusy(handle) || PQpipelineStatus(handle) != PQ_PIPELINE_OFF;
    switch (busy ? PQTRANS_ACTIVE : PQtransactionStatus(handle)) {
      case PQTRANS_INTRANS: return;
      case PQTRANS_INERROR:
        throw Error(errc::store_unavailable,
                    "a statement that the body of a transaction ran has failed: all of it is rolled back");
      case PQTRANS_IDLE:
        begun_ = false;
        throw std::logic_error("paidonce: the body of a transaction ended it through native()");
      case PQTRANS_ACTIVE:
        connection_->close();
        throw std::logic_error(
            "paidonce: the body of a transaction left a statement of native() unfinished: read all answers, "
            "and "
            "leave the pipeline");
      case PQTRANS_UNKNOWN: break;
    }
    connection_->close();
    throw detail::PostgresConnection::lost();
  }

  void roll_back() noexcept {
    if (!std::exchange(begun_, false)) return;
    try {
      if (!connection_->usable()) return connection_->close();
      if (PQtransactionStatus(connection_->native()) == PQTRANS_ACTIVE ||
          !connection_->run({{sql_.rollback, none_}}, deadline()).failure.empty())
        connection_->close();
    } catch (...) {
      connection_->close();
    }
  }

  const detail::PostgresStatements& sql_;
  const PostgresStoreOptions& options_;
  detail::PostgresPool::Lease lease_;
  detail::PostgresConnection* connection_;
  std::string lock_timeout_, statement_timeout_, idle_timeout_, token_;
  detail::PostgresParameters limits_ = {}, seal_ = {}, none_ = {};
  std::vector<Own> own_ = {};
  bool begun_ = false;
  bool handed_out_ = false;  // `native()` was called
};

}  // namespace paidonce::inline v1
