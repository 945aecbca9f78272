// A disk that is full refuses new payments first. Those that run find the room that was kept for their end,
// and when there is room again, so do new ones.

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/mount.h>

#include "fault/file_world.hpp"
#include "integration/support/process.hpp"

using namespace fault;

namespace {

constexpr unsigned far_too_many = 100'000;

Step begin_of(unsigned key) { return {.key = key, .version = 10}; }
Step end_of(unsigned key, std::size_t bytes) {
  return {.does = Step::Does::replace,
          .key = key,
          .version = 11,
          .expected = 10,
          .state = State::succeeded,
          .bytes = bytes};
}

/// Begins payments, each `finishes` first ones of ten ended at once, until one is refused: which one.
template <class S>
unsigned begin_until_full(S& store, unsigned first, unsigned finishes, std::vector<unsigned>& unfinished) {
  for (unsigned key = first; key < first + far_too_many; ++key) {
    try {
      const auto there = store.insert(key_of(key), record_of(begin_of(key)));
      REQUIRE_FALSE(there);
    } catch (const Error& error) {
      CHECK(error.code() == errc::store_full);
      CHECK(retryable(error));
      CHECK_THAT(error.what(), support::contains("room"));
      return key;
    }
    if (key % 10 < finishes)
      REQUIRE(store.replace(key_of(key), 10, record_of(end_of(key, 300))));
    else
      unfinished.push_back(key);
  }
  FAIL("never full");
  return 0;
}

/// The whole story on a store that can be opened as often as one likes. `give_room()` makes room.
template <class Open, class GiveRoom>
void fill_and_finish(const Open& open, const GiveRoom& give_room, unsigned finishes) {
  std::vector<unsigned> unfinished;
  auto store = open();
  const unsigned refused = begin_until_full(*store, 0, finishes, unfinished);
  INFO(refused << " payments, " << unfinished.size() << " of them unfinished");
  REQUIRE(refused > 20);
  REQUIRE(unfinished.size() > 5);
  CHECK_FALSE(store->find(key_of(refused)));

  // Nothing is poisoned: what was there can be read, what runs can end, whatever its end.
  for (std::size_t at = 0; at < unfinished.size(); ++at) {
    const unsigned key = unfinished[at];
    INFO("unfinished payment " << at << " of " << unfinished.size());
    if (at % 3 == 2)
      REQUIRE(
          store->replace(key_of(key), 10, record_of({.key = key, .version = 11, .state = State::in_doubt})));
    else
      REQUIRE(store->replace(key_of(key), 10, record_of(end_of(key, 700))));
    REQUIRE(store->find(key_of(key))->version == 11);
  }
  give_room();
  // New ones work again, in the same handle.
  for (unsigned key = refused; key < refused + 50; ++key) {
    REQUIRE_FALSE(store->insert(key_of(key), record_of(begin_of(key))));
    REQUIRE(store->replace(key_of(key), 10, record_of(end_of(key, 300))));
  }
  store.reset();
  store = open();
  for (unsigned key = 0; key < refused + 50; ++key) {
    const auto found = store->find(key_of(key));
    REQUIRE(found);
    CHECK(found->version == 11);
  }
}

}  // namespace

TEST_CASE("a full disk refuses new payments and records the end of those that run", "[store][file][full]") {
  const std::size_t capacity = GENERATE(600U << 10U, 1000U << 10U, 1500U << 10U, 3000U << 10U);
  const unsigned finishes = GENERATE(0U, 5U, 9U);
  const auto direct =
      GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened, Machine::Direct::is_not_written);
  CAPTURE(capacity, finishes);
  auto machine = std::make_shared<Machine>();
  machine->direct = direct;
  machine->disk.set_capacity(capacity);
  fill_and_finish([&] { return open_store(machine); },
                  [&] {
                    const std::lock_guard lock(machine->mutex);
                    machine->disk.set_capacity(16U << 20U);
                  },
                  finishes);
}

TEST_CASE("a full store with a thread of its own behaves the same", "[store][file][full]") {
  auto machine = std::make_shared<Machine>();
  machine->disk.set_capacity(1500U << 10U);
  FileStoreOptions options = small_segments();
  options.housekeeping = Housekeeping::background;
  fill_and_finish([&] { return open_store(machine, {}, options); },
                  [&] {
                    const std::lock_guard lock(machine->mutex);
                    machine->disk.set_capacity(16U << 20U);
                  },
                  5);
}

