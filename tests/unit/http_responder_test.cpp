// Requests through a responder and a guard, without any server: what a client is told, and what is stored.

#include <paidonce/http/responder.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <paidonce/http/form.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::chrono_literals;

namespace {

const Tenant acme("acme");

/// A request that owns its texts.
struct Asked {
  std::string key = "\"order-1001\"";
  std::string body = R"({"amount":450})";
  std::string method = "POST", path = "/payments", query = {};
  std::vector<FieldView> more = {};

  Request view() const {
    Request request{method, path, query, more, body};
    if (!key.empty()) request.fields.push_back({"idempotency-key", key});
    return request;
  }
};

const Response paid{200, {{"Content-Type", "application/json"}}, R"({"paid":true})"};

/// A guard over a store that can fail, and a handler that counts.
struct World {
  explicit World(ResponderOptions options = {}, GuardOptions guard_options = {})
      : guard(store, KeyedMutex(), clock, guard_options), responder(guard, std::move(options)) {}

  Response pay(const Asked& asked = {}, const Response& with = paid, const Tenant& tenant = acme) {
    return responder.answer(tenant, asked.view(), [&](Attempt&) {
      ++runs;
      return with;
    });
  }
  Response pay_report(const PaymentResult<Response>& report, const Asked& asked = {}) {
    return responder.answer(acme, asked.view(), [&] {
      ++runs;
      return report;
    });
  }
  Response put_in_doubt() {
    return responder.answer(acme, Asked{}.view(), [&](Attempt&) -> Response {
      ++runs;
      throw std::runtime_error("card 4242424242424242 at db.internal");
    });
  }
  std::optional<Record> record(const Asked& asked = {}) {
    const std::string text = asked.key.substr(1, asked.key.size() - 2);
    return store.inner().find({scope_of(acme, asked.method, asked.path), text});
  }

  FaultStore<MemoryStore> store{MemoryStore{}};
  ManualClock clock;
  IdempotencyGuard<FaultStore<MemoryStore>&, KeyedMutex, ManualClock&> guard;
  Responder<decltype(guard)> responder;
  int runs = 0;
};

std::string field(const Response& response, std::string_view name) {
  const std::string* value = response.find(name);
  return value ? *value : "(none)";
}

/// The last part of a problem's type, once all of it is as RFC 9457 has it.
std::string slug(const Response& response) {
  REQUIRE(field(response, "Content-Type") == "application/problem+json");
  CHECK(field(response, "Cache-Control") == "no-store");
  CHECK(response.find("Idempotent-Replayed") == nullptr);
  const auto problem = nlohmann::json::parse(response.body);
  CHECK(problem.at("status") == response.status);
  CHECK(problem.at("title").get<std::string>().size() > 5);
  CHECK(problem.at("detail").get<std::string>().size() > 5);
  CHECK(problem.at("new_key_is_safe").is_boolean());
  CHECK(problem.contains("retry_after") == (response.find("Retry-After") != nullptr));
  if (problem.contains("retry_after"))
    CHECK(std::to_string(problem.at("retry_after").get<int>()) == field(response, "Retry-After"));
  const auto type = problem.at("type").get<std::string>();
  CHECK(type.starts_with("urn:paidonce:problem:"));
  return type.substr(21);
}
bool new_key_is_safe(const Response& response) {
  return nlohmann::json::parse(response.body).at("new_key_is_safe").get<bool>();
}
std::string detail_of(const Response& response) {
  return nlohmann::json::parse(response.body).at("detail").get<std::string>();
}

Response as_replayed(Response response) {
  response.fields.insert(response.fields.end() - 1, {"Idempotent-Replayed", "true"});
  return response;
}

}  // namespace

TEST_CASE("a payment is made once, and every other request gets the same answer", "[http][responder]") {
  World world;
  const Response first = world.pay();
  CHECK(first ==
        Response{200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, paid.body});
  CHECK(world.pay({}, {500, {}, "not run"}) == as_replayed(first));
  CHECK(world.pay({.key = "order-1001"}) == as_replayed(first));  // bare, the same key
  CHECK(world.runs == 1);
  CHECK(Codec<Response>::decode(world.record()->response) == paid);
}

