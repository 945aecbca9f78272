#pragma once
// A store to start from. It works, and passes the conformance suite: copy it, rename it, and replace the map
// and the mutex by what keeps your records. The three functions are all that a guard asks for.
//
// In a database the mutex becomes the database's own atomicity: one statement with its condition in it, such
// as INSERT ... ON CONFLICT DO NOTHING, and UPDATE ... WHERE key = ? AND version = ?. A read followed by a
// write is not one operation, and charges twice under a race.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

/// A movable handle, like all stores; using one that was moved from is a bug. Any number of threads may call
/// its functions. Where the backend does not answer, each throws Error{errc::store_unavailable}: never an
/// empty optional, which would mean "stored" or "there is no record", and never `false`.
class SkeletonStore {
 public:
  /// What is there now: every write that was acknowledged before this call, and none that a crash could
  /// still undo.
  std::optional<Record> find(const IdempotencyKey& key) {
    std::lock_guard lock(table_->mutex);
    const auto found = table_->records.find(std::string(key.bytes()));
    if (found == table_->records.end()) return std::nullopt;
    return found->second;
  }

  /// Stores the record where there is none, in one atomic step; durably, before it returns, where the store
  /// is durable. Nullopt: stored. Otherwise the whole record that is there, and nothing was changed.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    std::lock_guard lock(table_->mutex);
    const auto [place, stored] = table_->records.try_emplace(std::string(key.bytes()), record);
    if (stored) return std::nullopt;
    return place->second;
  }

  /// Stores the record where the one that is there has the version `expected`, in one atomic step. False,
  /// and nothing was changed: it has another version, or there is none.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    std::lock_guard lock(table_->mutex);
    const auto found = table_->records.find(std::string(key.bytes()));
    if (found == table_->records.end() || found->second.version != expected) return false;
    found->second = record;
    return true;
  }

 private:
  // key.bytes() holds scope and text without ambiguity, and any byte: compare all of it, NUL bytes included.
  struct Table {
    std::mutex mutex = {};
    std::map<std::string, Record> records = {};
  };
  std::unique_ptr<Table> table_ = std::make_unique<Table>();
};

static_assert(Store<SkeletonStore>);

}  // namespace paidonce::inline v1
