// The store in memory when there is no memory: a program of its own, because it replaces operator new.

#include <paidonce/stores/memory.hpp>

#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace {

/// Counts down; the allocation at zero fails, and so does each that follows. Negative: all succeed.
thread_local long allocations_left = -1;

bool granted() noexcept {
  if (allocations_left < 0) return true;
  if (allocations_left == 0) return false;
  --allocations_left;
  return true;
}

[[gnu::noinline]] void* allocate(std::size_t size, std::align_val_t alignment = std::align_val_t(16)) {
  const auto align = static_cast<std::size_t>(alignment);
  if (void* memory = granted() ? std::aligned_alloc(align, (size + align - 1) / align * align) : nullptr)
    return memory;
  throw std::bad_alloc();
}

struct Exhausted {
  explicit Exhausted(long after) { allocations_left = after; }
  ~Exhausted() { allocations_left = -1; }
};

}  // namespace

// All forms of it: sanitizers bring their own of those that are not replaced, and would mix them up.
[[gnu::noinline]] void* operator new(std::size_t size) { return allocate(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return allocate(size); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, alignment);
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, alignment);
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size);
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
  return std::aligned_alloc(static_cast<std::size_t>(alignment), size);
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t alignment,
                                       const std::nothrow_t&) noexcept {
  return std::aligned_alloc(static_cast<std::size_t>(alignment), size);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}

using namespace paidonce;

namespace {

IdempotencyKey key(std::size_t number) {
  return {"", "a key too long for its string " + std::to_string(number)};
}

Record record_of(Version version) {
  Record record;
  record.version = version;
  record.response.assign(100, 'r');
  record.note.assign(100, 'n');
  return record;
}

/// Runs `action` with one more allocation granted each time until it goes through; how often it did not.
template <class Action, class Check>
long failures_of(const Action& action, const Check& unchanged) {
  for (long granted = 0;; ++granted) {
    bool failed = false;
    try {
      const Exhausted exhausted(granted);
      action();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    if (!failed) return granted;
    unchanged();
    if (granted > 1000) return granted;
  }
}

}  // namespace

TEST_CASE("an insert that finds no memory leaves the store as it was", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 200; ++i) {  // over several growths
    const IdempotencyKey mine = key(i);
    const Record record = record_of(i + 1);
    const long failed = failures_of([&] { (void)store.insert(mine, record); },
                                    [&] {
                                      REQUIRE_FALSE(store.find(mine));
                                      if (i > 0) REQUIRE(store.find(key(i - 1)) == record_of(i));
                                    });
    REQUIRE(failed >= 1);
    REQUIRE(failed <= 2);
    REQUIRE(store.find(mine) == record);
  }
  for (std::size_t i = 0; i < 200; ++i) REQUIRE(store.find(key(i)) == record_of(i + 1));
}

TEST_CASE("a growth that finds no memory does not use up max_records", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.max_records = 20, .shards = 1});
  for (std::size_t i = 0; i < 20; ++i) {
    const IdempotencyKey mine = key(i);
    const Record record = record_of(1);
    failures_of([&] { (void)store.insert(mine, record); }, [] {});
  }
  CHECK_THROWS_MATCHES(store.insert(key(20), record_of(1)), Error,
                       support::has_code<Error>(errc::store_full));
}

TEST_CASE("a replace that finds no memory leaves the record as it was", "[store][memory]") {
  MemoryStore store;
  const IdempotencyKey mine = key(1);
  const Record first = record_of(1), second = record_of(2);
  REQUIRE_FALSE(store.insert(mine, first));
  bool replaced = false;
  const long failed = failures_of([&] { replaced = store.replace(mine, 1, second); },
                                  [&] { REQUIRE(store.find(mine) == first); });
  CHECK(failed == 1);
  CHECK(replaced);
  CHECK(store.find(mine) == second);
}

TEST_CASE("reads that find no memory leave everything as it was, and let others in", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  const IdempotencyKey mine = key(1);
  const Record record = record_of(1);
  REQUIRE_FALSE(store.insert(mine, record));
  std::optional<Record> found, there;
  CHECK(failures_of([&] { found = store.find(mine); }, [] {}) == 2);  // the response, the note
  CHECK(found == record);
  CHECK(failures_of([&] { there = store.insert(mine, record); }, [] {}) == 3);
  CHECK(there == record);
  int visits = 0;
  CHECK(
      failures_of([&] { store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++visits > 0; }); },
                  [] {}) >= 3);
  CHECK(visits == 1);
  CHECK(store.replace(mine, 1, record_of(2)));
}

TEST_CASE("a sweep needs no memory", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 1000; ++i) {
    Record record = record_of(1);
    record.state = i % 100 == 0 ? State::in_doubt : State::declined;
    REQUIRE_FALSE(store.insert(key(i), record));
  }
  std::size_t erased = 0;
  {
    const Exhausted exhausted(0);
    erased = store.erase_expired(Timestamp(Duration(1)), SIZE_MAX);
  }
  CHECK(erased == 990);
  for (std::size_t i = 0; i < 1000; ++i) REQUIRE(store.find(key(i)).has_value() == (i % 100 == 0));
}
