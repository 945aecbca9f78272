// What can happen to the directory of a file store, and who else may want it.

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/file_world.hpp"
#include "integration/support/process.hpp"

using namespace fault;
namespace fs = std::filesystem;

namespace {

using integration::Finished;
using integration::TemporaryDirectory;

Step begin_of(unsigned key) { return {.key = key, .version = 10}; }
Step end_of(unsigned key, std::size_t bytes = 300) {
  return {.does = Step::Does::replace,
          .key = key,
          .version = 11,
          .expected = 10,
          .state = State::succeeded,
          .bytes = bytes};
}
template <class S>
bool begin(S& store, unsigned key) {
  return !store.insert(key_of(key), record_of(begin_of(key)));
}
template <class S>
bool end(S& store, unsigned key, std::size_t bytes = 300) {
  return store.replace(key_of(key), 10, record_of(end_of(key, bytes)));
}

/// Takes all descriptors that this process may still have.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    ::rlimit few = before_;
    few.rlim_cur = 200;
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = 0; (fd = ::dup(STDERR_FILENO)) >= 0;) taken_.push_back(fd);
  }
  ~NoDescriptors() {
    for (const int fd : taken_) ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  ::rlimit before_{};
  std::vector<int> taken_;
};

/// Opens a store in another program.
Finished open_elsewhere(const fs::path& store) {
  const TemporaryDirectory files;
  return integration::run(
      {FILE_SCRIPT_PLAYER, store.string(), (files / "journal").string(), "1", "100", "direct"});
}

}  // namespace

TEST_CASE("a store is one handle's, here and in all processes", "[store][file][directory]") {
  const TemporaryDirectory files;
  auto store = std::make_unique<FileStore>(files / "store");
  REQUIRE(begin(*store, 1));
  CHECK_THROWS_MATCHES(FileStore(files / "store"), Error, support::has_code<Error>(errc::store_busy));
  const Finished other = open_elsewhere(files / "store");
  CHECK(other.status == 3);
  CHECK_THAT(other.err, support::contains("another process"));
  CHECK(end(*store, 1));
  store.reset();
  CHECK(FileStore(files / "store").find(key_of(1)) == record_of(end_of(1)));
}

