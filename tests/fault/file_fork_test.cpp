// A store in a forked process, and under another user. Not under ThreadSanitizer, which does not follow
// forks.

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <paidonce/stores/file.hpp>

#include "fault/file_script.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

using namespace fault;
namespace fs = std::filesystem;

namespace {

using integration::TemporaryDirectory;

Record begin_of(unsigned key) { return record_of({.key = key, .version = 10}); }
Record end_of(unsigned key) {
  return record_of({.does = Step::Does::replace,
                    .key = key,
                    .version = 11,
                    .expected = 10,
                    .state = State::succeeded,
                    .bytes = 300});
}

Record doubt_of(unsigned key) {
  Record record = begin_of(key);
  record.state = State::in_doubt;
  record.version = 11;
  return record;
}

/// Runs `body` in a forked child: its exit status.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(30);  // what waits for a thread of the parent waits for ever
    int status = 99;
    try {
      status = body();
    } catch (...) {
      status = 98;
    }
    std::_Exit(status);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// 0 where `call` throws an Error of that code.
template <class Call>
int expect(errc code, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code() == code && std::string(error.what()).size() > 30 ? 0 : 2;
  }
  return 1;
}

}  // namespace

TEST_CASE("a forked child is refused, and its end leaves the parent's store alone", "[store][file][fork]") {
  const auto housekeeping = GENERATE(Housekeeping::by_hand, Housekeeping::background);
  const TemporaryDirectory files;
  FileStoreOptions options;
  options.housekeeping = housekeeping;
  auto store = std::make_unique<FileStore>(files / "store", options);
  REQUIRE_FALSE(store->insert(key_of(1), begin_of(1)));

  CHECK(in_child(
            [&] { return expect(errc::store_forked, [&] { store->insert(key_of(2), begin_of(2)); }); }) == 0);
  CHECK(in_child([&] {
          return expect(errc::store_forked, [&] { store->replace(key_of(1), 10, end_of(1)); });
        }) == 0);
  CHECK(in_child([&] {
          return expect(errc::store_forked, [&] { store->erase_expired(script_expires, 10); });
        }) == 0);
  CHECK(in_child([&] { return expect(errc::store_forked, [&] { store->compact(); }); }) == 0);
  // A child whose destructors run neither writes nor unlocks.
  CHECK(in_child([&] {
          store.reset();
          return 0;
        }) == 0);
  CHECK(in_child([&] { return expect(errc::store_busy, [&] { FileStore again(files / "store"); }); }) == 0);
  CHECK_THROWS_MATCHES(FileStore(files / "store"), Error, support::has_code<Error>(errc::store_busy));

  CHECK(store->replace(key_of(1), 10, end_of(1)));
  REQUIRE_FALSE(store->insert(key_of(2), begin_of(2)));
  store.reset();
  store = std::make_unique<FileStore>(files / "store", options);
  CHECK(store->find(key_of(1)) == end_of(1));
  CHECK(store->find(key_of(2)) == begin_of(2));
}

TEST_CASE("a forked child may open a store of its own", "[store][file][fork]") {
  const TemporaryDirectory files;
  FileStore store(files / "store");
  CHECK(in_child([&] {
          FileStore own(files / "own");
          return own.insert(key_of(1), begin_of(1)) ? 1 : 0;
        }) == 0);
  CHECK(FileStore(files / "own").find(key_of(1)) == begin_of(1));
}

TEST_CASE("what a dead process was at has lost its holder, what this one is at has not",
          "[store][file][fork]") {
  const TemporaryDirectory files;
  CHECK(in_child([&] {
          FileStore store(files / "store");
          return store.insert(key_of(1), begin_of(1)) ? 1 : 0;
        }) == 0);
  auto store = std::make_unique<FileStore>(files / "store");
  REQUIRE_FALSE(store->insert(key_of(2), begin_of(2)));
  CHECK(store->holder_gone(key_of(1), begin_of(1)));
  CHECK_FALSE(store->holder_gone(key_of(2), begin_of(2)));
  // Opened again in the same process: its callables may still run.
  store.reset();
  store = std::make_unique<FileStore>(files / "store");
  CHECK_FALSE(store->holder_gone(key_of(2), begin_of(2)));
}

