// Nothing is told of a write before it is on the disk: not to its writer, and not to anybody who reads.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "fault/file_world.hpp"

using namespace fault;

namespace {

/// Holds up, once it is shut, the call that makes a group durable.
class Gate {
 public:
  void shut() {
    const std::lock_guard lock(mutex_);
    shut_ = true;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    shut_ = false;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    if (!shut_) return;
    waits_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !shut_; });
  }
  void wait_for_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waits_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_ = false, waits_ = false;
};

struct GatedFiles : DiskFiles {
  GatedFiles(std::shared_ptr<Machine> machine, std::shared_ptr<Gate> gate)
      : DiskFiles(machine), direct(machine->direct == Machine::Direct::works), gate_(std::move(gate)) {}
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) {
    if (direct) gate_->pass();
    return DiskFiles::write(fd, from, size, at);
  }
  int sync_data(int fd) {
    if (!direct) gate_->pass();
    return DiskFiles::sync_data(fd);
  }

 private:
  bool direct;
  std::shared_ptr<Gate> gate_;
};

struct Called {
  std::atomic<bool> called{false};
  std::optional<Record> record = {};
};

}  // namespace

TEST_CASE("nothing is told of a write before it is on the disk", "[store][file][fault]") {
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  auto machine = std::make_shared<Machine>();
  machine->direct = direct;
  auto gate = std::make_shared<Gate>();
  auto store =
      std::make_unique<BasicFileStore<GatedFiles>>(store_path, small_segments(), GatedFiles(machine, gate));
  const Record begun = record_of({.key = 1, .version = 10});
  const Record ended = record_of({.key = 1, .version = 11, .state = State::succeeded, .bytes = 300});
  const bool ends = GENERATE(false, true);
  if (ends) REQUIRE_FALSE(store->insert(key_of(1), begun));

  gate->shut();
  std::atomic<bool> told{false};
  std::thread writer([&] {
    if (ends)
      store->replace(key_of(1), 10, ended);
    else
      store->insert(key_of(1), begun);
    told = true;
  });
  gate->wait_for_somebody();

  // Readers come while the group is on its way to the disk.
  Called found, there, replaced;
  const IdempotencyKey key = key_of(1);
  const Record other = record_of({.key = 1, .version = 20});
  const auto keep = [](Called& in) {
    return [&in](const std::exception_ptr&, std::optional<Record> record) {
      in.record = std::move(record);
      in.called = true;
    };
  };
  store->async_find(key, keep(found));
  store->async_insert(key, other, keep(there));
  store->async_replace(key, 5, other, [&](const std::exception_ptr&, bool) { replaced.called = true; });
  std::atomic<bool> read{false}, scanned{false};
  std::thread reader([&] {
    static_cast<void>(store->find(key));
    read = true;
  });
  std::thread scanner([&] {
    store->scan({}, [&](const IdempotencyKey&, const Record&) { return true; });
    scanned = true;
  });
  // They have every chance to be told too early.
  for (int turn = 0; turn < 200; ++turn) std::this_thread::yield();
  CHECK_FALSE(told);
  CHECK_FALSE(found.called);
  CHECK_FALSE(there.called);
  CHECK_FALSE(replaced.called);
  CHECK_FALSE(read);
  CHECK_FALSE(scanned);

  gate->open();
  writer.join();
  reader.join();
  scanner.join();
  store.reset();
  CHECK(told);
  CHECK(found.record == (ends ? ended : begun));
  CHECK(there.record == (ends ? ended : begun));
  CHECK(replaced.called);
}
