#include "support/rabbitmq_server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace files = std::filesystem;

/// The first below `directory` whose name begins so.
files::path below(const files::path& directory, const std::string& begins) {
  std::error_code none;
  for (const auto& entry : files::directory_iterator(directory, none))
    if (entry.path().filename().string().starts_with(begins)) return entry.path();
  return {};
}

struct Installed {
  files::path erlang, machine, rabbitmq;
};

Installed installed() {
  for (const files::path& root : {files::path("/"), files::path(SERVERS_UNPACKED)}) {
    const files::path erlang = root / "usr/lib/erlang", machine = below(erlang, "erts-") / "bin",
                      rabbitmq = below(root / "usr/lib/rabbitmq/lib", "rabbitmq_server-");
    if (files::exists(machine / "erlexec") && !rabbitmq.empty())
      return {files::canonical(erlang), files::canonical(machine), files::canonical(rabbitmq)};
  }
  throw std::runtime_error(
      "RabbitMQ is not on this machine, and this test is about the real one: apt-get install "
      "rabbitmq-server, "
      "or run tests/support/install_servers " SERVERS_UNPACKED);
}

/// What it would be started by, without its shell scripts, which want to be a service's.
std::vector<std::string> command(const files::path& directory, int amqp, int distribution, int names) {
  const Installed at = installed();
  const std::string home = directory.string();
  const files::path plugins = at.rabbitmq / "plugins";
  std::vector<std::string> words{"/usr/bin/env",
                                 "HOME=" + home,  // of the secret that its processes share
                                 "LANG=C.UTF-8",
                                 "ROOTDIR=" + at.erlang.string(),
                                 "BINDIR=" + at.machine.string(),
                                 "EMU=beam",
                                 "PROGNAME=erl",
                                 "ERL_LIBS=" + plugins.string(),
                                 "ERL_MAX_PORTS=4096",
                                 "ERL_MAX_ETS_TABLES=5000",
                                 "ERL_CRASH_DUMP_SECONDS=0",
                                 "ERL_EPMD_PORT=" + std::to_string(names),
                                 "ERL_EPMD_ADDRESS=127.0.0.1",
                                 "SYS_PREFIX=",
                                 "RABBITMQ_HOME=" + at.rabbitmq.string(),
                                 "RABBITMQ_PLUGINS_DIR=" + plugins.string(),
                                 "RABBITMQ_NODENAME=rabbit@localhost",
                                 "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
                                 "RABBITMQ_NODE_PORT=" + std::to_string(amqp),
                                 "RABBITMQ_DIST_PORT=" + std::to_string(distribution),
                                 "RABBITMQ_MNESIA_BASE=" + home + "/mnesia",
                                 "RABBITMQ_LOG_BASE=" + home,
                                 "RABBITMQ_LOGS=-",
                                 "RABBITMQ_ENABLED_PLUGINS_FILE=" + home + "/plugins",
                                 "RABBITMQ_CONF_ENV_FILE=/dev/null",
                                 "RABBITMQ_CONFIG_FILE=" + home + "/rabbitmq.conf",
                                 (at.machine / "erlexec").string()};
  // One scheduler, little memory, and no thread that waits by turning round.
  for (const char* const word : {"-noinput",
                                 "-s",
                                 "rabbit",
                                 "boot",
                                 "-boot",
                                 "start_sasl",
                                 "+W",
                                 "w",
                                 "+MBas",
                                 "ageffcbf",
                                 "+MHas",
                                 "ageffcbf",
                                 "+MBlmbcs",
                                 "512",
                                 "+MHlmbcs",
                                 "512",
                                 "+MMmcs",
                                 "30",
                                 "+P",
                                 "65536",
                                 "+t",
                                 "1048576",
                                 "+sbwt",
                                 "none",
                                 "+sbwtdcpu",
                                 "none",
                                 "+sbwtdio",
                                 "none",
                                 "+S",
                                 "1:1",
                                 "+A",
                                 "1",
                                 "-syslog",
                                 "logger",
                                 "[]",
                                 "-syslog",
                                 "syslog_error_logger",
                                 "false",
                                 "-kernel",
                                 "prevent_overlapping_partitions",
                                 "false",
                                 "-kernel",
                                 "inet_dist_use_interface",
                                 "{127,0,0,1}"})
    words.emplace_back(word);
  return words;
}