TEST_CASE("a replay is the same byte for byte from a file that is opened again", "[http][responder][file]") {
  const ScratchDirectory files;
  const std::string bytes("\0\r\n\xff{}", 6);
  const Response made{201, {{"content-type", "application/octet-stream"}, {"Location", "/p/1"}}, bytes};
  Response first;
  {
    FileStore store(files / "store");
    IdempotencyGuard guard{store};
    first = Responder{guard}.answer(acme, Asked{}.view(), [&] { return made; });
    CHECK(first.body == bytes);
  }
  FileStore store(files / "store");
  IdempotencyGuard guard{store};
  CHECK(Responder{guard}.answer(acme, Asked{}.view(), [] { return paid; }) == as_replayed(first));
}

TEST_CASE("every status does what the policy says", "[http][responder]") {
  const auto [status, meaning] = GENERATE(table<int, StatusMeaning>({
      {200, StatusMeaning::succeeded}, {201, StatusMeaning::succeeded},    {202, StatusMeaning::succeeded},
      {204, StatusMeaning::succeeded}, {299, StatusMeaning::succeeded},    {303, StatusMeaning::succeeded},
      {399, StatusMeaning::succeeded}, {400, StatusMeaning::not_executed}, {401, StatusMeaning::not_executed},
      {402, StatusMeaning::declined},  {403, StatusMeaning::not_executed}, {404, StatusMeaning::not_executed},
      {408, StatusMeaning::in_doubt},  {409, StatusMeaning::in_doubt},     {422, StatusMeaning::not_executed},
      {423, StatusMeaning::in_doubt},  {425, StatusMeaning::in_doubt},     {429, StatusMeaning::not_executed},
      {499, StatusMeaning::in_doubt},  {500, StatusMeaning::in_doubt},     {502, StatusMeaning::in_doubt},
      {503, StatusMeaning::in_doubt},  {504, StatusMeaning::in_doubt},     {599, StatusMeaning::in_doubt},
      {600, StatusMeaning::in_doubt},  {999, StatusMeaning::in_doubt},     {100, StatusMeaning::in_doubt},
      {199, StatusMeaning::in_doubt},  {0, StatusMeaning::in_doubt},       {-1, StatusMeaning::in_doubt},
  }));
  CAPTURE(status);
  CHECK(meaning_of(status) == meaning);
  World world;
  const Response first = world.pay({}, {status, {{"Content-Type", "text/plain"}}, "said"});
  CHECK(field(first, "Cache-Control") == "no-store");
  const Response second = world.pay();
  switch (meaning) {
    case StatusMeaning::succeeded:
    case StatusMeaning::declined:
      CHECK(first.status == status);
      CHECK(first.body == (status == 204 ? "" : "said"));
      CHECK(second == as_replayed(first));
      CHECK(world.record()->state ==
            (meaning == StatusMeaning::succeeded ? State::succeeded : State::declined));
      CHECK(world.runs == 1);
      break;
    case StatusMeaning::not_executed:
      CHECK(first.status == status);
      CHECK(first.body == "said");
      CHECK(first.find("Idempotent-Replayed") == nullptr);
      CHECK(second.status == 200);  // the key was free
      CHECK(world.runs == 2);
      break;
    case StatusMeaning::in_doubt:
      CHECK(first.status == 503);
      CHECK(slug(first) == "in-doubt");
      CHECK(first.body.find("said") == first.body.npos);
      CHECK(slug(second) == "in-doubt");
      CHECK(world.runs == 1);
      break;
  }
}

TEST_CASE("a status is no proof once a checkpoint was saved", "[http][responder]") {
  World world;
  const Response answer = world.responder.answer(acme, Asked{}.view(), [&](Attempt& attempt) {
    attempt.save_checkpoint("charge ch_1 was asked for");
    return Response{404, {}, "the provider does not know the charge"};
  });
  CHECK(slug(answer) == "in-doubt");
  CHECK(world.record()->state == State::in_doubt);
}

