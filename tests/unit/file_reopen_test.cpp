// What a store relies on when it is opened again: under other options, after a failed write, from a copy.

#include <paidonce/stores/file.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/disk.hpp"
#include "support/disk_files.hpp"

using namespace paidonce;
using support::Disk;
using support::DiskFiles;
using support::Loss;
using support::Machine;

namespace {

IdempotencyKey key_of(int number) { return {"file", "order-" + std::to_string(number)}; }

Record begun(Version version) {
  Record record;
  record.fingerprint = fingerprint("4.50", "EUR");
  record.state = State::in_progress;
  record.version = version;
  record.attempt_id = version;
  record.attempts = 1;
  record.created_at = Timestamp(Duration(1'700'000'000'000));
  record.updated_at = record.created_at;
  record.lease_until = record.created_at + std::chrono::seconds(30);
  return record;
}

Record ended(Version version, std::size_t response) {
  Record record = begun(version);
  record.state = State::succeeded;
  record.expires_at = record.created_at + std::chrono::hours(24);
  record.response.assign(response, 'r');
  return record;
}

FileStoreOptions small_options() {
  FileStoreOptions options;
  options.max_record_bytes = 4096;
  options.segment_bytes = std::size_t{64} << 10;
  options.reserve_bytes = 256;
  options.housekeeping = Housekeeping::by_hand;
  return options;
}

std::shared_ptr<Machine> machine_with(Disk disk, Machine::Direct direct = Machine::Direct::works) {
  auto machine = std::make_shared<Machine>(std::move(disk));
  machine->direct = direct;
  return machine;
}

Disk without_power(const Machine& machine) {
  return machine.disk.after_power_loss({Loss::Bytes::none, Loss::Names::none, 1});
}

template <class Files>
using StoreOn = BasicFileStore<Files>;

/// The sync of a segment that was begun in the same commit fails.
struct FailsToSyncWhatItBegan : DiskFiles {
  using DiskFiles::DiskFiles;
  std::shared_ptr<int> syncs = std::make_shared<int>(0);
  int sync_data(int fd) {
    if (++*syncs < 2) return DiskFiles::sync_data(fd);
    fail_sync(fd);
    errno = EIO;
    return -1;
  }
};

/// The directory's path leads elsewhere, from some moment on.
struct MovedFiles : DiskFiles {
  using DiskFiles::DiskFiles;
  std::shared_ptr<bool> moved = std::make_shared<bool>(false);
  int status_of(const char* path, struct ::stat& status) {
    const int found = DiskFiles::status_of(path, status);
    if (*moved) ++status.st_ino;
    return found;
  }
};

/// All begins look at the directory at one moment.
struct MeetingFiles : DiskFiles {
  using DiskFiles::DiskFiles;
  std::shared_ptr<std::atomic<int>> awaited = std::make_shared<std::atomic<int>>(0);
  int status_of(const char* path, struct ::stat& status) {
    if (awaited->load() > 0 && awaited->fetch_sub(1) == 1) awaited->notify_all();
    for (int left = awaited->load(); left > 0; left = awaited->load()) awaited->wait(left);
    return DiskFiles::status_of(path, status);
  }
};

}  // namespace

TEST_CASE("a segment whose first sync failed is not relied on by what is opened behind it",
          "[store][file][reopen]") {
  const auto direct = Machine::Direct::is_not_opened;
  const auto first = machine_with(Disk(), direct);
  int acknowledged = 0;
  {
    const FailsToSyncWhatItBegan files(first);
    StoreOn<FailsToSyncWhatItBegan> store("/store", small_options(), files);
    try {
      for (;; ++acknowledged) {
        *files.syncs = 0;
        store.insert(key_of(acknowledged), ended(1, 200));
      }
    } catch (const Error& error) {
      REQUIRE(error.code() == errc::store_poisoned);
    }
  }
  REQUIRE(acknowledged > 100);
  const auto second = machine_with(first->disk.after_kill(), direct);
  StoreOn<DiskFiles> store("/store", small_options(), DiskFiles(second));
  store.insert(key_of(-1), ended(1, 200));
  const bool served = store.find(key_of(acknowledged)).has_value();  // what was in the cache alone
  StoreOn<DiskFiles> later("/store", small_options(),
                           DiskFiles(machine_with(without_power(*second), direct)));
  for (int number = -1; number < acknowledged; ++number) CHECK(later.find(key_of(number)));
  CHECK(later.find(key_of(acknowledged)).has_value() == served);
}

TEST_CASE("openings that are killed before anything is written leave one file together",
          "[store][file][reopen]") {
  auto machine = machine_with(Disk());
  {
    StoreOn<DiskFiles> store("/store", small_options(), DiskFiles(machine));
    store.insert(key_of(0), ended(1, 10));
  }
  for (int time = 0; time < 5; ++time) {
    StoreOn<DiskFiles> store("/store", small_options(), DiskFiles(machine));
    CHECK(store.find(key_of(0)));
    CHECK(store.stats().segments <= 3);
    machine = machine_with(machine->disk.after_kill());
  }
}

