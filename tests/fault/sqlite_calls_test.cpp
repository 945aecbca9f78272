// Each call of SQLite to the file system fails once, or is the last before the power goes. What was told to
// be stored stays stored, what was not is old or new and never half, and nothing is served that could still
// be lost.

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/mount.h>

#include <paidonce/stores/sqlite.hpp>

#include "fault/fast_directory.hpp"
#include "support/catch.hpp"
#include "support/sqlite_power.hpp"
#include "support/sqlite_vfs.hpp"

using namespace paidonce;
using support::SqlitePower;
using support::SqliteVfs;
using support::VfsCall;
using Does = support::VfsCall::Does;

namespace {

IdempotencyKey key(unsigned number) { return {"shop", "order-" + std::to_string(number)}; }

Record record(unsigned number, Version version, State state = State::in_progress) {
  Record made;
  made.fingerprint = fingerprint(number);
  made.state = state;
  made.version = version;
  made.attempts = 1;
  if (state == State::succeeded) made.expires_at = Timestamp(Duration(1000));
  made.response = "response " + std::to_string(version) + std::string(number * 37 % 3000, 'r');
  return made;
}

/// What may be stored, as far as a caller has been told: one state after an answer, several after none.
class Told {
 public:
  using Stored = std::optional<Record>;

  void is(unsigned number, Stored stored) { may_be_[number] = {std::move(stored)}; }
  void may_be(unsigned number, Stored stored) {
    may_be_.try_emplace(number, 1, std::nullopt).first->second.push_back(std::move(stored));
  }
  bool allows(unsigned number, const Stored& stored) const {
    const auto found = may_be_.find(number);
    if (found == may_be_.end()) return !stored;
    for (const Stored& each : found->second)
      if (each == stored) return true;
    return false;
  }
  Told() = default;

 private:
  std::map<unsigned, std::vector<Stored>> may_be_;
};

/// Makes one call, and notes what it says.
struct Caller {
  SqliteStore& store;
  Told& told;
  std::vector<std::error_code> errors = {};

