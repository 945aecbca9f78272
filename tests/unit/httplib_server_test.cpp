// A responder behind cpp-httplib: what gets through the adapter in both directions, and how a server ends.

#include <paidonce/http/httplib.hpp>
#include <paidonce/http/httplib_server.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>

#include "fault/event.hpp"
#include "integration/support/raw_client.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;
using paidonce::http::Authorised;
using paidonce::http::Response;
using paidonce::http::Tenant;

namespace {

/// A server of that type on a free port, from `start` until it is gone.
template <class Server>
struct Running {
  explicit Running(Server& of) : server(of) {}
  ~Running() { stop(); }
  void start() {
    port = server.bind_to_any_port("127.0.0.1");
    REQUIRE(port > 0);
    server.new_task_queue = [this, make = server.new_task_queue] {
      httplib::TaskQueue* const queue = make();
      listening.happen();  // the library says so too, but not to a sanitizer
      return queue;
    };
    thread = std::thread([this] { server.listen_after_bind(); });
    REQUIRE(listening.await());
  }
  void stop() {
    if (!thread.joinable()) return;
    server.stop();
    thread.join();
  }
  httplib::Client client() const { return httplib::Client("127.0.0.1", port); }

  Server& server;
  int port = 0;
  fault::Event listening = {};
  std::thread thread = {};
};

/// A payment endpoint with two accounts.
struct Shop {
  Authorised authorise(const httplib::Request& request) {
    const std::string who = request.get_header_value("Authorization");
    if (who == "Bearer a-secret") return Tenant("a");
    if (who == "Bearer b-secret") return Tenant("b");
    if (who == "Bearer broken") throw std::runtime_error("the table of accounts at db.internal is gone");
    return Response{401, {{"WWW-Authenticate", "Bearer"}, {"Cache-Control", "public"}}, "who are you?"};
  }
  void add_routes(httplib::Server& server) {
    const auto ask = [this](const httplib::Request& request) { return authorise(request); };
    server.Post("/pay", http::guarded(responder, ask, [this](const httplib::Request& request, Attempt&) {
                  ++runs;
                  return Response{201,
                                  {{"Content-Type", "application/json"}, {"Location", "/p/1"}},
                                  "{\"said\":\"" + request.body + "\"}"};
                }));
    server.Post("/doubt", http::guarded(
                              responder, ask,
                              [this](const httplib::Request&, Attempt& attempt) -> Response {
                                ++runs;
                                std::lock_guard lock(mutex);
                                provider_key = attempt.provider_key();
                                throw std::runtime_error("4242 at db.internal");
                              },
                              [](const Record&, std::string_view name) -> PaymentResult<Response> {
                                return succeeded(Response{200, {}, "found " + std::string(name)});
                              }));
    server.Get("/throws", [](const httplib::Request&, httplib::Response&) {
      throw std::runtime_error("4242 at db.internal");
    });
    server.Get("/throws-int", [](const httplib::Request&, httplib::Response&) { throw 42; });
    server.Get("/gone", [](const httplib::Request&, httplib::Response& response) {
      response.status = 410;
      response.set_content("it was here", "text/plain");
    });
  }

  MemoryStore store;
  IdempotencyGuard<MemoryStore&> guard{store};
  http::Responder<IdempotencyGuard<MemoryStore&>> responder{guard};
  std::atomic<int> runs{0};
  std::mutex mutex;
  std::string provider_key;
  std::string name_at_provider() {
    std::lock_guard lock(mutex);
    return provider_key;
  }
};

httplib::Headers headers(const std::string& secret, const std::string& key) {
  return {{"Authorization", "Bearer " + secret}, {"Idempotency-Key", key}};
}

/// All that a client could read, but for what a server adds to each answer. Fields sorted: their order is
/// their library's.
std::string all(const httplib::Result& result) {
  REQUIRE(result);
  std::string text = std::to_string(result->status) + "\n";
  std::vector<std::string> lines;
  for (const auto& [name, value] : result->headers)
    if (name != "Keep-Alive" && name != "Connection") lines.push_back(name + ": " + value + "\n");
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) text += line;
  return text + "\n" + result->body;
}

void check_leaks_nothing(const httplib::Result& result) {
  for (const std::string_view secret : {"4242", "db.internal", "a-secret", "EXCEPTION"})
    CHECK(all(result).find(secret) == std::string::npos);
}