/// Whether something that speaks AMQP answers there.
/// https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf 4.2.2
bool speaks_amqp(int port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const char hello[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
  char answer = 0;
  ::pollfd readable{probe, POLLIN, 0};
  const bool speaks =
      ::connect(probe, reinterpret_cast<const ::sockaddr*>(&address), sizeof address) == 0 &&
      ::send(probe, hello, sizeof hello, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof hello) &&
      ::poll(&readable, 1, 2000) == 1 && ::recv(probe, &answer, 1, 0) == 1 &&
      answer == 1;  // a method's frame
  ::close(probe);
  return speaks;
}

}  // namespace

RabbitServer::RabbitServer(pid_t until)
    : amqp_(std::make_unique<support::ReservedPort>()),
      distribution_(std::make_unique<support::ReservedPort>()),
      names_(std::make_unique<support::ReservedPort>()),
      directory_(support::make_directory_for_server()),
      port_(amqp_->number()) {
  try {
    std::ofstream plugins(directory_ / "plugins");
    plugins << "[].\n";
    std::ofstream settings(directory_ / "rabbitmq.conf");
    settings << "disk_free_limit.absolute = 1MB\n"
             << "raft.wal_max_size_bytes = 16000000\n";
    plugins.close();
    settings.close();
    for (const char* const file : {"plugins", "rabbitmq.conf"})
      files::permissions(directory_ / file, files::perms(0644));
    process_ = std::make_unique<support::KeptProcess>(
        directory_, command(directory_, port_, distribution_->number(), names_->number()), until);
  } catch (...) {
    std::error_code ignored;
    files::remove_all(directory_, ignored);
    throw;
  }
  start();
}

RabbitServer::RabbitServer(support::FixtureServer elsewhere)
    : directory_(std::move(elsewhere.directory)), port_(elsewhere.port) {}

RabbitServer::~RabbitServer() {
  // It does not listen to what ends a server at once.
  if (process_ && !process_->outlives()) process_->end(SIGKILL);
}

std::string RabbitServer::fresh_name(const std::string& name) {
  static std::atomic<unsigned> count{0};
  static const unsigned random = std::random_device()();
  return name + '_' + std::to_string(::getpid()) + '_' + std::to_string(random % 100'000) + '_' +
         std::to_string(++count);
}

void RabbitServer::start() {
  process_->run();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  while (!speaks_amqp(port_)) {
    if (!running()) throw std::runtime_error("RabbitMQ did not start:\n" + log());
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("RabbitMQ takes no connections after a minute and a half:\n" + log());
    ::poll(nullptr, 0, 20);
  }
}

void RabbitServer::kill() { process_->end(SIGKILL); }

void RabbitServer::stop() {
  for (const pid_t id : process_->processes()) ::kill(id, SIGTERM);  // its own, and that of its names
  process_->wait();
}

bool RabbitServer::running() { return process_->running(); }

support::FixtureServer RabbitServer::as_fixture() const { return {port_, directory_, process_->keeper()}; }

std::string RabbitServer::log() const {
  std::ifstream in(directory_ / "log", std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return text.substr(text.size() - std::min<std::size_t>(text.size(), 4000));
}

RabbitServer& shared_rabbitmq() {
  static const std::unique_ptr<RabbitServer> server = [] {
    const auto servers = support::of_fixture("rabbitmq");
    return servers.empty() ? std::make_unique<RabbitServer>() : std::make_unique<RabbitServer>(servers.at(0));
  }();
  return *server;
}