TEST_CASE("what a handler reports itself is not judged by its status", "[http][responder]") {
  World world;
  CHECK(world.pay_report(declined(Response{200, {}, "no"})).status == 200);
  CHECK(world.record()->state == State::declined);
  const Asked other{.key = "\"order-1002\""};
  const Response again = world.pay_report(not_executed("the provider is closed on Sundays"), other);
  CHECK(slug(again) == "not-executed");
  CHECK(again.status == 503);
  CHECK(new_key_is_safe(again));
  CHECK(again.body.find("Sunday") == again.body.npos);
  CHECK(world.pay_report(succeeded(Response{500, {}, "paid all the same"}), other).body ==
        "paid all the same");
  CHECK(field(world.pay({.key = "\"order-1002\""}), "Idempotent-Replayed") == "true");
  const Response nonsense = world.pay_report(succeeded(Response{0, {}, {}}), {.key = "\"order-1003\""});
  CHECK(slug(nonsense) == "in-doubt");
}

TEST_CASE("what is wrong with a request is said before anything is executed", "[http][responder]") {
  World world({.key_syntax = KeySyntax::strict, .largest_body = 100, .body_form = canonical_form});
  const auto [asked, status, name, safe] = GENERATE(table<Asked, int, std::string, bool>({
      {Asked{.key = ""}, 400, "key-missing", true},
      {Asked{.key = "bare"}, 400, "key-malformed", true},
      {Asked{.key = "\"\""}, 400, "key-malformed", true},
      {Asked{.more = {{"Idempotency-Key", "\"order-1001\""}}}, 400, "key-malformed", true},
      {Asked{.body = std::string(101, 'x')}, 413, "body-too-large", false},
      {Asked{.key = "", .body = std::string(101, 'x')}, 413, "body-too-large", false},
      {Asked{.body = "a=%zz"}, 400, "body-malformed", false},
      {Asked{.method = "GET"}, 500, "internal", false},
      {Asked{.method = "HEAD"}, 500, "internal", false},
      {Asked{.method = "OPTIONS"}, 500, "internal", false},
      {Asked{.method = "TRACE"}, 500, "internal", false},
  }));
  const Response answer = world.pay(asked);
  CAPTURE(answer.body);
  CHECK(answer.status == status);
  CHECK(slug(answer) == name);
  CHECK(new_key_is_safe(answer) == safe);
  CHECK(detail_of(answer).find("executed") != std::string::npos);
  CHECK(answer.body.find("order-1001") == answer.body.npos);
  CHECK(world.runs == 0);
  CHECK(world.store.operations() == 0);
}

TEST_CASE("nobody pays for a tenant without a name", "[http][responder]") {
  World world;
  CHECK(world.pay({}, paid, Tenant("")).status == 500);
  CHECK(world.runs == 0);
}

TEST_CASE("the key belongs to one request", "[http][responder]") {
  World world({.fingerprint_fields = {"X-Account", "x-currency"}});
  const std::vector<FieldView> fields{{"X-Currency", "EUR"}, {"X-ACCOUNT", "1"}, {"X-Account", "2"}};
  const Response first = world.pay({.more = fields});
  const auto again = [&](Asked asked) { return world.pay(asked); };
  const auto reused = [&](const Asked& asked) {
    const Response answer = again(asked);
    CHECK(answer.status == 422);
    CHECK_FALSE(new_key_is_safe(answer));
    return slug(answer);
  };
  CHECK(again({.more = {{"x-account", "1"}, {"Accept", "*/*"}, {"x-account", "2"}, {"x-currency", "EUR"}}}) ==
        as_replayed(first));
  CHECK(reused({}) == "key-reused");
  CHECK(reused({.body = "{}", .more = fields}) == "key-reused");
  CHECK(reused({.query = "a=b", .more = fields}) == "key-reused");
  CHECK(reused({.more = {{"X-Currency", "EUR"}, {"X-Account", "1"}}}) == "key-reused");
  CHECK(reused({.more = {{"X-Currency", "EUR"}, {"X-Account", "2"}, {"X-Account", "1"}}}) == "key-reused");
  CHECK(reused({.more = {{"X-Currency", "1"}, {"X-Account", "2"}, {"X-Account", "EUR"}}}) == "key-reused");
  CHECK(world.runs == 1);
  CHECK(again({.path = "/refunds", .more = fields}).status == 200);  // another place, another key
  CHECK(again({.method = "PUT", .more = fields}).status == 200);
  CHECK(world.runs == 3);
}