template <class Server>
void check_adapter(Server& server) {
  Shop shop;
  server.set_default_headers({{"X-Frame-Options", "DENY"}, {"Content-Type", "text/html"}});
  shop.add_routes(server);
  Running<Server> running(server);
  running.start();
  httplib::Client client = running.client();

  const auto first = client.Post("/pay?x=1", headers("a-secret", "\"k\""), "450", "text/plain");
  CHECK(all(first) ==
        "201\nCache-Control: no-store\nContent-Length: 14\nContent-Type: application/json\nLocation: /p/1\n"
        "X-Frame-Options: DENY\n\n{\"said\":\"450\"}");
  const auto again = client.Post("/pay?x=1", headers("a-secret", "\"k\""), "450", "text/plain");
  CHECK(again->body == first->body);
  CHECK(again->get_header_value("Idempotent-Replayed") == "true");
  CHECK(client.Post("/pay?x=2", headers("a-secret", "\"k\""), "450", "text/plain")->status == 422);
  httplib::Headers two = headers("a-secret", "\"k\"");
  two.emplace("idempotency-key", "\"other\"");
  CHECK(client.Post("/pay?x=1", two, "450", "text/plain")->status == 400);
  CHECK(shop.runs == 1);

  // Authorised before anything else: without that, a key that is in use answers like one that is not.
  const auto used = client.Post("/pay?x=1", headers("wrong", "\"k\""), "450", "text/plain");
  CHECK(all(used) == all(client.Post("/pay?x=1", headers("wrong", "\"new\""), "450", "text/plain")));
  CHECK(all(used) == all(client.Post("/pay?x=1", headers("wrong", "not a key"), "9", "text/plain")));
  CHECK(used->status == 401);
  CHECK(used->body == "who are you?");
  CHECK(used->get_header_value("WWW-Authenticate") == "Bearer");
  CHECK(used->get_header_value("Cache-Control") == "no-store");
  const auto other = client.Post("/pay?x=1", headers("b-secret", "\"k\""), "1", "text/plain");
  CHECK(other->status == 201);
  CHECK(other->body == "{\"said\":\"1\"}");
  CHECK_FALSE(other->has_header("Idempotent-Replayed"));
  CHECK(shop.runs == 2);

  // Exceptions.
  const auto doubt = client.Post("/doubt", headers("a-secret", "\"d\""), "450", "text/plain");
  CHECK(doubt->status == 503);
  CHECK(doubt->get_header_value("Retry-After") == "2");
  check_leaks_nothing(doubt);
  const auto found = client.Post("/doubt", headers("a-secret", "\"d\""), "450", "text/plain");
  CHECK(found->body == "found " + shop.name_at_provider());
  CHECK(found->get_header_value("Content-Type") == "text/plain");  // not the default of other pages
  CHECK(shop.runs == 3);
  for (const char* path : {"/throws", "/throws-int"}) {
    const auto thrown = client.Get(path);
    CHECK(thrown->status == 500);
    CHECK(thrown->get_header_value("Content-Type") == "application/problem+json");
    CHECK(thrown->get_header_value("Cache-Control") == "no-store");
    check_leaks_nothing(thrown);
  }
  const auto broken = client.Post("/pay", headers("broken", "\"k\""), "450", "text/plain");
  CHECK(broken->status == 500);
  check_leaks_nothing(broken);

  // What no handler answers, and what one did.
  const auto nowhere = client.Get("/nowhere");
  CHECK(nowhere->status == 404);
  CHECK(nowhere->get_header_value("Content-Type") == "application/problem+json");
  CHECK(nowhere->body.find("There is nothing at this address.") != std::string::npos);
  CHECK(all(client.Get("/gone")).find("it was here") != std::string::npos);
}

}  // namespace

TEST_CASE("a responder answers through a server that reads strictly", "[http][httplib]") {
  http::Server server;
  check_adapter(server);
}

TEST_CASE("a responder answers through cpp-httplib's own server", "[http][httplib]") {
  httplib::Server server;
  http::prepare(server);
  check_adapter(server);
}

