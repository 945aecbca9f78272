// The client against servers that fail in every way that a test can say.

#include <paidonce/http/httplib_client.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/testing/instant_timer.hpp>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"
#include "support/scripted_server.hpp"
#include "support/tcp_proxy.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::chrono_literals;
using namespace support;

namespace {

const std::string paid = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npaid";

std::string reply_of(const std::string& status_and_fields, const std::string& body = "") {
  return "HTTP/1.1 " + status_and_fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

Request order_17(std::string_view body = "amount=450") {
  return {.method = "POST",
          .path = "/v1/charges",
          .query = "expand%5B%5D=order,customer",
          .fields = {{"Content-Type", "application/x-www-form-urlencoded"}},
          .body = body};
}

/// Pauses take no time and are not left to chance; timeouts are short, where they are what a test is about.
struct Trial {
  explicit Trial(std::vector<ScriptedServer::Step> steps = {closes_at_once()}) : server(std::move(steps)) {}

  Sent send(const RequestKey& key = RequestKey::first_use("order-17"), const Request& request = order_17()) {
    return IdempotentClient(server.url(), options).send(request, key, InstantTimer(clock), random, clock);
  }

  ScriptedServer server;
  ClientOptions options{.backoff = {100ms, 10s, Jitter::none}, .attempts = 3};
  ManualClock clock;
  std::minstd_rand random;
};

std::string body_of(const Sent& sent) { return sent.last_reply() != nullptr ? sent.last_reply()->body : ""; }

}  // namespace

TEST_CASE("a request goes out as it was given, under its key, on a connection of its own", "[http][client]") {
  Trial trial({replies(reply_of("201 Created\r\nX-Of-The-Server: a\r\n", "paid"))});
  trial.options.fields = {{"Authorization", "Bearer s3cret"}};
  const Sent sent = trial.send();
  REQUIRE(sent.status() == SendStatus::answered);
  CHECK(sent.reply() == Response{201, {{"X-Of-The-Server", "a"}}, "paid"});
  CHECK_FALSE(sent.replayed());
  CHECK(sent.key() == "order-17");
  CHECK(sent.tries() == 1);
  CHECK(sent.end() == RetryEnd::settled);
  CHECK(sent.new_key() == NewKey::unsafe);
  const auto requests = trial.server.requests();
  REQUIRE(requests.size() == 1);
  CHECK_THAT(requests[0], starts_with("POST /v1/charges?expand%5B%5D=order,customer HTTP/1.1\r\n"));
  CHECK_THAT(requests[0], contains("\r\nIdempotency-Key: \"order-17\"\r\n"));
  CHECK_THAT(requests[0], contains("\r\nAuthorization: Bearer s3cret\r\n"));
  CHECK_THAT(requests[0], contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
  CHECK_THAT(requests[0], contains("\r\nConnection: close\r\n"));
  CHECK_THAT(requests[0], ends_with("\r\n\r\namount=450"));
}

TEST_CASE("a key stands bare where the server asks for it", "[http][client]") {
  Trial trial({replies(paid)});
  trial.options.key_form = KeyForm::bare;
  REQUIRE(trial.send().status() == SendStatus::answered);
  CHECK_THAT(trial.server.requests().at(0), contains("\r\nIdempotency-Key: order-17\r\n"));
  CHECK_THROWS_MATCHES(trial.send(RequestKey::first_use("a key")), Error, has_code<Error>(errc::invalid_key));
}

TEST_CASE("a server that fails is asked again, with the same bytes", "[http][client]") {
  const std::string status = GENERATE("500 A", "502 A", "503 A", "504 A", "408 A", "425 A", "429 A");
  Trial trial({replies(reply_of(status + "\r\n")), replies(reply_of("409 A\r\nRetry-After: 2\r\n")),
               replies(reply_of("200 OK\r\nIdempotent-Replayed: true\r\n", "paid"))});
  const Sent sent = trial.send();
  REQUIRE(sent.status() == SendStatus::answered);
  CHECK(sent.reply().body == "paid");
  CHECK(sent.replayed());
  CHECK(sent.tries() == 3);
  CHECK(sent.waited() == 100ms + 2s + 200ms);
  const auto requests = trial.server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0] == requests[1]);
  CHECK(requests[1] == requests[2]);
}

