// Messages, problems, options and the bytes of a stored response.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <paidonce/http/responder/rules.hpp>
#include <paidonce/http/stored_response.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::string_literals;

namespace {

using Stored = Codec<Response>;

/// "05" and the like, and text in quotes.
std::string bytes(std::string_view text) {
  std::string made;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'')
      quoted = !quoted;
    else if (quoted)
      made += text[i];
    else if (text[i] != ' ')
      made += static_cast<char>(std::stoi(std::string(text.substr(i++, 2)), nullptr, 16));
  }
  return made;
}

bool is_damaged(std::string_view text) {
  try {
    Stored::decode(text);
    return false;
  } catch (const Error& error) {
    return error.code() == errc::codec_failure;
  }
}

Problem with_detail(std::string_view text) { return problem(ProblemKind::refused, text); }

}  // namespace

TEST_CASE("a response is stored in the bytes that its format names", "[http][codec]") {
  CHECK(Stored::format == "http-response-1");
  const auto [response, stored] = GENERATE(table<Response, std::string>({
      {{200, {}, ""}, "c8000000 00000000 00000000"},
      {{599, {}, "\0\n"s}, "57020000 00000000 02000000 000a"},
      {{201, {{"Content-Type", "text/plain"}, {"ETag", ""}}, "ok"},
       "c9000000 02000000 0c000000 'Content-Type' 0a000000 'text/plain' 04000000 'ETag' 00000000 02000000 "
       "'ok'"},
      {{402, {{"a", "b"}, {"a", "b"}}, std::string(258, 'x')},
       "92010000 02000000 01000000 'a' 01000000 'b' 01000000 'a' 01000000 'b' 02010000 '" +
           std::string(258, 'x') + "'"},
  }));
  CHECK(Stored::encode(response) == bytes(stored));
  CHECK(Stored::decode(bytes(stored)) == response);
}

TEST_CASE("bytes that are no stored response are refused, wherever they end or change", "[http][codec]") {
  const std::string whole = Stored::encode({200, {{"Content-Type", "text/plain"}, {"ETag", "\"1\""}}, "ok"});
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(is_damaged(whole.substr(0, size)));
  CHECK(is_damaged(whole + '\0'));
  // Status, count and every size: those are the bytes that say how the rest is read.
  for (const std::size_t at : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 11u, 24u, 27u, 38u, 46u, 53u, 56u}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    CAPTURE(at);
    CHECK(is_damaged(damaged));
  }
  CHECK(is_damaged(bytes("c8000000 ffffffff 00000000")));  // no memory is taken for what is not there
  CHECK(is_damaged(bytes("c8000000 00000000 ffffffff")));
  for (const char* status : {"c7000000", "58020000", "00000000", "ffffffff"})
    CHECK(is_damaged(bytes(status + " 00000000 00000000"s)));
}

