// The file system that the tests of file stores are made on keeps and forgets what it is to.

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/file.h>

#include "support/catch.hpp"
#include "support/disk_files.hpp"
#include "support/faulty_files.hpp"

using support::Disk;
using support::DiskFiles;
using support::FaultPlan;
using support::FaultyFiles;
using support::FileCall;
using support::FileFault;
using support::Loss;
using support::Machine;

namespace {

constexpr int make = O_RDWR | O_CREAT | O_EXCL;

/// A machine with a directory that is durable, open.
struct Bench {
  std::shared_ptr<Machine> machine = std::make_shared<Machine>();
  DiskFiles files{machine};
  int directory = -1;

  Bench() {
    REQUIRE(files.make_directory("/d") == 0);
    const int root = files.open_at(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
    REQUIRE(files.sync(root) == 0);
    REQUIRE(files.close(root) == 0);
    directory = files.open_at(AT_FDCWD, "/d", O_RDONLY | O_DIRECTORY);
    REQUIRE(directory >= 0);
  }
  int made(const char* name, int flags = 0) {
    const int fd = files.open_at(directory, name, make | flags);
    REQUIRE(fd >= 0);
    return fd;
  }
  void write(int fd, const std::string& text, off_t at = 0) {
    REQUIRE(files.write(fd, text.data(), text.size(), at) == static_cast<ssize_t>(text.size()));
  }
};

std::string content(const Disk& disk, const std::string& path) {
  const Disk::Inode inode = disk.find(path);
  return inode == 0 ? "(absent)" : disk.node(inode).cache;
}

}  // namespace

TEST_CASE("a disk keeps what was synced, and loses the rest with the power", "[support][disk]") {
  Bench bench;
  const int fd = bench.made("f");
  REQUIRE(bench.files.sync(bench.directory) == 0);
  bench.write(fd, "kept");
  REQUIRE(bench.files.sync_data(fd) == 0);
  bench.write(fd, "lost", 4);
  CHECK(content(bench.machine->disk, "/d/f") == "keptlost");
  CHECK(content(bench.machine->disk.after_kill(), "/d/f") == "keptlost");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/f") == "kept");
  // A kill in between changes nothing.
  CHECK(content(bench.machine->disk.after_kill().after_power_loss({}), "/d/f") == "kept");
  CHECK(content(bench.machine->disk.after_power_loss({.bytes = Loss::Bytes::all}), "/d/f") == "keptlost");
}

TEST_CASE("a name is durable once its directory was synced, and not before", "[support][disk]") {
  Bench bench;
  const int fd = bench.made("old");
  bench.write(fd, "text");
  REQUIRE(bench.files.sync(fd) == 0);
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/old") == "(absent)");
  REQUIRE(bench.files.sync(bench.directory) == 0);
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/old") == "text");

  REQUIRE(bench.files.rename_at(bench.directory, "old", "new") == 0);
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/old") == "text");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/new") == "(absent)");
  const Disk both = bench.machine->disk.after_power_loss({.names = Loss::Names::all});
  CHECK(content(both, "/d/old") == "(absent)");
  CHECK(content(both, "/d/new") == "text");

  REQUIRE(bench.files.sync(bench.directory) == 0);
  REQUIRE(bench.files.close(fd) == 0);
  REQUIRE(bench.files.unlink_at(bench.directory, "new") == 0);
  CHECK(content(bench.machine->disk, "/d/new") == "(absent)");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/new") == "text");
  REQUIRE(bench.files.sync(bench.directory) == 0);
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/new") == "(absent)");
}