  template <class Do>
  bool says(const Do& what) {
    try {
      what();
      return true;
    } catch (const Error& error) {
      errors.push_back(error.code());
      return false;
    }
  }
  void find(unsigned number) {
    std::optional<Record> found;
    if (!says([&] { found = store.find(key(number)); })) return;
    INFO("find of " << number);
    CHECK(told.allows(number, found));
    told.is(number, found);  // what was served once must stay
  }
  void insert(unsigned number, const Record& made) {
    std::optional<Record> there;
    if (!says([&] { there = store.insert(key(number), made); })) return told.may_be(number, made);
    INFO("insert of " << number);
    if (there) {
      CHECK(told.allows(number, there));
      told.is(number, there);
    } else {
      CHECK(told.allows(number, std::nullopt));
      told.is(number, made);
    }
  }
  void replace(unsigned number, Version expected, const Record& made) {
    bool stored = false;
    if (!says([&] { stored = store.replace(key(number), expected, made); })) return told.may_be(number, made);
    if (stored) told.is(number, made);
  }
  void pay(unsigned number) {
    insert(number, record(number, 1));
    replace(number, 1, record(number, 2, State::succeeded));
    find(number);
  }
};

constexpr unsigned payments = 12;

/// A day in a store's life: payments, a transaction with rows of the application, one that is rolled back, a
/// sweep, and enough pages for checkpoints.
void live(SqliteStore& store, Told& told, std::vector<std::error_code>& errors) {
  Caller caller{store, told};
  for (unsigned number = 0; number < payments; ++number) {
    caller.pay(number);
    if (number == 3) {
      const Record made = record(100, 5, State::in_doubt);
      if (caller.says([&] {
            store.transact([&](SqliteStore::Transaction& transaction) {
              transaction.insert(key(100), made);
              if (sqlite3_exec(transaction.native(),
                               "CREATE TABLE IF NOT EXISTS orders (n); INSERT INTO orders "
                               "VALUES (zeroblob(30000))",
                               nullptr, nullptr, nullptr) != SQLITE_OK)
                throw Error(errc::store_unavailable);
            });
          }))
        told.is(100, made);
      else
        told.may_be(100, made);
    }
    if (number == 4) {
      try {
        store.transact([&](SqliteStore::Transaction& transaction) {
          transaction.insert(key(101), record(101, 5));
          throw std::runtime_error("no");
        });
      } catch (const Error& error) {
        caller.errors.push_back(error.code());
      } catch (const std::runtime_error&) {
      }
    }
    if (number == 8 && caller.says([&] { store.erase_expired(Timestamp(Duration(1000)), 1000); })) {
      for (unsigned each = 0; each <= number; ++each)
        if (told.allows(each, record(each, 2, State::succeeded))) told.is(each, std::nullopt);
    } else if (number == 8) {
      for (unsigned each = 0; each <= number; ++each) told.may_be(each, std::nullopt);
    }
  }
  caller.find(100);
  caller.find(101);
  errors = caller.errors;
}

SqliteStoreOptions options(const char* vfs = "") {
  SqliteStoreOptions made;
  made.checkpoint_pages = 64;
  made.readers = 1;
  made.busy_timeout = Duration(20);
  made.vfs = vfs;
  return made;
}

void expect(const std::filesystem::path& file, const Told& told, const char* when) {
  SqliteStore store(file, options());
  for (unsigned number = 0; number < 102; ++number) {
    if (number == payments) number = 100;
    INFO(when << ", order " << number);
    const auto found = store.find(key(number));
    INFO((found ? "version " + std::to_string(found->version) : "nothing"));
    CHECK(told.allows(number, found));
  }
}

/// What a call may say when it fails, as the machine would.
std::vector<int> failures_of(const VfsCall& call) {
  switch (call.does) {
    case Does::open: return {SQLITE_CANTOPEN};
    case Does::read: return {SQLITE_IOERR_READ};
    case Does::write: return {SQLITE_IOERR_WRITE, SQLITE_FULL};
    case Does::truncate: return {SQLITE_IOERR_TRUNCATE};
    case Does::sync: return {SQLITE_IOERR_FSYNC};
    case Does::lock: return {SQLITE_IOERR_LOCK, SQLITE_BUSY};
    case Does::unlock: return {};
    case Does::shm_map: return {SQLITE_IOERR_SHMMAP, SQLITE_NOMEM};
    case Does::shm_lock: return {SQLITE_IOERR_SHMLOCK, SQLITE_BUSY};
    case Does::remove: return {SQLITE_IOERR_DELETE};
  }
  return {};
}

/// Opens a store and lives in it; the `fails`-th call to the file system fails so. Which calls there were.
struct Life {
  Told told = {};
  std::vector<std::error_code> errors = {};
  std::vector<VfsCall> calls = {};
  std::optional<std::error_code> refused = {};  // to open

  Life(const std::filesystem::path& file, std::size_t fails, int how) {
    const SqliteVfs vfs("failing", [&](const VfsCall& call) {
      calls.push_back({.does = call.does});
      return calls.size() - 1 == fails ? how : SQLITE_OK;
    });
    try {
      SqliteStore store(file, options("failing"));
      live(store, told, errors);
    } catch (const Error& error) {
      refused = error.code();
    } catch (const std::bad_alloc&) {
      refused = std::make_error_code(std::errc::not_enough_memory);
    }
  }
};

constexpr std::size_t never = SIZE_MAX;

}  // namespace

TEST_CASE("each call to the file system fails once, and nothing is told wrongly", "[store][sqlite][calls]") {
  std::vector<VfsCall> calls;
  {
    const fault::FastDirectory files;
    const Life life(files / "payments.db", never, SQLITE_OK);
    CHECK(life.errors.empty());
    CHECK_FALSE(life.refused);
    calls = life.calls;
  }
  REQUIRE(calls.size() > 200);
  std::map<std::string, std::size_t> poisoned, full, lived_on;
  for (std::size_t fails = 0; fails < calls.size(); ++fails)
    for (const int how : failures_of(calls[fails])) {
      const std::string name = std::string(to_string(calls[fails].does)) + " fails by " +
                               std::to_string(how) + ", call " + std::to_string(fails);
      INFO(name);
      const fault::FastDirectory files;
      const auto file = files / "payments.db";
      Life life(file, fails, how);
      bool is_poisoned = false;
      for (const std::error_code& error : life.errors) {
        // Once poisoned, nothing is answered any more.
        if (is_poisoned) CHECK(error == errc::store_poisoned);
        is_poisoned = is_poisoned || error == errc::store_poisoned;
        if (error == errc::store_full) ++full[to_string(calls[fails].does)];
      }
      if (is_poisoned) ++poisoned[to_string(calls[fails].does)];
      if (!is_poisoned && life.errors.size() == 1) ++lived_on[to_string(calls[fails].does)];
      expect(file, life.told, "after reopening");
    }
  INFO(calls.size() << " calls");
  CHECK(poisoned["sync"] > 10);
  CHECK(poisoned["write"] > 10);
  CHECK(poisoned.size() == 2);
  CHECK(full["write"] > 10);
  CHECK(lived_on["shm_lock"] > 10);
  CHECK(lived_on["write"] > 10);  // SQLITE_FULL
}

