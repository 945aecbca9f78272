// The payment server as a running program, at the gateway of the examples and at one of the test's own: what
// its ledger says is what was charged.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "support/payment_server.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"

using namespace integration;
using nlohmann::json;
using Strings = std::vector<std::string>;

namespace {

constexpr const char* north = "sk_test_north_1";
constexpr const char* south = "sk_test_south_1";
const Strings two_tenants = {"--tenant", "north", "--tenant", "south"};
const Strings their_keys = {std::string("PAYMENT_SERVER_KEY_NORTH=") + north,
                            std::string("PAYMENT_SERVER_KEY_SOUTH=") + south};

Strings with(Strings options, const Strings& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

/// A shop with an account at the payment server.
class Shop {
 public:
  Shop(const PaymentServer& server, std::string api_key)
      : port_(server.port()), api_key_(std::move(api_key)) {}

  httplib::Result pay(const std::string& key, const std::string& source = "tok_visa", int amount = 450,
                      const std::string& kind = "charges") const {
    httplib::Params form = {
        {"amount", std::to_string(amount)}, {"currency", "eur"}, {"metadata[order]", key}};
    form.emplace(kind == "charges" ? "source" : "payment_method", source);
    if (kind != "charges") form.emplace("confirm", "true");
    return post(key, form, kind);
  }
  httplib::Result post(const std::string& key, const httplib::Params& form,
                       const std::string& kind = "charges") const {
    return client().Post("/v1/" + kind, {{"Idempotency-Key", key}}, form);
  }
  httplib::Result get(const std::string& path) const { return client().Get(path); }

 private:
  httplib::Client client() const {
    httplib::Client client("127.0.0.1", std::stoi(port_));
    if (!api_key_.empty()) client.set_bearer_token_auth(api_key_);
    client.set_read_timeout(std::chrono::seconds(60));
    return client;
  }
  std::string port_, api_key_;
};

json error_of(const httplib::Result& reply) {
  REQUIRE(reply);
  INFO(reply->body);
  const json body = json::parse(reply->body, nullptr, false);
  REQUIRE(body.is_object());
  return body.value("error", json::object());
}
std::string id_of(const httplib::Result& reply) {
  REQUIRE(reply);
  INFO(reply->body);
  REQUIRE(reply->status == 200);
  return json::parse(reply->body).at("id");
}
int status_of(const httplib::Result& reply) {
  REQUIRE(reply);
  return reply->status;
}

/// For threads of their own, in which nothing may be asserted.
bool is_paid(const httplib::Result& reply) { return reply && reply->status == 200; }

/// Gives out what it has been asked for at once, and answers when the test lets it.
class HeldGateway {
 public:
  HeldGateway() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
    server_.Post("/v1/charges", [this](const httplib::Request& request, httplib::Response& response) {
      std::unique_lock lock(mutex_);
      const json charge = {{"object", "charge"},
                           {"id", "ch_" + std::to_string(charges_.size() + 1)},
                           {"amount", std::stoi(request.get_param_value("amount"))},
                           {"currency", request.get_param_value("currency")},
                           {"status", "succeeded"},
                           {"metadata",
                            {{"tenant", request.get_param_value("metadata[tenant]")},
                             {"order", request.get_param_value("metadata[order]")},
                             {"provider_key", request.get_param_value("metadata[provider_key]")}}}};
      charges_.push_back(charge);
      changed_.notify_all();
      changed_.wait(lock, [this] { return answers_; });
      response.set_content(charge.dump(), "application/json");
    });
    server_.Get("/v1/charges", [this](const httplib::Request&, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      response.set_content(json({{"object", "list"}, {"data", charges_}, {"has_more", false}}).dump(),
                           "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~HeldGateway() {
    answer();
    server_.stop();
    thread_.join();
  }
  HeldGateway(const HeldGateway&) = delete;
  HeldGateway& operator=(const HeldGateway&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void await(std::size_t charges) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return charges_.size() >= charges; });
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    changed_.notify_all();
  }
  std::size_t charges() const {
    const std::lock_guard lock(mutex_);
    return charges_.size();
  }

 private:
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<json> charges_;
  bool answers_ = false;
};

/// Until it is so, or 20 s.
template <class Holds>
bool becomes_true(Holds&& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string metric(const Shop& shop, const std::string& name) {
  const auto page = shop.get("/metrics");
  REQUIRE(page);
  const auto at = page->body.find('\n' + name + ' ');
  if (at == std::string::npos) return "";
  const auto from = at + name.size() + 2;
  return page->body.substr(from, page->body.find('\n', from) - from);
}

/// Its end, told by its exit status, and what it says about it.
Finished server_with(const Strings& options) { return run(with({PAYMENT_SERVER}, options)); }

}  // namespace

TEST_CASE("a payment over HTTP is made once, replayed, and another tenant's key is another payment",
          "[payment_server]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  const Shop shop(server, north), other(server, south), nobody(server, "sk_test_nobody"), silent(server, "");

  for (const std::string kind : {"charges", "payment_intents"}) {
    const std::string key = "order-1-" + kind;
    const auto first = shop.pay(key, "tok_visa", 450, kind);
    const std::string id = id_of(first);
    CHECK(first->get_header_value("Request-Id").starts_with("req_"));
    CHECK_FALSE(first->has_header("Idempotent-Replayed"));
    const auto again = shop.pay(key, "tok_visa", 450, kind);
    CHECK(id_of(again) == id);
    CHECK(again->body == first->body);
    CHECK(again->get_header_value("Idempotent-Replayed") == "true");

    const auto reused = shop.pay(key, "tok_visa", 451, kind);
    CHECK(status_of(reused) == 400);
    CHECK(error_of(reused).at("type") == "idempotency_error");
    CHECK(reused->get_header_value("Stripe-Should-Retry") == "false");

    CHECK(id_of(other.pay(key, "tok_visa", 450, kind)) != id);
    CHECK(id_of(shop.get("/v1/" + kind + "/" + id)) == id);
    for (const Shop* not_theirs : {&other}) {
      const auto hidden = not_theirs->get("/v1/" + kind + "/" + id);
      CHECK(status_of(hidden) == 404);
      CHECK(error_of(hidden).at("code") == "resource_missing");
      const auto page = not_theirs->get("/v1/" + kind + "?starting_after=" + id);
      CHECK(status_of(page) == 404);
    }
    const auto list = json::parse(shop.get("/v1/" + kind + "?limit=100")->body);
    REQUIRE(list.at("data").size() == 1);
    CHECK(list.at("data")[0].at("id") == id);
    CHECK(list.at("has_more") == false);
    for (const Shop* stranger : {&nobody, &silent}) {  // with the key of a payment that there is
      CHECK(status_of(stranger->pay(key, "tok_visa", 450, kind)) == 401);
      CHECK(status_of(stranger->get("/v1/" + kind + "/" + id)) == 401);
    }
  }
  CHECK(gateway.charges().size() == 4);
}

TEST_CASE("what is wrong with a request is told as Stripe tells it, and spends no key", "[payment_server]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  const Shop shop(server, north);
  const httplib::Params good = {{"amount", "450"}, {"currency", "eur"}, {"source", "tok_visa"}};
  const auto changed = [&](const std::string& name, const std::string& value) {
    httplib::Params form = good;
    form.erase(name);
    form.emplace(name, value);
    return form;
  };
  const auto without = [&](const std::string& name) {
    httplib::Params form = good;
    form.erase(name);
    return form;
  };
  struct Wrong {
    httplib::Params form;
    std::string param;
  };
  const std::vector<Wrong> table = {
      {without("amount"), "amount"},
      {without("currency"), "currency"},
      {without("source"), "source"},
      {changed("amount", "-1"), "amount"},
      {changed("amount", "4.50"), "amount"},
      {changed("amount", "0"), "amount"},
      {changed("amount", "100000000"), "amount"},
      {changed("amount", "99999999999999999999"), "amount"},
      {changed("currency", "xxq"), "currency"},
      {changed("currency", "euro"), "currency"},
      {changed("source", ""), "source"},
      {changed("metadata[tenant]", "south"), "metadata[tenant]"},
      {changed("metadata[provider_key]", "mine"), "metadata[provider_key]"},
      {changed("metadata[provider_key ]", "mine"), "metadata"},
      {changed("metadata[ tenant]", "south"), "metadata"},
      {changed("metadata[ord\ner]", "1"), "metadata"},
      {changed("surcharge", "1"), "surcharge"},
  };
  for (const Wrong& wrong : table) {
    INFO("param " << wrong.param);
    const auto reply = shop.post("the-key", wrong.form);
    CHECK(status_of(reply) == 400);
    CHECK(error_of(reply).at("type") == "invalid_request_error");
    CHECK(error_of(reply).at("param") == wrong.param);
  }
  CHECK(status_of(shop.get("/v1/nothing")) == 404);
  CHECK(error_of(shop.get("/v1/nothing")).at("type") == "invalid_request_error");
  const auto told_by_gateway = shop.post("another-key", changed("source", "tok_nobody_knows"));
  CHECK(status_of(told_by_gateway) == 400);
  CHECK(error_of(told_by_gateway).at("param") == "source");
  CHECK(gateway.charges().empty());
  CHECK(status_of(shop.post("the-key", good)) == 200);
  CHECK(gateway.charges().size() == 1);
}

TEST_CASE("a card that is declined stays declined, and one that was turned away may be tried again",
          "[payment_server]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  const Shop shop(server, north);
  for (const std::string kind : {"charges", "payment_intents"}) {
    const auto declined = shop.pay("declined-" + kind, "tok_chargeDeclined", 450, kind);
    CHECK(status_of(declined) == 402);
    CHECK(error_of(declined).at("type") == "card_error");
    const auto again = shop.pay("declined-" + kind, "tok_chargeDeclined", 450, kind);
    CHECK(again->body == declined->body);
    CHECK(again->get_header_value("Idempotent-Replayed") == "true");
  }
  const std::size_t failed = gateway.charges().size();
  const auto limited = shop.pay("limited", "tok_429|tok_visa");
  CHECK(status_of(limited) == 429);
  CHECK(limited->get_header_value("Stripe-Should-Retry") == "true");
  CHECK(status_of(shop.pay("limited", "tok_429|tok_visa")) == 200);
  CHECK(gateway.charges().size() == failed + 1);
}

TEST_CASE("a payment whose reply was lost is in doubt, and found out about with the next request",
          "[payment_server]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  const Shop shop(server, north);
  for (const std::string kind : {"charges", "payment_intents"}) {
    const auto lost = shop.pay("lost-" + kind, "tok_dropReply", 450, kind);
    CHECK(status_of(lost) == 503);
    CHECK(error_of(lost).at("type") == "api_error");
    CHECK(error_of(lost).at("code") == "payment_in_doubt");
    CHECK(error_of(lost).at("message").get<std::string>().find("A new key is not safe") != std::string::npos);
    CHECK(lost->get_header_value("Stripe-Should-Retry") == "true");
    CHECK(lost->has_header("Retry-After"));
    const auto found = shop.pay("lost-" + kind, "tok_dropReply", 450, kind);
    const std::string id = id_of(found);
    CHECK(id_of(shop.get("/v1/" + kind + "/" + id)) == id);
  }
  CHECK(gateway.charges().size() == 2);
}

TEST_CASE(
    "a server that was killed in mid-payment finds out about it when it is started, and nobody pays twice",
    "[payment_server][kill]") {
  const TemporaryDirectory files;
  HeldGateway gateway;
  PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  bool told = true;
  std::thread caller([&told, shop = Shop(server, north)] { told = bool(shop.pay("killed")); });
  gateway.await(1);
  server.kill();
  caller.join();
  CHECK_FALSE(told);
  gateway.answer();

  server.start();
  const Shop shop(server, north);
  CHECK(becomes_true([&] {
    return metric(shop, R"(paidonce_payments_ended_total{state="succeeded"})") == "1";  // nobody has asked
  }));
  const auto replay = shop.pay("killed");
  CHECK(id_of(replay) == "ch_1");
  CHECK(replay->get_header_value("Idempotent-Replayed") == "true");
  CHECK(gateway.charges() == 1);
}

TEST_CASE("a stop lets what runs come to its end, and tells those who wait", "[payment_server]") {
  const TemporaryDirectory files;
  HeldGateway gateway;
  PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys,
                       with(two_tenants, {"--wait-ms", "60000"}));
  const Shop shop(server, north);
  std::string paid, told;
  std::thread payer([&] {
    if (const auto reply = shop.pay("slow"); is_paid(reply)) paid = json::parse(reply->body).at("id");
  });
  gateway.await(1);
  std::thread duplicate([&] {
    const auto reply = shop.pay("slow");
    if (reply) told = std::to_string(reply->status) + ' ' + reply->get_header_value("Retry-After");
  });
  CHECK(status_of(shop.get("/healthz")) == 200);
  server.signal(SIGTERM);
  duplicate.join();
  CHECK((told == "503 2" || told.empty()));  // empty: the server had ended before it came
  CHECK_FALSE(shop.get("/healthz"));         // nobody new
  gateway.answer();
  payer.join();
  CHECK(paid == "ch_1");
  CHECK(server.wait() == 0);

  server.start();
  CHECK(id_of(shop.pay("slow")) == "ch_1");
  CHECK(gateway.charges() == 1);
}

TEST_CASE("a second signal, and the end of its time, cut a stop short, and nothing is lost",
          "[payment_server]") {
  const TemporaryDirectory files;
  const bool by_time = GENERATE(false, true);
  HeldGateway gateway;
  PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys,
                       with(two_tenants, {"--drain-ms", by_time ? "1" : "600000"}));
  const Shop shop(server, north);
  bool told = true;
  std::thread payer([&] { told = bool(shop.pay("cut")); });
  gateway.await(1);
  server.signal(SIGTERM);
  if (!by_time) {
    CHECK(becomes_true([&] { return !shop.get("/healthz"); }));
    server.signal(SIGINT);
  }
  CHECK(server.wait() == 5);
  payer.join();
  CHECK_FALSE(told);
  gateway.answer();
  server.start();
  CHECK(becomes_true([&] { return status_of(shop.pay("cut")) == 200; }));
  CHECK(gateway.charges() == 1);
  server.kill();  // in a millisecond it does not stop
}