TEST_CASE("a directory that was made is gone with the power until its parent is synced", "[support][disk]") {
  auto machine = std::make_shared<Machine>();
  DiskFiles files(machine);
  REQUIRE(files.make_directory("/d") == 0);
  CHECK(machine->disk.after_power_loss({}).find("/d") == 0);
  const int root = files.open_at(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
  REQUIRE(files.sync(root) == 0);
  CHECK(machine->disk.after_power_loss({}).find("/d") != 0);
}

TEST_CASE("a failed sync leaves bytes that are read but never written", "[support][disk]") {
  Bench bench;
  const int fd = bench.made("f");
  REQUIRE(bench.files.sync(bench.directory) == 0);
  bench.write(fd, "text");
  FaultPlan plan;
  plan.inject({.call = FileCall::sync_data});
  FaultyFiles<DiskFiles> files(bench.files, plan);
  CHECK(files.sync_data(fd) == -1);
  CHECK(errno == EIO);
  CHECK(files.sync_data(fd) == 0);  // says Linux
  CHECK(content(bench.machine->disk, "/d/f") == "text");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/f") == std::string(4, '\0'));
}

TEST_CASE("writes with O_DSYNC are on the disk at once", "[support][disk]") {
  Bench bench;
  const int fd = bench.made("f", O_DSYNC);
  REQUIRE(bench.files.sync(bench.directory) == 0);
  bench.write(fd, "text");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/f") == "text");
  FaultPlan plan;
  plan.inject({.call = FileCall::write, .does = FileFault::Does::dies_within});
  FaultyFiles<DiskFiles> files(bench.files, plan);
  CHECK(files.write(fd, "more", 4, 4) == -1);
  CHECK(plan.dead());
  CHECK(content(bench.machine->disk.after_kill(), "/d/f") == "textmore");
  CHECK(content(bench.machine->disk.after_power_loss({}), "/d/f") == "text");
  CHECK(files.write(fd, "dead", 4, 0) == -1);
  CHECK(content(bench.machine->disk.after_kill(), "/d/f") == "textmore");
}

TEST_CASE("lost power tears what was not synced, and nothing else", "[support][disk]") {
  Bench bench;
  const int fd = bench.made("f");
  REQUIRE(bench.files.sync(bench.directory) == 0);
  const std::string zeros(9000, '\0'), xs(9000, 'x');
  bench.write(fd, zeros);
  REQUIRE(bench.files.sync(fd) == 0);
  bench.write(fd, xs.substr(0, 3000), 100);

  std::string thirds = zeros;
  for (std::size_t at = 0; at < 1000; ++at) thirds[100 + at] = thirds[2100 + at] = 'x';
  CHECK(content(bench.machine->disk.after_power_loss({.bytes = Loss::Bytes::thirds}), "/d/f") == thirds);

  std::size_t different = 0;
  std::string before;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::string cut =
        content(bench.machine->disk.after_power_loss({.bytes = Loss::Bytes::cut, .seed = seed}), "/d/f");
    const std::size_t end = cut.find('\0', 100);
    CHECK(cut == zeros.substr(0, 100) + xs.substr(0, end - 100) + zeros.substr(end));
    const std::string some =
        content(bench.machine->disk.after_power_loss({.bytes = Loss::Bytes::some, .seed = seed}), "/d/f");
    CHECK(some.substr(0, 100) == zeros.substr(0, 100));
    CHECK(some.substr(3100) == zeros.substr(3100));
    for (std::size_t sector = 512; sector < 3072; sector += 512)
      CHECK(some.find(some[sector] == 'x' ? '\0' : 'x', sector) >= sector + 512);
    different += some != before ? 1U : 0U;
    before = some;
  }
  CHECK(different > 5);
}

TEST_CASE("a full disk writes what fits, and room comes back", "[support][disk]") {
  Bench bench;
  bench.machine->disk.set_capacity(3 * Disk::block);
  const int fd = bench.made("f");
  const std::string text(4 * Disk::block, 't');
  CHECK(bench.files.write(fd, text.data(), text.size(), 100) == static_cast<ssize_t>(3 * Disk::block - 100));
  CHECK(bench.files.write(fd, "t", 1, static_cast<off_t>(3 * Disk::block)) == -1);
  CHECK(errno == ENOSPC);
  bench.write(fd, "what has room is written over", 50);
  REQUIRE(bench.files.unlink_at(bench.directory, "f") == 0);
  CHECK(bench.machine->disk.used() == 3 * Disk::block);  // as long as it is open
  REQUIRE(bench.files.close(fd) == 0);
  CHECK(bench.machine->disk.used() == 0);
}

TEST_CASE("a lock is its process's alone and ends with it", "[support][disk]") {
  Bench bench;
  CHECK(bench.files.lock(bench.directory, LOCK_EX | LOCK_NB) == 0);
  DiskFiles other(bench.machine);
  const int again = other.open_at(AT_FDCWD, "/d", O_RDONLY | O_DIRECTORY);
  CHECK(other.lock(again, LOCK_EX | LOCK_NB) == -1);
  CHECK(errno == EWOULDBLOCK);
  auto later = std::make_shared<Machine>(bench.machine->disk.after_kill());
  DiskFiles next(later);
  const int opened = next.open_at(AT_FDCWD, "/d", O_RDONLY | O_DIRECTORY);
  CHECK(next.lock(opened, LOCK_EX | LOCK_NB) == 0);
}

TEST_CASE("a plan hits the call that it names", "[support][disk]") {
  Bench bench;
  FaultPlan plan;
  FaultyFiles<DiskFiles> files(bench.files, plan);
  const int fd = bench.made("f");
  plan.inject({.call = FileCall::write, .at = 2, .times = 2, .error = ENOSPC});
  CHECK(files.write(fd, "1", 1, 0) == 1);
  CHECK(files.write(fd, "2", 1, 0) == -1);
  CHECK(errno == ENOSPC);
  CHECK(files.sync_data(fd) == 0);
  CHECK(files.write(fd, "3", 1, 0) == -1);
  CHECK(files.write(fd, "4", 1, 0) == 1);
  CHECK(plan.hits() == 2);
  CHECK(plan.count(FileCall::write) == 4);
  CHECK(plan.count() == 5);

  plan.inject({.call = FileCall::write, .does = FileFault::Does::does_half});
  CHECK(files.write(fd, "four", 4, 0) == 2);
  CHECK(files.write(fd, "four", 4, 0) == 4);

  plan.inject({.at = 2, .does = FileFault::Does::dies_before});
  CHECK(files.sync_data(fd) == 0);
  CHECK(files.unlink_at(bench.directory, "f") == -1);
  CHECK(content(bench.machine->disk, "/d/f") == "four");
}