TEST_CASE("the power goes at each call that changes something, and what was told is there",
          "[store][sqlite][power]") {
  std::size_t changes = 0;
  for (std::size_t last = 0; last <= changes; ++last) {
    const fault::FastDirectory files;
    SqlitePower power;
    Told told;
    std::vector<std::error_code> errors;
    std::size_t seen = 0;
    bool off = false;
    {
      const SqliteVfs vfs(
          "power",
          [&](const VfsCall& call) {
            if (call.changes() && seen++ == last && last > 0) off = true;
            return off ? SQLITE_IOERR : SQLITE_OK;
          },
          [&](const VfsCall& call) { power.after(call); });
      try {
        SqliteStore store(files / "payments.db", options("power"));
        live(store, told, errors);
      } catch (const Error&) {
        CHECK(off);
      }
    }
    if (last == 0) changes = seen;
    INFO("power goes at change " << last << " of " << changes);
    std::filesystem::create_directory(files / "later");
    power.come_back(files / "later", last);
    if (!std::filesystem::exists(files / "later/payments.db")) continue;
    expect(files / "later/payments.db", told, "after the power came back");
  }
  CHECK(changes > 100);
}

TEST_CASE("nothing is served that a failed sync left in the cache alone", "[store][sqlite][power]") {
  // A sync fails, the process dies, another one opens the database, reads from the cache what was not synced,
  // and serves it. Then the power goes.
  std::size_t syncs = 0, served = 0;
  for (std::size_t fails = 0; fails <= syncs; ++fails) {
    const fault::FastDirectory files;
    SqlitePower power;
    Told told;
    std::vector<std::error_code> errors;
    std::size_t seen = 0;
    bool dead = false;
    std::filesystem::create_directory(files / "copy");
    const auto copy = [&] {
      for (const char* const name : {"payments.db", "payments.db-wal"})
        if (std::filesystem::exists(files / name))
          std::filesystem::copy_file(files / name, files / "copy" / name,
                                     std::filesystem::copy_options::overwrite_existing);
    };
    const SqliteVfs vfs(
        "dying",
        [&](const VfsCall& call) {
          if (dead) return SQLITE_IOERR;  // closing it changes nothing any more
          if (call.does != Does::sync || ++seen != fails) return SQLITE_OK;
          power.forget_unsynced(call.path);
          dead = true;
          copy();
          return SQLITE_IOERR_FSYNC;
        },
        [&](const VfsCall& call) { power.after(call); });
    try {
      SqliteStore store(files / "payments.db", options("dying"));
      live(store, told, errors);
    } catch (const Error&) {
      CHECK(dead);
    }
    if (fails == 0) {
      syncs = seen;
      continue;
    }
    // The cache is what the files were at that moment; the disk is what `power` says.
    for (const char* const name : {"payments.db", "payments.db-wal", "payments.db-shm"})
      std::filesystem::remove(files / name);
    for (const char* const name : {"payments.db", "payments.db-wal"})
      if (std::filesystem::exists(files / "copy" / name))
        std::filesystem::copy_file(files / "copy" / name, files / name);
    const SqliteVfs next(
        "next", [](const VfsCall&) { return SQLITE_OK; }, [&](const VfsCall& call) { power.after(call); });
    std::filesystem::create_directory(files / "later");
    {
      SqliteStore store(files / "payments.db", options("next"));
      for (unsigned number = 0; number < 102; ++number) {
        if (number == payments) number = 100;
        INFO("sync " << fails << " of " << syncs << " failed, order " << number);
        const auto found = store.find(key(number));
        CHECK(told.allows(number, found));
        told.is(number, found);
        served += found ? 1U : 0U;
      }
      power.come_back(files / "later", 0);
    }
    INFO("sync " << fails << " of " << syncs);
    expect(files / "later/payments.db", told, "after the power came back");
  }
  CHECK(syncs > 20);
  CHECK(served > 20);
}

