// Clients that are slow, or gone: what their connection is ended by, that others are served meanwhile, and
// that only what came whole is carried out.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/guarded_server.hpp"
#include "support/raw_client.hpp"

using namespace integration;
using namespace std::chrono_literals;

namespace {

std::string payment(const std::string& key, const std::string& path = "/pay",
                    const std::string& fields = {}) {
  return "POST " + path + " HTTP/1.1\r\nHost: shop.test\r\nIdempotency-Key: \"" + key +
         "\"\r\nContent-Type: application/x-www-form-urlencoded\r\n" + fields +
         "Content-Length: 10\r\n\r\namount=450";
}

std::string answer_to(int port, const std::string& request) {
  RawClient client(port);
  client.send(request);
  const auto answer = client.answer();
  return answer ? answer->told() : "closed";
}

GuardedServer::Settings impatient() {
  GuardedServer::Settings settings;
  settings.head_timeout = settings.body_timeout = settings.write_timeout = 300ms;
  return settings;
}

/// So many more descriptors may be open in this process as long as this lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(int more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
    if (next < 0) throw std::system_error(errno, std::generic_category(), "dup");
    ::close(next);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next + more);
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0)
      throw std::system_error(errno, std::generic_category(), "setrlimit");
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("a head that comes byte by byte ends by its timeout, and others are served",
          "[http][hostile][slow]") {
  GuardedServer server(impatient());
  RawClient slow(server.port());
  const auto begin = std::chrono::steady_clock::now();
  const std::string endless = payment("slow").substr(0, 40) + std::string(100'000, 'a');
  std::size_t sent = 0, served = 0;
  while (sent < endless.size() && !slow.readable_within(5ms)) {
    slow.send(endless.substr(sent++, 1));
    if (sent % 8 == 0) {
      REQUIRE(answer_to(server.port(), payment("other" + std::to_string(sent))) == "200");
      ++served;
    }
  }
  CHECK(slow.answer()->told() == "408 request-malformed");
  CHECK_FALSE(slow.answer());
  CHECK(std::chrono::steady_clock::now() - begin >= 300ms);
  CHECK(std::chrono::steady_clock::now() - begin < 3s);
  CHECK(served > 0);
  CHECK(server.charges().size() == served);
}

TEST_CASE("a body that stops in the middle ends by its timeout, and charges nothing",
          "[http][hostile][slow]") {
  GuardedServer server(impatient());
  const std::string whole = payment("a");
  CHECK(answer_to(server.port(), whole.substr(0, whole.size() - 1)) == "408 request-malformed");
  const std::string chunked =
      "POST /pay HTTP/1.1\r\nHost: shop.test\r\nIdempotency-Key: \"b\"\r\n"
      "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: "
      "chunked\r\n\r\na\r\namount=450\r\n0\r\n";
  CHECK(answer_to(server.port(), chunked) == "408 request-malformed");
  CHECK(server.charges().empty());
  CHECK(answer_to(server.port(), whole) == "200");
  CHECK(server.charges().size() == 1);
}

TEST_CASE("slow clients on every thread keep others waiting for one timeout, not for ever",
          "[http][hostile][slow]") {
  GuardedServer::Settings settings = impatient();
  settings.threads = 2;
  GuardedServer server(settings);
  RawClient one(server.port()), two(server.port());
  one.send("POST /pay HT");
  two.send(payment("two").substr(0, 130));
  CHECK(answer_to(server.port(), payment("other")) == "200");
  CHECK(one.answer()->status == 408);
  CHECK(two.answer()->status == 408);
  CHECK(server.charges().size() == 1);
}

TEST_CASE("a client that does not read its answer holds a thread for one timeout", "[http][hostile][slow]") {
  GuardedServer::Settings settings = impatient();
  settings.threads = 1;
  GuardedServer server(settings);
  RawClient deaf(server.port());
  deaf.send("GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  const auto begin = std::chrono::steady_clock::now();
  CHECK(answer_to(server.port(), payment("other")) == "200");
  CHECK(std::chrono::steady_clock::now() - begin >= 250ms);
  CHECK_THROWS(deaf.answer());  // it got less than all
}

TEST_CASE("a client that goes on sending after its last answer holds a thread for one more second",
          "[http][hostile][slow]") {
  GuardedServer::Settings settings;
  settings.threads = 1;
  GuardedServer server(settings);
  RawClient dribbling(server.port());
  dribbling.send("no request\r\n\r\n");
  CHECK(dribbling.answer()->told() == "400 request-malformed");
  const auto begin = std::chrono::steady_clock::now();
  RawClient other(server.port());
  other.send(payment("other"));
  while (!other.readable_within(20ms)) {
    REQUIRE(std::chrono::steady_clock::now() - begin < 10s);
    dribbling.send("a");  // also where it is not taken any more
  }
  CHECK(other.answer()->told() == "200");
  CHECK(std::chrono::steady_clock::now() - begin >= 500ms);
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
}

TEST_CASE("a server without a free descriptor serves those it has, and then the others",
          "[http][hostile][slow]") {
  GuardedServer::Settings settings;
  settings.threads = 40;
  settings.idle_timeout = 60s;
  GuardedServer server(settings);
  RawClient first(server.port());
  first.send(payment("first"));
  REQUIRE(first.answer()->told() == "200");

  std::vector<std::unique_ptr<RawClient>> clients;
  const FewDescriptors limit(40);
  int why = 0;
  while (why == 0) {
    try {
      clients.push_back(std::make_unique<RawClient>(server.port()));
      if (clients.size() > 10) continue;  // those are taken before the others come
      clients.back()->send("GET /probe HTTP/1.1\r\nHost: shop.test\r\n\r\n");
      REQUIRE(clients.back()->answer()->told() == "200");
    } catch (const std::system_error& error) {
      why = error.code().value();
    }
  }
  REQUIRE(why == EMFILE);
  REQUIRE(clients.size() >= 15);
  first.send(payment("at the limit"));
  CHECK(first.answer()->told() == "200");
  for (std::size_t at = 0; at < clients.size(); ++at) clients[at]->send(payment(std::to_string(at)));
  for (std::size_t at = 0; at < clients.size(); ++at) {
    CHECK(clients[at]->answer()->told() == "200");
    clients[at].reset();
  }
  CHECK(answer_to(server.port(), payment("first")) == "200 replayed");
  CHECK(server.charges().size() == 2 + clients.size());
}

TEST_CASE("a connection without a request is closed after its timeout", "[http][hostile][slow]") {
  GuardedServer::Settings settings;
  settings.idle_timeout = 200ms;
  GuardedServer server(settings);
  RawClient silent(server.port()), kept(server.port());
  kept.send(payment("a"));
  CHECK(kept.answer()->told() == "200");
  CHECK_FALSE(kept.answer());
  CHECK_FALSE(silent.answer());
}

TEST_CASE("a connection that was answered is not kept while others wait", "[http][hostile][slow]") {
  GuardedServer::Settings settings;
  settings.threads = 1;
  settings.idle_timeout = 60s;
  GuardedServer server(settings);
  RawClient kept(server.port());
  kept.send(payment("a"));
  CHECK(kept.answer()->told() == "200");
  CHECK(answer_to(server.port(), payment("b")) == "200");  // not after 60 s
  CHECK_FALSE(kept.answer());
}

TEST_CASE("a client that is gone right after its request is charged once, and its retry is replayed",
          "[http][hostile][slow]") {
  GuardedServer server;
  RawClient closing(server.port());
  closing.send(payment("closed", "/slow"));
  REQUIRE(server.wait_for_waiting(1));
  closing.reset();
  CHECK(answer_to(server.port(), payment("closed", "/slow")) == "409 in-progress");
  server.let_go();
  REQUIRE(server.wait_for_charges(1));
  std::string retried;
  while ((retried = answer_to(server.port(), payment("closed", "/slow"))) == "409 in-progress") {
  }
  CHECK(retried == "200 replayed");
  CHECK(server.charges().size() == 1);
}

TEST_CASE("two equal requests that come byte by byte, in turns, are one charge", "[http][hostile][slow]") {
  GuardedServer server;
  const std::string bytes = payment("twins");
  RawClient one(server.port()), two(server.port());
  for (const char byte : bytes) {
    one.send({&byte, 1});
    two.send({&byte, 1});
  }
  std::vector<std::string> told = {one.answer()->told(), two.answer()->told()};
  std::sort(told.begin(), told.end());
  CHECK(told[0] == "200");
  CHECK((told[1] == "200 replayed" || told[1] == "409 in-progress"));
  CHECK(answer_to(server.port(), bytes) == "200 replayed");
  CHECK(server.charges().size() == 1);
}

TEST_CASE("a client that asks before it sends the body is told to go on, or why not",
          "[http][hostile][slow]") {
  GuardedServer server;
  const std::string request = payment("a", "/pay", "Expect: 100-continue\r\n");
  RawClient client(server.port());
  client.send(request.substr(0, request.size() - 10));
  CHECK(client.answer()->status == 100);
  client.send("amount=450");
  CHECK(client.answer()->told() == "200");
  CHECK(answer_to(server.port(),
                  "POST /strict HTTP/1.1\r\nHost: shop.test\r\nExpect: 100-continue\r\n"
                  "Content-Length: 2000000\r\n\r\n") == "413 body-too-large");
}

TEST_CASE("a server that stops waits for payments, and not for clients", "[http][hostile][slow]") {
  GuardedServer::Settings settings;
  settings.idle_timeout = settings.head_timeout = settings.body_timeout = 60s;
  auto server = std::make_unique<GuardedServer>(settings);
  RawClient idle(server->port()), kept(server->port()), paying(server->port());
  RawClient half_a_head(server->port()), half_a_body(server->port());
  half_a_head.send("POST /pay HT");
  const std::string whole = payment("c");
  half_a_body.send(whole.substr(0, whole.size() - 3));
  kept.send(payment("a"));
  CHECK(kept.answer()->told() == "200");
  paying.send(payment("b", "/slow"));
  REQUIRE(server->wait_for_waiting(1));
  server.reset();  // lets it go
  CHECK(paying.answer()->told() == "200");
  CHECK_FALSE(paying.answer());
  CHECK_FALSE(kept.answer());
  CHECK_FALSE(idle.answer());
  CHECK_FALSE(half_a_head.answer());
  CHECK_FALSE(half_a_body.answer());
}