TEST_CASE("a lost reply is asked for again under the same key, and unknown while it does not come",
          "[http][client]") {
  const auto [lost, request_arrives] = GENERATE(table<ScriptedServer::Step, bool>({
      {closes_at_once(), false},
      {closes_within_request(60), false},
      {closes_after_request(), true},
      {replies("HTTP/1.1 2"), true},
      {replies("HTTP/1.1 200 OK\r\n"), true},
      {replies("HTTP/1.1 200 OK\r\nContent-Length: 4"), true},
      {replies("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), true},
      {replies("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npai"), true},
      {replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npaid\r\n"), true},
      {replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npai"), true},
      // These end where their connection does, or nobody knows where: perhaps they were cut off.
      {replies("HTTP/1.1 200 OK\r\n\r\npaid"), true},
      {replies("HTTP/1.0 200 OK\r\n\r\npaid"), true},
      {replies("HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\npaid"), true},
      {replies("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\npaid"), true},
      {replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\npaid"), true},
      {replies("HTTP/1.1 103 Early Hints\r\n\r\n"), true},
      {replies("SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), true},
  }));
  SECTION("it comes at last") {
    Trial trial({lost, lost, replies(paid)});
    const Sent sent = trial.send();
    REQUIRE(sent.status() == SendStatus::answered);
    CHECK(body_of(sent) == "paid");
    CHECK(sent.tries() == 3);
    const auto requests = trial.server.requests();
    REQUIRE(requests.size() == 3);
    if (request_arrives) CHECK(requests[0] == requests[2]);
  }
  SECTION("it never comes") {
    Trial trial({lost});
    const Sent sent = trial.send();
    CHECK(sent.status() == SendStatus::unknown);
    CHECK(sent.new_key() == NewKey::unsafe);
    CHECK(sent.key() == "order-17");
    CHECK(sent.end() == RetryEnd::out_of_attempts);
    CHECK(sent.last_try() == TryEnd::no_whole_reply);
    CHECK(sent.last_reply() == nullptr);
    CHECK_THROWS_MATCHES(sent.reply(), Error, has_code<Error>(errc::wrong_state));
  }
}

TEST_CASE("a client that was never connected has sent nothing", "[http][client]") {
  const BoundSocket nobody;  // does not listen
  Trial trial;
  const IdempotentClient client(nobody.url(), trial.options);
  const auto send = [&](const RequestKey& key) {
    return client.send(order_17(), key, InstantTimer(trial.clock), trial.random, trial.clock);
  };
  const Sent sent = send(RequestKey::first_use("order-17"));
  CHECK(sent.status() == SendStatus::nothing_sent);
  CHECK(sent.new_key() == NewKey::safe);
  CHECK(sent.tries() == 3);
  CHECK(sent.end() == RetryEnd::out_of_attempts);
  CHECK(sent.last_try() == TryEnd::not_connected);

  const Sent after_a_crash = send(RequestKey::again("order-17"));
  CHECK(after_a_crash.status() == SendStatus::unknown);
  CHECK(after_a_crash.new_key() == NewKey::unsafe);
}

TEST_CASE("what an earlier try may have done is not forgotten when a later one is turned away",
          "[http][client]") {
  Trial trial({closes_after_request(), replies(reply_of("401 Unauthorized\r\n", "expired"))});
  const Sent sent = trial.send();
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.new_key() == NewKey::unsafe);
  CHECK(sent.end() == RetryEnd::not_retryable);
  CHECK(sent.tries() == 2);
  REQUIRE(sent.last_reply() != nullptr);
  CHECK(sent.last_reply()->status == 401);

  Trial first({replies(reply_of("401 Unauthorized\r\n"))});
  CHECK(first.send().status() == SendStatus::answered);
  CHECK(first.send(RequestKey::again("order-17")).status() == SendStatus::unknown);
}

TEST_CASE("a server that takes too long leaves the request unknown", "[http][client]") {
  Trial trial({never_replies()});
  trial.options.attempts = 1;
  SECTION("it says nothing") { trial.options.read_timeout = 30ms; }
  SECTION("it says nothing, and the deadline comes first") { trial.options.deadline = 30ms; }
  const auto begun = std::chrono::steady_clock::now();
  const Sent sent = trial.send();
  CHECK(std::chrono::steady_clock::now() - begun < 20s);  // the other timeouts are longer
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.new_key() == NewKey::unsafe);
  CHECK(sent.last_try() == TryEnd::no_whole_reply);
}

TEST_CASE("a server that sends a byte now and then does not hold a client", "[http][client]") {
  Trial trial({GENERATE(drips(""), drips("HTTP/1.1 200 OK\r\nA: "),
                        drips("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))});
  trial.options.attempts = 1;
  trial.options.try_timeout = 100ms;
  CHECK(trial.send().status() == SendStatus::unknown);
}

TEST_CASE("Retry-After is waited for, and the pauses come on top", "[http][client]") {
  const std::string field =
      GENERATE("Retry-After: 7", "Retry-After: Tue, 14 Nov 2023 22:13:27 GMT",
               "Date: Wed, 15 Nov 2023 00:00:00 GMT\r\nRetry-After: Wed, 15 Nov 2023 00:00:07 GMT",
               "Retry-After: 3\r\nRetry-After: 7");
  Trial trial({replies(reply_of("503 A\r\n" + field + "\r\n")), replies(paid)});
  const Sent sent = trial.send();
  CHECK(sent.status() == SendStatus::answered);
  CHECK(sent.waited() == 7s + 100ms);
}

TEST_CASE("a time to wait that is beyond the deadline is told, and not waited for", "[http][client]") {
  const auto [value, told] = GENERATE(table<std::string, Duration>({
      {"61", 61s},
      {"86400", 24h},
      {"99999999999999999999999999", std::chrono::years(100)},
      {"Fri, 31 Dec 9999 23:59:59 GMT", std::chrono::years(100)},
  }));
  Trial trial({replies(reply_of("503 A\r\nRetry-After: " + value + "\r\n")), replies(paid)});
  const Sent sent = trial.send();
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.end() == RetryEnd::past_deadline);
  CHECK(sent.tries() == 1);
  CHECK(sent.waited() == 0ms);
  CHECK(sent.retry_after() == told);
}

TEST_CASE("a redirect is not followed", "[http][client]") {
  const std::string status = GENERATE("301 A", "302 A", "303 A", "307 A", "308 A");
  Trial trial({replies(reply_of(status + "\r\nLocation: /elsewhere\r\n"))});
  const Sent sent = trial.send();
  CHECK(sent.status() == SendStatus::answered);
  CHECK(*sent.reply().find("Location") == "/elsewhere");
  CHECK(trial.server.requests().size() == 1);
}

TEST_CASE("a reply that is too large is as if it were lost", "[http][client]") {
  Trial trial({replies(paid)});
  trial.options.largest_reply = 3;
  CHECK(trial.send().status() == SendStatus::unknown);
  trial.options.largest_reply = 4;
  CHECK(trial.send().status() == SendStatus::answered);
}

TEST_CASE("replies come in chunks, compressed, or without a body", "[http][client]") {
  const std::string body = "paid, and compressed";
  const std::string packed(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x48\xcc\x4c\xd1\x51\x48\xcc\x4b\x51\x48\xce\xcf\x2d"
      "\x28\x4a\x2d\x2e\x4e\x4d\x01\x00\xff\xaf\x57\x67\x14\x00\x00\x00",
      40);
  SECTION("in chunks") {
    Trial trial(
        {replies("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npaid\r\n10\r\n, and "
                 "compressed\r\n0\r\n\r\n")});
    CHECK(trial.send().reply() == Response{200, {}, body});
  }
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  SECTION("compressed") {
    Trial trial({replies(reply_of("200 OK\r\nContent-Encoding: gzip\r\n", packed))});
    CHECK(trial.send().reply() == Response{200, {}, body});
    CHECK_THAT(trial.server.requests().at(0), contains("\r\nAccept-Encoding: gzip"));
    trial.options.largest_reply = body.size() - 1;
    CHECK(trial.send().status() == SendStatus::unknown);
  }
#endif
  SECTION("without a body") {
    Trial trial({replies("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")});
    CHECK(trial.send().reply() == Response{204, {{"A", "b"}}, ""});
  }
  SECTION("to a request without a body") {
    Trial trial({replies(paid)});
    CHECK(trial.send(RequestKey::fresh(), order_17("")).status() == SendStatus::answered);
    CHECK_THAT(trial.server.requests().at(0), contains("\r\nContent-Length: 0\r\n"));
  }
}

TEST_CASE("a server that closes while a large request is sent does not end the process", "[http][client]") {
  Trial trial({[](ScriptedConnection& client) {  // what is sent after that raises SIGPIPE
    client.finish_sending();
    client.read_request(10);
  }});
  const std::string large(8 << 20, 'x');
  const Sent sent = trial.send(RequestKey::fresh(), order_17(large));
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.tries() == 3);
}

TEST_CASE("a stop ends the pause, and no try follows", "[http][client]") {
  Stop stop;
  Trial trial({[&](ScriptedConnection& client) {
    client.read_request();
    stop.request();
  }});
  trial.options.stop = &stop;
  const Sent begun = trial.send();
  CHECK(begun.status() == SendStatus::unknown);
  CHECK(begun.end() == RetryEnd::stopped);
  CHECK(begun.tries() == 1);
  const Sent never = trial.send();
  CHECK(never.status() == SendStatus::nothing_sent);
  CHECK(never.new_key() == NewKey::safe);
  CHECK(never.tries() == 0);
  CHECK_FALSE(never.last_try().has_value());
}

TEST_CASE("retries come out of a budget", "[http][client]") {
  RetryBudget budget({.percent = 100, .reserve = 1});
  Trial trial;
  trial.options.budget = &budget;
  for (int sends = 0; sends < 2; ++sends) {  // the second one pays in what it takes out
    const Sent sent = trial.send();
    CHECK(sent.end() == RetryEnd::out_of_budget);
    CHECK(sent.tries() == 2);
  }
}

TEST_CASE("another meaning of replies can be given", "[http][client]") {
  Trial trial({replies(reply_of("404 A\r\n")), replies(paid)});
  trial.options.reply_policy = [](const Response& reply) {
    return reply.status == 404 ? ReplyMeaning::again : meaning_of_reply(reply);
  };
  CHECK(trial.send().tries() == 2);
}

TEST_CASE("a reply that nobody can judge leaves the request unknown", "[http][client]") {
  Trial trial({replies(paid)});
  trial.options.reply_policy = [](const Response&) -> ReplyMeaning { throw std::bad_alloc(); };
  const Sent sent = trial.send(RequestKey::fresh(), order_17(GENERATE("", "amount=450")));
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.new_key() == NewKey::unsafe);
}

namespace {

/// Pauses turn out a hundred times as long.
struct LateTimer {
  Duration elapsed() const { return instant.elapsed(); }
  template <class Done>
  bool wait(Duration length, Stop& stop, Done&& done) {
    return instant.wait(100 * length, stop, done);
  }

  InstantTimer instant;
};

}  // namespace

TEST_CASE("no try begins after the deadline", "[http][client]") {
  Trial trial;
  trial.options.deadline = 5s;
  const Sent sent = IdempotentClient(trial.server.url(), trial.options)
                        .send(order_17(), RequestKey::fresh(), LateTimer{InstantTimer(trial.clock)},
                              trial.random, trial.clock);
  CHECK(sent.end() == RetryEnd::past_deadline);
  CHECK(sent.tries() == 1);
}

TEST_CASE("a request that cannot be sent is refused before anything is", "[http][client]") {
  Trial trial({replies(paid)});
  const auto refused = [&](const Request& request) {
    CHECK_THROWS_MATCHES(trial.send(RequestKey::fresh(), request), Error,
                         has_code<Error>(errc::invalid_options));
  };
  refused({.method = "GET", .path = "/", .query = {}, .fields = {}, .body = {}});
  for (const char* path : {"", "v1", "/a b", "/a\r\nX: y", "/a?b", "/\xc3\xa9"})
    refused({.method = "POST", .path = path, .query = {}, .fields = {}, .body = {}});
  for (const FieldView field : {FieldView{"", "a"},
                                {"A:", "b"},
                                {"A", "b\r\nX: y"},
                                {"Idempotency-Key", "k"},
                                {"content-length", "3"},
                                {"Transfer-Encoding", "chunked"},
                                {"Connection", "keep-alive"}})
    refused({.method = "POST", .path = "/", .query = {}, .fields = {field}, .body = {}});
  CHECK(trial.server.requests().empty());

  const auto refused_options = [](const ClientOptions& options, const char* url = "http://127.0.0.1:1") {
    CHECK_THROWS_MATCHES(IdempotentClient(url, options), Error, has_code<Error>(errc::invalid_options));
  };
  refused_options({.read_timeout = 0ms});
  refused_options({.attempts = 0});
  refused_options({.deadline = 0ms});
  refused_options({.fields = {{"A\n", "b"}}});
  refused_options({}, "127.0.0.1:1");
}

namespace {

/// Loses the reply of so many tries more: each pause is where the next loss is prepared.
struct LosingTimer {
  Duration elapsed() const { return instant.elapsed(); }
  template <class Done>
  bool wait(Duration length, Stop& stop, Done&& done) {
    if (left-- > 0) proxy.cut_after(From::server, 10);
    return instant.wait(length, stop, done);
  }

  TcpProxy& proxy;
  InstantTimer instant;
  int left;
};

}  // namespace

TEST_CASE("ten tries of which nine lose their reply end in one charge and its answer", "[http][client]") {
  MemoryStore store;
  IdempotencyGuard guard(store);
  Responder responder(guard);
  std::atomic<int> charges = 0;
  httplib::Server server;
  server.Post("/pay", [&](const httplib::Request& asked, httplib::Response& answer) {
    Request request{
        .method = asked.method, .path = asked.path, .query = {}, .fields = {}, .body = asked.body};
    for (const auto& [name, value] : asked.headers) request.fields.push_back({name, value});
    const Response response = responder.answer(Tenant("shop"), request, [&](Attempt&) {
      return Response{201, {{"Content-Type", "text/plain"}}, "charge " + std::to_string(++charges)};
    });
    answer.status = response.status;
    for (const Field& field : response.fields) answer.set_header(field.name, field.value);
    answer.body = response.body;
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { server.listen_after_bind(); });
  TcpProxy proxy(port, Speaks::anything);
  const IdempotentClient client("http://127.0.0.1:" + std::to_string(proxy.port()),
                                {.backoff = {10ms, 10ms, Jitter::none}, .attempts = 10});
  ManualClock clock;
  std::minstd_rand random;
  proxy.cut_after(From::server, 10);
  const Sent sent =
      client.send({.method = "POST", .path = "/pay", .query = {}, .fields = {}, .body = "450"},
                  RequestKey::fresh(), LosingTimer{proxy, InstantTimer(clock), 8}, random, clock);
  server.stop();
  serving.join();
  REQUIRE(sent.status() == SendStatus::answered);
  CHECK(sent.tries() == 10);
  CHECK(sent.reply().status == 201);
  CHECK(sent.reply().body == "charge 1");
  CHECK(sent.replayed());
  CHECK(charges == 1);
}

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT

namespace {

/// A certificate for 127.0.0.1 alone, made by nobody who is known, and its key, as files.
class Certificate {
 public:
  Certificate() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, key);
    X509_NAME* name = X509_get_subject_name(made);
    const unsigned char test[] = "test";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, test, -1, -1, 0);
    X509_set_issuer_name(made, name);
    X509_EXTENSION* address = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(made, address, -1);
    X509_sign(made, key, EVP_sha256());
    std::FILE* out = std::fopen(file.c_str(), "w");
    PEM_write_X509(out, made);
    std::fclose(out);
    out = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_EXTENSION_free(address);
    X509_free(made);
    EVP_PKEY_free(key);
  }

 private:
  ScratchDirectory files_;

 public:
  const std::string file = files_ / "certificate.pem", key_file = files_ / "key.pem";
};

}  // namespace

TEST_CASE("a server is sent nothing before its certificate is trusted", "[http][client][tls]") {
  const Certificate certificate;
  std::atomic<int> charges = 0;
  httplib::SSLServer server(certificate.file.c_str(), certificate.key_file.c_str());
  server.Post("/v1/charges", [&](const httplib::Request&, httplib::Response& answer) {
    ++charges;
    answer.set_content("paid", "text/plain");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { server.listen_after_bind(); });
  Trial trial;
  const auto send = [&](const std::string& host, int to) {
    const IdempotentClient client("https://" + host + ":" + std::to_string(to), trial.options);
    return client.send(order_17(), RequestKey::fresh(), InstantTimer(trial.clock), trial.random, trial.clock);
  };
  const Sent unknown_maker = send("127.0.0.1", port);
  trial.options.ca_file = certificate.file;
  const Sent other_name = send("localhost", port);
  CHECK(charges == 0);
  const Sent trusted = send("127.0.0.1", port);
  server.stop();
  serving.join();
  CHECK(unknown_maker.status() == SendStatus::nothing_sent);
  CHECK(unknown_maker.last_try() == TryEnd::not_trusted);
  CHECK(unknown_maker.tries() == 1);
  CHECK(other_name.status() == SendStatus::nothing_sent);
  CHECK(other_name.last_try() == TryEnd::not_trusted);
  REQUIRE(trusted.status() == SendStatus::answered);
  CHECK(trusted.reply().body == "paid");
  CHECK(charges == 1);

  const Sent no_tls = send("127.0.0.1", trial.server.port());
  CHECK(no_tls.status() == SendStatus::nothing_sent);
  CHECK(no_tls.last_try() == TryEnd::not_connected);
}

// Newer versions of httplib then send the request again by themselves, and find nobody.
TEST_CASE("a server with TLS that took the request and went away may have carried it out",
          "[http][client][tls]") {
  const std::string body = GENERATE("", "amount=450");
  const Certificate certificate;
  Trial trial;
  trial.options.ca_file = certificate.file;
  trial.options.attempts = 1;
  auto listening = std::make_unique<BoundSocket>();
  REQUIRE(::listen(listening->descriptor(), 1) == 0);
  const std::string url = "https://127.0.0.1:" + std::to_string(listening->port());
  bool taken = false;
  std::thread server([&] {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_num_tickets(context, 0);  // which would come before its goodbye
    SSL_CTX_use_certificate_file(context, certificate.file.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, certificate.key_file.c_str(), SSL_FILETYPE_PEM);
    const int accepted = ::accept4(listening->descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
    listening.reset();
    SSL* tls = SSL_new(context);
    SSL_set_fd(tls, accepted);
    char request[4096];
    taken = SSL_accept(tls) == 1 && SSL_read(tls, request, sizeof request) > 0;
    SSL_shutdown(tls);
    ::shutdown(accepted, SHUT_WR);
    while (::recv(accepted, request, sizeof request, 0) > 0) {
    }
    ::close(accepted);
    SSL_free(tls);
    SSL_CTX_free(context);
  });
  const Sent sent = IdempotentClient(url, trial.options).send(order_17(body), RequestKey::fresh());
  server.join();
  REQUIRE(taken);
  CHECK(sent.status() == SendStatus::unknown);
  CHECK(sent.new_key() == NewKey::unsafe);
}

#endif
