#include "support/redis_server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string_view>

#include <poll.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

namespace {

namespace files = std::filesystem;
constexpr int slots = 16384;

files::path program() {
  for (const char* const place : {"/usr/bin/redis-server", SERVERS_UNPACKED "/usr/bin/redis-server"})
    if (files::exists(place)) return files::absolute(place);  // what it is called as decides what it does
  throw std::runtime_error(
      "redis-server is not on this machine, and this test is about the real one: apt-get install "
      "redis-server, "
      "or run tests/support/install_servers " SERVERS_UNPACKED);
}

struct Connection {
  explicit Connection(int port) : handle(redisConnectWithTimeout("127.0.0.1", port, {5, 0})) {
    if (handle != nullptr && handle->err == 0) redisSetTimeout(handle, {30, 0});
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (handle != nullptr) redisFree(handle);
  }
  redisReply* run(const std::vector<std::string>& words) const {
    if (handle == nullptr || handle->err != 0) return nullptr;
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    return static_cast<redisReply*>(
        redisCommandArgv(handle, static_cast<int>(texts.size()), texts.data(), sizes.data()));
  }
  redisContext* handle;
};

RedisAnswer answer_of(const redisReply& reply) {
  RedisAnswer answer;
  answer.nil = reply.type == REDIS_REPLY_NIL;
  answer.error = reply.type == REDIS_REPLY_ERROR;
  answer.integer = reply.type == REDIS_REPLY_INTEGER ? reply.integer : 0;
  if (reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS || answer.error)
    answer.text.assign(reply.str, reply.len);
  if (reply.type == REDIS_REPLY_ARRAY)
    for (std::size_t at = 0; at < reply.elements; ++at)
      answer.elements.push_back(answer_of(*reply.element[at]));
  return answer;
}

/// Looks every 5 ms; std::runtime_error with the text after 30 s.
template <class Ready, class Text>
void await(const Ready& ready, const Text& text) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(text());
    ::poll(nullptr, 0, 5);
  }
}

/// The value of a line "field:value".
std::string line_of(const std::string& text, const std::string& field) {
  const auto at = ("\n" + text).find("\n" + field + ":");
  if (at == std::string::npos) return "";
  const std::size_t from = at + field.size() + 1;
  return text.substr(from, text.find('\r', from) - from);
}

}  // namespace

RedisServer::RedisServer(Settings settings, pid_t until)
    : reserved_(std::make_unique<support::ReservedPort>()),
      directory_(support::make_directory_for_server()),
      port_(reserved_->number()) {
  try {
    write_settings({{"port", std::to_string(port_)},
                    {"bind", "127.0.0.1"},
                    {"dir", directory_.string()},
                    {"save", "\"\""},
                    {"repl-diskless-sync", "yes"},
                    {"repl-diskless-sync-delay", "0"},
                    {"enable-debug-command", "yes"}});
    write_settings(settings);
    process_ = std::make_unique<support::KeptProcess>(
        directory_, std::vector<std::string>{program().string(), (directory_ / "redis.conf").string()},
        until);
  } catch (...) {
    std::error_code ignored;
    files::remove_all(directory_, ignored);
    throw;
  }
  start();
}

RedisServer::RedisServer(support::FixtureServer elsewhere)
    : directory_(std::move(elsewhere.directory)), port_(elsewhere.port) {}

RedisServer::~RedisServer() = default;

void RedisServer::write_settings(const Settings& settings) {
  std::ofstream out(directory_ / "redis.conf", std::ios::app);
  for (const auto& [name, value] : settings) out << name << ' ' << value << '\n';
  if (!out.flush()) throw std::runtime_error("the settings of a server cannot be written");
  files::permissions(directory_ / "redis.conf", files::perms(0644));
}

std::string RedisServer::uri(int database) const {
  return "redis://127.0.0.1:" + std::to_string(port_) + (database == 0 ? "" : '/' + std::to_string(database));
}

