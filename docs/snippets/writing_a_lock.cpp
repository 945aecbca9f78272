// The snippet of the page about writing a lock.

#include <paidonce/locks/keyed_mutex.hpp>

using MyLock = paidonce::KeyedMutex;

// clang-format off
// [suite]
#include <catch2/catch.hpp>  // or <catch2/catch_all.hpp>
#include <paidonce/testing/conformance_catch.hpp>

struct Fixture {
  MyLock make() { return MyLock(); }  // nothing held; a reference will do, too
};
static_assert(paidonce::Lock<MyLock>);
TEST_CASE("MyLock is a lock") { paidonce::check_lock_conformance<Fixture>(); }
// [/suite]
// clang-format on
