// What the tests over Redis stand on: its servers, its cluster, and a network that understands it.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <signal.h>

#include <hiredis/hiredis.h>

#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_proxy.hpp"

namespace {

/// A client that pipelines.
struct Client {
  explicit Client(int port) : context(redisConnect("127.0.0.1", port)) {
    REQUIRE(context->err == 0);
    redisSetTimeout(context, {1, 0});
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { redisFree(context); }
  void send(const std::vector<const char*>& words) {
    std::vector<const char*> all = words;
    redisAppendCommandArgv(context, static_cast<int>(all.size()), all.data(), nullptr);
  }
  /// "nothing" where the connection ended, or nobody answered for a second.
  std::string read() {
    void* reply = nullptr;
    if (redisGetReply(context, &reply) != REDIS_OK) return "nothing";
    const auto* const value = static_cast<const redisReply*>(reply);
    std::string text = value->type == REDIS_REPLY_INTEGER ? std::to_string(value->integer)
                       : value->type == REDIS_REPLY_ARRAY ? "array of " + std::to_string(value->elements)
                       : value->type == REDIS_REPLY_NIL   ? "nil"
                                                          : std::string(value->str, value->len);
    freeReplyObject(reply);
    return text;
  }
  redisContext* context;
};

}  // namespace

TEST_CASE("a Redis server has after a crash what it acknowledged, and is gone with its object",
          "[redis][servers]") {
  std::filesystem::path directory;
  pid_t process = 0;
  {
    RedisServer server;
    directory = server.directory();
    process = server.processes().at(0);
    server.command({"SET", "a", std::string("b\0\r\n", 4)});
    server.kill();
    CHECK_FALSE(server.running());
    CHECK_THROWS(server.command({"PING"}));
    server.start({{"maxmemory-policy", "allkeys-lru"}});
    CHECK(server.command({"GET", "a"}).text == std::string("b\0\r\n", 4));
    CHECK(server.info("maxmemory_policy") == "allkeys-lru");
    server.stop();
    server.start();
    CHECK(server.command({"GET", "a"}).text.size() == 4);
    CHECK(server.try_command({"INCR", "a"}).error);
    CHECK_THROWS(server.command({"INCR", "a"}));
    process = server.processes().at(0);
  }
  CHECK_FALSE(std::filesystem::exists(directory));
  CHECK(::kill(process, 0) != 0);
}

TEST_CASE("a replica has its master's data, and is a master once it is promoted", "[redis][servers]") {
  RedisServer master, replica;
  master.command({"SET", "a", "1"});
  replica.replica_of(master);
  CHECK(replica.command({"GET", "a"}).text == "1");
  CHECK(replica.try_command({"SET", "a", "2"}).text.starts_with("READONLY"));
  replica.promote();
  CHECK_FALSE(replica.try_command({"SET", "a", "2"}).error);
}

TEST_CASE("a cluster's slot is moved step by step", "[redis][servers]") {
  RedisCluster cluster;
  const std::string key = "order{7}";
  const int slot = RedisCluster::slot_of(key);
  CHECK(slot == cluster.node(0).command({"CLUSTER", "KEYSLOT", key}).integer);
  const std::size_t from = cluster.node_of_slot(slot), to = (from + 1) % 3;
  cluster.node(from).command({"SET", key, "1"});
  cluster.begin_move(slot, from, to);
  CHECK(cluster.node(from).try_command({"GET", "other{7}"}).text.starts_with("ASK"));
  CHECK(cluster.node(from).command({"GET", key}).text == "1");
  CHECK(cluster.move_keys(slot, from, to) == 1);
  CHECK(cluster.node(from).try_command({"GET", key}).text.starts_with("ASK"));
  cluster.finish_move(slot, from, to);
  CHECK(cluster.node(from).try_command({"GET", key}).text.starts_with("MOVED"));
  CHECK(cluster.node(to).command({"GET", key}).text == "1");
  CHECK(cluster.node_of_slot(slot) == to);
}

TEST_CASE("the proxy cuts at a command of a pipeline, and at its reply", "[redis][servers]") {
  TcpProxy proxy(shared_redis().port(), Speaks::resp);
  const std::string name = RedisServer::fresh_prefix();
  const char* const key = name.c_str();
  const auto has = [&](long long length) {
    // A server executes what it has got after the client has gone, too.
    for (int tries = 0; tries < 10'000; ++tries)
      if (shared_redis().command({"LLEN", name}).integer == length) return true;
    return false;
  };
  // Three commands in one write, and the second of them is cut.
  const auto told = [&](Cut cut) {
    shared_redis().command({"DEL", name});
    proxy.arm(cut, "rpush " + name, 2);
    Client client(proxy.port());
    client.send({"RPUSH", key, "one\r\n*1"});
    client.send({"RPUSH", key, "two"});
    client.send({"LRANGE", key, "0", "-1"});
    std::string all = client.read();
    all += ' ' + client.read();
    all += ' ' + client.read();
    CHECK(proxy.await_hit());
    proxy.reset();
    return all;
  };
  CHECK(told(Cut::before_request) == "nothing nothing nothing");
  CHECK(has(1));
  CHECK(told(Cut::within_request) == "nothing nothing nothing");
  CHECK(has(1));
  CHECK(told(Cut::before_reply) == "1 nothing nothing");
  CHECK(has(2));
  CHECK(told(Cut::within_reply) == "1 nothing nothing");
  CHECK(has(2));
  CHECK(told(Cut::after_reply) == "1 2 nothing");
  CHECK(has(2));
  CHECK(told(Cut::reply_never) == "1 nothing nothing");
  CHECK(has(2));
  CHECK(proxy.statements().empty());
  {
    Client client(proxy.port());
    client.send({"RPUSH", key, "three"});
    client.send({"LRANGE", key, "0", "-1"});
    CHECK(client.read() == "3");
    CHECK(client.read() == "array of 3");
    CHECK(proxy.statements() ==
          std::vector<std::string>{"RPUSH " + name + " three", "LRANGE " + name + " 0 -1"});
    CHECK(proxy.requests() == 2);
    CHECK(proxy.round_trips() == 1);
    // Held until it is let go, and then it happens although nobody is there any more.
    proxy.arm(Cut::request_held, "RPUSH");
    client.send({"RPUSH", key, "four"});
    CHECK(client.read() == "nothing");
    CHECK(proxy.await_hit());
    CHECK(shared_redis().command({"LLEN", name}).integer == 3);
  }
  proxy.release();
  CHECK(has(4));
}

TEST_CASE("the proxy cuts at a byte of a protocol that it does not know", "[redis][servers]") {
  TcpProxy proxy(shared_redis().port(), Speaks::anything);
  const std::string name = RedisServer::fresh_prefix();
  const std::string whole =
      "*3\r\n$6\r\nAPPEND\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n$1\r\nx\r\n";
  for (const std::size_t bytes : {std::size_t{1}, whole.size() - 1, whole.size()}) {
    proxy.cut_after(From::client, bytes);
    Client client(proxy.port());
    client.send({"APPEND", name.c_str(), "x"});
    CHECK(client.read() == "nothing");
    CHECK(proxy.await_hit());
    proxy.reset();
  }
  proxy.cut_after(From::server, 3);
  {
    Client client(proxy.port());
    client.send({"ECHO", "hello"});
    CHECK(client.read() == "nothing");
    CHECK(proxy.await_hit());
  }
  Client client(proxy.port());
  client.send({"ECHO", "hello"});
  CHECK(client.read() == "hello");
}