namespace {

/// Duplicates of some payments at two servers over one store, then one of the servers is killed in the middle
/// of a payment and the other settles it.
void check_two_servers(const std::string& store, const Strings& first_options) {
  const TemporaryDirectory files;
  HeldGateway gateway;
  const Strings options = with(two_tenants, {"--lease-ms", "300"});
  PaymentServer one(gateway.url(), store, their_keys, with(options, first_options));
  PaymentServer two(gateway.url(), store, their_keys, options);
  const std::vector<Shop> shops = {Shop(one, north), Shop(two, north)};

  bool told = true;
  std::thread cut_off([&] { told = bool(shops[0].pay("cut-off")); });
  gateway.await(1);
  CHECK(status_of(shops[1].pay("cut-off")) == 409);  // it runs at the other
  one.kill();
  cut_off.join();
  CHECK_FALSE(told);
  gateway.answer();
  CHECK(becomes_true([&] { return status_of(shops[1].pay("cut-off")) == 200; }));
  CHECK(gateway.charges() == 1);

  one.start();
  constexpr int payments = 4, callers = 8;
  std::atomic<int> paid{0};
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      for (int payment = 0; payment < payments; ++payment) {
        const auto& shop = shops[static_cast<std::size_t>(caller + payment) % 2];
        const std::string key = "shared-" + std::to_string(payment);
        if (becomes_true([&] { return is_paid(shop.pay(key)); })) ++paid;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(paid == payments * callers);
  CHECK(gateway.charges() == 1 + payments);
}

}  // namespace

TEST_CASE("two payment servers over one SQLite file charge once", "[payment_server][kill]") {
  const TemporaryDirectory files;
  check_two_servers("sqlite:" + (files / "payments.db").string(), {});
}
TEST_CASE("two payment servers over one PostgreSQL database charge once",
          "[payment_server][kill][postgres]") {
  check_two_servers("postgres:" + shared_postgres().fresh_database(), {"--migrate"});
}
TEST_CASE("two payment servers over one Redis server charge once", "[payment_server][kill][redis]") {
  RedisServer redis;
  check_two_servers(redis.uri(), {});
}

TEST_CASE("a store out of reach is told, and nothing is charged", "[payment_server][redis]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  RedisServer redis;
  const PaymentServer server(gateway.url(), redis.uri(), their_keys, two_tenants);
  const Shop shop(server, north);
  CHECK(status_of(shop.get("/healthz")) == 200);
  redis.kill();
  CHECK(becomes_true([&] { return status_of(shop.get("/healthz")) == 503; }));
  const auto refused = shop.pay("unlucky");
  CHECK(status_of(refused) == 503);
  CHECK(error_of(refused).at("type") == "api_error");
  CHECK(error_of(refused).at("message").get<std::string>().find("This request executed nothing") == 0);
  CHECK(refused->has_header("Retry-After"));
  CHECK(gateway.charges().empty());
  redis.start();
  CHECK(becomes_true([&] { return status_of(shop.pay("unlucky")) == 200; }));
  CHECK(status_of(shop.get("/healthz")) == 200);
  CHECK(gateway.charges().size() == 1);
}

TEST_CASE("what monitoring reads is as Prometheus has it", "[payment_server][promtool]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const PaymentServer server(gateway.url(), "file:" + (files / "store").string(), their_keys, two_tenants);
  const Shop shop(server, north);
  CHECK(status_of(shop.pay("counted")) == 200);
  CHECK(becomes_true([&] { return !metric(shop, "paidonce_survey_finished").empty(); }));
  const auto page = shop.get("/metrics");
  CHECK(page->get_header_value("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metric(shop, "paidonce_payments_begun_total") == "1");
  CHECK(page->body.find("counted") == std::string::npos);

  const auto installed = run({PAIDONCE_SOURCE "/tests/support/install_promtool", PROMTOOL});
  INFO(installed.err);
  REQUIRE(installed.status == 0);
  std::ofstream(files / "page", std::ios::binary) << page->body;
  const int in = ::open((files / "page").c_str(), O_RDONLY | O_CLOEXEC);
  const auto checked = run({installed.out.substr(0, installed.out.find('\n')), "check", "metrics"}, in);
  ::close(in);
  INFO(checked.out << checked.err);
  CHECK(checked.status == 0);
  CHECK(checked.err.empty());
}

TEST_CASE("a payment server that cannot serve says in one line what to do", "[payment_server]") {
  const TemporaryDirectory files;
  const std::string gateway = "http://127.0.0.1:9", store = "file:" + (files / "store").string();
  const ClosedPort nobody;
  struct Bad {
    Strings options;
    int status;
    std::string says;
  };
  std::ofstream(files / "tenants") << "# who pays\nnorth sk_test_north_1\nsouth sk_test_north_1\n";
  std::ofstream(files / "one word") << "north\n";
  const std::vector<Bad> table = {
      {{}, 2, "--gateway is required"},
      {{"--gateway", "gateway"}, 2, "http://127.0.0.1:8000"},
      {{"--gateway", "http://127.0.0.1:0"}, 2, "1 to 65535"},
      {{"--gateway", gateway, "--store", "sqlite:"}, 2, "sqlite:FILE"},
      {{"--gateway", gateway, "--store", "rediss://x"}, 2, "no TLS"},
      {{"--gateway", gateway, "--store", "sqllite:pay.db"}, 2, "--store begins with"},
      {{"--gateway", gateway, "--store", store, "--migrate"}, 2, "PostgreSQL"},
      {{"--gateway", gateway, "--store", store, "--port", "65536"}, 2, "--port"},
      {{"--gateway", gateway, "--store", store, "--nonsense"}, 2, "--help"},
      {{"--gateway", gateway, "--store", store, "--lease-ms", "5000", "--retention-ms", "4000"},
       2,
       "retention"},
      {{"--gateway", gateway, "--store", store, "--tenant", "east"}, 2, "PAYMENT_SERVER_KEY_EAST"},
      {{"--gateway", gateway, "--store", store, "--tenants", (files / "tenants").string()},
       2,
       "same API key"},
      {{"--gateway", gateway, "--store", store, "--tenants", (files / "one word").string()}, 2, "line 1"},
      {{"--gateway", gateway, "--store", store, "--tenants", (files / "none").string()}, 2, "cannot read"},
      {{"--gateway", gateway, "--store", "redis://127.0.0.1:" + std::to_string(nobody.number())},
       8,
       "out of reach"},
      {{"--gateway", gateway, "--store", store, "--port", std::to_string(nobody.number())}, 1, "is taken"},
  };
  for (const Bad& bad : table) {
    INFO(json(bad.options).dump());
    const Finished end = server_with(bad.options);
    INFO(end.err);
    CHECK(end.status == bad.status);
    CHECK(end.out.empty());
    CHECK(end.err.starts_with("payment_server: "));
    CHECK(end.err.find('\n') == end.err.size() - 1);
    CHECK(end.err.find(bad.says) != std::string::npos);
    CHECK(end.err.find("sk_test") == std::string::npos);
  }
  const PaymentServer server(gateway, store, their_keys, two_tenants);
  CHECK(server_with({"--gateway", gateway, "--store", store}).status == 3);
}