TEST_CASE("a store makes its directory, files for its owner alone, and none among other files",
          "[store][file][directory]") {
  const TemporaryDirectory files;
  { FileStore store(files / "store"); }
  struct ::stat status {};
  REQUIRE(::stat((files / "store").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700U);
  for (const auto& entry : fs::directory_iterator(files / "store")) {
    REQUIRE(::stat(entry.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600U);
  }
  fs::create_directory(files / "full");
  std::ofstream(files / "full" / "a file of somebody") << "text";
  CHECK_THROWS_MATCHES(FileStore(files / "full"), Error, support::has_code<Error>(errc::invalid_options));
  CHECK(integration::content_of(files / "full" / "a file of somebody") == "text");
  fs::create_directory(files / "empty");
  CHECK(begin(*std::make_unique<FileStore>(files / "empty"), 1));
  CHECK_THROWS_AS(FileStore(files / "no" / "such" / "parent"), Error);
  std::ofstream(files / "a file") << "text";
  CHECK_THROWS_AS(FileStore(files / "a file"), Error);
}

TEST_CASE("a directory that was moved is noticed before the next begin", "[store][file][directory]") {
  const TemporaryDirectory files;
  FileStore store(files / "store");
  REQUIRE(begin(store, 1));
  REQUIRE(begin(store, 2));
  fs::rename(files / "store", files / "elsewhere");
  CHECK_THROWS_MATCHES(begin(store, 3), Error, support::has_code<Error>(errc::store_replaced));
  CHECK(end(store, 1));  // its file is open
  CHECK_THROWS_MATCHES(begin(store, 3), Error, support::has_code<Error>(errc::store_replaced));

  // Another one in its place is not it.
  { FileStore other(files / "store"); }
  CHECK_THROWS_MATCHES(begin(store, 3), Error, support::has_code<Error>(errc::store_replaced));
  fs::remove_all(files / "store");

  fs::rename(files / "elsewhere", files / "store");
  CHECK(begin(store, 3));
  CHECK(end(store, 2));
  CHECK(store.find(key_of(1)) == record_of(end_of(1)));
}

TEST_CASE("a released payment is not begun anew in a directory that was moved", "[store][file][directory]") {
  // A begin over a record that is there is a begin, too.
  const TemporaryDirectory files;
  FileStore store(files / "store");
  REQUIRE(begin(store, 1));
  Record released = record_of(end_of(1));
  released.state = State::released;
  REQUIRE(store.replace(key_of(1), 10, released));
  fs::rename(files / "store", files / "elsewhere");
  Record anew = record_of(begin_of(1));
  anew.version = 12;
  anew.attempts = 2;
  anew.attempt_id += 1;
  CHECK_THROWS_MATCHES(store.replace(key_of(1), 11, anew), Error,
                       support::has_code<Error>(errc::store_replaced));
}

TEST_CASE("a directory that was removed is noticed before the next begin", "[store][file][directory]") {
  const TemporaryDirectory files;
  // By hand: a file that is prepared in the background may come back while all are removed.
  FileStore store(files / "store", {.housekeeping = Housekeeping::by_hand});
  REQUIRE(begin(store, 1));
  fs::remove_all(files / "store");
  CHECK_THROWS_MATCHES(begin(store, 2), Error, support::has_code<Error>(errc::store_replaced));
  CHECK_NOTHROW(store.find(key_of(1)));
}

TEST_CASE("a directory on a network is refused unless told otherwise", "[store][file][directory]") {
  auto machine = std::make_shared<Machine>();
  machine->on_network = true;
  CHECK_THROWS_MATCHES(open_store(machine), Error, support::has_code<Error>(errc::unsafe_config));
  CHECK_THROWS_MATCHES(open_store(machine), Error, support::says<Error>("network"));
  FileStoreOptions options = small_segments();
  options.network_directory = NetworkDirectory::accepted;
  const auto store = open_store(machine, {}, options);
  CHECK(begin(*store, 1));
  CHECK(end(*store, 1));
}

TEST_CASE("a store cannot be opened without descriptors, and says what to do", "[store][file][directory]") {
  const TemporaryDirectory files;
  { FileStore store(files / "store"); }
  {
    const NoDescriptors none;
    CHECK_THROWS_MATCHES(FileStore(files / "store"), Error,
                         support::has_code<Error>(errc::store_unavailable));
    CHECK_THROWS_MATCHES(FileStore(files / "store"), Error, support::says<Error>("ulimit"));
  }
  CHECK(begin(*std::make_unique<FileStore>(files / "store"), 1));
}

TEST_CASE("a store that runs out of descriptors refuses new payments and ends those that run",
          "[store][file][directory]") {
  const auto housekeeping = GENERATE(Housekeeping::by_hand, Housekeeping::background);
  const TemporaryDirectory files;
  FileStoreOptions options = small_segments();
  options.housekeeping = housekeeping;
  FileStore store(files / "store", options);
  std::vector<unsigned> unfinished;
  unsigned key = 0;
  {
    const NoDescriptors none;
    for (;; ++key) {
      REQUIRE(key < 100'000);
      try {
        const bool begun = begin(store, key);
        REQUIRE(begun);
      } catch (const Error& error) {
        CHECK((error.code() == errc::store_unavailable || error.code() == errc::store_full));
        CHECK(retryable(error));
        break;
      }
      if (key % 4 == 0)
        unfinished.push_back(key);
      else
        REQUIRE(end(store, key));
    }
    for (const unsigned open : unfinished) REQUIRE(end(store, open, 900));
  }
  REQUIRE(unfinished.size() > 5);
  CHECK(begin(store, key));
  CHECK(end(store, key));
  for (unsigned known = 0; known <= key; ++known) REQUIRE(store.find(key_of(known))->version == 11);
}