TEST_CASE("doubts that a dead process left have lost their holder, this one's have not",
          "[store][file][fork]") {
  const TemporaryDirectory files;
  CHECK(in_child([&] {
          FileStore store(files / "store");
          for (const unsigned key : {1U, 2U, 3U}) store.insert(key_of(key), begin_of(key));
          return store.replace(key_of(1), 10, doubt_of(1)) && store.replace(key_of(3), 10, end_of(3)) ? 0 : 1;
        }) == 0);
  auto store = std::make_unique<FileStore>(files / "store");
  CHECK(store->holder_gone(key_of(1), doubt_of(1)));  // in doubt when it was opened
  REQUIRE(store->replace(key_of(2), 10, doubt_of(2)));
  CHECK(store->holder_gone(key_of(2), begin_of(2)));
  CHECK(store->holder_gone(key_of(2), doubt_of(2)));  // brought into doubt by this process
  CHECK_FALSE(store->holder_gone(key_of(2), end_of(2)));
  CHECK_FALSE(store->holder_gone(key_of(3), doubt_of(3)));  // had ended
  // What this process begins, also where it goes on with what the other one left.
  Record again = doubt_of(2);
  again.state = State::in_progress;
  again.version += 1;
  again.attempt_id = 77;
  REQUIRE(store->replace(key_of(2), 11, again));
  CHECK_FALSE(store->holder_gone(key_of(2), again));
  again.state = State::in_doubt;
  CHECK_FALSE(store->holder_gone(key_of(2), again));
  REQUIRE_FALSE(store->insert(key_of(4), begin_of(4)));
  REQUIRE(store->replace(key_of(4), 10, doubt_of(4)));
  CHECK_FALSE(store->holder_gone(key_of(4), doubt_of(4)));

  store.reset();
  store = std::make_unique<FileStore>(files / "store");  // proves nothing of anybody
  for (const unsigned key : {1U, 2U, 4U}) CHECK_FALSE(store->holder_gone(key_of(key), doubt_of(key)));

  // Neither does it where another process had the store open in between.
  store.reset();
  CHECK(in_child([&] { return FileStore(files / "store").insert(key_of(5), begin_of(5)) ? 1 : 0; }) == 0);
  store = std::make_unique<FileStore>(files / "store");
  CHECK_FALSE(store->holder_gone(key_of(4), doubt_of(4)));

  // Nor where that one wrote the whole log anew.
  store.reset();
  CHECK(in_child([&] {
          FileStore other(files / "store");
          return other.compact() > 0 ? 0 : 1;
        }) == 0);
  store = std::make_unique<FileStore>(files / "store");
  CHECK_FALSE(store->holder_gone(key_of(4), doubt_of(4)));
}

TEST_CASE("a directory that may not be written is refused, and says what to do", "[store][file][fork]") {
  const TemporaryDirectory files;
  { FileStore store(files / "store"); }
  fs::permissions(files / "store", fs::perms::owner_read | fs::perms::owner_exec);
  if (::geteuid() != 0) {
    CHECK_THROWS_MATCHES(FileStore(files / "store"), Error,
                         support::has_code<Error>(errc::store_unavailable));
    return;
  }
  // Root may write everything, so another user tries, who owns it all.
  constexpr uid_t nobody = 65534;
  for (const auto& entry : fs::recursive_directory_iterator(files / "."))
    REQUIRE(::chown(entry.path().c_str(), nobody, nobody) == 0);
  REQUIRE(::chown((files / ".").c_str(), nobody, nobody) == 0);
  CHECK(in_child([&] {
          if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
              ::setresuid(nobody, nobody, nobody) != 0)
            return 3;
          return expect(errc::store_unavailable, [&] { FileStore store(files / "store"); });
        }) == 0);
  fs::permissions(files / "store", fs::perms::owner_all);
  CHECK_NOTHROW(FileStore(files / "store"));
}