TEST_CASE("another tenant with the same key learns nothing", "[http][responder]") {
  World world;
  world.pay();
  World other;
  // To the byte what it would be had nobody used that key: with the same request, and with another.
  CHECK(world.pay({}, {201, {}, "mine"}, Tenant("evil")) == other.pay({}, {201, {}, "mine"}, Tenant("evil")));
  const Asked different{.key = "\"order-1001\"", .body = "{}"};
  CHECK(world.pay(different, {201, {}, "mine"}, Tenant("evil2")).status == 201);
  CHECK(world.runs == 3);
}

TEST_CASE("a request that is being carried out is told when to come again", "[http][responder]") {
  // What is left of the lease, where that is less than retry_after.
  const auto [lease, seconds] =
      GENERATE(table<Duration, std::string>({{1001ms, "2"}, {1000ms, "1"}, {30s, "2"}}));
  World world({}, {.lease = lease, .heartbeat = false});
  Response inside;
  world.responder.answer(acme, Asked{}.view(), [&](Attempt&) {
    std::thread duplicate([&] { inside = world.pay(); });
    duplicate.join();
    return paid;
  });
  CHECK(inside.status == 409);
  CHECK(slug(inside) == "in-progress");
  CHECK(field(inside, "Retry-After") == seconds);
  CHECK_FALSE(new_key_is_safe(inside));
  CHECK(world.runs == 0);
}