TEST_CASE("what was written without syncs is synced when the store is opened for power losses",
          "[store][file][reopen]") {
  const auto first = machine_with(Disk());
  FileStoreOptions options = small_options();
  options.durability = Durability::process_crash;
  {
    StoreOn<DiskFiles> store("/store", options, DiskFiles(first));
    for (int number = 0; number < 500; ++number) store.insert(key_of(number), ended(1, 200));
  }
  const auto second = machine_with(first->disk.after_kill());
  options.durability = Durability::power_loss;
  StoreOn<DiskFiles> store("/store", options, DiskFiles(second));
  StoreOn<DiskFiles> later("/store", options, DiskFiles(machine_with(without_power(*second))));
  CHECK(later.stats().records == 500);
}

TEST_CASE("records that were longer than is allowed by now are compacted", "[store][file][reopen]") {
  const auto machine = machine_with(Disk());
  FileStoreOptions options = small_options();
  options.max_record_bytes = std::size_t{1} << 20;
  options.segment_bytes = std::size_t{4} << 20;
  {
    StoreOn<DiskFiles> store("/store", options, DiskFiles(machine));
    store.insert(key_of(0), ended(1, 500'000));
    store.insert(key_of(1), ended(1, 10));
  }
  {
    StoreOn<DiskFiles> store("/store", small_options(), DiskFiles(machine));
    store.insert(key_of(2), ended(1, 10));
    CHECK(store.compact() > 0);
    store.insert(key_of(3), ended(1, 10));
  }
  StoreOn<DiskFiles> store("/store", small_options(), DiskFiles(machine));
  CHECK(store.stats().records == 4);
  CHECK(store.find(key_of(0)).value().response.size() == 500'000);
}

TEST_CASE("the loss of the newest segment is noticed where the one before could be filled to its last byte",
          "[store][file][reopen]") {
  FileStoreOptions options = small_options();
  options.segment_bytes = std::size_t{256} << 10;
  const auto machine = machine_with(Disk());
  {
    StoreOn<DiskFiles> store("/store", options, DiskFiles(machine));
    const std::uint64_t size = store.stats().disk_bytes;
    int number = 1000;  // with keys of one length
    store.insert(key_of(number++), ended(1, 1000));
    const std::uint64_t frame = store.stats().log_bytes - file_format::segment_head_size;
    while (size - store.stats().log_bytes > 2 * frame) store.insert(key_of(number++), ended(1, 1000));
    const std::uint64_t left = size - store.stats().log_bytes;
    store.insert(key_of(number++), ended(1, static_cast<std::size_t>(left + 1000 - frame)));
    while (store.stats().log_bytes < size + size / 2) store.insert(key_of(number++), ended(1, 1000));
    REQUIRE(store.stats().segments == 2);
  }
  Disk& disk = machine->disk;
  disk.unlink(disk.find("/store"), file_format::segment_name(2));
  CHECK_THROWS_AS(StoreOn<DiskFiles>("/store", options, DiskFiles(machine)), Error);
}

TEST_CASE("begins that are refused for a moved directory take no room", "[store][file][reopen]") {
  const MovedFiles files(machine_with(Disk()));
  StoreOn<MovedFiles> store("/store", small_options(), files);
  const auto before = store.stats().disk_bytes;
  *files.moved = true;
  for (int number = 0; number < 2000; ++number)
    CHECK_THROWS_AS(store.insert(key_of(number), begun(1)), Error);
  CHECK(store.stats().disk_bytes == before);
}

TEST_CASE("begins of one moment on a full disk leave room for the ends of all", "[store][file][reopen]") {
  constexpr int callers = 60;
  FileStoreOptions options = small_options();
  options.reserve_bytes = 2048;
  const auto machine = machine_with(Disk());
  const MeetingFiles files(machine);
  StoreOn<MeetingFiles> store("/store", options, files);
  machine->disk.set_capacity(machine->disk.used());
  *files.awaited = callers;
  std::vector<int> is_begun(callers);
  const auto begin = [&](int number) {
    try {
      is_begun[static_cast<std::size_t>(number)] = store.insert(key_of(number), begun(1)) ? 0 : 1;
    } catch (const Error&) {
    }
  };
  std::vector<std::thread> threads;
  for (int number = 0; number < callers; ++number) threads.emplace_back(begin, number);
  for (std::thread& thread : threads) thread.join();
  for (int number = 0; number < callers; ++number)
    if (is_begun[static_cast<std::size_t>(number)] == 0) begin(number);
  int began = 0;
  for (int number = 0; number < callers; ++number) {
    if (is_begun[static_cast<std::size_t>(number)] == 0) continue;
    ++began;
    CHECK(store.replace(key_of(number), 1, ended(2, 1700)));
  }
  CHECK(began > 0);
  CHECK(began < callers);
}
