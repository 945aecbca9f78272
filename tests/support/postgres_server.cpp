#include "support/postgres_server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "support/server_fixture.hpp"

namespace {

using support::KeptProcess;
namespace files = std::filesystem;

/// What initdb makes, once for a build tree.
files::path prepared_cluster() {
  const files::path place = POSTGRES_CACHE, cluster = place / "cluster";
  files::create_directories(place);
  const int lock = ::open((place / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0)
    throw std::system_error(errno, std::generic_category(), (place / "lock").string());
  const files::path initdb = postgres_program("initdb");
  std::string made_by;
  std::ifstream(cluster / "made_by") >> made_by;
  if (made_by != initdb.string()) {
    const files::path work = support::make_directory_for_server();
    support::run_to_end({initdb.string(), "-D", (work / "data").string(), "-U", "postgres", "-A", "trust",
                         "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=4"});
    files::remove_all(cluster);
    files::copy(work / "data", cluster, files::copy_options::recursive);
    std::ofstream(cluster / "made_by") << initdb.string() << '\n';
    files::remove_all(work);
  }
  ::close(lock);
  return cluster;
}

/// Files that we made become the server's.
void hand_over(const files::path& directory) {
  struct ::stat owner {};
  if (::stat(directory.parent_path().c_str(), &owner) != 0)
    throw std::system_error(errno, std::generic_category(), directory.string());
  const auto give = [&](const files::path& path) {
    if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
      throw std::system_error(errno, std::generic_category(), path.string());
  };
  if (::geteuid() != 0) return;
  give(directory);
  for (const auto& entry : files::recursive_directory_iterator(directory)) give(entry.path());
}

void write_settings(const files::path& data, PostgresServer::Settings settings) {
  std::ofstream out(data / "postgresql.auto.conf", std::ios::app);
  for (const auto& [name, value] : settings) {
    std::string quoted;
    for (const char letter : value) quoted += letter == '\'' ? std::string("''") : std::string(1, letter);
    out << name << " = '" << quoted << "'\n";
  }
  if (!out.flush()) throw std::runtime_error("the settings of a server cannot be written");
}

struct Connection {
  explicit Connection(const std::string& conninfo) : handle(PQconnectdb(conninfo.c_str())) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { PQfinish(handle); }
  PGconn* handle;
};

}  // namespace

files::path postgres_program(const std::string& name) {
  // Installed, or only unpacked.
  for (const files::path& root : {files::path("/"), files::path(SERVERS_UNPACKED)}) {
    int newest = 0;
    std::error_code none;
    const files::path versions = root / "usr/lib/postgresql";
    for (const auto& entry : files::directory_iterator(versions, none)) {
      const int version = std::atoi(entry.path().filename().c_str());
      if (version > newest && files::exists(entry.path() / "bin" / name, none) &&
          files::exists(entry.path() / "bin/postgres", none))
        newest = version;
    }
    if (newest != 0) return files::canonical(versions / std::to_string(newest) / "bin" / name);
  }
  throw std::runtime_error(
      "PostgreSQL's program \"" + name +
      "\" is not on this machine, and this test is about the real server: apt-get install "
      "postgresql, or run tests/support/install_servers " SERVERS_UNPACKED);
}

PostgresServer::PostgresServer(Settings settings, support::Place place, pid_t until) {
  copy_cluster(place);
  launch(settings, until);
}

PostgresServer::PostgresServer(SmallDisk disk, Settings settings) {
  copy_cluster(support::Place::memory);
  launch(settings, 0, disk.bytes);
}

void PostgresServer::copy_cluster(support::Place place) {
  const files::path cluster = prepared_cluster();
  directory_ = support::make_directory_for_server(place);
  try {
    files::copy(cluster, directory_ / "data", files::copy_options::recursive);
    files::permissions(directory_ / "data", files::perms::owner_all);
  } catch (...) {
    std::error_code ignored;
    files::remove_all(directory_, ignored);  // a disk that is full is not to stay so
    throw;
  }
}

PostgresServer::PostgresServer(StandbyOf primary, Settings settings) {
  directory_ = support::make_directory_for_server();
  support::run_to_end({postgres_program("pg_basebackup").string(), "-D", (directory_ / "data").string(), "-R",
                       "-X", "stream", "--checkpoint=fast", "--no-sync", "-d", primary.primary.conninfo()});
  launch(settings, 0);
}

PostgresServer::PostgresServer(Elsewhere server)
    : directory_(std::move(server.directory)), port_(server.port) {}

PostgresServer::~PostgresServer() = default;

void PostgresServer::launch(Settings settings, pid_t until, std::size_t small_disk) {
  reserved_ = std::make_unique<support::ReservedPort>();
  port_ = reserved_->number();
  const files::path data = directory_ / "data";
  write_settings(data, {{"listen_addresses", "127.0.0.1"},
                        {"port", std::to_string(port_)},
                        {"unix_socket_directories", directory_.string()},
                        {"shared_buffers", "32MB"},
                        {"huge_pages", "off"},
                        {"logging_collector", "off"},
                        {"dynamic_shared_memory_type", "mmap"},
                        {"wal_retrieve_retry_interval", "100ms"},
                        {"log_line_prefix", "%m [%p] "}});
  write_settings(data, settings);
  hand_over(data);
  process_ = std::make_unique<KeptProcess>(
      directory_, std::vector<std::string>{postgres_program("postgres").string(), "-D", data.string()}, until,
      small_disk);
  start();
}

std::string PostgresServer::conninfo(const std::string& database) const {
  return "host=127.0.0.1 port=" + std::to_string(port_) + " dbname=" + database +
         " user=postgres sslmode=disable gssencmode=disable";
}

int PostgresServer::port() const { return port_; }
files::path PostgresServer::socket_directory() const { return directory_; }

std::string PostgresServer::fresh_name(const std::string& prefix) {
  static std::atomic<unsigned> count{0};
  static const unsigned random = std::random_device()();
  return prefix + '_' + std::to_string(::getpid()) + '_' + std::to_string(random % 100'000) + '_' +
         std::to_string(++count);
}

std::string PostgresServer::fresh_database() {
  const std::string name = fresh_name("db");
  exec("CREATE DATABASE " + name);
  return conninfo(name);
}

PostgresServer::Rows PostgresServer::exec(const std::string& sql, const std::string& database) {
  const Connection connection(conninfo(database));
  const auto fail = [&](const char* what) {
    throw std::runtime_error(std::string(what) + "; the end of the server's log:\n" + log());
  };
  if (PQstatus(connection.handle) != CONNECTION_OK) fail(PQerrorMessage(connection.handle));
  PQsetNoticeProcessor(
      connection.handle, [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.handle, sql.c_str()),
                                                             &PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
    fail(PQerrorMessage(connection.handle));
  Rows rows;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    auto& cells = rows.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column)
      cells.emplace_back(PQgetvalue(result.get(), row, column));
  }
  return rows;
}

std::string PostgresServer::value(const std::string& sql, const std::string& database) {
  const Rows rows = exec(sql, database);
  return rows.empty() || rows[0].empty() ? std::string() : rows[0][0];
}

void PostgresServer::await_connections() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    if (PQping(conninfo().c_str()) == PQPING_OK) return;
    if (!running()) throw std::runtime_error("a PostgreSQL server did not start:\n" + log());
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("a PostgreSQL server takes no connections after a minute:\n" + log());
    ::poll(nullptr, 0, 5);
  }
}

void PostgresServer::start() {
  process_->run();
  await_connections();
}
void PostgresServer::kill() { process_->end(SIGKILL); }
void PostgresServer::stop() { process_->end(SIGINT); }
bool PostgresServer::running() { return process_->running(); }
std::vector<pid_t> PostgresServer::processes() { return process_->processes(); }
void PostgresServer::promote() { exec("SELECT pg_promote()"); }
std::string PostgresServer::log() const {
  std::ifstream in(directory_ / "log", std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return text.substr(text.size() - std::min<std::size_t>(text.size(), 2000));
}

PostgresServer& shared_postgres() {
  static const std::unique_ptr<PostgresServer> server = [] {
    const auto servers = support::of_fixture("postgres");
    if (servers.empty()) return std::make_unique<PostgresServer>();
    return std::unique_ptr<PostgresServer>(
        new PostgresServer(PostgresServer::Elsewhere{servers[0].port, servers[0].directory}));
  }();
  return *server;
}
