// The snippets about what makes two requests the same.

#include <paidonce/http/canonical_json.hpp>
#include <paidonce/http/form.hpp>
#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/responder_options.hpp>
#include <paidonce/http/scope.hpp>
#include <paidonce/paidonce.hpp>

#include <array>
#include <string>
#include <string_view>
#include <variant>

#include "support/catch.hpp"

namespace http_requests_page {

using namespace paidonce;

// [json]
http::ResponderOptions options_for_json() {
  http::ResponderOptions options;
  options.body_form = http::CanonicalJson({"/metadata/trace_id", "/sent_at"});
  options.fingerprint_fields = {"Content-Type", "Accept-Language"};
  return options;
}
// [/json]

// [form]
http::ResponderOptions options_for_forms() {
  http::ResponderOptions options;
  options.body_form = http::canonical_form;
  return options;
}
// [/form]

// [secret]
http::ResponderOptions options_near_cards(std::string_view secret, const std::string& old_secret) {
  http::ResponderOptions options;
  options.body_form = http::CanonicalJson();
  options.fingerprinter = Fingerprinter(secret, {old_secret});
  return options;
}
// [/secret]

}  // namespace http_requests_page

TEST_CASE("requests that mean the same are the same, and are told apart by all that counts", "[docs]") {
  using namespace http_requests_page;

  // [send]
  const std::string field = http::format_idempotency_key("order-1001/2");
  CHECK(field == R"("order-1001/2")");
  // [/send]
  CHECK(http::parse_idempotency_key(std::array<std::string_view, 1>{field}, http::KeySyntax::strict) ==
        std::variant<std::string, http::KeyProblem>("order-1001/2"));

  // [scope]
  const http::Tenant tenant("acct_7");  // of your own authentication, never from the request
  CHECK(http::scope_of(tenant, "POST", "/v1/charges") != http::scope_of(tenant, "POST", "/v1/refunds"));
  // [/scope]

  // [same]
  const http::CanonicalJson canonical({"/sent_at"});
  CHECK(canonical(R"({"amount": 4.50, "currency": "EUR", "sent_at": "10:00:00"})") ==
        canonical(R"({"sent_at": "10:00:03", "currency": "\u0045UR", "amount": 45e-1})"));
  CHECK(canonical(R"({"amount": 4.50})") != canonical(R"({"amount": 4.5000000000000001})"));
  CHECK(canonical(R"({"amount": 4.50})") != canonical(R"({"amount": "4.50"})"));
  // [/same]

  const http::BodyForm json = options_for_json().body_form, form = options_for_forms().body_form;
  CHECK(json(R"({"metadata":{"trace_id":"a","order":7}})") == R"({"metadata":{"order":7}})");
  CHECK(form("currency=eur&amount=4%350") == "amount=450&currency=eur");
  const http::ResponderOptions secret =
      options_near_cards("32 random bytes from a vault", "those of last year");
  const Fingerprint stored = Fingerprinter("those of last year")("POST", "/v1/charges");
  CHECK((*secret.fingerprinter)("POST", "/v1/charges").matches(stored));
}