TEST_CASE("cpp-httplib's own server cuts no answer, and refuses bodies that are too large",
          "[http][httplib]") {
  httplib::Server server;
  http::prepare(server, {.largest_body = 1000});
  Shop shop;
  shop.add_routes(server);
  Running running(server);
  running.start();
  httplib::Client client = running.client();
  httplib::Headers range = headers("a-secret", "\"k\"");
  range.emplace("Range", "bytes=0-3");
  const auto cut = client.Post("/pay", range, "450", "text/plain");
  CHECK(cut->status == 400);
  CHECK(shop.runs == 0);
  const auto large = client.Post("/pay", headers("a-secret", "\"k\""), std::string(1001, 'x'), "text/plain");
  REQUIRE(large);
  CHECK(large->status == 413);
  CHECK(large->body.find("body-too-large") != std::string::npos);
  CHECK(shop.runs == 0);
}

TEST_CASE("a server outlives problems that cannot be written", "[http][httplib]") {
  httplib::Server server;
  http::prepare(server, {},
                [](const http::Problem&) -> Response { throw std::runtime_error("db.internal"); });
  Shop shop;
  shop.add_routes(server);
  Running running(server);
  running.start();
  httplib::Client client = running.client();
  for (const auto& [path, status] : {std::pair("/throws", 500), std::pair("/nowhere", 404)}) {
    const auto answer = client.Get(path);
    REQUIRE(answer);
    CHECK(answer->status == status);
    CHECK(answer->body.empty());
    check_leaks_nothing(answer);
  }
  CHECK(client.Post("/pay", headers("a-secret", "\"k\""), "450", "text/plain")->status == 201);
}

TEST_CASE("limits that cannot work are refused", "[http][httplib]") {
  httplib::Server server;
  CHECK_THROWS_AS(http::prepare(server, {.threads = 0}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.backlog = 0}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.requests_per_connection = 0}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.largest_body = 0}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.read_timeout = 0s}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.write_timeout = 0s}), Error);
  CHECK_THROWS_AS(http::prepare(server, {.idle_timeout = 0s}), Error);
}

TEST_CASE("two servers never share a port", "[http][httplib]") {
  http::Server one;
  Running<http::Server> running(one);
  running.start();
  http::Server strict;
  CHECK_FALSE(strict.bind_to_port("127.0.0.1", running.port));
  httplib::Server own;
  http::prepare(own);
  CHECK_FALSE(own.bind_to_port("127.0.0.1", running.port));
}

TEST_CASE("a request arrives as it was sent", "[http][httplib]") {
  http::Server server;
  std::string seen;
  server.Post(R"(/p/(\d+))", [&](const httplib::Request& request, httplib::Response& to) {
    const http::Request view = http::view_of(request);
    ((((seen += view.method) += ' ') += view.path) += '?') += view.query;
    for (const std::string_view value : view.values("X-A")) (seen += " [") += std::string(value) + "]";
    seen += " " + std::string(view.body);
    http::send({204, {}, ""}, to);
  });
  Running<http::Server> running(server);
  running.start();
  integration::RawClient client(running.port);  // newer versions of cpp-httplib's decode what can be
  client.send(
      "POST /p/7?a=%41&b+c HTTP/1.1\r\nHost: shop.test\r\nX-A: 1\r\nx-a: %32\r\nContent-Length: "
      "4\r\n\r\nbody");
  const auto answer = client.answer();
  REQUIRE(answer);
  CHECK(answer->status == 204);
  running.stop();
  CHECK(seen == "POST /p/7?a=%41&b+c [1] [%32] body");
}

TEST_CASE("a server that stops finishes what runs, and sends waiting duplicates away", "[http][httplib]") {
  MemoryStore store;
  IdempotencyGuard guard(store, KeyedMutex(), SystemClock(), {.wait = 1min});
  const http::Responder responder(guard);
  fault::Event running_payment, may_end;
  http::Server server;
  server.Post("/pay", http::guarded(
                          responder, [](const httplib::Request&) -> Authorised { return Tenant("a"); },
                          [&](const httplib::Request&, Attempt&) {
                            running_payment.happen();
                            may_end.await();
                            return Response{200, {}, "paid"};
                          }));
  Running<http::Server> running(server);
  running.start();
  std::string first, second;
  const auto post = [&](std::string& answer) {
    const auto result = running.client().Post("/pay", headers("nobody", "\"k\""), "450", "text/plain");
    answer = result ? std::to_string(result->status) + result->body : "no answer";
  };
  std::thread paying(post, std::ref(first));
  REQUIRE(running_payment.await());
  std::thread duplicate(post, std::ref(second));
  guard.shut_down();
  duplicate.join();  // at once, though it could wait for a minute
  std::thread stopping([&] { running.stop(); });
  may_end.happen();
  stopping.join();
  paying.join();
  CHECK(first == "200paid");
  CHECK(second.substr(0, 3) == "503");
  CHECK(second.find("This request executed nothing") != std::string::npos);
  CHECK_FALSE(running.client().Get("/"));
}

