// Opening a store whose log is long: one thread reads it, two prepare what it says, one takes that over.
#include <paidonce/stores/file.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;
using detail::ChunkQueue;
using detail::LogChunk;

namespace {

/// Few values, and so long runs of keys that differ only in their bytes.
struct PoorHash {
  std::uint64_t operator()(const IdempotencyKey& key) const noexcept {
    return (key.hash() & 63) * 0x0400'0000'0000'0001;
  }
};

Record begun(Version version) {
  Record record;
  record.fingerprint = fingerprint("4.50", "EUR");
  record.version = version;
  record.attempt_id = version;
  record.attempts = 1;
  record.created_at = record.updated_at = Timestamp(Duration(1'700'000'000'000));
  record.lease_until = record.created_at + std::chrono::seconds(30);
  return record;
}

Record ended(Version version, std::size_t size) {
  Record record = begun(version);
  record.state = State::succeeded;
  record.response = std::string(size, static_cast<char>('a' + version % 26));
  record.expires_at = record.created_at + std::chrono::hours(version % 3 == 0 ? 1 : 24);
  return record;
}

/// Finished, unfinished, erased and begun again; a few results larger than what is read at once.
template <class Store>
void fill(Store& store, int payments) {
  std::deque<std::pair<IdempotencyKey, Record>> unfinished;
  const auto finish = [&](std::size_t left) {
    for (; unfinished.size() > left; unfinished.pop_front()) {
      const auto& [key, record] = unfinished.front();
      const std::size_t size = record.version % 1000 == 0 ? 1'500'000 : record.version * 13 % 900;
      REQUIRE(store.replace(key, record.version, ended(record.version + 1, size)));
    }
  };
  for (int i = 0; i < payments; ++i) {
    const IdempotencyKey key("opening", std::to_string(i % (payments - payments / 4)));
    const Record record = begun(static_cast<Version>(10 * i + 10));
    if (!store.insert(key, record)) unfinished.emplace_back(key, record);
    finish(500);
    if (i % 1000 == 999) store.erase_expired(record.created_at + std::chrono::hours(2), 300);
  }
  finish(20);
}

template <class Store>
std::map<std::string, Record> records_of(Store& store) {
  std::map<std::string, Record> records;
  store.scan({.limit = SIZE_MAX}, [&](const IdempotencyKey& key, const Record& record) {
    records.emplace(std::string(key.bytes()), record);
    return true;
  });
  return records;
}

template <class Hash>
void check_opening(std::size_t shards) {
  using Store = BasicFileStore<PosixFiles, Hash>;
  const ScratchDirectory scratch;
  FileStoreOptions options;
  options.durability = Durability::process_crash;
  options.housekeeping = Housekeeping::by_hand;
  options.max_record_bytes = std::size_t{2} << 20;
  options.segment_bytes = std::size_t{8} << 20;
  options.shards = shards;
  std::map<std::string, Record> before;
  FileStoreStats filled;
  {
    Store store(scratch.path() / "store", options);
    fill(store, 12'000);
    before = records_of(store);
    filled = store.stats();
  }
  REQUIRE(filled.log_bytes > 2 * detail::small_log);
  std::uint64_t bytes_done = 0;
  options.progress = [&](const FileStoreProgress& progress) {
    CHECK(progress.bytes_done >= bytes_done);
    bytes_done = progress.bytes_done;
  };
  Store store(scratch.path() / "store", options);
  CHECK(bytes_done > 2 * detail::small_log);
  CHECK(records_of(store) == before);
  const FileStoreStats opened = store.stats();
  CHECK(opened.records == before.size());
  CHECK(opened.records == filled.records);
  CHECK(opened.unfinished == 20);
  CHECK(opened.live_bytes == filled.live_bytes);
  for (const auto& [bytes, record] : before) REQUIRE(store.find(IdempotencyKey::from_bytes(bytes)) == record);
  CHECK(store.replace(IdempotencyKey::from_bytes(before.begin()->first), before.begin()->second.version,
                      begun(1)));
}

}  // namespace

TEST_CASE("a store with a long log opens with all that it held", "[store][file][opening]") {
  check_opening<KeyHash>(64);
}

TEST_CASE("a store with a long log opens whatever hashes its keys", "[store][file][opening]") {
  check_opening<PoorHash>(1);
}

namespace {

LogChunk numbered(LogChunk chunk, std::size_t number) {
  chunk.used = number;
  chunk.capacity = 0;  // here: how often it was prepared
  return chunk;
}

}  // namespace

TEST_CASE("chunks come in order, each prepared once by one thread or the other", "[store][file][opening]") {
  ChunkQueue queue(4, [](LogChunk& chunk) { ++chunk.capacity; });
  std::thread reader([&] {
    for (std::size_t i = 0; i < 5000; ++i) queue.give(numbered(queue.take(), i));
    queue.end(nullptr);
    queue.prepare_rest();
  });
  std::size_t next = 0, prepared_once = 0;
  while (std::optional<LogChunk> chunk = queue.next()) {
    next += chunk->used == next ? 1U : 0U;
    prepared_once += chunk->capacity == 1 ? 1U : 0U;
    queue.give_back(std::move(*chunk));
  }
  reader.join();
  CHECK(next == 5000);
  CHECK(prepared_once == 5000);
}

TEST_CASE("who reads prepares chunks while none is free, the last one first", "[store][file][opening]") {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::size_t> prepared;
  ChunkQueue queue(3, [&](LogChunk& chunk) {
    const std::lock_guard hold(mutex);
    prepared.push_back(chunk.used);
    changed.notify_one();
  });
  std::thread reader([&] {
    for (std::size_t i = 0; i < 4; ++i) queue.give(numbered(queue.take(), i));
    queue.end(nullptr);
  });
  {
    std::unique_lock hold(mutex);
    changed.wait(hold, [&] { return prepared.size() == 3; });
    CHECK(prepared == std::vector<std::size_t>{2, 1, 0});
  }
  for (std::size_t i = 0; i < 4; ++i) {
    std::optional<LogChunk> chunk = queue.next();
    REQUIRE(chunk);
    CHECK(chunk->used == i);
    queue.give_back(std::move(*chunk));
  }
  CHECK_FALSE(queue.next());
  reader.join();
  CHECK(prepared == std::vector<std::size_t>{2, 1, 0, 3});
}

TEST_CASE("what is thrown while a chunk is prepared ends the reading", "[store][file][opening]") {
  const auto here = std::this_thread::get_id();
  for (const bool in_reader : {true, false}) {
    bool thrown = false;
    std::mutex mutex;
    std::condition_variable changed;
    ChunkQueue queue(2, [&](LogChunk&) {
      const std::lock_guard hold(mutex);
      if ((std::this_thread::get_id() != here) != in_reader) return;
      thrown = true;
      changed.notify_one();
      throw std::runtime_error("no room");
    });
    {
      const detail::ReadingThread reading(queue, [&] {
        for (;;) queue.give(queue.take());
      });
      if (in_reader) {
        std::unique_lock hold(mutex);
        changed.wait(hold, [&] { return thrown; });
      }
      const auto use_all = [&] {
        while (std::optional<LogChunk> chunk = queue.next()) queue.give_back(std::move(*chunk));
      };
      CHECK_THROWS_WITH(use_all(), "no room");
    }
    CHECK(thrown);
  }
}
