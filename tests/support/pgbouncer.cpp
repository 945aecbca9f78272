#include "support/pgbouncer.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <poll.h>

#include <libpq-fe.h>

namespace {

std::filesystem::path program() {
  for (const char* const place : {"/usr/sbin/pgbouncer", SERVERS_UNPACKED "/usr/sbin/pgbouncer"})
    if (std::filesystem::exists(place)) return std::filesystem::canonical(place);
  throw std::runtime_error(
      "pgbouncer is not on this machine, and this test is about the real one: apt-get install pgbouncer, or "
      "run "
      "tests/support/install_servers " SERVERS_UNPACKED);
}

}  // namespace

Pgbouncer::Pgbouncer(PostgresServer& server, int pool) {
  const std::filesystem::path where = program(), directory = support::make_directory_for_server();
  std::ofstream users(directory / "users.txt");
  users << "\"postgres\" \"\"\n";
  users.close();
  std::ofstream settings(directory / "pgbouncer.ini");
  settings << "[databases]\n* = host=127.0.0.1 port=" << server.port()
           << "\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
           << "listen_port = " << port()
           << "\nunix_socket_dir =\npool_mode = transaction\nauth_type = trust\n"
           << "auth_file = " << (directory / "users.txt").string() << "\ndefault_pool_size = " << pool
           << '\n';
  settings.close();
  // Readable by the user that it runs as, whoever we are.
  std::filesystem::permissions(directory / "users.txt", std::filesystem::perms(0644));
  std::filesystem::permissions(directory / "pgbouncer.ini", std::filesystem::perms(0644));
  process_ = std::make_unique<support::KeptProcess>(
      directory, std::vector<std::string>{where.string(), (directory / "pgbouncer.ini").string()});
  start();
}

Pgbouncer::~Pgbouncer() = default;

std::string Pgbouncer::conninfo(const std::string& database) const {
  return "host=127.0.0.1 port=" + std::to_string(port()) + " dbname=" + database +
         " user=postgres sslmode=disable gssencmode=disable";
}

void Pgbouncer::kill() { process_->end(SIGKILL); }

void Pgbouncer::start() {
  process_->run();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (PQping(conninfo().c_str()) != PQPING_OK) {
    if (!process_->running() || std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("pgbouncer did not start:\n" + log());
    ::poll(nullptr, 0, 5);
  }
}

std::string Pgbouncer::log() const { return process_->log(); }