TEST_CASE("a disk that is full refuses what needs room, keeps what is there, and goes on when there is room",
          "[store][sqlite][full]") {
  const fault::FastDirectory files;
  std::size_t room = 400'000, used = 0;
  const SqliteVfs vfs("full", [&](const VfsCall& call) {
    if (call.does != Does::write) return SQLITE_OK;
    const auto end = static_cast<std::size_t>(call.offset) + static_cast<std::size_t>(call.size);
    if (!call.is_log()) return SQLITE_OK;
    if (end > room) return SQLITE_FULL;
    used = std::max(used, end);
    return SQLITE_OK;
  });
  SqliteStoreOptions chosen = options("full");
  chosen.checkpoint_pages = 1'000'000;
  SqliteStore store(files / "payments.db", chosen);
  unsigned number = 0;
  std::error_code why;
  while (!why) {
    REQUIRE(number < 10'000);
    try {
      store.insert(key(number), record(1, 1));
      ++number;
    } catch (const Error& error) {
      why = error.code();
      CHECK(retryable(error));
    }
  }
  CHECK(why == errc::store_full);
  CHECK(number > 10);
  CHECK_FALSE(store.find(key(number)));
  for (unsigned each = 0; each < number; ++each) CHECK(store.find(key(each)) == record(1, 1));
  room = SIZE_MAX;
  CHECK_FALSE(store.insert(key(number), record(1, 1)));
  CHECK(store.replace(key(0), 1, record(1, 2, State::succeeded)));
}

TEST_CASE("a small tmpfs fills up, refuses new payments, and is given room", "[store][sqlite][full]") {
  const fault::FastDirectory files;
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
  unsigned number = 0;
  {
    SqliteStore store(place / "payments.db");
    for (std::error_code why; !why; ++number) {
      REQUIRE(number < 10'000);
      try {
        store.insert(key(number), record(number, 1));
      } catch (const Error& error) {
        why = error.code();
        CHECK(why == errc::store_full);
        --number;
      }
    }
    CHECK(number > 20);
    for (unsigned each = 0; each < number; ++each) CHECK(store.find(key(each)) == record(each, 1));
    CHECK_FALSE(store.find(key(number)));
    REQUIRE(::mount("tmpfs", place.c_str(), "tmpfs", MS_REMOUNT, "size=16m") == 0);
    for (unsigned each = 0; each < number; ++each)
      CHECK(store.replace(key(each), 1, record(each, 2, State::succeeded)));
    CHECK_FALSE(store.insert(key(number), record(number, 1)));
  }
  SqliteStore store(place / "payments.db");
  for (unsigned each = 0; each < number; ++each)
    CHECK(store.find(key(each)) == record(each, 2, State::succeeded));
}

TEST_CASE("a damaged database is refused where it is damaged", "[store][sqlite][corrupt]") {
  const fault::FastDirectory files;
  const auto file = files / "payments.db";
  {
    SqliteStore store(file);
    for (unsigned number = 0; number < 200; ++number) store.insert(key(number), record(number, 1));
  }
  const auto size = std::filesystem::file_size(file);
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(0);
  SECTION("in its head") {
    bytes << "no database at all";
    bytes.close();
    CHECK_THROWS_MATCHES(SqliteStore(file), Error, support::has_code<Error>(errc::store_corrupt));
  }
  SECTION("in its pages") {
    const std::string noise(4096, '\xa5');
    for (std::size_t at = 4096; at < size; at += 4096) {
      bytes.seekp(static_cast<std::streamoff>(at));
      if (at > 4 * 4096) bytes << noise;
    }
    bytes.close();
    std::size_t refused = 0, right = 0;
    try {
      SqliteStore store(file);
      for (unsigned number = 0; number < 200; ++number) {
        try {
          const auto found = store.find(key(number));
          REQUIRE(found);  // never absent by mistake
          CHECK(*found == record(number, 1));
          ++right;
        } catch (const Error& error) {
          CHECK(error.code() == errc::store_corrupt);
          ++refused;
        }
      }
    } catch (const Error& error) {
      CHECK(error.code() == errc::store_corrupt);
      ++refused;
    }
    CHECK(refused > 0);
  }
}
