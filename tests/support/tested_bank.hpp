#pragma once
// As tested_store.hpp, of a store with transactions: a table of texts beside the records, and commits that
// fail, lose their reply or hang. In memory it is TransactionalMemoryStore; in a database a real transaction,
// which `fails` rolls back, and `hangs` holds open.

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <paidonce/testing/transactional_store.hpp>

namespace support {

using TestedRows = paidonce::TransactionalMemoryStore::Rows;

struct TestedTransaction {
  virtual ~TestedTransaction() = default;
  virtual std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) = 0;
  virtual std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                                 const paidonce::Record& record) = 0;
  virtual bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
                       const paidonce::Record& record) = 0;
  virtual TestedRows& native() = 0;
};

struct TestedBankBackend {
  using Body = std::function<void(TestedTransaction&)>;
  virtual ~TestedBankBackend() = default;
  virtual std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) = 0;
  virtual std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                                 const paidonce::Record& record) = 0;
  virtual bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
                       const paidonce::Record& record) = 0;
  virtual void transact(const Body& body) = 0;
  virtual TestedRows rows() = 0;
  virtual void next_commit(paidonce::CommitFate fate) = 0;
  virtual void settle(paidonce::CommitFate fate) = 0;
};

__attribute__((weak)) std::shared_ptr<TestedBankBackend> tested_bank_database(
    const std::string& name, const paidonce::TransactionalMemoryStoreOptions& options);

/// What both kinds of transactions are made from: `Inner` is a store's, `rows` what it sees of the table.
template <class Inner>
class TestedTransactionOf final : public TestedTransaction {
 public:
  TestedTransactionOf(Inner& inner, TestedRows& rows) : inner_(inner), rows_(rows) {}
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) override {
    return inner_.find(key);
  }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey& key,
                                         const paidonce::Record& record) override {
    return inner_.insert(key, record);
  }
  bool replace(const paidonce::IdempotencyKey& key, paidonce::Version expected,
               const paidonce::Record& record) override {
    return inner_.replace(key, expected, record);
  }
  TestedRows& native() override { return rows_; }

 private:
  Inner& inner_;
  TestedRows& rows_;
};

class TestedBankMemory final : public TestedBankBackend {
 public:
  explicit TestedBankMemory(const paidonce::TransactionalMemoryStoreOptions& options) : store_(options) {}
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
  void transact(const Body& body) override {
    store_.transact([&](paidonce::TransactionalMemoryStore::Transaction& inner) {
      TestedTransactionOf transaction(inner, inner.native());
      body(transaction);
    });
  }
  TestedRows rows() override { return store_.rows(); }
  void next_commit(paidonce::CommitFate fate) override { store_.next_commit(fate); }
  void settle(paidonce::CommitFate fate) override { store_.settle(fate); }

 private:
  paidonce::TransactionalMemoryStore store_;
};

/// The interface of TransactionalMemoryStore.
class TestedBank {
 public:
  using Rows = TestedRows;
  using Transaction = TestedTransaction;

  explicit TestedBank(const paidonce::TransactionalMemoryStoreOptions& options = {}) {
    const char* const name = std::getenv("PAIDONCE_TESTED_STORE");
    if (!name)
      backend_ = std::make_shared<TestedBankMemory>(options);
    else if (tested_bank_database)
      backend_ = tested_bank_database(name, options);
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
  template <class Body>
  void transact(Body&& body) {
    backend_->transact([&body](Transaction& transaction) { body(transaction); });
  }
  Rows rows() const { return backend_->rows(); }
  void next_commit(paidonce::CommitFate fate) { backend_->next_commit(fate); }
  void settle(paidonce::CommitFate fate) { backend_->settle(fate); }

 private:
  std::shared_ptr<TestedBankBackend> backend_;
};

static_assert(paidonce::TransactionalStore<TestedBank>);

}  // namespace support
