#pragma once
// A store with transactions, in memory, for tests of what commits a record together with rows of the
// application: commits can be made to fail, to lose their reply, or to hang.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

/// What becomes of a commit.
enum class CommitFate : std::uint8_t {
  done,        ///< committed, and the caller is told
  fails,       ///< not committed; the caller gets `store_unavailable`
  reply_lost,  ///< committed; the caller gets `store_unavailable`
  hangs,       ///< undecided until `settle`, with its locks held; the caller gets `store_unavailable`
};

struct TransactionalMemoryStoreOptions {
  Duration lock_timeout{1000};  ///< how long a write waits for another transaction before `store_busy`
};

/// Behaves like a database with one writer at a time. A write, in a transaction or on its own, waits for the
/// transaction that runs and then meets what it left; `find` and `rows` never wait and see what is committed.
/// So a read proves nothing about a commit that hangs, and a conflicting write does: it goes in, meets the
/// record, or times out. Writing past a transaction from within it waits for itself, and times out.
///
/// A movable handle; any number of threads may use it.
class TransactionalMemoryStore {
 public:
  using Rows = std::map<std::string, std::string>;

 private:
  using Records = std::map<std::string, Record>;
  struct Tables {
    Records records = {};
    Rows rows = {};

    std::optional<Record> find(const IdempotencyKey& key) const {
      const auto found = records.find(std::string(key.bytes()));
      if (found == records.end()) return std::nullopt;
      return found->second;
    }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      const auto [place, stored] = records.try_emplace(std::string(key.bytes()), record);
      if (stored) return std::nullopt;
      return place->second;
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      const auto found = records.find(std::string(key.bytes()));
      if (found == records.end() || found->second.version != expected) return false;
      found->second = record;
      return true;
    }
  };

 public:
  /// What the body of a transaction works on; itself a store. Sees its own writes; nobody else does before
  /// the commit. Belongs to the thread that runs the body, and ends with it.
  class Transaction {
   public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    std::optional<Record> find(const IdempotencyKey& key) { return draft_.find(key); }
    std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
      return draft_.insert(key, record);
    }
    bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
      return draft_.replace(key, expected, record);
    }

    /// The application's own table, as this transaction sees it: what a driver's handle is elsewhere.
    Rows& native() noexcept { return draft_.rows; }

   private:
    friend class TransactionalMemoryStore;
    explicit Transaction(Tables draft) : draft_(std::move(draft)) {}
    Tables draft_;
  };

  explicit TransactionalMemoryStore(TransactionalMemoryStoreOptions options = {})
      : state_(std::make_unique<State>(options)) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    std::lock_guard lock(state_->mutex);
    return state_->committed.find(key);
  }
  /// `store_busy` when a transaction holds the store for longer than the lock timeout.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    std::unique_lock lock(state_->mutex);
    state_->await_writer(lock);
    return state_->committed.insert(key, record);
  }
  /// Likewise.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    std::unique_lock lock(state_->mutex);
    state_->await_writer(lock);
    return state_->committed.replace(key, expected, record);
  }

  /// Runs `body(Transaction&)`, commits when it returns, and rolls back and passes on what it throws.
  /// `store_busy` as for `insert`: the body was not called. `store_unavailable`: see CommitFate.
  template <class Body>
  void transact(Body&& body) {
    Writer writer(*state_);
    Transaction transaction(writer.committed());
    std::forward<Body>(body)(transaction);
    writer.commit(std::move(transaction.draft_));
  }

  /// The application's rows, as committed.
  Rows rows() const {
    std::lock_guard lock(state_->mutex);
    return state_->committed.rows;
  }

  /// What becomes of the next commit of a transaction; those after it are done.
  void next_commit(CommitFate fate) {
    std::lock_guard lock(state_->mutex);
    state_->next_commit = fate;
  }

  /// Decides the commit that hangs: `done` commits it, anything else rolls it back. Without one, nothing.
  void settle(CommitFate fate) {
    {
      std::lock_guard lock(state_->mutex);
      if (!state_->hanging) return;
      if (fate == CommitFate::done) state_->committed = std::move(*state_->hanging);
      state_->hanging.reset();
      state_->writing = false;
    }
    state_->writer_left.notify_all();
  }

 private:
  struct State {
    explicit State(TransactionalMemoryStoreOptions given) : options(given) {}

    const TransactionalMemoryStoreOptions options;
    std::mutex mutex = {};
    std::condition_variable writer_left = {};
    bool writing = false;
    Tables committed = {};
    std::optional<Tables> hanging = {};
    CommitFate next_commit = CommitFate::done;

    void await_writer(std::unique_lock<std::mutex>& lock) {
      if (!writer_left.wait_for(lock, options.lock_timeout, [&] { return !writing; }))
        throw Error(errc::store_busy, "another transaction holds the store; it was waited for in vain");
    }
  };

  /// The one writer: from the begin of a transaction to its end, or its hanging.
  class Writer {
   public:
    explicit Writer(State& state) : state_(state) {
      std::unique_lock lock(state_.mutex);
      state_.await_writer(lock);
      state_.writing = true;
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
      if (hangs_) return;
      {
        std::lock_guard lock(state_.mutex);
        state_.writing = false;
      }
      state_.writer_left.notify_all();
    }

    Tables committed() const {
      std::lock_guard lock(state_.mutex);
      return state_.committed;
    }

    void commit(Tables&& draft) {
      std::lock_guard lock(state_.mutex);
      const CommitFate fate = std::exchange(state_.next_commit, CommitFate::done);
      if (fate == CommitFate::done || fate == CommitFate::reply_lost) state_.committed = std::move(draft);
      if (fate == CommitFate::hangs) {
        state_.hanging = std::move(draft);
        hangs_ = true;
      }
      if (fate != CommitFate::done)
        throw Error(errc::store_unavailable, "the connection was lost while the transaction was committed");
    }

   private:
    State& state_;
    bool hangs_ = false;
  };

  std::unique_ptr<State> state_;
};

static_assert(TransactionalStore<TransactionalMemoryStore>);

}  // namespace paidonce::inline v1
