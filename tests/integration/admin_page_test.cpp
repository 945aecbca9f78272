// The page on which a person settles what is stuck, of a running payment server, at a gateway of the test's
// own that answers and forgets as it is told.

#include <chrono>
#include <csignal>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>
#include <nlohmann/json.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/stores/file.hpp>

#include "support/catch.hpp"
#include "support/payment_server.hpp"

using namespace integration;
using nlohmann::json;

namespace {

/// Answers 500 to whoever pays, until it is told to charge; what it has made it gives out by its id, and
/// lists it only when told to.
class ForgetfulGateway {
 public:
  ForgetfulGateway() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(8); };
    server_.Post("/v1/charges", [this](const httplib::Request& request, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      asked_.push_back(request.get_param_value("metadata[provider_key]"));
      json charge = made_of(request.params);
      charges_[charge.at("id")] = charge;
      if (charging_) return response.set_content(charge.dump(), "application/json");
      response.status = 500;
    });
    server_.Get("/v1/charges", [this](const httplib::Request&, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      json list = {{"object", "list"}, {"data", json::array()}, {"has_more", false}};
      if (listing_)
        for (const auto& [id, charge] : charges_) list["data"].insert(list["data"].end(), copies_, charge);
      response.set_content(list.dump(), "application/json");
    });
    server_.Get("/v1/charges/([^/]+)", [this](const httplib::Request& request, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      const auto found = charges_.find(request.matches[1]);
      if (found == charges_.end()) return void(response.status = 404);
      response.set_content(found->second.dump(), "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~ForgetfulGateway() {
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void charge_from_now_on() {
    const std::lock_guard lock(mutex_);
    charging_ = true;
  }
  void list_twice_from_now_on() {
    const std::lock_guard lock(mutex_);
    listing_ = true;
    copies_ = 2;
  }
  void list_from_now_on() {
    const std::lock_guard lock(mutex_);
    listing_ = true;
  }
  /// The provider keys that it was asked to charge under, in order.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void put(const json& charge) {
    const std::lock_guard lock(mutex_);
    charges_[charge.at("id")] = charge;
  }
  json get(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return charges_.at(id);
  }

 private:
  json made_of(const httplib::Params& form) const {
    json charge = {{"id", "ch_" + std::to_string(charges_.size() + 1)},
                   {"object", "charge"},
                   {"status", "succeeded"},
                   {"paid", true},
                   {"metadata", json::object()}};
    for (const auto& [name, value] : form)
      if (name.starts_with("metadata[")) charge["metadata"][name.substr(9, name.size() - 10)] = value;
    charge["amount"] = std::stoi(form.find("amount")->second);
    charge["currency"] = form.find("currency")->second;
    return charge;
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  bool charging_ = false, listing_ = false;
  std::size_t copies_ = 1;
  std::vector<std::string> asked_;
  std::map<std::string, json> charges_;
};

/// What stands in the first field of that name.
std::string field(const std::string& page, const std::string& name, std::size_t from = 0) {
  const std::string begin = "name=\"" + name + "\" value=\"";
  const auto at = page.find(begin, from);
  if (at == std::string::npos) return {};
  const auto value = at + begin.size();
  return page.substr(value, page.find('"', value) - value);
}

std::vector<std::string> links(const std::string& page) {
  std::vector<std::string> found;
  const std::string begin = "<a href=\"/admin/payment/";
  for (auto at = page.find(begin); at != std::string::npos; at = page.find(begin, at + 1))
    found.push_back(page.substr(at + 9, page.find('"', at + 9) - at - 9));
  return found;
}

struct World {
  explicit World(const std::string& password = "correct horse")
      : server(gateway.url(), "file:" + (files / "store").string(), {"PAIDONCE_ADMIN_PASSWORD=" + password}) {
  }

  httplib::Client client(const std::string& user = {}, const std::string& password = "correct horse") const {
    httplib::Client client(server.url());
    if (!user.empty()) client.set_basic_auth(user, password);
    client.set_read_timeout(std::chrono::seconds(20));
    return client;
  }
  httplib::Result pay(const std::string& key, const std::string& order = "a") const {
    return client("sk_test_demo", "")
        .Post(
            "/v1/charges", {{"Idempotency-Key", key}},
            httplib::Params{
                {"amount", "450"}, {"currency", "eur"}, {"source", "tok_visa"}, {"metadata[order]", order}});
  }
  std::string page(const std::string& path) const {
    const auto reply = client("ann").Get(path);
    REQUIRE(reply);
    CHECK(reply->status == 200);
    return reply->body;
  }
  /// The only payment that is stuck.
  std::string stuck() const {
    const auto found = links(page("/admin"));
    REQUIRE(found.size() == 1);
    return found[0];
  }
  httplib::Result post(const std::string& path, const httplib::Params& form,
                       const httplib::Headers& headers = {}, const std::string& user = "ann") const {
    return client(user).Post(path, headers, form);
  }
  /// What the payment's page would send to have it settled.
  httplib::Params said(const std::string& payment, const httplib::Params& what) const {
    const std::string shown = page(payment);
    httplib::Params form = what;
    form.emplace("token", field(shown, "token", shown.find("/confirm")));
    form.emplace("seen", field(shown, "seen"));
    return form;
  }
  /// What the confirmation would send.
  static httplib::Params agreed(const std::string& confirmation) {
    httplib::Params form;
    for (const char* name : {"token", "seen", "says", "payment_id", "proof", "holder", "reason", "answer"})
      form.emplace(name, field(confirmation, name));
    return form;
  }

  TemporaryDirectory files;
  ForgetfulGateway gateway;
  PaymentServer server;
};

}  // namespace

TEST_CASE("a payment left in doubt is shown, asked about and settled, and its customer gets that result",
          "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  CHECK_THAT(world.page("/admin"),
             support::contains("4.50 EUR") && support::contains("1 stuck") && support::contains("order-1"));

  const std::string shown = world.page(payment);
  CHECK_THAT(shown, support::contains("Nobody knows whether the money moved") &&
                        support::contains(world.gateway.asked()[0]));
  const auto asked = world.post(payment + "/ask", {{"token", field(shown, "token")}});
  CHECK(asked->status == 303);
  CHECK(asked->get_header_value("Location") == payment + "?done=doubt");
  CHECK_THAT(world.page(payment + "?done=doubt"), support::contains("proves nothing"));

  const auto confirmation = world.post(
      payment + "/confirm",
      world.said(payment, {{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "ticket 77 <ok>"}}));
  CHECK(confirmation->status == 200);
  CHECK_THAT(confirmation->body, support::contains("4.50 EUR") && support::contains("In doubt") &&
                                     support::contains("answered as paid") &&
                                     support::contains("ticket 77 &lt;ok&gt;") &&
                                     support::contains("&quot;id&quot;:&quot;ch_1&quot;"));
  auto form = World::agreed(confirmation->body);
  form.erase("reason");
  form.emplace("reason", "ticket 77 <ok>");
  const auto resolved = world.post(payment + "/resolve", form);
  CHECK(resolved->status == 303);
  CHECK(resolved->get_header_value("Location") == payment + "?done=resolved");
  CHECK_THAT(world.page(payment), support::contains("resolved as succeeded by ann: ticket 77 &lt;ok&gt;"));
  CHECK(links(world.page("/admin")).empty());

  const auto retried = world.pay("order-1");
  CHECK(retried->status == 200);
  CHECK(retried->get_header_value("Idempotent-Replayed") == "true");
  CHECK(json::parse(retried->body) == world.gateway.get("ch_1"));
  CHECK(world.gateway.asked().size() == 1);

  const auto again = world.post(payment + "/resolve", form);  // a form that was sent twice
  CHECK(again->status == 409);
  CHECK_THAT(again->body, support::contains("nothing was done"));
}

TEST_CASE("asking the gateway settles what it lists by now, also from the page of a process that died",
          "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const httplib::Params ask = {{"token", field(world.page(payment), "token")}};
  world.server.kill();
  world.server.start();
  CHECK_THAT(world.page(payment), support::contains("In doubt"));
  world.gateway.list_from_now_on();
  const auto asked = world.post(payment + "/ask", ask);
  CHECK(asked->status == 303);
  CHECK(asked->get_header_value("Location") == payment + "?done=paid");
  CHECK_THAT(world.page(payment + "?done=paid"),
             support::contains("it was paid, and that is recorded") && support::contains("<dd>Paid</dd>"));
  CHECK(json::parse(world.pay("order-1")->body) == world.gateway.get("ch_1"));
  CHECK(world.gateway.asked().size() == 1);

  // Who settled it did not know whose it is: it may be an order's, which is remembered the longest.
  world.server.signal(SIGTERM);
  CHECK(world.server.wait() == 0);
  paidonce::FileStore store(world.files / "store", {.housekeeping = paidonce::Housekeeping::by_hand});
  std::vector<paidonce::Duration> kept;
  store.scan({}, [&](const paidonce::IdempotencyKey&, const paidonce::Record& record) {
    kept.push_back(record.expires_at - record.updated_at);
    return true;
  });
  CHECK(kept == std::vector<paidonce::Duration>{std::chrono::hours(30 * 24)});
}

TEST_CASE("what nothing happened to is charged by the customer's next request, once", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const auto confirmation =
      world.post(payment + "/confirm",
                 world.said(payment, {{"says", "nothing_happened"}, {"reason", "not in their list"}}));
  CHECK(confirmation->status == 200);
  CHECK_THAT(confirmation->body, support::contains("frees the key: the customer can be charged again") &&
                                     support::contains("charged TWICE"));
  CHECK(world.gateway.asked().size() == 1);
  CHECK_THAT(world.page(payment), support::contains("In doubt"));
  REQUIRE(world.post(payment + "/resolve", World::agreed(confirmation->body))->status == 303);
  CHECK(world.gateway.asked().size() == 1);
  world.gateway.charge_from_now_on();
  for (int times = 0; times < 2; ++times) CHECK(world.pay("order-1")->status == 200);
  CHECK(world.gateway.asked().size() == 2);
}

TEST_CASE("what the gateway has cannot be said not to have happened", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const auto said = world.said(payment, {{"says", "nothing_happened"}, {"reason", "I think so"}});
  const auto agreed = World::agreed(world.post(payment + "/confirm", said)->body);
  world.gateway.list_from_now_on();
  // 422 and 409 are the page's; 409 also when recovery was faster and has recorded that it was paid.
  CHECK(world.post(payment + "/confirm", said)->status != 200);
  CHECK(world.post(payment + "/resolve", agreed)->status == 409);
  CHECK(world.pay("order-1")->status == 200);
  CHECK(world.gateway.asked().size() == 1);
}

TEST_CASE("what the gateway has several times is in doubt, and cannot be said not to have happened",
          "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const auto said = world.said(payment, {{"says", "nothing_happened"}, {"reason", "I think so"}});
  world.gateway.list_twice_from_now_on();
  CHECK(world.post(payment + "/confirm", said)->status == 422);
  CHECK(world.pay("order-1")->status == 503);
  CHECK(world.gateway.asked().size() == 1);
}

TEST_CASE("a person's word is taken where the gateway has nothing to show", "[admin_page]") {
  World world;
  REQUIRE(world.pay("declined")->status == 503);
  std::string payment = world.stuck();
  auto confirmation = world.post(
      payment + "/confirm",
      world.said(payment, {{"says", "declined"}, {"proof", "by_hand"}, {"reason", "they phoned"}}));
  REQUIRE(confirmation->status == 200);
  REQUIRE(world.post(payment + "/resolve", World::agreed(confirmation->body))->status == 303);
  const auto declined = world.pay("declined");
  CHECK(declined->status == 402);
  CHECK(json::parse(declined->body).at("error").at("code") == "card_declined");

  REQUIRE(world.pay("paid")->status == 503);
  payment = world.stuck();
  confirmation = world.post(payment + "/confirm", world.said(payment, {{"says", "paid"},
                                                                       {"proof", "by_hand"},
                                                                       {"payment_id", "ch_old"},
                                                                       {"reason", "by letter"}}));
  REQUIRE(confirmation->status == 200);
  REQUIRE(world.post(payment + "/resolve", World::agreed(confirmation->body))->status == 303);
  const auto paid = world.pay("paid");
  CHECK(paid->status == 200);
  CHECK(json::parse(paid->body) == json({{"id", "ch_old"},
                                         {"object", "charge"},
                                         {"status", "succeeded"},
                                         {"paid", true},
                                         {"amount", 450},
                                         {"currency", "eur"},
                                         {"metadata", {{"recorded_by_hand", "true"}}}}));
}

TEST_CASE("who has not the password sees nothing and does nothing", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const std::string before = field(world.page(payment), "seen");
  const auto token = field(world.page(payment), "token");
  const auto refused = [&](const httplib::Headers& headers) {
    const auto client = [&] { return httplib::Client(world.server.url()); };
    for (const std::string& path : {std::string("/admin"), payment}) {
      const auto reply = client().Get(path, headers);
      CHECK(reply->status == 401);
      CHECK(reply->get_header_value("WWW-Authenticate") == R"(Basic realm="payments", charset="UTF-8")");
      CHECK(reply->body.find("order-1") == std::string::npos);
    }
    CHECK(client().Post(payment + "/ask", headers, httplib::Params{{"token", token}})->status == 401);
  };
  refused({});
  for (const char* password : {"", "correct hors", "correct horse ", "Correct horse"})
    refused({httplib::make_basic_authentication_header("ann", password)});
  for (const char* user : {"", "two\nlines"})
    refused({httplib::make_basic_authentication_header(user, "correct horse")});
  for (const char* wrong :
       {"Bearer correct horse", "Basic", "Basic ", "Basic %%%%", "Basic YW5u", "Basic YQ"})
    refused({{"Authorization", wrong}});
  CHECK(field(world.page(payment), "seen") == before);
}

TEST_CASE("without a password there is no admin page", "[admin_page]") {
  World world("");
  REQUIRE(world.pay("order-1")->status == 503);
  for (const char* password : {"", "correct horse"}) {
    CHECK(world.client("ann", password).Get("/admin")->status == 404);
    CHECK(world.client("ann", password).Get("/admin/payment/0061")->status == 404);
  }
}

TEST_CASE("a form that this page did not make changes nothing", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const std::string shown = world.page(payment), before = field(shown, "seen");
  const httplib::Params ask = {{"token", field(shown, "token")}};
  const auto say =
      world.said(payment, {{"says", "nothing_happened"}, {"payment_id", ""}, {"reason", "because"}});
  const auto confirmation = world.post(payment + "/confirm", say);
  REQUIRE(confirmation->status == 200);
  const auto agreed = World::agreed(confirmation->body);
  const auto with = [](httplib::Params form, const char* name, const std::string& value) {
    form.erase(name);
    if (!value.empty()) form.emplace(name, value);
    return form;
  };
  const struct {
    const char* step;
    httplib::Params form;
  } steps[] = {{"/ask", ask}, {"/confirm", say}, {"/resolve", agreed}};

  const std::string other = "/admin/payment/00616263";
  for (const auto& [step, form] : steps) {
    CAPTURE(step);
    CHECK(world.post(payment + step, with(form, "token", ""))->status == 403);
    CHECK(world.post(payment + step, with(form, "token", before))->status == 403);
    CHECK(world.post(payment + step, form, {}, "bob")->status == 403);  // a form is one person's
    CHECK(world.post(other + step, form)->status == 403);
    for (const char* site : {"cross-site", "same-site", "none"})
      CHECK(world.post(payment + step, form, {{"Sec-Fetch-Site", site}})->status == 403);
    for (const char* origin : {"null", "https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1"})
      CHECK(world.post(payment + step, form, {{"Origin", origin}})->status == 403);
    CHECK(world.client("ann").Get(payment + step)->status == 404);
  }
  for (const char* name : {"seen", "says", "reason", "answer", "payment_id", "proof", "holder"})
    CHECK(world.post(payment + "/resolve", with(agreed, name, "paid"))->status == 403);
  CHECK(world.post(payment + "/confirm", with(say, "seen", std::string(66, '0')))->status == 403);
  CHECK(world.post(payment + "/resolve", say)->status == 403);  // nobody has confirmed anything

  CHECK(field(world.page(payment), "seen") == before);
  CHECK(world.gateway.asked().size() == 1);
  // The same forms from the page itself do what they say.
  const httplib::Headers own = {{"Origin", world.server.url()}, {"Sec-Fetch-Site", "same-origin"}};
  CHECK(world.post(payment + "/resolve", agreed, own)->status == 303);
}

TEST_CASE("a verdict that the gateway or the record speaks against is refused", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck(), before = field(world.page(payment), "seen");
  const json right = world.gateway.get("ch_1");
  const auto changed = [&](const char* id, const char* name, const json& value) {
    json charge = right;
    charge["id"] = id;
    charge[name] = value;
    world.gateway.put(charge);
  };
  changed("ch_other", "metadata", {{"provider_key", "of another payment"}});
  changed("ch_amount", "amount", 451);
  changed("ch_currency", "currency", "usd");
  changed("ch_failed", "status", "failed");
  const struct {
    httplib::Params said;
    const char* why;
  } wrong[] = {
      {{{"says", "paid"}, {"payment_id", "ch_1"}}, "Say how you know"},
      {{{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "   "}}, "Say how you know"},
      {{{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "a\nresolved by root"}}, "one line"},
      {{{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "a\xff"}}, "one line"},
      {{{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", std::string(501, 'a')}}, "one line"},
      {{{"payment_id", "ch_1"}, {"reason", "because"}}, "Choose what became"},
      {{{"says", "released"}, {"payment_id", "ch_1"}, {"reason", "because"}}, "Choose what became"},
      {{{"says", "paid"}, {"reason", "because"}}, "Give the gateway"},
      {{{"says", "paid"}, {"payment_id", "../v1/charges"}, {"reason", "because"}}, "Give the gateway"},
      {{{"says", "paid"}, {"proof", "by_hand"}, {"payment_id", "<b>"}, {"reason", "because"}},
       "Give the gateway"},
      {{{"says", "paid"}, {"payment_id", "ch_unknown"}, {"reason", "because"}}, "knows no payment"},
      {{{"says", "paid"}, {"payment_id", "ch_other"}, {"reason", "because"}}, "it is another payment"},
      {{{"says", "paid"}, {"payment_id", "ch_amount"}, {"reason", "because"}}, "another amount"},
      {{{"says", "paid"}, {"payment_id", "ch_currency"}, {"reason", "because"}}, "another amount"},
      {{{"says", "paid"}, {"payment_id", "ch_failed"}, {"reason", "because"}}, "not what the gateway says"},
      {{{"says", "declined"}, {"payment_id", "ch_1"}, {"reason", "because"}}, "not what the gateway says"}};
  for (const auto& [said, why] : wrong) {
    CAPTURE(why);
    const auto reply = world.post(payment + "/confirm", world.said(payment, said));
    CHECK(reply->status == 422);
    CHECK_THAT(reply->body, support::contains(why) && support::contains("role=\"alert\""));
  }

  // What the gateway has changes while the person reads.
  const auto confirmation =
      world.post(payment + "/confirm",
                 world.said(payment, {{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "because"}}));
  REQUIRE(confirmation->status == 200);
  changed("ch_1", "receipt", "another");
  CHECK(world.post(payment + "/resolve", World::agreed(confirmation->body))->status == 409);
  changed("ch_1", "status", "failed");
  CHECK(world.post(payment + "/resolve", World::agreed(confirmation->body))->status == 409);
  CHECK(field(world.page(payment), "seen") == before);
}

TEST_CASE("a record that has changed since it was shown is left alone", "[admin_page]") {
  World world;
  REQUIRE(world.pay("order-1")->status == 503);
  const std::string payment = world.stuck();
  const auto agreed_to = [&](const httplib::Params& what) {
    const auto confirmation = world.post(payment + "/confirm", world.said(payment, what));
    REQUIRE(confirmation->status == 200);
    return World::agreed(confirmation->body);
  };
  const auto paid = agreed_to({{"says", "paid"}, {"payment_id", "ch_1"}, {"reason", "because"}});
  const auto nothing = agreed_to({{"says", "nothing_happened"}, {"reason", "because"}});
  const auto old = world.said(payment, {{"says", "nothing_happened"}, {"reason", "because"}});
  REQUIRE(world.post(payment + "/resolve", nothing)->status == 303);
  REQUIRE(world.pay("order-1")->status == 503);  // another attempt, in doubt again
  const std::string before = field(world.page(payment), "seen");

  CHECK(world.post(payment + "/resolve", nothing)->status == 409);
  CHECK(world.post(payment + "/resolve", paid)->status == 409);
  CHECK(world.post(payment + "/confirm", old)->status == 409);
  CHECK(field(world.page(payment), "seen") == before);
  CHECK(world.gateway.asked().size() == 2);
}

TEST_CASE("hostile bytes are shown as text, in lists oldest first, a page at a time", "[admin_page]") {
  const TemporaryDirectory files;
  ForgetfulGateway gateway;
  const std::string evil = "<script>alert(1)</script>\"'&\x01\xff\xe2\x80\xae";
  {
    paidonce::FileStore store(files / "store", {.housekeeping = paidonce::Housekeeping::by_hand});
    paidonce::Record record;
    record.fingerprint = paidonce::fingerprint("what was asked for");
    record.version = 1;
    record.attempt_id = 7;
    record.attempts = 2;
    for (int turn = 0; turn < 60; ++turn) {
      const int at = turn * 37 % 60;  // neither the oldest nor the newest first
      record.state = at == 5 ? paidonce::State::in_progress : paidonce::State::in_doubt;
      record.created_at = record.updated_at =
          paidonce::Timestamp(std::chrono::milliseconds(1'777'809'600'000 - at));
      record.lease_until = record.updated_at + std::chrono::milliseconds(30'000);
      record.amount = record.description = record.checkpoint = record.note = evil;
      record.note += "\nsecond line " + evil;
      const paidonce::IdempotencyKey key(evil, "\n" + evil + std::string(1, '\0') + std::to_string(at));
      REQUIRE_FALSE(store.insert(key, record));
    }
  }
  PaymentServer server(gateway.url(), "file:" + (files / "store").string(), {"PAIDONCE_ADMIN_PASSWORD=p"});
  const auto get = [&](const std::string& path) {
    httplib::Client client(server.url());
    client.set_basic_auth("<b>ann\xff", "p");
    auto reply = client.Get(path.c_str());
    REQUIRE(reply);
    for (const char* raw : {"<script", "\"'&", "<b>", "\x01", "\xff", "\xe2\x80\xae"})
      CHECK(reply->body.find(raw) == std::string::npos);
    CHECK_THAT(reply->get_header_value("Content-Security-Policy"), support::contains("default-src 'none'"));
    return reply;
  };
  const std::string first = get("/admin")->body;
  CHECK_THAT(first,
             support::contains("60 stuck; 50 shown") &&
                 support::contains(
                     "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\x01\\xff\\xe2\\x80\\xae"));
  const auto begin = first.find("/admin?after=");
  REQUIRE(begin != std::string::npos);
  const std::string second = get(first.substr(begin, first.find('"', begin) - begin))->body;
  CHECK(second.find("/admin?after=") == std::string::npos);
  auto all = links(first), rest = links(second);
  CHECK(all.size() == 50);
  CHECK(rest.size() == 10);
  all.insert(all.end(), rest.begin(), rest.end());
  for (std::size_t at = 0; at < all.size(); ++at) {  // oldest first
    const std::string digits = std::to_string(59 - at);
    std::string hex;
    for (const char digit : digits) hex += std::string("3") + digit;
    CHECK_THAT(all[at], support::ends_with("00" + hex));
  }

  const std::string shown = get(all[0])->body;
  CHECK_THAT(shown, support::contains("\\x0a&lt;script&gt;") && support::contains("second line &lt;script"));
  for (const char* path : {"/admin?after=", "/admin?after=x", "/admin?after=1.zz", "/admin?after=1.00"})
    CHECK(get(path)->status == 400);
  for (const std::string& path :
       {std::string("/admin/payment/0"), std::string("/admin/payment/00"), std::string("/admin/payment/ff61"),
        "/admin/payment/" + std::string(7900, 'a'), std::string("/admin/payment/0061")})
    CHECK(get(path)->status == 404);

  // One in progress, whose process is dead, and that is no payment: it takes a declaration.
  const std::string dead = all[54], page = get(dead)->body;
  CHECK_THAT(page, support::contains("Its process is dead") && support::contains("name=\"holder\""));
  httplib::Client ann(server.url());
  ann.set_basic_auth("<b>ann\xff", "p");
  const auto confirm = [&](const httplib::Params& what) {
    httplib::Params form = what;
    form.emplace("token", field(page, "token", page.find("/confirm")));
    form.emplace("seen", field(page, "seen"));
    return ann.Post(dead + "/confirm", form);
  };
  CHECK(confirm({{"says", "nothing_happened"}, {"reason", "because"}})->status == 422);
  CHECK(confirm({{"says", "paid"},
                 {"proof", "by_hand"},
                 {"payment_id", "ch_1"},
                 {"holder", "dead"},
                 {"reason", "because"}})
            ->status == 422);
  CHECK(get(dead)->body == page);
  const auto confirmation =
      confirm({{"says", "nothing_happened"}, {"holder", "dead"}, {"reason", "because"}});
  REQUIRE(confirmation->status == 200);
  CHECK(ann.Post(dead + "/resolve", World::agreed(confirmation->body))->status == 303);
  CHECK_THAT(get(dead)->body, support::contains("released by &lt;b&gt;ann\\xff: because"));
}
