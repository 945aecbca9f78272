// One line for the store in a SQLite database.

#include <filesystem>
#include <string>

#include <paidonce/stores/sqlite.hpp>

#include "fault/fast_directory.hpp"
#include "support/catch.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;

namespace {

struct Sqlite {
  fault::FastDirectory scratch = {};
  int made = 0;
  std::filesystem::path last() const { return scratch / (std::to_string(made) + ".db"); }
  std::filesystem::path away() const { return scratch / "away"; }

  SqliteStore make() {
    ++made;
    return reopen();
  }
  SqliteStore reopen() { return SqliteStore(last()); }
  SqliteStore second_handle() { return reopen(); }
  void break_backend(SqliteStore&) { std::filesystem::rename(last(), away()); }
  void mend_backend(SqliteStore&) { std::filesystem::rename(away(), last()); }
};

static_assert(ScannableStore<SqliteStore> && SweepableStore<SqliteStore> && TransactionalStore<SqliteStore>);

}  // namespace

TEST_CASE("SqliteStore is a store", "[conformance][store][sqlite]") { check_store_conformance<Sqlite>(); }