TEST_CASE("an answer that has no body is sent without one", "[http][httplib]") {
  http::Server server;
  server.Get("/empty", [](const httplib::Request&, httplib::Response& to) {
    http::send({204, {}, "HTTP/1.1 200 OK\r\n\r\n"}, to);
  });
  Running<http::Server> running(server);
  running.start();
  const auto empty = running.client().Get("/empty");
  REQUIRE(empty);
  CHECK(empty->get_header_value("Content-Length") == "0");
}

TEST_CASE("a handler that says so closes the connection", "[http][httplib]") {
  http::Server server({.idle_timeout = 60s});
  server.Get("/last", [](const httplib::Request&, httplib::Response& to) {
    http::send({200, {{"Connection", "Keep-Alive, Close"}}, "bye"}, to);
  });
  server.Get("/kept", [](const httplib::Request&, httplib::Response& to) {
    http::send({200, {}, "on"}, to);
  });
  Running<http::Server> running(server);
  running.start();
  integration::RawClient client(running.port);
  const auto ask = [&](const std::string& path) {
    client.send("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    return client.answer();
  };
  CHECK(ask("/kept")->body == "on");
  CHECK(ask("/last")->body == "bye");
  CHECK_FALSE(client.answer());  // closed, and not after a minute
}

TEST_CASE("the answer to a HEAD that is refused has no body", "[http][httplib]") {
  http::Server server({.largest_head = 256, .largest_body = 10});
  Running<http::Server> running(server);
  running.start();
  for (const auto& [request, status] : std::vector<std::pair<std::string, int>>{
           {"HEAD / HTTP/1.1\r\n\r\n", 400},  // without a host
           {"HEAD / HTTP/1.1\nHost: shop.test\r\n\r\n", 400},
           {"HEAD / HTTP/1.1\r\nHost: shop.test\r\nX: " + std::string(300, 'x'), 431},
           {"HEAD / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 11\r\n\r\n", 413}}) {
    integration::RawClient client(running.port);
    client.send(request);
    const auto answer = client.answer(true);
    REQUIRE(answer);
    CHECK(answer->status == status);
    CHECK(answer->field("Content-Length") != "0");  // as that of the body it does not have
    CHECK_FALSE(client.answer());                   // nothing follows
  }
}

TEST_CASE("how an application writes a refusal does not harm the connection", "[http][httplib]") {
  http::Server server({.write_problem = [](const http::Problem&) {
    return Response{
        100,
        {{"X-Code", "7\r\nSet-Cookie: a=b"}, {"bad name", "1"}, {"Content-Length", "3"}, {"X-Fine", "1"}},
        "HTTP/1.1 200 OK"};
  }});
  Running<http::Server> running(server);
  running.start();
  integration::RawClient client(running.port);
  client.send("no request\r\n\r\n");
  const auto answer = client.answer();
  REQUIRE(answer);
  CHECK(answer->status == 400);
  CHECK(answer->head.find("X-Code") == std::string::npos);
  CHECK(answer->head.find("Set-Cookie") == std::string::npos);
  CHECK(answer->head.find("bad name") == std::string::npos);
  CHECK(answer->field("Content-Length") == "15");
  CHECK(answer->field("X-Fine") == "1");
  CHECK(answer->field("Cache-Control") == "no-store");
  CHECK(answer->body == "HTTP/1.1 200 OK");
  CHECK_FALSE(client.answer());
}

TEST_CASE("a server that was stopped does not wait for connections that wait for their turn",
          "[http][httplib]") {
  fault::Event runs, may_end;
  http::Server server({.threads = 1, .head_timeout = 60s, .idle_timeout = 60s});
  server.Get("/slow", [&](const httplib::Request&, httplib::Response& to) {
    runs.happen();
    may_end.await();
    http::send({200, {}, "done"}, to);
  });
  Running<http::Server> running(server);
  running.start();
  integration::RawClient first(running.port);
  first.send("GET /slow HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  REQUIRE(runs.await());
  integration::RawClient silent(running.port), half(running.port);
  half.send("GET /sl");
  server.stop();
  may_end.happen();
  running.thread.join();
  CHECK(first.answer()->body == "done");
}