TEST_CASE("a response that ends no request is not stored", "[http][codec]") {
  for (const int status : {-1, 0, 100, 199, 600, 100'000})
    CHECK_THROWS_AS(Stored::encode({status, {}, ""}), Error);
}

TEST_CASE("a problem is one of RFC 9457, whatever its detail says", "[http][problem]") {
  const auto [said, read] = GENERATE(table<std::string, std::string>({
      {"plain", "plain"},
      {"\"quoted\\\" \x01\x1f\t\r\n", "\"quoted\\\" \x01\x1f\t\r\n"},
      {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xb6", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xb6"},
      {"half \xc3", "half ?"},
      {"\xc0\xaf\xed\xa0\x80 \xf5", "????? ?"},
  }));
  const Response response = problem_response(with_detail(said), "https://shop.example/problems#");
  const auto json = nlohmann::json::parse(response.body);
  CHECK(json.at("detail") == read);
  CHECK(json.at("type") == "https://shop.example/problems#refused");
  CHECK(json.size() == 5);
}

TEST_CASE("every problem says whether something was executed, or may have been", "[http][problem]") {
  using enum ProblemKind;
  for (const ProblemKind kind :
       {key_missing, key_malformed, request_malformed, body_malformed, body_too_large, in_progress,
        key_reused, refused, in_doubt, not_executed, store_unavailable, internal}) {
    const Problem told = problem(kind);
    CAPTURE(told.slug);
    CHECK(told.kind == kind);
    CHECK(told.status >= 400);
    const bool says = told.detail.find("execut") != std::string::npos ||
                      told.detail.find("carried out") != std::string::npos ||
                      told.detail.find("was not made") != std::string::npos;
    CHECK(says);
    if (told.new_key == NewKey::unsafe && told.status >= 500)
      CHECK(told.detail.find("new key is not safe") != std::string::npos);
    CHECK(problem(kind, "other").detail == "other");
  }
}

TEST_CASE("options that cannot work are refused", "[http][responder]") {
  using Change = std::function<void(ResponderOptions&)>;
  const std::vector<Change> changes = {
      [](auto& options) { options.largest_body = 0; },
      [](auto& options) { options.largest_response = 0; },
      [](auto& options) { options.largest_response = std::size_t{1} << 32; },
      [](auto& options) { options.retry_after = Duration(0); },
      [](auto& options) { options.status_policy = nullptr; },
      [](auto& options) { options.fingerprint_fields = {""}; },
      [](auto& options) {
        options.fingerprint_fields = {"X-A", "X:B"};
      },
      [](auto& options) { options.stored_fields = {""}; },
      [](auto& options) { options.stored_fields = {"a b"}; },
      [](auto& options) {
        options.stored_fields = {"ETag", "set-cookie"};
      },
      [](auto& options) { options.stored_fields = {"Cache-Control"}; },
      [](auto& options) { options.stored_fields = {"Idempotent-Replayed"}; },
      [](auto& options) { options.stored_fields = {"Idempotency-Key"}; },
      [](auto& options) { options.stored_fields = {"Content-Length"}; },
      [](auto& options) { options.stored_fields = {"Transfer-Encoding"}; },
      [](auto& options) { options.stored_fields = {"Connection"}; },
  };
  for (const Change& change : changes) {
    ResponderOptions options;
    change(options);
    try {
      const http::detail::ResponderRules rules(std::move(options));
      FAIL_CHECK("change " << &change - changes.data() << " was taken");
    } catch (const Error& error) {
      CHECK(error.code() == errc::invalid_options);
    }
  }
  CHECK_NOTHROW(http::detail::ResponderRules({.stored_fields = {}}));
}

TEST_CASE("what belongs to a request does not hang on the order in which an option names it",
          "[http][responder]") {
  const std::vector<FieldView> fields = {{"b", "1"}, {"A", "2"}, {"b", "3"}};
  const Request request{"POST", "/p", "q=1", fields, "body"};
  const http::detail::ResponderRules one({.fingerprint_fields = {"A", "b"}});
  const http::detail::ResponderRules other({.fingerprint_fields = {"B", "a", "b"}});
  CHECK(one.fingerprint_of(request) == other.fingerprint_of(request));
  // Kept in records: it may not change.
  CHECK(one.fingerprint_of(request).hex() ==
        "011db9dcb5292734eebfff01f8491c93dd229ad8bf8bf411cd67f9b95a716a23e5");
  CHECK(http::detail::ResponderRules({}).fingerprint_of(request).hex() ==
        "011e44cc766d281abd985b168fb1a0bb283085bc615e362635dcfae42473a39be3");
}

TEST_CASE("fields are found by their name in any case, line by line", "[http][message]") {
  const std::vector<FieldView> fields = {{"X-A", "1"}, {"x-b", "2"}, {"x-a", "3"}};
  const Request request{"POST", "/", "", fields, ""};
  CHECK(request.values("x-A") == std::vector<std::string_view>{"1", "3"});
  CHECK(request.values("x").empty());
  Response response{200, {{"A", "1"}, {"b", "2"}, {"a", "3"}}, ""};
  CHECK(*response.find("a") == "1");
  response.set("A", "4");
  CHECK(response.fields == std::vector<Field>{{"b", "2"}, {"A", "4"}});
  CHECK(response.find("c") == nullptr);
}
