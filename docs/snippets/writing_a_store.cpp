// The snippet of the page about writing a store.

#include <paidonce/testing/store_skeleton.hpp>

struct Database {};
static Database fresh_database() { return {}; }
struct MyStore : paidonce::SkeletonStore {
  explicit MyStore(Database) {}
};

// clang-format off
// [suite]
#include <catch2/catch.hpp>  // or <catch2/catch_all.hpp>
#include <paidonce/testing/conformance_catch.hpp>

struct Fixture {
  MyStore make() { return MyStore(fresh_database()); }  // empty each time; a reference will do, too
};
TEST_CASE("MyStore is a store") { paidonce::check_store_conformance<Fixture>(); }
// [/suite]
// clang-format on
