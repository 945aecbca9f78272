// One line for each lock.

#include <paidonce/locks/file_lock.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/locks/no_lock.hpp>

#include "file_lock_support.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;

namespace {

struct Keyed {
  KeyedMutex make() { return KeyedMutex(); }
};

/// Two threads of one process are all that a KeyedMutex keeps apart: its other handle is itself.
struct KeyedByReference {
  KeyedMutex lock = KeyedMutex();
  KeyedMutex& make() {
    lock = KeyedMutex();
    return lock;
  }
  KeyedMutex& second_handle() { return lock; }
};

/// Two handles of one process are as far apart as two processes; file_locks_test.cpp has these.
struct File {
  integration::TemporaryDirectory directory = {};
  int files = 0;
  FileLock make() { return FileLock{directory / std::to_string(++files)}; }
  FileLock second_handle() { return FileLock{directory / std::to_string(files)}; }
  void break_backend(FileLock&) { conformance::break_lock_file(directory / std::to_string(files)); }
};

struct None {
  NoLock make() { return {}; }
};

}  // namespace

TEST_CASE("KeyedMutex is a lock", "[conformance][lock]") { check_lock_conformance<Keyed>(); }
TEST_CASE("KeyedMutex is a lock for those who refer to it", "[conformance][lock]") {
  check_lock_conformance<KeyedByReference>();
}

TEST_CASE("FileLock is a lock", "[conformance][lock]") { check_lock_conformance<File>(); }

TEST_CASE("NoLock keeps nobody out, and does not claim to", "[conformance][lock]") {
  const ConformanceReport report = run_lock_conformance(None(), {.patience = Duration(150)});
  CHECK(report.failed("exclusion.second_caller_gets_nothing"));
  CHECK(report.failed("exclusion.under_threads"));
  CHECK_FALSE(report.failed("release.on_destruction"));
}