std::string RedisServer::fresh_prefix(const std::string& name) {
  static std::atomic<unsigned> count{0};
  static const unsigned random = std::random_device()();
  return name + '_' + std::to_string(::getpid()) + '_' + std::to_string(random % 100'000) + '_' +
         std::to_string(++count);
}

RedisAnswer RedisServer::try_command(const std::vector<std::string>& words) const {
  const Connection connection(port_);
  const std::unique_ptr<redisReply, void (*)(redisReply*)> reply(
      connection.run(words), [](redisReply* freed) { freeReplyObject(freed); });
  if (!reply) throw std::runtime_error("a Redis server does not answer; the end of its log:\n" + log());
  return answer_of(*reply);
}

RedisAnswer RedisServer::command(const std::vector<std::string>& words) const {
  RedisAnswer answer = try_command(words);
  if (answer.error) throw std::runtime_error(words.at(0) + ": " + answer.text);
  return answer;
}

std::string RedisServer::info(const std::string& field) const {
  return line_of(command({"INFO", "everything"}).text, field);
}

void RedisServer::await_ready() {
  await(
      [&] {
        if (!running()) throw std::runtime_error("a Redis server did not start:\n" + log());
        const Connection connection(port_);
        redisReply* const reply = connection.run({"PING"});
        const bool ready = reply != nullptr && reply->type == REDIS_REPLY_STATUS;
        if (reply != nullptr) freeReplyObject(reply);
        return ready;
      },
      [&] { return "a Redis server takes no commands:\n" + log(); });
}

void RedisServer::start(const Settings& more) {
  if (!more.empty()) write_settings(more);
  process_->run();
  await_ready();
}
void RedisServer::kill() { process_->end(SIGKILL); }
void RedisServer::stop() { process_->end(SIGINT); }
bool RedisServer::running() { return process_->running(); }
std::vector<pid_t> RedisServer::processes() { return process_->processes(); }

void RedisServer::replica_of(const RedisServer& other) {
  command({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  await([&] { return info("master_link_status") == "up"; },
        [&] { return "a replica does not reach its master:\n" + log(); });
}
void RedisServer::promote() { command({"REPLICAOF", "NO", "ONE"}); }

support::FixtureServer RedisServer::as_fixture() const { return {port_, directory_, process_->keeper()}; }

std::string RedisServer::log() const {
  std::ifstream in(directory_ / "log", std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return text.substr(text.size() - std::min<std::size_t>(text.size(), 2000));
}

RedisServer& shared_redis() {
  static const std::unique_ptr<RedisServer> server = [] {
    const auto servers = support::of_fixture("redis");
    return servers.empty() ? std::make_unique<RedisServer>() : std::make_unique<RedisServer>(servers.at(0));
  }();
  return *server;
}

RedisCluster::RedisCluster(int masters, int replicas, RedisServer::Settings more, pid_t until) {
  for (int at = 0; at < masters * (1 + replicas); ++at) {
    Node node;
    node.bus = std::make_unique<support::ReservedPort>();
    RedisServer::Settings settings = RedisServer::durable();
    settings.insert(settings.end(), {{"cluster-enabled", "yes"},
                                     {"cluster-port", std::to_string(node.bus->number())},
                                     {"cluster-config-file", "nodes.conf"},
                                     {"cluster-node-timeout", "1500"}});
    settings.insert(settings.end(), more.begin(), more.end());
    node.server = std::make_unique<RedisServer>(settings, until);
    node.id = node.server->command({"CLUSTER", "MYID"}).text;
    nodes_.push_back(std::move(node));
  }
  for (int at = 0; at < masters; ++at) {
    RedisServer& server = node(static_cast<std::size_t>(at));
    server.command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(at + 1)});
    server.command({"CLUSTER", "ADDSLOTSRANGE", std::to_string(slots * at / masters),
                    std::to_string(slots * (at + 1) / masters - 1)});
  }
  for (std::size_t at = 1; at < size(); ++at)
    node(0).command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(node(at).port()),
                     std::to_string(nodes_[at].bus->number())});
  for (std::size_t at = static_cast<std::size_t>(masters); at < size(); ++at) {
    const Node& master =
        nodes_[(at - static_cast<std::size_t>(masters)) / static_cast<std::size_t>(replicas)];
    const std::vector<std::string> follow{"CLUSTER", "REPLICATE", master.id};
    await([&] { return !node(at).try_command(follow).error; },
          [] { return std::string("a replica does not come to know its master"); });
  }
  if (until == 0) await_ok();
}

