#pragma once
// The store under the tests of guard, recovery and faults that are about no store in particular. It is in
// memory, or whatever PAIDONCE_TESTED_STORE names: "sqlite" or "postgres". CTest runs a program that says
// OVER_STORES once over each. What is bound to MemoryStore has the tag [memory] and is run over that alone.

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <paidonce/store.hpp>
#include <paidonce/stores/memory.hpp>

namespace support {

using TestedVisitor = std::function<bool(const paidonce::IdempotencyKey&, const paidonce::Record&)>;

/// Whether it is: a test that makes very many calls makes fewer where each is a commit.
inline bool tested_in_memory() { return std::getenv("PAIDONCE_TESTED_STORE") == nullptr; }

/// What a tested store forwards to.
struct TestedBackend {
  virtual ~TestedBackend() = default;
  virtual std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) = 0;
  virtual std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                                 const paidonce::Record& record) = 0;
  virtual bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
                       const paidonce::Record& record) = 0;
  virtual void scan(const paidonce::ScanFilter& filter, const TestedVisitor& visitor) = 0;
  virtual std::size_t erase_expired(paidonce::Timestamp now, std::size_t limit) = 0;
};

/// An empty store in the database of that name, for one test at a time: tested_databases.cpp, where a program
/// has it.
__attribute__((weak)) std::shared_ptr<TestedBackend> tested_database(const std::string& name,
                                                                     std::size_t max_record_bytes);

class TestedMemory final : public TestedBackend {
 public:
  explicit TestedMemory(const paidonce::MemoryStoreOptions& options) : store_(options) {}
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) override {
    return store_.find(key);
  }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                         const paidonce::Record& record) override {
    return store_.insert(key, record);
  }
  bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
               const paidonce::Record& record) override {
    return store_.replace(key, expected, record);
  }
  void scan(const paidonce::ScanFilter& filter, const TestedVisitor& visitor) override {
    store_.scan(filter, visitor);
  }
  std::size_t erase_expired(paidonce::Timestamp now, std::size_t limit) override {
    return store_.erase_expired(now, limit);
  }

 private:
  paidonce::MemoryStore store_;
};

/// Movable, as every store. Of the options only the most bytes of a record have a meaning in a database.
class TestedStore {
 public:
  static constexpr bool local_find = true;

  TestedStore() : TestedStore(paidonce::MemoryStoreOptions{}) {}
  explicit TestedStore(const paidonce::MemoryStoreOptions& options) {
    const char* const name = std::getenv("PAIDONCE_TESTED_STORE");
    if (!name)
      backend_ = std::make_shared<TestedMemory>(options);
    else if (tested_database)
      backend_ = tested_database(name, options.max_record_bytes);
    else
      throw std::logic_error("PAIDONCE_TESTED_STORE is set for a program that does not say OVER_STORES");
  }

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) { return backend_->find(key); }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                         const paidonce::Record& record) {
    return backend_->insert(key, record);
  }
  bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
               const paidonce::Record& record) {
    return backend_->replace(key, expected, record);
  }
  template <class Visitor>
  void scan(const paidonce::ScanFilter& filter, Visitor&& visitor) {
    backend_->scan(filter, std::ref(visitor));
  }
  std::size_t erase_expired(paidonce::Timestamp now, std::size_t limit) {
    return backend_->erase_expired(now, limit);
  }

  TestedStore(TestedStore&&) noexcept = default;
  TestedStore& operator=(TestedStore&&) noexcept = default;
  TestedStore(const TestedStore&) = delete;
  TestedStore& operator=(const TestedStore&) = delete;
  ~TestedStore() = default;

 private:
  std::shared_ptr<TestedBackend> backend_;
};

static_assert(paidonce::ScannableStore<TestedStore> && paidonce::SweepableStore<TestedStore>);

}  // namespace support
