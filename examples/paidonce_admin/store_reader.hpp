#pragma once
// A store that is looked at, of whatever kind, and not changed.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

#include "open_store.hpp"
#include "options.hpp"
#include "store_address.hpp"

namespace paidonce_admin {

using common::OpenStore;
using common::OpenStoreOf;
using common::StoreAddress;
using common::StoreClock;

/// The store does not verify, so nothing in it is to be believed.
struct StoreDamaged : std::runtime_error {
  explicit StoreDamaged(const std::string& problem);

  std::string file = {};  ///< empty where the problem is of no one place
  std::uint64_t offset = 0;
};

struct Entry {
  paidonce::IdempotencyKey key;
  paidonce::Record record;

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// What stores of a kind have in common, as far as people are told.
struct StoreKind {
  enum class Use {
    by_one_process,   ///< nobody else has it open while it is looked at or changed
    by_many_at_once,  ///< payments go on meanwhile
  };
  std::string_view name;  ///< as it stands before an address
  Use use;
  std::string_view abandoned;  ///< what is true of a payment in progress that is left to somebody
  std::string_view clock;      ///< whose clock its times are compared with
};

/// What there is to be said of a store as a whole.
struct About {
  /// Of a file store: its log, which was read from the first byte to the last.
  struct Log {
    std::string store_id = {};
    std::uint64_t segments = 0;
    std::uint64_t frames = 0;      ///< that were read and verified
    std::uint64_t bytes = 0;       ///< of these, with the heads of the files
    std::uint64_t live_bytes = 0;  ///< of these, what is still current
    std::uint64_t disk_bytes = 0;  ///< size of all files of the log
    std::uint64_t cut_bytes = 0;   ///< of a torn tail that was never acknowledged: the next opening cuts it
    bool closed = false;           ///< in order; otherwise its process was killed, or this is a copy
    std::vector<std::string> leftovers = {};  ///< files that the next opening removes or takes up again
    std::vector<std::string> others = {};     ///< files that are not the log's
  };

  std::string_view kind = {};
  std::optional<Log> log = {};
  /// Of a database: which one it is, each with the name that it goes by in JSON. No password among them.
  std::vector<std::pair<std::string, std::string>> database = {};
};

/// In progress or in doubt: somebody has to find out, or the next call with this key will.
constexpr bool is_unfinished(paidonce::State state) {
  return state == paidonce::State::in_progress || state == paidonce::State::in_doubt;
}

/// Which records are wanted, so that a database need not hand out all: others may be visited too.
struct Wanted {
  enum class Parts {
    all,
    no_response,  ///< it may be empty, whatever is stored
  };
  std::vector<paidonce::State> states = {};              ///< none: all
  std::string key_begins_with = {}, key_ends_with = {};  ///< of `IdempotencyKey::bytes()`
  Parts parts = Parts::all;
};

/// The records of a scope.
inline std::string key_beginning_of(std::string_view scope) {
  return static_cast<char>(scope.size()) + std::string(scope);
}

/// Every call of one that many use shows what is there by then, and holds nothing afterwards. All throw
/// `StoreDamaged`, `Refusal` and `paidonce::Error`.
class StoreReader {
 public:
  using Visit = std::function<void(const Entry&)>;

  StoreReader() = default;
  StoreReader(const StoreReader&) = delete;
  StoreReader& operator=(const StoreReader&) = delete;
  virtual ~StoreReader() = default;

  virtual const StoreKind& kind() const = 0;
  virtual About about() const = 0;
  /// In no order; of one moment, but for Redis, where records come and go while it reads.
  virtual void each(const Wanted& wanted, const Visit& visit) const = 0;
  virtual std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const = 0;
  /// The records that are named so.
  std::vector<Entry> find(const Which& which) const;
  /// Whether there is proof that nobody runs this attempt any more. Not to be relied on for a copy, whose
  /// store may be open.
  virtual bool holder_gone(const paidonce::IdempotencyKey&, const paidonce::Record&) const { return false; }
  virtual StoreClock clock() const { return {}; }
  /// Looks at every byte that can be verified, and says what it looked at.
  virtual std::string verify() const = 0;

  /// Throws `Refusal{bad_usage}` where this process is not to change the store.
  virtual void require_owner() const {}
  virtual std::unique_ptr<OpenStore> open_for_changes() const = 0;

  bool is_shared() const { return kind().use == StoreKind::Use::by_many_at_once; }
};

/// Throws `Refusal{bad_usage}` where there is no store, and `Refusal{in_use}`.
std::unique_ptr<StoreReader> look_at(const StoreAddress& address);

// What it chooses from. The place of a file store is a directory, of a SQLite store a file.
std::unique_ptr<StoreReader> look_at_files(const StoreAddress& address);
std::unique_ptr<StoreReader> look_at_sqlite(const StoreAddress& address);
std::unique_ptr<StoreReader> look_at_postgres(const StoreAddress& address);
std::unique_ptr<StoreReader> look_at_redis(const StoreAddress& address);

}  // namespace paidonce_admin
