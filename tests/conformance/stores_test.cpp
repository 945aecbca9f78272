// One line for each store.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <paidonce/stores/cached.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/store_skeleton.hpp>
#include <paidonce/testing/transactional_store.hpp>

#include "cached_fixture.hpp"
#include "support/catch.hpp"
#include "support/scratch_directory.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;

namespace {

struct SameHash {
  std::uint64_t operator()(const IdempotencyKey&) const noexcept { return 42; }
};

struct Memory {
  MemoryStore make() { return MemoryStore(); }
  MemoryStore make_with_room_for(std::size_t records) { return MemoryStore({.max_records = records}); }
  auto make_colliding() { return BasicMemoryStore<SameHash>(); }
};

struct File {
  ScratchDirectory scratch = {};
  int made = 0;
  std::filesystem::path last() const { return scratch / std::to_string(made); }
  FileStore make() {
    ++made;
    return reopen();
  }
  FileStore reopen() { return FileStore(last()); }
  auto make_colliding() {
    ++made;
    return BasicFileStore<PosixFiles, SameHash>(last());
  }
};

struct Skeleton {
  SkeletonStore make() { return {}; }
};

/// A store that the suite refers to, and that can be cut off.
struct Faulty {
  using Below = FaultStore<SkeletonStore>;
  Below make() { return Below(SkeletonStore()); }
  void break_backend(Below& store) { store.inject({.times = Fault::for_ever}); }
  void mend_backend(Below& store) { store.heal(); }
};

struct Transactional {
  TransactionalMemoryStore make() { return TransactionalMemoryStore(); }
};

struct FaultyMemory {
  MemoryStore below = MemoryStore();
  FaultStore<MemoryStore&> make() {
    below = MemoryStore();
    return second_handle();
  }
  FaultStore<MemoryStore&> second_handle() { return FaultStore<MemoryStore&>(below); }
};

struct CachedAlone {
  CachedStore<MemoryStore> make() { return CachedStore{MemoryStore()}; }
};

struct CachedFaulty {
  using Below = CachedStore<FaultStore<SkeletonStore>>;
  Below make() { return Below(FaultStore<SkeletonStore>(SkeletonStore())); }
  void break_backend(Below& store) { store.store().inject({.times = Fault::for_ever}); }
  void mend_backend(Below& store) { store.store().heal(); }
};

}  // namespace

TEST_CASE("MemoryStore is a store", "[conformance][store]") { check_store_conformance<Memory>(); }
TEST_CASE("FileStore is a store", "[conformance][store][file]") { check_store_conformance<File>(); }
TEST_CASE("the store to start from is a store", "[conformance][store]") {
  check_store_conformance<Skeleton>();
}
TEST_CASE("a fault store is a store until it fails", "[conformance][store]") {
  check_store_conformance<Faulty>();
}
TEST_CASE("a fault store around MemoryStore is as good as that", "[conformance][store]") {
  check_store_conformance<FaultyMemory>();
}
TEST_CASE("the store with transactions is a store", "[conformance][store]") {
  check_store_conformance<Transactional>();
}
TEST_CASE("a store with a memory in front is a store", "[conformance][store]") {
  check_store_conformance<conformance::CachedFixture<FaultyMemory>>();
}
TEST_CASE("a store with a memory in front is as good as that, where nobody else writes to it",
          "[conformance][store]") {
  check_store_conformance<CachedAlone>();
  check_store_conformance<CachedFaulty>();
}
