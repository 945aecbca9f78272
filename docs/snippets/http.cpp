// The snippets about answering HTTP requests.

#include <paidonce/http/httplib_server.hpp>
#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "elsewhere.hpp"
#include "provider.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace serving {

struct Accounts {
  std::optional<std::string> find(std::string_view authorization) const {
    if (authorization == "Bearer secret") return "acct_7";
    return {};
  }
};

using Guard = IdempotencyGuard<FileStore>;

// [http_quick_start]
void add_payments(httplib::Server& server, http::Responder<Guard>& responder, const Accounts& accounts,
                  shop::Provider& provider) {
  const auto authorise = [&](const httplib::Request& request) -> http::Authorised {
    const auto account = accounts.find(request.get_header_value("Authorization"));
    if (!account) return http::Response{401, {{"WWW-Authenticate", "Bearer"}}, ""};
    return http::Tenant(*account);
  };
  const auto pay = [&](const httplib::Request& request, Attempt& attempt) {
    const shop::Reply reply = provider.charge(request.body, attempt.provider_key());
    return http::Response{reply.declined ? 402 : 201, {{"Content-Type", "text/plain"}}, reply.body};
  };
  server.Post("/payments", http::guarded(responder, authorise, pay));
}
// [/http_quick_start]

// [http_reconcile]
void add_reconciled(httplib::Server& server, http::Responder<Guard>& responder, shop::Provider& provider) {
  const auto authorise = [](const httplib::Request&) -> http::Authorised { return http::Tenant("till-1"); };
  const auto pay = [&](const httplib::Request& request, Attempt& attempt) {
    return http::Response{201, {}, provider.charge(request.body, attempt.provider_key()).body};
  };
  const auto ask = [&](const Record&, std::string_view provider_key) -> PaymentResult<http::Response> {
    const auto found = provider.look_up(provider_key);
    if (!found) return in_doubt("the provider does not list it");  // it may still arrive
    return succeeded(http::Response{201, {}, found->body});
  };
  server.Post("/till/payments", http::guarded(responder, authorise, pay, ask));
}
// [/http_reconcile]

}  // namespace serving

TEST_CASE("HTTP: the quick start", "[docs]") {
  const integration::ElsewhereForNow elsewhere;
  serving::Accounts accounts;
  shop::Provider provider;
  // [http_main]
  IdempotencyGuard guard{FileStore{"payments.store"}};
  http::Responder responder{guard};
  http::Server server;
  serving::add_payments(server, responder, accounts, provider);
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { server.listen_after_bind(); });
  // [/http_main]
  serving::add_reconciled(server, responder, provider);
  while (!server.is_running()) std::this_thread::yield();
  httplib::Client client("127.0.0.1", port);
  const httplib::Headers headers = {{"Authorization", "Bearer secret"}, {"Idempotency-Key", "order-1001"}};
  CHECK(client.Post("/payments", headers, "4.50 EUR", "text/plain")->status == 201);
  const auto again = client.Post("/payments", headers, "4.50 EUR", "text/plain");
  CHECK(again->get_header_value("Idempotent-Replayed") == "true");
  CHECK(again->body == "receipt 17");
  CHECK(client.Post("/payments", headers, "5.40 EUR", "text/plain")->status == 422);
  CHECK(client.Post("/payments", {{"Idempotency-Key", "order-1001"}}, "4.50 EUR", "text/plain")->status ==
        401);
  provider.mood = shop::Provider::Mood::charges_and_hangs_up;
  CHECK(client.Post("/till/payments", {{"Idempotency-Key", "t1"}}, "1", "text/plain")->status == 503);
  CHECK(client.Post("/till/payments", {{"Idempotency-Key", "t1"}}, "1", "text/plain")->body == "receipt 17");
  CHECK(provider.charges == 2);
  // [http_stop]
  guard.shut_down();  // who waits is answered 503, and so is who still comes
  server.stop();      // no new connections
  serving.join();     // what runs has been answered
  // [/http_stop]
}

TEST_CASE("HTTP: options", "[docs]") {
  MemoryStore store;
  IdempotencyGuard guard{store};
  // [http_options]
  http::Responder responder{guard,
                            {.key_syntax = http::KeySyntax::strict,
                             .fingerprint_fields = {"Stripe-Account"},
                             .stored_fields = {"Content-Type", "Location"},
                             .redact =
                                 [](http::Response& response) {
                                   const auto secret = response.body.find("\"client_secret\"");
                                   if (secret != std::string::npos)
                                     response.body = "{}";  // rather too little than too much
                                 },
                             .problem_base = "https://shop.example/problems#"}};
  // [/http_options]
  const std::vector<http::FieldView> fields = {{"Idempotency-Key", "\"order-1001\""}};
  const http::Request request{"POST", "/payments", "", fields, "4.50"};
  const http::Tenant tenant("acct_7");
  // [http_refuse_if]
  CallOptions call;
  call.amount = "4.50 EUR";
  call.refuse_if = []() -> std::optional<std::string> { return "The shop is closed until Monday."; };
  const http::Response refused = responder.answer(
      tenant, request,
      [] {
        return http::Response{201, {}, "paid"};
      },
      call);
  CHECK(refused.status == 409);
  CHECK(refused.body.find("The shop is closed until Monday.") != std::string::npos);
  // [/http_refuse_if]
  CHECK(refused.body.find("https://shop.example/problems#refused") != std::string::npos);
  const auto redacted = responder.answer(tenant, request, [] {
    return http::Response{201, {}, R"({"client_secret":"x"})"};
  });
  CHECK(redacted.body == "{}");
}

namespace their {

struct Headers {
  std::vector<std::pair<std::string, std::string>> lines = {};
};
struct Request {
  std::string verb = {}, path = {}, query = {};
  Headers headers = {};
  std::string body = {};
};
struct Reply {
  int code = 0;
  Headers headers = {};
  std::string body = {};
};

}  // namespace their

// [http_other_framework]
template <class Guard, class Pay>
their::Reply answer(const http::Responder<Guard>& responder, const http::Tenant& tenant,
                    const their::Request& request, Pay&& pay) {
  http::Request view{request.verb, request.path, request.query, {}, request.body};
  for (const auto& [name, value] : request.headers.lines)
    view.fields.push_back({name, value});  // line by line: never joined, never decoded
  const http::Response response = responder.answer(tenant, view, std::forward<Pay>(pay));
  their::Reply reply{response.status, {}, response.body};
  for (const auto& [name, value] : response.fields) reply.headers.lines.emplace_back(name, value);
  return reply;
}
// [/http_other_framework]

TEST_CASE("HTTP: another framework", "[docs]") {
  MemoryStore store;
  IdempotencyGuard guard{store};
  const http::Responder responder{guard};
  const their::Request request{"POST", "/payments", "", {{{"idempotency-key", "order-1"}}}, "4.50"};
  const auto pay = [] { return http::Response{201, {}, "paid"}; };
  CHECK(answer(responder, http::Tenant("acct_7"), request, pay).code == 201);
  const their::Reply again = answer(responder, http::Tenant("acct_7"), request, pay);
  CHECK(again.headers.lines.at(0).first == "Idempotent-Replayed");
}

TEST_CASE("HTTP: a server of the library itself", "[docs]") {
  // [http_prepare]
  httplib::Server server;  // or httplib::SSLServer
  http::prepare(server, {.threads = 32, .read_timeout = 5s});
  // [/http_prepare]
  CHECK(server.is_valid());
}
