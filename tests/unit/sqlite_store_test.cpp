// The store in a SQLite database: what it is given, what it refuses, and how calls meet in it.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <latch>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <paidonce/guard.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "fault/fast_directory.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

IdempotencyKey key(unsigned number) { return {"shop", "order-" + std::to_string(number)}; }

Record record(Version version, State state = State::in_progress) {
  Record made;
  made.fingerprint = fingerprint("order", version);
  made.state = state;
  made.version = version;
  made.attempt_id = ~version;
  made.attempts = 1;
  made.created_at = made.updated_at = Timestamp(1'700'000'000'000ms);
  if (state != State::in_progress && state != State::in_doubt)
    made.expires_at = Timestamp(1'800'000'000'000ms);
  made.response = "response " + std::to_string(version);
  return made;
}

/// The application's own connection.
class Database {
 public:
  explicit Database(const std::filesystem::path& file) {
    REQUIRE(sqlite3_open(file.c_str(), &database_) == SQLITE_OK);
    sqlite3_busy_timeout(database_, 5000);
  }
  ~Database() { sqlite3_close(database_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// All values, rows and columns in order.
  std::vector<std::string> run(const std::string& sql) {
    std::vector<std::string> values;
    char* why = nullptr;
    const int code = sqlite3_exec(
        database_, sql.c_str(),
        [](void* to, int count, char** texts, char**) {
          for (int at = 0; at < count; ++at)
            static_cast<std::vector<std::string>*>(to)->push_back(texts[at] ? texts[at] : "NULL");
          return 0;
        },
        &values, &why);
    INFO(sql << ": " << (why ? why : ""));
    REQUIRE(code == SQLITE_OK);
    return values;
  }
  sqlite3* get() { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

void run(sqlite3* database, const char* sql) {
  REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
}

/// Of any thread, so without Catch2.
template <class Do>
std::error_code code_of(Do&& what) {
  try {
    what();
  } catch (const Error& error) {
    const bool tells_the_key = std::string(error.what()).find("order-") != std::string::npos;
    return tells_the_key ? std::make_error_code(std::errc::bad_message) : error.code();
  }
  return {};
}

struct Umask {
  mode_t before;
  explicit Umask(mode_t mask) : before(::umask(mask)) {}
  ~Umask() { ::umask(before); }
};

std::vector<std::string> schema_of(Database& database) {
  std::vector<std::string> words;
  for (const std::string& text : database.run(
           "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name")) {
    std::istringstream in(text);
    std::string normal, word;
    while (in >> word) normal += word + ' ';
    words.push_back(normal);
  }
  return words;
}

/// Holds the writing connection until it is let go.
class Holder {
 public:
  explicit Holder(SqliteStore& store)
      : thread_([this, &store] {
          store.transact([this](SqliteStore::Transaction&) {
            holds_.count_down();
            let_go_.wait();
          });
        }) {
    holds_.wait();
  }
  ~Holder() {
    let_go();
    thread_.join();
  }
  void let_go() {
    if (!std::exchange(gone_, true)) let_go_.count_down();
  }

 private:
  std::latch holds_{1}, let_go_{1};
  bool gone_ = false;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a SqliteStore refuses options that cannot work", "[store][sqlite]") {
  const fault::FastDirectory files;
  const auto refused = [&](SqliteStoreOptions options) {
    return code_of([&] { SqliteStore(files / "payments.db", options); }) == errc::invalid_options;
  };
  CHECK(refused({.busy_timeout = 0ms}));
  CHECK(refused({.busy_timeout = 2h}));
  CHECK(refused({.max_record_bytes = 0}));
  CHECK(refused({.max_record_bytes = std::size_t{1} << 30}));
  CHECK(refused({.max_batch = 0}));
  CHECK(refused({.readers = 0}));
  CHECK(refused({.checkpoint_pages = 1}));
  for (const char* const name : {"", "a b", "a;b", "a\"b", "1a", "sqlite_a", "SQLite_a", "a'--", "tablé"})
    CHECK(refused({.table = name}));
  CHECK(refused({.table = std::string(49, 'a')}));
  CHECK_FALSE(std::filesystem::exists(files / "payments.db"));
  CHECK_NOTHROW(SqliteStore(files / "payments.db", {.table = "Other_payments_2"}));
}

TEST_CASE("a SqliteStore refuses what would forget payments", "[store][sqlite]") {
  const fault::FastDirectory files;
  const auto opening = [&](const std::filesystem::path& file) { return code_of([&] { SqliteStore{file}; }); };
  for (const char* const name :
       {"", ":memory:", "file::memory:?cache=shared", "file:payments.db", ".", "a/", ":x"})
    CHECK(opening(name) == errc::invalid_options);
  CHECK(opening(files.path()) == errc::invalid_options);
  CHECK(opening(files / "none/payments.db") == errc::store_unavailable);
  std::filesystem::create_symlink(files / "elsewhere.db", files / "link.db");
  CHECK(opening(files / "link.db") == errc::invalid_options);
  CHECK_FALSE(std::filesystem::exists(files / "elsewhere.db"));
  CHECK(opening("/proc/self/payments.db") != std::error_code());

  std::ofstream(files / "text.db") << std::string(5000, 'x');
  CHECK(opening(files / "text.db") == errc::store_corrupt);
  // A link on the way there is as good as the directory.
  std::filesystem::create_directory_symlink(files.path(), files / "way");
  CHECK_NOTHROW(SqliteStore(files / "way/payments.db"));
}

TEST_CASE("a database that cannot be written is refused when it is opened", "[store][sqlite]") {
  if (::geteuid() == 0) {
    // Nothing is forbidden to this user: a child becomes another one.
    const fault::FastDirectory files;
    SqliteStore{files / "payments.db"};
    std::filesystem::permissions(files.path(), std::filesystem::perms::all);
    ::chmod((files / "payments.db").c_str(), 0444);
    const pid_t child = ::fork();
    if (child == 0) {
      int said = 0;
      if (::setuid(65534) != 0) ::_exit(9);
      try {
        SqliteStore{files / "payments.db"};
      } catch (const Error& error) {
        said = error.code() == errc::unsafe_config ? 1 : 2;
      }
      ::_exit(said);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WEXITSTATUS(status) == 1);
    return;
  }
  const fault::FastDirectory files;
  SqliteStore{files / "payments.db"};
  ::chmod((files / "payments.db").c_str(), 0444);
  CHECK(code_of([&] { SqliteStore{files / "payments.db"}; }) == errc::unsafe_config);
}

TEST_CASE("what a SqliteStore makes is for its owner alone, whatever the umask", "[store][sqlite]") {
  const fault::FastDirectory files;
  const Umask mask(GENERATE(0U, 0777U, 0022U));
  SqliteStore store(files / "payments.db");
  store.insert(key(1), record(1));
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(files.path())) {
    INFO(entry.path());
    struct ::stat status {};
    REQUIRE(::stat(entry.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    ++seen;
  }
  CHECK(seen == 3);  // database, log and the log's index
}

TEST_CASE("the schema on paper is the one that the store makes", "[store][sqlite][schema]") {
  const fault::FastDirectory files;
  std::ifstream in(PAIDONCE_SQLITE_SCHEMA);
  REQUIRE(in);
  const std::string sql((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  { SqliteStore{files / "made.db"}; }
  {
    Database paper(files / "paper.db");
    paper.run(sql);
    Database made(files / "made.db");
    CHECK(schema_of(paper) == schema_of(made));
    CHECK(paper.run("SELECT * FROM paidonce_schema") == made.run("SELECT * FROM paidonce_schema"));
  }
  SqliteStore store(files / "paper.db");  // takes it as it is
  CHECK_FALSE(store.insert(key(1), record(1)));
}

TEST_CASE("many who open a new database at once make its tables once", "[store][sqlite][schema]") {
  const fault::FastDirectory files;
  std::vector<std::thread> threads;
  std::atomic<int> stored{0}, failed{0};
  std::latch start(8);
  for (unsigned number = 0; number < 8; ++number)
    threads.emplace_back([&, number] {
      start.arrive_and_wait();
      try {
        SqliteStore store(files / "payments.db");
        stored += store.insert(key(number % 4), record(number)) ? 0 : 1;
      } catch (const std::exception&) {
        ++failed;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(stored == 4);
}

TEST_CASE("a database whose log cannot be begun yet is waited for", "[store][sqlite][schema]") {
  const fault::FastDirectory files;
  Database other(files / "payments.db");  // without a log
  other.run("CREATE TABLE orders (number); BEGIN IMMEDIATE; INSERT INTO orders VALUES (1)");
  auto opened = std::async(std::launch::async, [&] { return SqliteStore(files / "payments.db"); });
  CHECK(opened.wait_for(50ms) == std::future_status::timeout);
  other.run("COMMIT");
  CHECK_FALSE(opened.get().insert(key(1), record(1)));
}

TEST_CASE("tables of a newer release are refused, and other tables left alone", "[store][sqlite][schema]") {
  const fault::FastDirectory files;
  { SqliteStore{files / "payments.db"}; }
  Database database(files / "payments.db");
  database.run("PRAGMA user_version = 42; PRAGMA application_id = 7; CREATE TABLE orders (number TEXT)");
  { SqliteStore{files / "payments.db"}; }
  CHECK(database.run("PRAGMA user_version") == std::vector<std::string>{"42"});
  database.run("UPDATE paidonce_schema SET version = 2 WHERE component = 'paidonce_payments'");
  CHECK(code_of([&] { SqliteStore{files / "payments.db"}; }) == errc::unsupported_format);
  CHECK_NOTHROW(SqliteStore(files / "payments.db", {.table = "others"}));
}

TEST_CASE("the view shows a payment as people read it", "[store][sqlite][schema]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  Record made = record(7, State::succeeded);
  made.amount = "4.50 EUR";
  store.insert(IdempotencyKey(std::string(200, 's'), "order'1"), made);
  store.insert(IdempotencyKey("", "bare"), record(8));
  Database database(files / "payments.db");
  CHECK(database.run("SELECT scope, key, state, amount, created_at, expires_at, response, version "
                     "FROM paidonce_payments_readable ORDER BY version") ==
        std::vector<std::string>{std::string(200, 's'), "order'1", "succeeded", "4.50 EUR",
                                 "2023-11-14 22:13:20.000", "2027-01-15 08:00:00.000", "response 7", "7", "",
                                 "bare", "in_progress", "", "2023-11-14 22:13:20.000", "NULL", "response 8",
                                 "8"});
}

TEST_CASE("stores of two tables in one database know nothing of each other", "[store][sqlite]") {
  const fault::FastDirectory files;
  SqliteStore first(files / "payments.db");
  SqliteStore second(files / "payments.db", {.table = "refunds"});
  CHECK_FALSE(first.insert(key(1), record(1)));
  CHECK_FALSE(second.insert(key(1), record(2)));
  CHECK(first.find(key(1)) == record(1));
  CHECK(second.find(key(1)) == record(2));
}

TEST_CASE("records and texts beyond the limits are refused before anything is written", "[store][sqlite]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db", {.max_record_bytes = 1000});
  const auto inserting = [&](auto change) {
    Record made = record(1);
    made.response.clear();
    change(made);
    const auto alone = code_of([&] { store.insert(key(1), made); });
    const auto within =
        code_of([&] { store.transact([&](auto& transaction) { transaction.insert(key(1), made); }); });
    CHECK(alone == within);
    return alone;
  };
  CHECK(inserting([](Record& made) { made.response.assign(1001, 'x'); }) == errc::store_full);
  CHECK(inserting([](Record& made) {
          made.response.assign(600, 'x');
          made.checkpoint.assign(401, 'x');
        }) == errc::store_full);
  CHECK(inserting([](Record& made) { made.description.assign(20'000, 'x'); }) == errc::invalid_options);
  CHECK(inserting([](Record& made) { made.note.assign(20'000, 'x'); }) == errc::store_full);
  CHECK_FALSE(store.find(key(1)));
  CHECK(inserting([](Record& made) { made.response.assign(1000, 'x'); }) == std::error_code());
}

TEST_CASE("concurrent writes share transactions, and one bad row fails alone", "[store][sqlite][batch]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  Database(files / "payments.db")
      .run(
          "CREATE TRIGGER refuse BEFORE INSERT ON paidonce_payments WHEN NEW.version = 13 BEGIN "
          "SELECT RAISE(ABORT, 'thirteen'); END;"
          "CREATE TRIGGER undo BEFORE INSERT ON paidonce_payments WHEN NEW.version = 14 BEGIN "
          "SELECT RAISE(ROLLBACK, 'fourteen'); END;"
          "CREATE TRIGGER stop AFTER INSERT ON paidonce_payments WHEN NEW.version = 15 BEGIN "
          "SELECT RAISE(FAIL, 'fifteen'); END;"
          "CREATE TRIGGER never AFTER UPDATE ON paidonce_payments WHEN NEW.version = 16 BEGIN "
          "SELECT RAISE(ABORT, 'sixteen'); END;");
  store.insert(key(1), record(1));
  store.insert(key(16), record(1));
  const auto asked_for = [&] { return store.stats().operations + store.stats().waiting; };
  std::vector<std::error_code> told(24);
  std::vector<std::thread> threads;
  {
    Holder holder(store);
    for (unsigned number = 2; number < told.size(); ++number)
      threads.emplace_back([&, number] {
        told[number] = code_of([&] {
          if (number == 16)
            store.replace(key(number), 1, record(number));
          else
            store.insert(key(number), record(number));
        });
      });
    while (asked_for() < 2 + 22) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned number = 2; number < told.size(); ++number) {
    INFO(number);
    const bool refused = number >= 13 && number <= 16;
    CHECK(told[number] == (refused ? make_error_code(errc::invalid_options) : std::error_code()));
    if (number == 15)
      CHECK(store.find(key(number)) == record(number));  // what FAIL means in SQLite; a guard reads it back
    else if (number == 16)
      CHECK(store.find(key(number)) == record(1));
    else
      CHECK(store.find(key(number)) == (refused ? std::optional<Record>() : record(number)));
  }
  CHECK(store.stats().batches < store.stats().operations);
}

TEST_CASE("a record that a trigger drops is never called stored", "[store][sqlite][batch]") {
  const fault::FastDirectory files;
  SqliteStoreOptions options;
  options.busy_timeout = 500ms;
  SqliteStore store(files / "payments.db", options);
  Database(files / "payments.db")
      .run(
          "CREATE TRIGGER drops BEFORE INSERT ON paidonce_payments WHEN NEW.version = 3 BEGIN "
          "SELECT RAISE(IGNORE); END;");
  const std::error_code dropped = make_error_code(errc::store_unavailable);
  CHECK(code_of([&] { store.insert(key(3), record(3)); }) == dropped);
  CHECK(code_of([&] {
          store.transact(
              [](SqliteStore::Transaction& transaction) { transaction.insert(key(3), record(3)); });
        }) == dropped);
  const auto asked_for = [&] { return store.stats().operations + store.stats().waiting; };
  const auto before = asked_for();
  std::vector<std::thread> threads;
  std::vector<std::error_code> told(6);
  {
    Holder holder(store);
    for (unsigned number = 0; number < told.size(); ++number)
      threads.emplace_back(
          [&, number] { told[number] = code_of([&] { store.insert(key(number), record(number)); }); });
    while (asked_for() < before + told.size()) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned number = 0; number < told.size(); ++number) {
    INFO(number);
    CHECK(told[number] == (number == 3 ? dropped : std::error_code()));
    CHECK(store.find(key(number)).has_value() == (number != 3));
  }
}

TEST_CASE("a record beyond SQLite's own limit fails alone", "[store][sqlite][batch]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  store.transact([](SqliteStore::Transaction& transaction) {
    sqlite3_limit(transaction.native(), SQLITE_LIMIT_LENGTH, 100'000);
  });
  std::vector<std::thread> threads;
  std::vector<std::error_code> told(8);
  {
    Holder holder(store);
    for (unsigned number = 0; number < told.size(); ++number)
      threads.emplace_back([&, number] {
        Record made = record(number);
        if (number == 3) made.response.assign(200'000, 'x');
        told[number] = code_of([&] { store.insert(key(number), made); });
      });
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned number = 0; number < told.size(); ++number)
    CHECK(told[number] == (number == 3 ? make_error_code(errc::store_full) : std::error_code()));
}

TEST_CASE("who waits for a transaction is refused in time, and the store goes on", "[store][sqlite][busy]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db", {.busy_timeout = 60ms});
  store.insert(key(1), record(1, State::succeeded));
  const auto in_time = [](auto what) {
    const auto start = std::chrono::steady_clock::now();
    const auto code = code_of(what);
    const auto took = std::chrono::steady_clock::now() - start;
    CHECK(took >= 55ms);
    CHECK(took < 5s);
    return code;
  };
  const auto all_of_them = [&] {
    CHECK(in_time([&] { store.insert(key(2), record(2)); }) == errc::store_busy);
    CHECK(in_time([&] { store.replace(key(1), 1, record(2)); }) == errc::store_busy);
    CHECK(in_time([&] { store.erase_expired(Timestamp::max(), 10); }) == errc::store_busy);
    CHECK(in_time([&] { store.transact([](auto&) { FAIL("the body was called"); }); }) == errc::store_busy);
    CHECK(store.find(key(1)) == record(1, State::succeeded));  // readers wait for nobody
  };
  SECTION("of this process") {
    Holder holder(store);
    all_of_them();
  }
  SECTION("of another connection") {
    Database other(files / "payments.db");
    other.run("BEGIN IMMEDIATE");
    all_of_them();
  }
  CHECK_FALSE(store.insert(key(2), record(2)));
  CHECK(store.erase_expired(Timestamp::max(), 10) == 1);
}

TEST_CASE("a store that is written within its own transaction says so at once", "[store][sqlite][transact]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  store.insert(key(1), record(1));
  store.transact([&](SqliteStore::Transaction& transaction) {
    CHECK_FALSE(transaction.insert(key(2), record(2)));
    CHECK_THROWS_AS(store.insert(key(3), record(3)), std::logic_error);
    CHECK_THROWS_AS(store.replace(key(1), 1, record(3)), std::logic_error);
    CHECK_THROWS_AS(store.erase_expired(Timestamp::max(), 10), std::logic_error);
    CHECK_THROWS_AS(store.transact([](auto&) {}), std::logic_error);
    CHECK(store.find(key(1)) == record(1));
    CHECK_FALSE(store.find(key(2)));  // not committed yet
  });
  CHECK(store.find(key(2)) == record(2));
  CHECK_FALSE(store.insert(key(3), record(3)));
}

TEST_CASE("rows of the application and a record commit together or not at all", "[store][sqlite][transact]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  Database database(files / "payments.db");
  database.run("CREATE TABLE orders (number TEXT)");
  const auto orders = [&] { return database.run("SELECT number FROM orders"); };
  store.transact([](SqliteStore::Transaction& transaction) {
    transaction.insert(key(1), record(1));
    run(transaction.native(), "INSERT INTO orders VALUES ('one')");
  });
  CHECK(orders() == std::vector<std::string>{"one"});
  CHECK(store.find(key(1)));
  CHECK_THROWS_WITH(store.transact([](SqliteStore::Transaction& transaction) {
    transaction.insert(key(2), record(2));
    run(transaction.native(), "INSERT INTO orders VALUES ('two')");
    throw std::runtime_error("no");
  }),
                    "no");
  CHECK(orders() == std::vector<std::string>{"one"});
  CHECK_FALSE(store.find(key(2)));
  CHECK(store.stats().transactions == 1);
}

TEST_CASE("a body that ends its transaction is told, and nothing of it stays", "[store][sqlite][transact]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  Database database(files / "payments.db");
  database.run("CREATE TABLE orders (number TEXT UNIQUE)");
  const char* const ending = GENERATE("COMMIT", "ROLLBACK", "ROLLBACK; BEGIN", "COMMIT; BEGIN",
                                      "INSERT INTO orders VALUES ('one'), (NULL); "
                                      "INSERT OR ROLLBACK INTO orders VALUES ('one')");
  CAPTURE(ending);
  const auto body = [&](SqliteStore::Transaction& transaction) {
    transaction.insert(key(1), record(1));
    run(transaction.native(), "INSERT INTO orders VALUES ('x')");
    sqlite3_exec(transaction.native(), ending, nullptr, nullptr, nullptr);
    // What comes after it is not written by itself either.
    sqlite3_exec(transaction.native(), "INSERT INTO orders VALUES ('after')", nullptr, nullptr, nullptr);
  };
  CHECK_THROWS_AS(store.transact(body), std::logic_error);
  CHECK_FALSE(store.find(key(1)));
  CHECK(database.run("SELECT * FROM orders").empty());
  CHECK_FALSE(store.insert(key(1), record(1)));
}

TEST_CASE("a statement that a body leaves unfinished holds nobody up", "[store][sqlite][transact]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db", {.busy_timeout = 200ms});
  for (unsigned number = 0; number < 10; ++number) store.insert(key(number), record(number));
  sqlite3_stmt* left = nullptr;
  store.transact([&](SqliteStore::Transaction& transaction) {
    REQUIRE(sqlite3_prepare_v2(transaction.native(), "SELECT key FROM paidonce_payments", -1, &left,
                               nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(left) == SQLITE_ROW);
  });
  SqliteStore other(files / "payments.db", {.busy_timeout = 200ms});
  CHECK_FALSE(other.insert(key(20), record(20)));
  CHECK_FALSE(store.insert(key(21), record(21)));  // would be SQLITE_BUSY_SNAPSHOT
  sqlite3_finalize(left);
}

TEST_CASE("a database that was moved, replaced or lost its log is noticed before anything is begun",
          "[store][sqlite][replaced]") {
  const fault::FastDirectory files;
  const auto file = files / "payments.db";
  SqliteStore store(file);
  store.insert(key(1), record(1));
  const std::string what = GENERATE("moved", "replaced", "removed", "log removed", "directory moved");
  CAPTURE(what);
  const auto moved = files / "moved.db";
  if (what == "moved" || what == "replaced") std::filesystem::rename(file, moved);
  if (what == "replaced") std::filesystem::copy_file(moved, file);
  if (what == "removed") std::filesystem::remove(file);
  if (what == "log removed") std::filesystem::remove(files / "payments.db-wal");
  if (what == "directory moved") {
    std::filesystem::create_directory(files / "sub");
    SqliteStore inner(files / "sub/inner.db");
    std::filesystem::rename(files / "sub", files / "other");
    CHECK(code_of([&] { inner.insert(key(1), record(1)); }) == errc::store_replaced);
    return;
  }
  CHECK(code_of([&] { store.insert(key(2), record(2)); }) == errc::store_replaced);
  CHECK(code_of([&] { store.replace(key(1), 1, record(2)); }) == errc::store_replaced);
  CHECK(code_of([&] { (void)store.find(key(1)); }) == errc::store_replaced);
  CHECK(code_of([&] { store.transact([](auto&) { FAIL("the body was called"); }); }) == errc::store_replaced);
}

TEST_CASE("a forked child is told that the store is its parent's", "[store][sqlite][fork]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  store.insert(key(1), record(1));
  const pid_t child = ::fork();
  if (child == 0) {
    bool right = true;
    const auto refused = [&](auto what) {
      try {
        what();
        right = false;
      } catch (const Error& error) {
        right = right && error.code() == errc::store_forked;
      }
    };
    refused([&] { (void)store.find(key(1)); });
    refused([&] { store.insert(key(2), record(2)); });
    refused([&] { store.transact([](auto&) {}); });
    refused([&] { store.scan({}, [](auto&, auto&) { return true; }); });
    { const SqliteStore gone = std::move(store); }  // closes nothing
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(store.insert(key(2), record(2)));
  CHECK(store.find(key(1)) == record(1));
}

TEST_CASE("a row that no release has written is refused, not guessed at", "[store][sqlite]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  store.insert(key(1), record(1));
  Database database(files / "payments.db");
  const auto after = [&](const std::string& set) {
    database.run("PRAGMA ignore_check_constraints = 1; UPDATE paidonce_payments SET " + set);
    return code_of([&] { (void)store.find(key(1)); });
  };
  CHECK(after("state = 6") == errc::store_corrupt);
  CHECK(after("state = 1, attempts = -1") == errc::store_corrupt);
  CHECK(after("attempts = 1, response = 'a text'") == errc::store_corrupt);
  CHECK(after("response = x'', version = 'abc'") == errc::store_corrupt);
  CHECK(after("version = 1, fingerprint = x'01'") == errc::store_corrupt);
  CHECK(after("fingerprint = x'09" + std::string(64, '0') + "'") == errc::unsupported_format);
  CHECK(after("fingerprint = zeroblob(33)") == std::error_code());
  // And its own checks keep others from doing so by mistake.
  database.run("PRAGMA ignore_check_constraints = 0");
  CHECK(sqlite3_exec(database.get(), "UPDATE paidonce_payments SET state = 6", nullptr, nullptr, nullptr) ==
        SQLITE_CONSTRAINT);
  CHECK(sqlite3_exec(database.get(), "UPDATE paidonce_payments SET note = 'text'", nullptr, nullptr,
                     nullptr) == SQLITE_CONSTRAINT);
}

TEST_CASE("the log stays short, and does again once a long reader is gone", "[store][sqlite][checkpoint]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db", {.checkpoint_pages = 64});
  unsigned number = 0;
  const auto write = [&](unsigned count) {
    for (const unsigned end = number + count; number < end; ++number) {
      store.insert(key(number), record(number));
      store.replace(key(number), number, record(number + 1, State::succeeded));
    }
  };
  write(300);
  CHECK(store.stats().log_pages < 80);
  CHECK(store.stats().checkpoints > 10);
  CHECK(store.stats().held_up_checkpoints == 0);
  {
    Database reader(files / "payments.db");
    reader.run("BEGIN; SELECT count(*) FROM paidonce_payments");
    const auto before = store.stats();
    write(300);
    CHECK(store.stats().log_pages > 600);
    const auto tries = store.stats().held_up_checkpoints - before.held_up_checkpoints;
    CHECK(tries > 2);
    CHECK(tries <= store.stats().log_pages / 64 + 1);  // not one with each commit
    reader.run("COMMIT");
  }
  write(300);
  CHECK(store.stats().log_pages < 80);
}

TEST_CASE("a scan holds no snapshot while its visitor runs", "[store][sqlite][scan]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db", {.readers = 1, .checkpoint_pages = 64});
  for (unsigned number = 0; number < 600; ++number) store.insert(key(number), record(number));
  std::vector<std::string> seen;
  store.scan({.limit = 10'000}, [&](const IdempotencyKey& each, const Record&) {
    seen.emplace_back(each.bytes());
    CHECK(store.find(each));  // with one reading connection: it is free
    return true;
  });
  CHECK(seen.size() == 600);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(std::set(seen.begin(), seen.end()).size() == 600);
  Database database(files / "payments.db");
  CHECK(database.run("PRAGMA wal_checkpoint(TRUNCATE)")[0] == "0");
}

TEST_CASE("a scan of what is unfinished goes by its index", "[store][sqlite][scan]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  Database database(files / "payments.db");
  std::string plans;
  for (const std::string& each : database.run(
           "EXPLAIN QUERY PLAN SELECT * FROM paidonce_payments INDEXED BY paidonce_payments_unfinished "
           "WHERE state IN (1, 4) AND key > x'00' ORDER BY key;"
           "EXPLAIN QUERY PLAN SELECT rowid FROM paidonce_payments INDEXED BY paidonce_payments_expiry "
           "WHERE (state IN (2, 3) OR (state = 5 AND checkpoint = x'')) AND expires_at <= 1 "
           "ORDER BY expires_at LIMIT 1"))
    plans += each + '\n';
  CHECK_THAT(plans,
             support::contains("SEARCH paidonce_payments USING INDEX paidonce_payments_unfinished (key>?)"));
  CHECK_THAT(
      plans,
      support::contains("SEARCH paidonce_payments USING COVERING INDEX paidonce_payments_expiry "
                        "(expires_at<?)") ||
          support::contains("SEARCH paidonce_payments USING INDEX paidonce_payments_expiry (expires_at<?)"));
  CHECK_THAT(plans, !support::contains("TEMP B-TREE"));
}

TEST_CASE("a payment runs once, in two steps and in one transaction", "[store][sqlite][guard]") {
  const fault::FastDirectory files;
  SqliteStore store(files / "payments.db");
  IdempotencyGuard<SqliteStore&> guard(store);
  int runs = 0;
  for (int time = 0; time < 2; ++time) {
    const auto two_steps = guard.execute(key(1), fingerprint(1), [&] { return std::to_string(++runs); });
    CHECK(two_steps.response() == "1");
    CHECK(two_steps.replayed() == (time == 1));
    const auto one_step = guard.execute_in_transaction(
        key(2), fingerprint(2), [&](Attempt&, SqliteStore::Transaction& transaction) {
          run(transaction.native(), "CREATE TABLE orders (number)");
          return std::to_string(10 + ++runs);
        });
    CHECK(one_step.response() == "12");
    CHECK(one_step.replayed() == (time == 1));
  }
  const auto nothing = guard.execute_in_transaction(
      key(3), fingerprint(3),
      [&](Attempt&, SqliteStore::Transaction& transaction) -> PaymentResult<std::string> {
        run(transaction.native(), "INSERT INTO orders VALUES (1)");
        return not_executed("no");
      });
  CHECK(nothing.status() == Status::not_executed);
  CHECK_FALSE(store.find(key(3)));
}