RedisCluster::RedisCluster(std::span<const support::FixtureServer> elsewhere) {
  for (const support::FixtureServer& server : elsewhere) {
    Node node{nullptr, std::make_unique<RedisServer>(server), {}};
    node.id = node.server->command({"CLUSTER", "MYID"}).text;
    nodes_.push_back(std::move(node));
  }
}

RedisCluster::~RedisCluster() = default;

void RedisCluster::await_ok() {
  const std::string all = std::to_string(size());
  for (Node& each : nodes_)
    await(
        [&] {
          const std::string info = each.server->command({"CLUSTER", "INFO"}).text;
          return line_of(info, "cluster_state") == "ok" && line_of(info, "cluster_known_nodes") == all &&
                 line_of(info, "cluster_slots_ok") == std::to_string(slots) &&
                 (each.server->info("role") == "master" || each.server->info("master_link_status") == "up");
        },
        [&] { return "a cluster does not come together:\n" + each.server->log(); });
}

std::string RedisCluster::uri() const {
  std::string text = "redis://";
  for (const Node& each : nodes_)
    text += (text.ends_with('/') ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(each.server->port());
  return text;
}

int RedisCluster::slot_of(const std::string& key) {
  // CRC16, XMODEM, of what is in the first pair of braces.
  std::string_view hashed = key;
  const auto open = key.find('{');
  if (open != std::string::npos) {
    const auto close = key.find('}', open + 1);
    if (close != std::string::npos && close > open + 1) hashed = hashed.substr(open + 1, close - open - 1);
  }
  unsigned crc = 0;
  for (const char letter : hashed) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(letter)) << 8U;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000U) != 0 ? (crc << 1U ^ 0x1021U) & 0xffffU : crc << 1U;
  }
  return static_cast<int>(crc % slots);
}

std::size_t RedisCluster::node_of_slot(int slot) const {
  for (const RedisAnswer& range : nodes_.at(0).server->command({"CLUSTER", "SLOTS"}).elements) {
    if (slot < range.elements.at(0).integer || slot > range.elements.at(1).integer) continue;
    for (std::size_t at = 0; at < size(); ++at)
      if (nodes_[at].server->port() == range.elements.at(2).elements.at(1).integer) return at;
  }
  throw std::runtime_error("no node has the slot");
}

void RedisCluster::begin_move(int slot, std::size_t from, std::size_t to) {
  node(to).command({"CLUSTER", "SETSLOT", std::to_string(slot), "IMPORTING", nodes_[from].id});
  node(from).command({"CLUSTER", "SETSLOT", std::to_string(slot), "MIGRATING", nodes_[to].id});
}

std::size_t RedisCluster::move_keys(int slot, std::size_t from, std::size_t to, std::size_t count) {
  const RedisAnswer keys =
      node(from).command({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(count)});
  if (keys.elements.empty()) return 0;
  std::vector<std::string> words{"MIGRATE", "127.0.0.1", std::to_string(node(to).port()), "", "0",
                                 "5000",    "KEYS"};
  for (const RedisAnswer& key : keys.elements) words.push_back(key.text);
  node(from).command(words);
  return keys.elements.size();
}

void RedisCluster::finish_move(int slot, std::size_t from, std::size_t to) {
  const std::vector<std::string> words{"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", nodes_[to].id};
  node(to).command(words);  // the new owner first: nobody is without one
  node(from).command(words);
  for (Node& each : nodes_)
    if (each.server->info("role") == "master") each.server->command(words);
}

void RedisCluster::move_slot(int slot, std::size_t from, std::size_t to) {
  begin_move(slot, from, to);
  while (move_keys(slot, from, to) != 0) {
  }
  finish_move(slot, from, to);
}

RedisCluster& shared_redis_cluster() {
  static const std::unique_ptr<RedisCluster> cluster = [] {
    const auto servers = support::of_fixture("redis");
    auto made = servers.empty() ? std::make_unique<RedisCluster>()
                                : std::make_unique<RedisCluster>(std::span(servers).subspan(1));
    made->await_ok();
    return made;
  }();
  return *cluster;
}