TEST_CASE("seconds are rounded up and never zero", "[http][problem]") {
  using http::detail::whole_seconds;
  CHECK(whole_seconds(0ms) == 1);
  CHECK(whole_seconds(-5s) == 1);
  CHECK(whole_seconds(1ms) == 1);
  CHECK(whole_seconds(1000ms) == 1);
  CHECK(whole_seconds(1001ms) == 2);
  CHECK(whole_seconds(29'999ms) == 30);
  CHECK(whole_seconds(Duration::max()) == Duration::max().count() / 1000 + 1);
}

TEST_CASE("a store that fails at any call leaves a true answer", "[http][responder]") {
  const FaultKind kind = GENERATE(FaultKind::throws_before, FaultKind::throws_after);
  const std::size_t times = GENERATE(std::size_t{1}, std::size_t{2}, Fault::for_ever);
  for (std::size_t at = 1;; ++at) {
    CAPTURE(at, times);
    World world({}, {.heartbeat = false});
    world.store.inject({.kind = kind, .at = at, .times = times});
    const Response first = world.pay();
    const bool reached = world.store.failures() > 0;
    const int ran = world.runs;
    if (first.status == 200) {
      CHECK(ran == 1);
    } else if (slug(first) == "store-unavailable") {
      CHECK(first.status == 503);
      CHECK(field(first, "Retry-After") == "2");
      CHECK(ran == 0);  // "this request executed nothing"
    } else {
      CHECK(slug(first) == "in-doubt");
      CHECK(ran == 1);
    }
    if (first.status != 200) CHECK_FALSE(new_key_is_safe(first));
    world.store.heal();
    world.clock.advance(1min);  // what began is abandoned
    const auto found = [](const Record&) -> PaymentResult<Response> { return succeeded(paid); };
    const Response settled = world.responder.answer(
        acme, Asked{}.view(),
        [&](Attempt&) {
          ++world.runs;
          return paid;
        },
        found);
    CHECK(settled.status == 200);
    CHECK(settled.body == paid.body);
    CHECK(world.runs <= 1);
    if (!reached) break;
  }
}

TEST_CASE("a store that needs mending is no reason to come again soon", "[http][responder]") {
  const auto [code, status] = GENERATE(table<errc, int>({{errc::store_corrupt, 500},
                                                         {errc::store_poisoned, 500},
                                                         {errc::unsafe_config, 500},
                                                         {errc::store_full, 503},
                                                         {errc::lock_unavailable, 503}}));
  World world;
  world.store.inject({.times = Fault::for_ever, .code = code});
  const Response answer = world.pay();
  CHECK(answer.status == status);
  CHECK(slug(answer) == (status == 500 ? "internal" : "store-unavailable"));
  CHECK(
      detail_of(answer).starts_with("This request executed nothing; an earlier one with this key may have."));
  CHECK_FALSE(new_key_is_safe(answer));
  CHECK(world.runs == 0);
}

TEST_CASE("a guard that shuts down takes no more requests, and says that nothing was executed",
          "[http][responder]") {
  World world;
  world.guard.shut_down();
  CHECK(slug(world.pay()) == "store-unavailable");
  CHECK(world.runs == 0);
}

TEST_CASE("nothing of an exception, a reason or evidence reaches a client", "[http][responder]") {
  World world;
  const Response thrown = world.put_in_doubt();
  CHECK(slug(thrown) == "in-doubt");
  CHECK(field(thrown, "Retry-After") == "2");
  CHECK_FALSE(new_key_is_safe(thrown));
  World lost;  // paid, and not recorded: there is evidence
  lost.store.inject({.times = Fault::for_ever, .only = events::StoreCall::replace});
  const Response unrecorded = lost.pay();
  CHECK(slug(unrecorded) == "in-doubt");
  CHECK(lost.runs == 1);
  for (const Response& answer : {thrown, unrecorded, world.pay()})
    for (const std::string_view secret : {"4242", "db.internal", "paid\\\"", "order-1001", "acme"})
      CHECK(answer.body.find(secret) == answer.body.npos);
}

TEST_CASE("in doubt is settled by asking the provider", "[http][responder]") {
  World world;
  world.put_in_doubt();
  const auto ask = [&](const auto& reconcile) {
    return world.responder.answer(
        acme, Asked{}.view(), [&] { return paid; }, reconcile);
  };
  using Report = PaymentResult<Response>;
  CHECK(slug(ask([](const Record&) -> Report { throw std::runtime_error("no route to db.internal"); })) ==
        "in-doubt");
  CHECK(slug(ask([](const Record&) -> Report { return in_doubt("not listed"); })) == "in-doubt");
  const Response found = ask([](const Record&) -> Report {
    return succeeded(Response{200, {{"Set-Cookie", "a=b"}}, "found"});
  });
  CHECK(found == Response{200, {{"Cache-Control", "no-store"}}, "found"});
  CHECK(world.pay() == as_replayed(found));
}

TEST_CASE("a refusal's reason goes to the client", "[http][responder]") {
  World world;
  CallOptions closed;
  closed.refuse_if = [] { return std::optional<std::string>("\"Schön\" ist geschlossen.\n"); };
  const Response refused = world.responder.answer(
      acme, Asked{}.view(), [&] { return paid; }, closed);
  CHECK(refused.status == 409);
  CHECK(slug(refused) == "refused");
  CHECK(detail_of(refused) == "\"Schön\" ist geschlossen.\n");
  CHECK(world.pay().status == 200);  // nothing was stored
}

TEST_CASE("only the chosen fields are stored, and none that splits a response", "[http][responder]") {
  World world({.stored_fields = {"content-type", "X-Trace", "X-Empty"}});
  const Response first = world.pay({}, {200,
                                        {{"Content-Type", "text/plain"},
                                         {"Set-Cookie", "session=1"},
                                         {"Cache-Control", "public, max-age=600"},
                                         {"Idempotent-Replayed", "true"},
                                         {"X-Other", "dropped"},
                                         {"X-Trace", "a\r\nSet-Cookie: evil=1"},
                                         {"x-trace", "b\n"},
                                         {"x-trace", std::string("c\0", 2)},
                                         {"X-Trace", "kept\t\xc3\xa4"},
                                         {"X-Empty", ""}},
                                        "ok"});
  CHECK(first == Response{200,
                          {{"Content-Type", "text/plain"},
                           {"X-Trace", "kept\t\xc3\xa4"},
                           {"X-Empty", ""},
                           {"Cache-Control", "no-store"}},
                          "ok"});
  CHECK(world.pay() == as_replayed(first));
  CHECK(Codec<Response>::decode(world.record()->response).fields.size() == 3);
}

TEST_CASE("a record that somebody else wrote harms no connection", "[http][responder]") {
  World world;
  world.put_in_doubt();
  world.guard.resolve({scope_of(acme, "POST", "/payments"), "order-1001"},
                      succeeded(Response{200, {{"Set-Cookie", "a=b"}, {"ETag", "x\r\nEvil: 1"}}, "by hand"}),
                      "ann", "seen at the provider");
  CHECK(world.pay() ==
        Response{200, {{"Idempotent-Replayed", "true"}, {"Cache-Control", "no-store"}}, "by hand"});
}

TEST_CASE("a turned-away request is answered as the handler said, but for what harms a connection",
          "[http][responder]") {
  World world({.redact = [](Response& response) { response.body = "redacted"; }});
  const Response answer = world.pay({}, {429,
                                         {{"Retry-After", "7"},
                                          {"Cache-Control", "public"},
                                          {"Idempotent-Replayed", "true"},
                                          {"Content-Length", "999"},
                                          {"Bad Name", "x"},
                                          {"X-Split", "a\r\nb: c"}},
                                         "too many"});
  CHECK(answer == Response{429, {{"Retry-After", "7"}, {"Cache-Control", "no-store"}}, "redacted"});
}

TEST_CASE("what is redacted is neither stored nor sent", "[http][responder]") {
  World world({.redact = [](Response& response) {
    response.body = "**** 4242";
    response.fields.push_back({"Set-Cookie", "a=b"});
  }});
  const Response first = world.pay({}, {200, {}, "4242424242424242"});
  CHECK(first == Response{200, {{"Cache-Control", "no-store"}}, "**** 4242"});
  CHECK(world.record()->response.find("42424242") == std::string::npos);
  CHECK(world.pay() == as_replayed(first));
}

TEST_CASE("a payment whose answer cannot be redacted is in doubt, and not paid again", "[http][responder]") {
  World world({.redact = [](Response& response) {
    if (response.body != "fine") throw std::runtime_error("4242");
  }});
  CHECK(slug(world.pay({}, {200, {}, "4242"})) == "in-doubt");
  CHECK(slug(world.pay({}, {200, {}, "fine"})) == "in-doubt");
  CHECK(world.runs == 1);
  CHECK(world.record()->response.empty());
  const Response turned_away = world.pay({.key = "\"order-1002\""}, {400, {}, "4242"});
  CHECK(slug(turned_away) == "not-executed");
}

TEST_CASE("a body that is too large, or has no place, is not stored", "[http][responder]") {
  World world({.largest_response = 4});
  CHECK(world.pay({}, {200, {{"Content-Type", "text/plain"}}, "1234"}).body == "1234");
  const Asked other{.key = "\"order-1002\""};
  const Response cut = world.pay(other, {200, {{"Content-Type", "text/plain"}, {"Location", "/p"}}, "12345"});
  CHECK(cut == Response{200, {{"Location", "/p"}, {"Cache-Control", "no-store"}}, ""});
  CHECK(world.pay(other) == as_replayed(cut));
  for (const int status : {204, 205, 304})
    CHECK(world.pay({.key = "\"s" + std::to_string(status) + "\""}, {status, {}, "body"}).body.empty());
}

TEST_CASE("a request without a key gets one, and is told which", "[http][responder]") {
  World world({.missing_key = MissingKey::made});
  const Response first = world.pay({.key = ""});
  const std::string made = field(first, "Idempotency-Key");
  REQUIRE(made.size() == 38);
  CHECK(world.pay({.key = ""}).find("Idempotency-Key") != nullptr);
  CHECK(world.runs == 2);  // nobody can tell that it was meant as the same
  const Response again = world.pay({.key = made});
  CHECK(field(again, "Idempotent-Replayed") == "true");
  CHECK(again.find("Idempotency-Key") == nullptr);
  CHECK(world.pay({.key = "\"bad"}).status == 400);
  CHECK(world.runs == 2);
}

TEST_CASE("problems are written as the application wants them, with the fields that matter",
          "[http][responder]") {
  World world({.write_problem = [](const Problem& problem) -> Response {
    if (problem.kind == ProblemKind::key_missing) throw std::runtime_error("secret");
    return {problem.status == 422 ? 0 : problem.status,
            {{"X-Kind", std::string(problem.slug)},
             {"Cache-Control", "public"},
             {"Retry-After", "0"},
             {"X-Split", "a\r\nb: c"}},
            "{}"};
  }});
  CHECK(world.put_in_doubt() ==
        Response{503, {{"X-Kind", "in-doubt"}, {"Retry-After", "2"}, {"Cache-Control", "no-store"}}, "{}"});
  CHECK(world.pay({.body = "other"}).status == 422);
  CHECK(slug(world.pay({.key = ""})) == "key-missing");  // where the application's writer fails
}