TEST_CASE("results as long as what is reserved find room on a full disk", "[store][file][full]") {
  // What a response of so many bytes takes in the log.
  const auto frame_of = [](std::size_t bytes) {
    const auto store = open_store(std::make_shared<Machine>());
    REQUIRE_FALSE(store->insert(key_of(12345), record_of(begin_of(12345))));
    const std::uint64_t before = store->stats().log_bytes;
    REQUIRE(store->replace(key_of(12345), 10, record_of(end_of(12345, bytes))));
    return store->stats().log_bytes - before;
  };
  const std::size_t bytes = 500 + FileStoreOptions().reserve_bytes - frame_of(500);
  REQUIRE(frame_of(bytes) == FileStoreOptions().reserve_bytes);
  const std::size_t capacity = GENERATE(700U << 10U, 1500U << 10U, 6000U << 10U);
  CAPTURE(capacity, bytes);
  auto machine = std::make_shared<Machine>();
  machine->disk.set_capacity(capacity);
  const auto store = open_store(machine);
  std::vector<unsigned> unfinished;
  begin_until_full(*store, 10'000, 0, unfinished);  // keys of one length
  for (const unsigned key : unfinished) {
    INFO(key - 10'000 << " of " << unfinished.size());
    REQUIRE(store->replace(key_of(key), 10, record_of(end_of(key, bytes))));
  }
}

TEST_CASE("erasing and compacting on a full disk lose nothing, and work when there is room",
          "[store][file][full]") {
  auto machine = std::make_shared<Machine>();
  machine->disk.set_capacity(2U << 20U);
  auto store = open_store(machine);
  std::vector<unsigned> unfinished;
  const unsigned refused = begin_until_full(*store, 0, 9, unfinished);
  const Timestamp over = script_expires + std::chrono::hours(10);
  const auto quietly = [](const auto& call) {
    try {
      return call();
    } catch (const Error& error) {
      CHECK(error.code() == errc::store_full);
      return std::size_t{0};
    }
  };
  std::size_t erased = quietly([&] { return store->erase_expired(over, far_too_many); });
  quietly([&] { return store->compact(); });
  for (const unsigned key : unfinished) REQUIRE(store->find(key_of(key)) == record_of(begin_of(key)));
  for (const unsigned key : unfinished) REQUIRE(store->replace(key_of(key), 10, record_of(end_of(key, 700))));
  {
    const std::lock_guard lock(machine->mutex);
    machine->disk.set_capacity(3U << 20U);
  }
  erased += store->erase_expired(over, far_too_many);
  CHECK(erased == refused);
  CHECK(store->compact() > 5);
  CHECK(store->stats().records == 0);
  CHECK(begin_until_full(*store, refused, 10, unfinished) > refused + 1000);
}

TEST_CASE("a full disk that loses its power has lost no end of a payment", "[store][file][full]") {
  for (unsigned stops_after = 0; stops_after < 40; stops_after += 3) {
    auto machine = std::make_shared<Machine>();
    machine->disk.set_capacity(700U << 10U);
    std::vector<unsigned> unfinished;
    auto store = open_store(machine);
    const unsigned refused = begin_until_full(*store, 0, 5, unfinished);
    for (unsigned at = 0; at < stops_after && at < unfinished.size(); ++at)
      REQUIRE(store->replace(key_of(unfinished[at]), 10, record_of(end_of(unfinished[at], 700))));
    auto later = std::make_shared<Machine>(
        machine->disk.after_power_loss({Loss::Bytes::some, Loss::Names::some, stops_after + 1}));
    later->disk.set_capacity(8U << 20U);
    const auto reopened = open_store(later);
    for (unsigned key = 0; key < refused; ++key) REQUIRE(reopened->find(key_of(key)));
    for (unsigned at = 0; at < stops_after && at < unfinished.size(); ++at)
      CHECK(reopened->find(key_of(unfinished[at])) == record_of(end_of(unfinished[at], 700)));
  }
}

TEST_CASE("a small tmpfs fills up and is given room", "[store][file][full]") {
  const integration::TemporaryDirectory files;
  const std::filesystem::path place = files / "tmpfs";
  std::filesystem::create_directory(place);
  if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=1536k") != 0) {
    const char* const ci = std::getenv("CI");
    if (ci != nullptr && std::string(ci) == "true") FAIL("a tmpfs cannot be mounted");
    WARN("skipped: mounting a tmpfs needs root");
    return;
  }
  struct Unmount {
    std::filesystem::path place;
    ~Unmount() { ::umount2(place.c_str(), MNT_DETACH); }
  } unmount{place};
  fill_and_finish([&] { return std::make_unique<FileStore>(place / "store", small_segments()); },
                  [&] { REQUIRE(::mount("tmpfs", place.c_str(), "tmpfs", MS_REMOUNT, "size=16m") == 0); }, 5);
}
