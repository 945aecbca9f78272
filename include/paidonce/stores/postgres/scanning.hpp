#pragma once
// Pages of records in the order of their keys, and the sweep.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

/// How many records the next page has, so that pages are of about a megabyte whatever the records are.
constexpr std::size_t next_page_size(std::size_t last_rows, std::size_t last_bytes) noexcept {
  constexpr std::size_t least = 4, most = 1000, bytes = std::size_t{1} << 20;
  if (last_rows == 0) return 64;
  const std::size_t each = last_bytes / last_rows + 1;
  return std::clamp(bytes / each, least, most);
}

/// Whether a filter asks for records that are unfinished, and for no others: those have an index.
inline bool only_unfinished(const ScanFilter& filter) noexcept {
  if (filter.states.empty()) return false;
  return std::all_of(filter.states.begin(), filter.states.end(),
                     [](State state) { return state == State::in_progress || state == State::in_doubt; });
}

using PostgresPage = std::vector<std::pair<IdempotencyKey, Record>>;

/// The next `limit` records behind `after`; adds up their bytes.
inline PostgresPage read_page(PostgresConnection& connection, const PostgresStatements& sql,
                              const ScanFilter& filter, const std::string& after, std::size_t limit,
                              std::size_t& bytes, PostgresDeadline deadline) {
  PostgresArray states;
  if (filter.states.empty()) {
    states.begin(PostgresType::int2, 5);
    for (std::int16_t state = 1; state <= 5; ++state) states.add(state);
  } else {
    states.begin(PostgresType::int2, filter.states.size());
    for (const State state : filter.states) states.add(static_cast<std::int16_t>(state));
  }
  PostgresParameters parameters;
  parameters.bytes(after);
  parameters.bytes(states.bytes());
  parameters.integer(filter.updated_before
                         ? static_cast<std::int64_t>(filter.updated_before->time_since_epoch().count())
                         : std::numeric_limits<std::int64_t>::max());
  parameters.integer(static_cast<std::int64_t>(limit));
  const PostgresAnswers answers =
      connection.run({{only_unfinished(filter) ? sql.scan_unfinished : sql.scan, parameters}}, deadline);
  answers.expect_done();
  const PGresult* const rows = answers.results[0].get();
  PostgresPage page;
  page.reserve(static_cast<std::size_t>(answers.results[0].rows()));
  bytes = 0;
  for (int row = 0; row < answers.results[0].rows(); ++row) {
    for (int column = 0; column < postgres_column_count; ++column)
      bytes += static_cast<std::size_t>(PQgetlength(rows, row, column));
    page.emplace_back(IdempotencyKey::from_bytes(field_of(rows, row, 0)), record_of(rows, row, 0));
  }
  return page;
}

/// Erases up to `limit` in one statement, which tests and erases each record in one step.
inline std::size_t erase_expired(PostgresConnection& connection, const PostgresStatements& sql, Timestamp now,
                                 std::size_t limit, PostgresDeadline deadline) {
  PostgresParameters parameters;
  parameters.integer(static_cast<std::int64_t>(now.time_since_epoch().count()));
  parameters.integer(static_cast<std::int64_t>(limit));
  const PostgresAnswers answers = connection.run({{sql.erase, parameters}}, deadline);
  answers.expect_done();
  return answers.results[0].changed();
}

}  // namespace paidonce::inline v1::detail
