// A conditional write whose replies are lost, followed by hand.

#include <paidonce/flow/write.hpp>

#include <optional>

#include "support/catch.hpp"

using namespace paidonce;
using flow::Write;
using Need = Write::Need;
using Fate = Write::Fate;

namespace {

Record record_of(std::uint64_t attempt, Version version) {
  Record record;
  record.attempt_id = attempt;
  record.version = version;
  record.attempts = 1;
  return record;
}

std::exception_ptr failure() { return std::make_exception_ptr(Error(errc::store_unavailable)); }

const Record mine = record_of(1, 20);
const Record old = record_of(1, 10);

Write inserting() {
  Write write;
  write.start_insert();
  return write;
}

Write replacing() {
  Write write;
  write.start_replace(10);
  return write;
}

}  // namespace

TEST_CASE("a write that never started needs nothing", "[write]") {
  const Write write;
  CHECK(write.need() == Need::nothing);
  CHECK(write.failure() == nullptr);
}

TEST_CASE("an insert is stored, or meets what is there", "[write]") {
  Write stored = inserting();
  CHECK(stored.need() == Need::insert);
  CHECK(stored.fate() == Fate::open);
  stored.inserted(std::nullopt, mine);
  CHECK(stored.fate() == Fate::stored);
  CHECK(stored.need() == Need::nothing);

  Write met = inserting();
  met.inserted(old, mine);
  CHECK(met.fate() == Fate::conflict);
  CHECK(met.there() == old);

  Write itself = inserting();
  itself.inserted(mine, mine);
  CHECK(itself.fate() == Fate::stored);
}

TEST_CASE("a replace is stored, or refused and read back", "[write]") {
  Write stored = replacing();
  CHECK(stored.need() == Need::replace);
  CHECK(stored.expected() == 10);
  stored.replaced(true);
  CHECK(stored.fate() == Fate::stored);

  Write refused = replacing();
  refused.replaced(false);
  CHECK(refused.fate() == Fate::open);
  CHECK(refused.need() == Need::read_back);
  refused.read_back(record_of(2, 30), mine);
  CHECK(refused.fate() == Fate::conflict);
  CHECK(refused.there() == record_of(2, 30));

  Write swept = replacing();
  swept.replaced(false);
  swept.read_back(std::nullopt, mine);
  CHECK(swept.fate() == Fate::conflict);
  CHECK_FALSE(swept.there().has_value());

  Write itself = replacing();
  itself.replaced(false);
  itself.read_back(mine, mine);
  CHECK(itself.fate() == Fate::stored);
}

TEST_CASE("a write whose reply was lost counts as stored only where the whole record is there", "[write]") {
  Record twin = mine;  // same attempt, same version, and yet another write
  twin.state = State::in_doubt;
  for (const bool insert : {true, false}) {
    Write whole = insert ? inserting() : replacing();
    whole.failed(failure());
    CHECK(whole.fate() == Fate::open);
    CHECK(whole.need() == Need::read_back);
    CHECK(whole.failure() != nullptr);
    whole.read_back(mine, mine);
    CHECK(whole.fate() == Fate::stored);

    Write other = insert ? inserting() : replacing();
    other.failed(failure());
    other.read_back(twin, mine);
    CHECK(other.fate() == Fate::conflict);
    CHECK(other.there() == twin);
  }
}

TEST_CASE("where nothing has changed the same conditional write is repeated", "[write]") {
  Write insert = inserting();
  insert.failed(failure());
  insert.read_back(std::nullopt, mine);
  CHECK(insert.fate() == Fate::open);
  CHECK(insert.need() == Need::insert);
  insert.inserted(mine, mine);  // the first try had been on its way
  CHECK(insert.fate() == Fate::stored);

  Write replace = replacing();
  replace.failed(failure());
  replace.read_back(old, mine);
  CHECK(replace.need() == Need::replace);
  CHECK(replace.expected() == 10);
  replace.replaced(false);
  CHECK(replace.need() == Need::read_back);
  replace.read_back(mine, mine);
  CHECK(replace.fate() == Fate::stored);
}

TEST_CASE("a record that is gone is no conflict before the write was refused", "[write]") {
  Write write = replacing();
  write.failed(failure());
  write.read_back(std::nullopt, mine);
  CHECK(write.need() == Need::replace);
  write.replaced(false);
  write.read_back(std::nullopt, mine);
  CHECK(write.fate() == Fate::conflict);
}

TEST_CASE("a write is given up as unknown at the fourth failure, wherever they happen", "[write]") {
  for (int pattern = 0; pattern < 16; ++pattern) {
    Write write = replacing();
    int failures = 0;
    for (int call = 0; write.fate() == Fate::open && call < 100; ++call) {
      const bool fails = call >= 4 || (pattern >> call & 1) != 0;
      if (fails) {
        write.failed(failure());
        ++failures;
      } else if (write.need() == Need::read_back) {
        write.read_back(old, mine);
      } else {
        write.failed(failure());
        ++failures;
      }
    }
    CHECK(failures == Write::most_failures);
    CHECK(write.fate() == Fate::unknown);
    CHECK(write.need() == Need::nothing);
    CHECK(write.failure() != nullptr);
  }
}

TEST_CASE("a write that starts again has forgotten the one before", "[write]") {
  Write write = replacing();
  for (int i = 0; i < Write::most_failures; ++i) write.failed(failure());
  write.start_insert();
  CHECK(write.fate() == Fate::open);
  CHECK(write.failure() == nullptr);
  CHECK(write.need() == Need::insert);
  write.failed(failure());
  CHECK(write.fate() == Fate::open);
  write.start_replace(10);
  write.replaced(false);
  write.read_back(record_of(3, 40), mine);
  write.start_replace(40);
  CHECK_FALSE(write.there().has_value());
  write.failed(failure());
  write.read_back(record_of(3, 40), mine);
  CHECK(write.need() == Need::replace);
}
