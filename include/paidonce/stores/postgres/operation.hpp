#pragma once
// The three operations on one connection, one at a time: a statement each, and its answer read.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/combine/combiner.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

/// What a caller wants done, and what came of it.
class PostgresOperation : public CombinedOperation {
 public:
  enum class Kind : std::uint8_t { find, insert, replace };

  PostgresOperation(Kind the_kind, const IdempotencyKey& the_key, const Record* the_record = nullptr,
                    Version the_expected = 0) noexcept
      : CombinedOperation(the_key.bytes()), kind(the_kind), expected(the_expected), record(the_record) {}

  const Kind kind;
  const Version expected;      // of a replace
  const Record* const record;  // to be written
  std::optional<Record> found = {};
  bool replaced = false;
  bool met_lock = false;  // somebody else's transaction holds the row: not for a batch to wait for
};

/// How a statement went that did not undo itself.
enum class PostgresFate : std::uint8_t { done, ask_again };

/// An operation as one statement. Fits into a pipeline.
class PostgresCall {
 public:
  PostgresCall(const PostgresStatements& sql, PostgresOperation& operation, std::string_view lock_timeout)
      : operation_(operation),
        statement_(operation.kind == PostgresOperation::Kind::find     ? sql.find
                   : operation.kind == PostgresOperation::Kind::insert ? sql.insert
                                                                       : sql.replace) {
    if (operation.kind == PostgresOperation::Kind::find) {
      parameters_.bytes(operation.key);
      return;
    }
    add_row(parameters_, operation.key, *operation.record, fingerprint_);
    parameters_.bytes(lock_timeout);
    if (operation.kind == PostgresOperation::Kind::replace)
      parameters_.integer(static_cast<std::int64_t>(operation.expected));
  }

  PostgresRequest request() const noexcept { return {statement_, parameters_}; }

  PostgresFate read(const PostgresResult& result) {
    operation_.found.reset();
    switch (operation_.kind) {
      case PostgresOperation::Kind::find:
        if (result.rows() > 0) operation_.found = record_of(result.get(), 0, 0);
        break;
      case PostgresOperation::Kind::insert:
        if (result.rows() == 0) return PostgresFate::ask_again;
        if (field_of(result.get(), 0, 0) != std::string_view("\1", 1))
          operation_.found = record_of(result.get(), 0, 1);
        break;
      case PostgresOperation::Kind::replace: operation_.replaced = result.changed() == 1; break;
    }
    return PostgresFate::done;
  }

 private:
  PostgresOperation& operation_;
  const PostgresStatement& statement_;
  PostgresParameters parameters_;
  std::string fingerprint_;
};

}  // namespace paidonce::inline v1::detail
