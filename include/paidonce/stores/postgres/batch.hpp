#pragma once
// Operations of many callers as at most three statements, in one pipeline and one implicit transaction: one
// INSERT, one UPDATE and one SELECT of many rows, which go in as arrays. Each operation is told its own fate.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <paidonce/record.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/operation.hpp>
#include <paidonce/stores/postgres/parameters.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

/// How many operations, from the first on, make one pipeline: at least one, and no more than about a
/// megabyte.
inline std::size_t pipeline_length(std::span<PostgresOperation* const> batch) noexcept {
  constexpr std::size_t most_bytes = std::size_t{1} << 20;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    bytes += batch[i]->key.size();
    if (const Record* const record = batch[i]->record)
      bytes += record->response.size() + record->checkpoint.size() + record->description.size() +
               record->note.size() + record->amount.size();
    if (bytes > most_bytes && i > 0) return i;
  }
  return batch.size();
}

/// Many records as one array for each column.
class PostgresColumns {
 public:
  void begin(std::size_t rows) {
    next_ = 0;
    columns_[next_++].begin(PostgresType::bytes, rows);
    const Record any;
    for_each_column(any, fingerprint_, [&](auto value) {
      using Value = decltype(value);
      columns_[next_++].begin(std::is_same_v<Value, std::string_view> ? PostgresType::bytes
                              : sizeof value == 2                     ? PostgresType::int2
                                                                      : PostgresType::int8,
                              rows);
    });
    expected_.begin(PostgresType::int8, rows);
  }

  void add(const PostgresOperation& operation) {
    next_ = 0;
    columns_[next_++].add_bytes(operation.key);
    for_each_column(*operation.record, fingerprint_, [&](auto value) {
      if constexpr (std::is_same_v<decltype(value), std::string_view>)
        columns_[next_++].add_bytes(value);
      else
        columns_[next_++].add(value);
    });
    expected_.add(static_cast<std::int64_t>(operation.expected));
  }

  void give(PostgresParameters& parameters) const {
    for (const PostgresArray& column : columns_) parameters.bytes(column.bytes());
  }
  std::string_view expected() const noexcept { return expected_.bytes(); }

 private:
  std::array<PostgresArray, postgres_column_count> columns_;
  PostgresArray expected_;
  std::string fingerprint_;
  std::size_t next_ = 0;
};

/// One pipeline. Its memory is used again for the next.
class PostgresBatch {
 public:
  explicit PostgresBatch(const PostgresStatements& sql) : sql_(sql) {}

  /// Operations in the order of their keys, which differ. Returns the SQLSTATE of what undid all of them; an
  /// empty one: it is committed, and each operation is told. `open` gets those that are to be asked again.
  std::string run(PostgresConnection& connection, std::span<PostgresOperation* const> batch,
                  std::string_view lock_timeout, PostgresDeadline deadline,
                  std::vector<PostgresOperation*>& open) {
    using Kind = PostgresOperation::Kind;
    for (auto* list : {&inserts_, &replaces_, &finds_}) list->clear();
    for (PostgresOperation* const each : batch)
      (each->kind == Kind::insert    ? inserts_
       : each->kind == Kind::replace ? replaces_
                                     : finds_)
          .push_back(each);

    PostgresParameters settings, inserting, replacing, finding;
    std::vector<PostgresRequest> requests;
    requests.reserve(4);
    settings.bytes(lock_timeout);
    requests.push_back({sql_.many, settings});
    if (!inserts_.empty()) {
      fill(insert_columns_, inserts_, inserting);
      requests.push_back({sql_.insert_many, inserting});
    }
    if (!replaces_.empty()) {
      fill(replace_columns_, replaces_, replacing);
      replacing.bytes(replace_columns_.expected());
      requests.push_back({sql_.replace_many, replacing});
    }
    if (!finds_.empty()) {
      keys_.begin(PostgresType::bytes, finds_.size());
      for (const PostgresOperation* each : finds_) keys_.add_bytes(each->key);
      finding.bytes(keys_.bytes());
      requests.push_back({sql_.find_many, finding});
    }
    PostgresAnswers answers = connection.run(requests, deadline);
    if (!answers.failure.empty()) return answers.failure;

    std::size_t next = 1;
    if (!inserts_.empty()) read_inserts(answers.results[next++], open);
    if (!replaces_.empty()) read_replaces(answers.results[next++]);
    if (!finds_.empty()) read_finds(answers.results[next++]);
    return {};
  }

 private:
  using List = std::vector<PostgresOperation*>;

  static void fill(PostgresColumns& columns, const List& operations, PostgresParameters& parameters) {
    columns.begin(operations.size());
    for (const PostgresOperation* each : operations) columns.add(*each);
    columns.give(parameters);
  }

  /// The operation on a key that the server names.
  static std::size_t place_of(const List& operations, std::string_view key) {
    const auto place =
        std::lower_bound(operations.begin(), operations.end(), key,
                         [](const PostgresOperation* each, std::string_view k) { return each->key < k; });
    if (place == operations.end() || (*place)->key != key)
      throw Error(errc::store_corrupt, "the server answered for a key that nobody asked for");
    return static_cast<std::size_t>(place - operations.begin());
  }

  /// A record that cannot be read, damaged or of a newer release, concerns none of the others.
  static void read_record(PostgresOperation& operation, const PostgresResult& result, int row, int first) {
    try {
      operation.found = record_of(result.get(), row, first);
    } catch (const Error&) {
      operation.failure = std::current_exception();
    }
  }

  void read_inserts(const PostgresResult& result, List& open) {
    told_.assign(inserts_.size(), 0);
    for (int row = 0; row < result.rows(); ++row) {
      const std::size_t place = place_of(inserts_, field_of(result.get(), row, 1));
      told_[place] = 1;
      inserts_[place]->found.reset();
      if (field_of(result.get(), row, 0) != std::string_view("\1", 1))
        read_record(*inserts_[place], result, row, 1);
    }
    for (std::size_t i = 0; i < inserts_.size(); ++i)
      if (!told_[i]) open.push_back(inserts_[i]);
  }
  void read_replaces(const PostgresResult& result) {
    for (PostgresOperation* const each : replaces_) each->replaced = false;
    for (int row = 0; row < result.rows(); ++row)
      replaces_[place_of(replaces_, field_of(result.get(), row, 0))]->replaced = true;
  }
  void read_finds(const PostgresResult& result) {
    for (PostgresOperation* const each : finds_) each->found.reset();
    for (int row = 0; row < result.rows(); ++row)
      read_record(*finds_[place_of(finds_, field_of(result.get(), row, 0))], result, row, 0);
  }

  const PostgresStatements& sql_;
  List inserts_ = {}, replaces_ = {}, finds_ = {};
  std::vector<char> told_ = {};
  PostgresColumns insert_columns_ = {}, replace_columns_ = {};
  PostgresArray keys_ = {};
};

}  // namespace paidonce::inline v1::detail
