// paidonce_admin over stores that many use at once: payments go on while it looks, and while it changes.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <paidonce/key_digest.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/postgres.hpp>
#include <paidonce/stores/redis.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "support/admin.hpp"
#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"
#include "support/slow_provider.hpp"

using namespace integration;
using nlohmann::json;
using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// A database with a store in it, and the service that has it open.
class Service {
 public:
  virtual ~Service() = default;
  virtual std::optional<Record> find(const IdempotencyKey& key) = 0;
  virtual std::optional<Record> insert(const IdempotencyKey& key, const Record& record) = 0;
  virtual bool replace(const IdempotencyKey& key, paidonce::Version expected, const Record& record) = 0;
  /// What names it for paidonce_admin.
  std::string address;
  Strings options = {};

  void write(const Records& records) {
    for (const auto& [key, record] : records) CHECK_FALSE(insert(key, record));
  }
  Finished admin(Strings arguments) const {
    arguments.insert(arguments.begin(), options.begin(), options.end());
    return integration::admin(address, arguments);
  }
  json admin_json(Strings arguments, int status = 0) const {
    arguments.insert(arguments.begin(), options.begin(), options.end());
    return integration::admin_json(address, arguments, status);
  }
  void refused(const Strings& arguments, int status, const std::string& said) const {
    const Finished finished = admin(arguments);
    CAPTURE(arguments);
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, support::contains(said));
  }
};

template <class Store>
class ServiceOf final : public Service {
 public:
  ServiceOf(std::string at, Strings with, Store store) : store_(std::move(store)) {
    address = std::move(at);
    options = std::move(with);
  }
  std::optional<Record> find(const IdempotencyKey& key) override { return store_.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) override {
    return store_.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, paidonce::Version expected, const Record& record) override {
    return store_.replace(key, expected, record);
  }

 private:
  Store store_;
};

std::unique_ptr<Service> sqlite_service(const fs::path& file) {
  return std::make_unique<ServiceOf<paidonce::SqliteStore>>("sqlite:" + file.string(), Strings{},
                                                            paidonce::SqliteStore(file));
}

std::unique_ptr<Service> postgres_service(const std::string& schema = PostgresServer::fresh_name("admin")) {
  paidonce::PostgresStoreOptions options;
  options.schema = schema;
  const std::string conninfo = shared_postgres().conninfo();
  paidonce::PostgresStore store(conninfo, options);
  store.migrate();
  return std::make_unique<ServiceOf<paidonce::PostgresStore>>("postgres:" + conninfo,
                                                              Strings{"--schema", schema}, std::move(store));
}

std::unique_ptr<Service> redis_service(const std::string& prefix = RedisServer::fresh_prefix("admin")) {
  const std::string uri = shared_redis().uri();
  return std::make_unique<ServiceOf<paidonce::RedisStore>>(uri, Strings{"--prefix", prefix},
                                                           paidonce::RedisStore(uri, {.prefix = prefix}));
}

std::string url_of_postgres() {
  return "postgres://postgres@127.0.0.1:" + std::to_string(shared_postgres().port()) + "/postgres";
}

IdempotencyKey key_of(const std::string& order) { return IdempotencyKey("pay_orders", order); }

Record order(State state) {
  Record order = record(state, 0);
  order.version = 3;
  order.amount = "4.50 EUR";
  if (state == State::in_doubt) order.note = "the reply was lost";
  return order;
}

/// One that a process runs at this moment.
Record running() {
  Record running = order(State::in_progress);
  running.updated_at = paidonce::SystemClock{}.now();
  running.lease_until = running.updated_at + std::chrono::hours(1);
  return running;
}

