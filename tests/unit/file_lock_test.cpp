#include <paidonce/locks/file_lock.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "integration/support/process.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using integration::TemporaryDirectory;

namespace {

const IdempotencyKey key("shop", "order-1");
const IdempotencyKey other("shop", "order-2");
constexpr Duration long_enough = std::chrono::minutes(5);

/// The system, with something in its place where a test says so: errno where a call is to fail, 0 where not.
struct Script {
  std::function<int()> open = [] { return 0; };
  std::function<int()> status = [] { return 0; };
  std::function<int()> status_of = [] { return 0; };
  std::function<int(short)> lock = [](short) { return 0; };
  int network = 0;  ///< 1, or minus an errno
  std::atomic<int> open_files = 0;
};

struct ScriptedFiles : PosixLockFiles {
  std::shared_ptr<Script> script = std::make_shared<Script>();

  static bool fails(int error) {
    if (error == 0) return false;
    errno = error;
    return true;
  }
  int open_at(int directory, const char* name, int flags) {
    if (fails(script->open())) return -1;
    ++script->open_files;
    return PosixLockFiles::open_at(directory, name, flags);
  }
  int status(int fd, struct ::stat& status) {
    return fails(script->status()) ? -1 : PosixLockFiles::status(fd, status);
  }
  int status_of(const char* path, struct ::stat& status) {
    return fails(script->status_of()) ? -1 : PosixLockFiles::status_of(path, status);
  }
  int is_on_network(int) { return script->network < 0 ? (errno = -script->network, -1) : script->network; }
  int lock_byte(int fd, off_t at, short type) {
    return fails(script->lock(type)) ? -1 : PosixLockFiles::lock_byte(fd, at, type);
  }
  int close(int fd) {
    --script->open_files;
    return PosixLockFiles::close(fd);
  }
};

using Scripted = BasicFileLock<ScriptedFiles>;

/// All keys meet on one byte.
struct OneByte {
  off_t operator()(const IdempotencyKey&) const noexcept { return 42; }
};

template <class L>
bool is_free(L& lock, const IdempotencyKey& which = key) {
  return lock.acquire(which, Duration(0)).has_value();
}

struct Refused {
  errc code;
  std::string text;
};

/// What the call throws.
template <class Call>
Refused refusal_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return {static_cast<errc>(error.code().value()), error.what()};
  }
  return {errc{}, "nothing was thrown"};
}

}  // namespace

TEST_CASE("the byte of a key never changes, is even, and has room behind it", "[lock][file_lock]") {
  // The SHA-256 of "\x04shoporder-1" begins with 254b3b36458a0716.
  CHECK(KeyOffset()(key) == off_t{0x952cecd916281c4});
  for (int i = 0; i < 1000; ++i) {
    const off_t at = KeyOffset()(IdempotencyKey("shop", std::to_string(i)));
    CHECK(at >= 0);
    CHECK(at < off_t{1} << 62);
    CHECK(at % 2 == 0);
  }
}