Strings resolve(const std::string& key, const std::string& as, const Strings& more = {}) {
  Strings arguments = {"resolve", key, "--as", as, "--reason", "seen in the dashboard", "--actor", "jo"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// What is told of a database is what is told of a file store with the same records.
void tells_the_same(Service& service, const fs::path& file_store) {
  Records records = one_of_each();
  records[2].second.amount = "4.50 EUR";
  records[2].second.response = std::string("\0receipt", 8);
  records[0].second.checkpoint = "reserved";  // which keeps it from being swept
  records.emplace_back(IdempotencyKey("inn", std::string("\xff\0%", 3)), records[3].second);
  records.emplace_back(IdempotencyKey("inn", "kept"), records[3].second);
  write_store(file_store, records);
  service.write(records);
  for (const Strings& command :
       std::vector<Strings>{{"list"},
                            {"list", "--stuck"},
                            {"list", "--state", "succeeded", "--state", "in_doubt", "--limit", "2"},
                            {"show", "succeeded"},
                            {"show", "kept", "--scope", "inn"},
                            {"show", "--digest", paidonce::key_digest(records[2].first)},
                            {"show", "--digest", paidonce::key_digest(records[6].first)},
                            {"show", "\\xff\\x00%"}}) {
    CAPTURE(command);
    CHECK(service.admin_json(command) == integration::admin_json(file_store, command));
  }
  CHECK(service.admin_json({"survey"}).at("records") ==
        integration::admin_json(file_store, {"survey"}).at("records"));
  CHECK(service.admin_json({"sweep", "--dry-run"}).at("expired") == 2);
  CHECK(service.admin({"show", "kept"}).status == 2);  // two scopes have it
  CHECK(service.admin({"show", "absent"}).status == 1);
  CHECK(service.admin({"show", "", "--scope", "inn"}).status == 1);

  service.write({{key_of("running"), running()}});
  CHECK(service.admin_json({"show", "running"}).at("stuck").is_null());
  CHECK(service.admin_json({"recover", "--dry-run"}).at("before") ==
        json({{"in_progress", 1}, {"in_doubt", 3}}));
}

/// Settles, marks and erases while the service has the store open, and leaves alone what runs.
void changes_beside_the_service(Service& service) {
  SlowProvider provider;
  provider.list("a", 450);
  service.write({{key_of("a"), order(State::in_doubt)},
                 {key_of("b"), order(State::in_doubt)},
                 {key_of("lost"), order(State::in_progress)},
                 {key_of("running"), running()},
                 {IdempotencyKey("shop", "old"), record(State::declined, 0)}});
  {
    AtTerminal terminal(service.address, [&] {
      Strings arguments = service.options;
      arguments.push_back("recover");
      return arguments;
    }());
    CHECK_THAT(terminal.question(),
               support::contains("1 payment in progress, whose lease is over, and 2 payments in doubt"));
    CHECK(terminal.answer("no\n").status == 6);
  }
  const json marked = service.admin_json({"recover", "--yes"}, 7);
  CHECK(marked.at("matching") == 3);  // without the one that runs
  CHECK(service.find(key_of("lost"))->note == "abandoned: the lease of this attempt ran out");
  const json asked = service.admin_json({"recover", "--yes", "--gateway", provider.url()}, 7);
  CHECK(asked.at("succeeded") == 1);
  CHECK(asked.at("in_doubt") == 2);
  CHECK(service.find(key_of("a"))->state == State::succeeded);
  CHECK(service.find(key_of("running"))->state == State::in_progress);

  const json resolved = service.admin_json(resolve("b", "succeeded", {"--charge-id", "ch_1", "--yes"}));
  CHECK(resolved.at("record").at("history").at(1) == "resolved as succeeded by jo: seen in the dashboard");
  CHECK(service.find(key_of("b"))->state == State::succeeded);
  service.refused(resolve("b", "released", {"--yes"}), 5, "the payment is succeeded already");

  CHECK(service.admin_json({"sweep", "--yes"}).at("erased") == 1);
  CHECK_FALSE(service.find(IdempotencyKey("shop", "old")));
  CHECK(service.admin({"sweep", "--yes"}).status == 0);
}

/// The service goes on while a person thinks.
void refuses_what_changed_meanwhile(Service& service) {
  Record shown = running();
  service.write({{key_of("a"), shown}});
  const auto meanwhile = [&](const std::function<void()>& happens) {
    Strings arguments = resolve("a", "released");
    arguments.insert(arguments.begin(), service.options.begin(), service.options.end());
    AtTerminal terminal(service.address, arguments);
    CHECK_THAT(terminal.question(), support::contains("!!! ITS LEASE IS NOT OVER"));
    happens();
    return terminal.answer("yes\n");
  };
  const Finished beaten = meanwhile([&] {  // its holder is alive: the same attempt, a heartbeat later
    Record next = shown;
    next.version = 4;
    next.lease_until += std::chrono::seconds(30);
    CHECK(service.replace(key_of("a"), 3, next));
  });
  CHECK(beaten.status == 5);
  CHECK_THAT(beaten.err,
             support::contains("the record has changed since it was shown, and nothing was done"));
  CHECK(service.find(key_of("a"))->version == 4);
  CHECK(meanwhile([] {}).status == 0);
  CHECK(service.find(key_of("a"))->state == State::released);
}

}  // namespace

TEST_CASE("a SQLite database is told of as a file store with the same records", "[admin][sqlite]") {
  const TemporaryDirectory files;
  const auto service = sqlite_service(files / "payments.db");
  tells_the_same(*service, files / "store");
  const json survey = service->admin_json({"survey"});
  CHECK((survey.at("kind") == "sqlite" && survey.at("log").is_null()));
  CHECK(survey.at("database").at("file") == (files / "payments.db").string());
}

TEST_CASE("a PostgreSQL database is told of as a file store with the same records", "[admin][postgres]") {
  const TemporaryDirectory files;
  const auto service = postgres_service();
  tells_the_same(*service, files / "store");
  const json survey = service->admin_json({"survey"});
  CHECK((survey.at("kind") == "postgres" && survey.at("log").is_null()));
  CHECK(survey.at("database").at("schema") == service->options[1]);
  CHECK(survey.at("database").at("port") == std::to_string(shared_postgres().port()));
}

TEST_CASE("payments in Redis are told of as a file store with the same records", "[admin][redis]") {
  const TemporaryDirectory files;
  const auto service = redis_service();
  tells_the_same(*service, files / "store");
  const json survey = service->admin_json({"survey"});
  CHECK((survey.at("kind") == "redis" && survey.at("log").is_null()));
  CHECK(survey.at("database").at("prefix") == service->options[1]);
  CHECK(survey.at("database").at("port") == std::to_string(shared_redis().port()));
  CHECK_THAT(survey.at("database").at("server").get<std::string>(), support::starts_with("Redis "));
}

TEST_CASE("payments of a SQLite database are settled beside the service that has it open",
          "[admin][sqlite]") {
  const TemporaryDirectory files;
  changes_beside_the_service(*sqlite_service(files / "payments.db"));
}

TEST_CASE("payments of a PostgreSQL database are settled beside the service that has it open",
          "[admin][postgres]") {
  changes_beside_the_service(*postgres_service());
}

TEST_CASE("payments in Redis are settled beside the service that has them open", "[admin][redis]") {
  changes_beside_the_service(*redis_service());
}

TEST_CASE("what changed in a database after it was shown is not resolved",
          "[admin][sqlite][postgres][redis]") {
  const TemporaryDirectory files;
  refuses_what_changed_meanwhile(*sqlite_service(files / "payments.db"));
  refuses_what_changed_meanwhile(*postgres_service());
  refuses_what_changed_meanwhile(*redis_service());
}

TEST_CASE("looking into a SQLite database leaves no trace, and shows what a killed service has written",
          "[admin][sqlite]") {
  const TemporaryDirectory files;
  const auto file = files / "odd name?mode=rw#1%41.db", killed = files / "killed";
  fs::create_directory(killed);
  {
    const auto service = sqlite_service(file);
    service->write(one_of_each());
    for (const char* part : {"", "-wal", "-shm"})  // as a process leaves them that is killed
      fs::copy(file.string() + part, (killed / "payments.db").string() + part);
  }
  const auto before = state_of(files.path());
  for (const Strings& command : std::vector<Strings>{
           {"survey"}, {"list"}, {"show", "succeeded"}, {"verify"}, {"sweep", "--dry-run"}}) {
    CAPTURE(command);
    CHECK(admin("sqlite:" + file.string(), command).status == 0);
  }
  CHECK(state_of(files.path()) == before);
  CHECK(admin_json("sqlite:" + (killed / "payments.db").string(), {"list"}).at("matching") == 6);
  CHECK(content_of(killed / "payments.db") != content_of(file));  // it is all in the log still
}

TEST_CASE("a SQLite database that is opened while it is read is said to be so, and never to be damaged",
          "[admin][sqlite]") {
  const TemporaryDirectory files;
  const auto file = files / "payments.db";
  Record large = order(State::in_doubt);
  large.response = std::string(2000, 'r');
  paidonce::SqliteStore(file).transact([&](auto& transaction) {
    for (int number = 0; number < 3000; ++number) transaction.insert(key_of(std::to_string(number)), large);
  });
  int status = 0;
  for (int tries = 0; tries < 100 && status == 0; ++tries) {  // unless it had read all by then
    const int opened = ::inotify_init1(IN_CLOEXEC),
              err = ::open((files / "err").c_str(), O_CREAT | O_WRONLY, 0600);
    REQUIRE(::inotify_add_watch(opened, file.c_str(), IN_OPEN | IN_CLOSE) >= 0);
    Process process({PAIDONCE_ADMIN, "--store", "sqlite:" + file.string(), "verify"}, err, err);
    // Three of them, without names: it has looked for the tables, and begins to read them.
    alignas(inotify_event) char events[3 * sizeof(inotify_event)];
    for (std::size_t seen = 0; seen < sizeof events;) {
      pollfd either{opened, POLLIN, 0};
      REQUIRE(::poll(&either, 1, 60'000) == 1);
      const ssize_t more = ::read(opened, events + seen, sizeof events - seen);
      REQUIRE(more > 0);
      seen += static_cast<std::size_t>(more);
    }
    sqlite_service(file)->write({{key_of("new " + std::to_string(tries)), large}});
    status = process.wait();
    ::close(opened);
    ::close(err);
  }
  CHECK(status == 3);
  CHECK_THAT(content_of(files / "err"), support::contains("by another process while it was read: run this"));
}

TEST_CASE("verify finds damage in a SQLite database, and names PostgreSQL's own program",
          "[admin][sqlite][postgres]") {
  const TemporaryDirectory files;
  const auto file = files / "payments.db";
  sqlite_service(file)->write(one_of_each());
  CHECK_THAT(
      admin("sqlite:" + file.string(), {"verify"}).out,
      support::starts_with("whole    PRAGMA integrity_check finds nothing; every record can be read: 6\n"));
  std::string bytes = content_of(file);
  const std::size_t key = bytes.find("shopin_doubt");
  REQUIRE(key != std::string::npos);
  bytes[key] = 'X';  // in the index, or in the table
  write_file(file, bytes);
  const Finished damaged = admin("sqlite:" + file.string(), {"verify", "--json"});
  CHECK(damaged.status == 4);
  CHECK_THAT(json::parse(damaged.out).at("damage").at("problem").get<std::string>(),
             support::contains("PRAGMA integrity_check"));

  postgres_service()->refused({"verify"}, 2, "pg_amcheck");
}

TEST_CASE("a record in Redis that nobody of the library has written is damage", "[admin][redis]") {
  const auto service = redis_service();
  service->write(one_of_each());
  CHECK_THAT(service->admin({"verify"}).out,
             support::starts_with("whole    every record can be read: 6; the server's own files"));
  const auto names = shared_redis().command({"KEYS", "{" + service->options[1] + ":*:r:*in_doubt"});
  REQUIRE(names.elements.size() == 1);
  shared_redis().command({"SET", names.elements[0].text, "\1 and no more"});
  for (const Strings& command : {Strings{"verify"}, Strings{"list"}, Strings{"show", "in_doubt"}})
    CHECK(service->admin(command).status == 4);
}

TEST_CASE("a Redis server is named by its URI, and read by a user who may only read", "[admin][redis]") {
  RedisServer server;  // whose users are nobody else's
  const auto with = [&](const std::string& who) { return "redis://" + who + server.uri().substr(8); };
  paidonce::RedisStore store(server.uri());
  CHECK_FALSE(store.insert(key_of("a"), order(State::in_doubt)));
  server.command({"ACL", "SETUSER", "reader", "on", ">hidden", "~{paidonce:*", "-@all", "+@read", "+info",
                  "+time", "+ping", "+script|load"});
  for (const Strings& command :
       {Strings{"survey"}, Strings{"list", "--stuck"}, Strings{"show", "a"}, Strings{"verify"},
        Strings{"recover", "--dry-run"}, Strings{"sweep", "--dry-run"}}) {
    CAPTURE(command);
    CHECK(admin(with("reader:hidden@"), command).status == 0);
  }
  ::setenv("REDISCLI_AUTH", "hidden", 1);
  CHECK(admin_json(with("reader@"), {"survey"}).at("database").at("user") == "reader");
  ::unsetenv("REDISCLI_AUTH");
  const auto refused = [&](const std::string& address, const Strings& arguments, int status) {
    const Finished finished = admin(address, arguments);
    CAPTURE(address, arguments, finished.err);
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, !support::contains("hid"));
  };
  refused(with("reader:hidden@"), resolve("a", "released", {"--yes"}), 2);
  CHECK(store.find(key_of("a")) == order(State::in_doubt));
  refused(with("reader:hid@"), {"list"}, 2);
  refused(with("reader@"), {"list"}, 2);
  refused(server.uri(), {"list", "--prefix", "a{b}"}, 2);
  CHECK(admin_json(server.uri(), {"list", "--prefix", "nothing"}).at("matching") == 0);

  refused("redis://:hidden@127.0.0.1:port", {"list"}, 2);
  refused("redis://", {"list"}, 2);
  refused("redis:127.0.0.1", {"list"}, 2);
  refused("rediss://127.0.0.1", {"list"}, 2);
  refused("sqllite:pay.db", {"list"}, 2);
}

TEST_CASE("what is no SQLite store is refused with status 2, and what to do about it", "[admin][sqlite]") {
  const TemporaryDirectory files;
  const auto refused = [](const fs::path& file, const Strings& arguments, const std::string& said) {
    const Finished finished = admin("sqlite:" + file.string(), arguments);
    CHECK(finished.status == 2);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, support::contains(said));
  };
  write_store(files / "store", one_of_each());
  write_file(files / "text", std::string(5000, 'x'));
  write_file(files / "empty", "");
  sqlite_service(files / "payments.db");
  fs::create_symlink("payments.db", files / "link");
  for (const Strings& command : {Strings{"list"}, Strings{"sweep", "--yes"}}) {
    refused("", command, "name the file of a database");
    refused(files / "absent.db", command, "there is no database");
    refused(files / "store", command, "is named as file:DIR");
    refused(files / "text", command, "is no SQLite database");
    refused(files / "empty", command, "it has no table paidonce_payments");
    refused(files / "link", command, "name the database file itself");
  }
  refused(files / "payments.db", {"list", "--table", "others"}, "it has no table others");
  refused(files / "payments.db", {"list", "--table", "a b"}, "--table: letters, digits");
  CHECK_FALSE(fs::exists(files / "absent.db"));
  CHECK_THAT(admin(files / "payments.db", {"list"}).err, support::contains("named as sqlite:FILE"));
}

TEST_CASE("a PostgreSQL database is named as libpq does it, and read by a role that may only read",
          "[admin][postgres]") {
  const auto service = postgres_service();
  const std::string schema = service->options[1], role = PostgresServer::fresh_name("reader");
  service->write({{key_of("a"), order(State::in_doubt)}});
  CHECK(admin(url_of_postgres(), {"list", "--schema", schema}).status == 0);
  CHECK(admin("postgres:" + url_of_postgres(), {"list", "--schema", schema}).status == 0);

  shared_postgres().exec("CREATE ROLE " + role + " LOGIN");
  const std::string reader = service->address + " user=" + role;
  const auto refused = [&](const std::string& address, const Strings& arguments, int status,
                           const std::string& said) {
    const Finished finished = admin(address, arguments);
    CAPTURE(arguments);
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    CHECK_THAT(finished.err, support::contains(said));
  };
  refused(reader, {"list", "--schema", schema}, 2, "GRANT USAGE ON SCHEMA " + schema);
  shared_postgres().exec("GRANT USAGE ON SCHEMA " + schema + " TO " + role +
                         "; GRANT SELECT ON ALL TABLES IN SCHEMA " + schema + " TO " + role);
  for (const Strings& command : {Strings{"survey"}, Strings{"list", "--stuck"}, Strings{"show", "a"},
                                 Strings{"recover", "--dry-run"}, Strings{"sweep", "--dry-run"}}) {
    Strings arguments = command;
    arguments.insert(arguments.end(), {"--schema", schema});
    CHECK(admin(reader, arguments).status == 0);
  }
  refused(reader, resolve("a", "released", {"--yes", "--schema", schema}), 2, "the role lacks a privilege");
  CHECK(service->find(key_of("a")) == order(State::in_doubt));
  refused(service->address, {"list", "--schema", "nowhere"}, 2, "there is no store in the schema nowhere");
  refused(service->address, {"list", "--schema", "no'where"}, 2, "--schema: ");
  refused("postgres:hidden", {"list"}, 2, "the connection string is none that libpq can read");
}

TEST_CASE("what cannot be reached is told without the password that an address may hold",
          "[admin][postgres]") {
  const ClosedPort nobody;
  const std::string port = nobody.url().substr(nobody.url().rfind(':') + 1);
  const auto said = [](const std::string& address) {
    const Finished finished = admin(address, {"list"});
    CHECK(finished.status == 8);
    CHECK(finished.out.empty());
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    return finished.err;
  };
  CHECK_THAT(said("postgres://shop@127.0.0.1:" + port + "/shop"), support::contains("Connection refused"));
  CHECK_THAT(said("postgres:host=127.0.0.1 port=" + port), support::contains("Connection refused"));
  for (const std::string& address :
       {"postgres://shop:hidden@127.0.0.1:" + port + "/shop", "postgres://shop:x@hidden@127.0.0.1:" + port,
        "postgres://shop:hid/hidden@127.0.0.1:" + port, std::string("postgres://shop:hidden"),
        "postgres:host=127.0.0.1 port=" + port + " password=hidden"}) {
    const std::string line = said(address);
    CHECK_THAT(line, !support::contains("hid"));
    CHECK_THAT(line, support::contains("in PGPASSWORD or ~/.pgpass it would be safe"));
  }
}