TEST_CASE("a lock file is made empty, for its owner alone, and not passed on", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const ::mode_t mask = ::umask(0);
  FileLock lock{directory / "lock"};
  ::umask(mask);
  auto hold = lock.acquire(key, Duration(0));
  hold.reset();
  struct ::stat status {};
  REQUIRE(::stat((directory / "lock").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK(status.st_size == 0);
  FileLock again{directory / "lock"};  // one that is there is used
  CHECK(is_free(again));
}

TEST_CASE("a name is that of the directory where the program was when it opened the lock",
          "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory / ".");
  FileLock lock{"lock"};
  std::filesystem::current_path(before);
  CHECK(std::filesystem::exists(directory / "lock"));
  CHECK(is_free(lock));
}

TEST_CASE("what is no plain file, or nowhere, is refused with advice", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const auto refused = [&](const std::filesystem::path& file) {
    return refusal_of([&] { FileLock lock{file}; });
  };
  const auto check = [&](const std::filesystem::path& file, const std::string& text) {
    const Refused why = refused(file);
    CAPTURE(why.text);
    CHECK(why.code == errc::invalid_options);
    CHECK_THAT(why.text, support::contains(text));
  };
  { FileLock there{directory / "there"}; }
  std::filesystem::create_symlink(directory / "there", directory / "link");
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  check(directory / "link", "is a symbolic link; name the file itself");
  check(directory / ".", "is a directory");
  check(directory / "fifo", "is no plain file");
  check("/dev/null", "is no plain file");
  check(directory / "nowhere/lock", "make its directory first");
  check(directory / "there/lock", "make its directory first");
  check("", "is no name of a file");
  check(directory / std::string("a\0b", 3), "is no name of a file");
  CHECK_FALSE(std::filesystem::exists(directory / "a"));
}

TEST_CASE("a network file system is refused unless it is accepted", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  files.script->network = 1;
  const Refused why = refusal_of([&] { Scripted lock(directory / "lock", {}, files); });
  CHECK(why.code == errc::invalid_options);
  CHECK_THAT(why.text, support::contains("FileLockOptions::network_directory"));
  CHECK(files.script->open_files == 0);
  Scripted lock(directory / "lock", {.network_directory = NetworkDirectory::accepted}, files);
  CHECK(is_free(lock));
  files.script->network = -EIO;
  CHECK(refusal_of([&] { Scripted unknown(directory / "lock", {}, files); }).code == errc::lock_unavailable);
}

TEST_CASE("opening says what the system lacks, and leaves nothing open", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  const auto check = [&](const std::string& text) {
    const Refused why = refusal_of([&] { Scripted lock(directory / "lock", {}, files); });
    CHECK(why.code == errc::lock_unavailable);
    CHECK_THAT(why.text, support::contains(text));
    CHECK(files.script->open_files == 0);
  };
  SECTION("descriptors") {
    files.script->open = [] { return EMFILE; };
    check("raise the limit of open files");
  }
  SECTION("descriptors of the whole system") {
    files.script->open = [] { return ENFILE; };
    check("raise the limit of open files");
  }
  SECTION("room") {
    files.script->open = [] { return ENOSPC; };
    check("No space left");
  }
  SECTION("rights") {
    files.script->open = [] { return EROFS; };
    check("must be writable for this user");
  }
  SECTION("a disk that can be read") {
    files.script->status = [] { return EIO; };
    check("cannot be examined");
  }
  SECTION("such locks") {
    files.script->lock = [](short) { return EINVAL; };
    check("open file description locks");
  }
}

TEST_CASE("a lock that fails is an error, not an answer, and leaves the key free", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  Scripted lock(directory / "lock", {}, files);
  const auto check = [&](Duration wait, const std::string& text) {
    const Refused why = refusal_of([&] { (void)lock.acquire(key, wait); });
    CHECK(why.code == errc::lock_unavailable);
    CHECK_THAT(why.text, support::contains(text));
    CHECK(why.text.find("order-1") == std::string::npos);
    files.script->lock = [](short) { return 0; };
    files.script->status_of = [] { return 0; };
    CHECK(is_free(lock));
    FileLock second{directory / "lock"};
    CHECK(is_free(second));
  };
  for (const Duration wait : {Duration(0), long_enough}) {
    files.script->lock = [](short) { return ENOLCK; };
    check(wait, "no room for more locks");
    files.script->lock = [](short) { return EBADF; };
    check(wait, "some code of this program has closed it");
    files.script->lock = [](short) { return EIO; };
    check(wait, "cannot be locked");
    files.script->lock = [](short) { return EINTR; };  // for ever
    check(wait, "Interrupted");
    files.script->status_of = [] { return EACCES; };
    check(wait, "must be writable");
  }
}

TEST_CASE("signals that interrupt a call are not seen outside", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  int calls = 0;
  const auto interrupted = [&calls] { return ++calls % 3 != 0 ? EINTR : 0; };
  files.script->open = files.script->status = files.script->status_of = interrupted;
  files.script->lock = [interrupted](short) { return interrupted(); };
  Scripted lock(directory / "lock", {}, files);
  FileLock second{directory / "lock"};
  auto hold = lock.acquire(key, Duration(0));
  CHECK(hold);
  CHECK(!is_free(second));
  hold.reset();
  CHECK(is_free(second));
}

TEST_CASE("a file that is replaced in the last moment is not locked", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  Scripted lock(directory / "lock", {}, files);
  FileLock second{directory / "lock"};
  files.script->lock = [&](short type) {
    if (type == F_WRLCK) std::filesystem::rename(directory / "lock", directory / "away");
    return 0;
  };
  const Refused why = refusal_of([&] { (void)lock.acquire(key, Duration(0)); });
  CHECK(why.code == errc::store_replaced);
  CHECK(why.text.find((directory / "lock").string()) != std::string::npos);
  std::filesystem::rename(directory / "away", directory / "lock");
  CHECK(is_free(second));
}

TEST_CASE("keys that meet on one byte keep each other out, and release only what is theirs",
          "[lock][file_lock]") {
  const TemporaryDirectory directory;
  using Colliding = BasicFileLock<PosixLockFiles, OneByte>;
  Colliding lock(directory / "lock"), second(directory / "lock");
  auto hold = lock.acquire(key, Duration(0));
  REQUIRE(hold);
  CHECK(!is_free(lock, other));
  CHECK(!is_free(second, other));
  CHECK(!is_free(second, key));
  hold.reset();
  CHECK(is_free(second, other));
}

TEST_CASE("a byte is free in the kernel before the next thread has its turn", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  std::atomic<int> locked = 0, most = 0;
  files.script->lock = [&](short type) {
    if (type == F_WRLCK) {
      const int now = ++locked;
      if (now > most) most = now;
    } else {
      --locked;
    }
    return 0;
  };
  Scripted lock(directory / "lock", {}, files);
  locked = 0;
  std::vector<std::future<int>> all;
  for (int thread = 0; thread < 4; ++thread)
    all.push_back(std::async(std::launch::async, [&lock] {
      int got = 0;
      for (int i = 0; i < 500; ++i) got += lock.acquire(key, long_enough).has_value() ? 1 : 0;
      return got;
    }));
  for (auto& got : all) CHECK(got.get() == 500);
  CHECK(most == 1);
  CHECK(locked == 0);
}

TEST_CASE("a handle moves, and its holds with it", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  FileLock lock{directory / "lock"}, second{directory / "lock"};
  auto hold = lock.acquire(key, Duration(0));
  FileLock moved = std::move(lock);
  CHECK(!is_free(moved));
  FileLock::Hold elsewhere = std::move(*hold);
  hold.reset();
  CHECK(!is_free(second));
  {
    auto another = moved.acquire(other, Duration(0));
    elsewhere = std::move(*another);
  }
  CHECK(is_free(second));
  CHECK(!is_free(second, other));
}

TEST_CASE("a handle that goes leaves no descriptor behind", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  {
    Scripted lock(directory / "lock", {}, files);
    CHECK(files.script->open_files == 1);
    CHECK(is_free(lock));
  }
  CHECK(files.script->open_files == 0);
}

TEST_CASE("others are looked for often at first, then rarely, and not after the time is up",
          "[lock][file_lock]") {
  const TemporaryDirectory directory;
  ScriptedFiles files;
  std::atomic<int> looked = 0;
  files.script->lock = [&](short type) {
    looked += type == F_WRLCK ? 1 : 0;
    return 0;
  };
  Scripted lock(directory / "lock", {}, files);
  FileLock second{directory / "lock"};
  const auto held = second.acquire(key, Duration(0));
  CHECK(!lock.acquire(key, Duration(0)));
  CHECK(looked == 1);
  looked = 0;
  CHECK(!lock.acquire(key, Duration(100)));
  CHECK(looked >= 2);   // on a machine that stands still in between
  CHECK(looked <= 18);  // 7 in the first 12 ms, then every 10 ms, then the last
}
