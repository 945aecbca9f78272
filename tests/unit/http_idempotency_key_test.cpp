// The Idempotency-Key field: what is a key, what is none and why, and where a key is valid.

#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/scope.hpp>

#include <array>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::string_literals;

namespace {

using Parsed = std::variant<std::string, KeyProblem>;

Parsed parse(std::string_view line, KeySyntax syntax) {
  return parse_idempotency_key(std::array{line}, syntax);
}
Parsed strict(std::string_view line) { return parse(line, KeySyntax::strict); }
Parsed lenient(std::string_view line) { return parse(line, KeySyntax::lenient); }
Parsed text(std::string key) { return Parsed(std::in_place_index<0>, std::move(key)); }

constexpr KeyProblem all_problems[] = {KeyProblem::missing,  KeyProblem::repeated,   KeyProblem::not_a_string,
                                       KeyProblem::bad_byte, KeyProblem::bad_escape, KeyProblem::unfinished,
                                       KeyProblem::trailing, KeyProblem::empty,      KeyProblem::too_long};

}  // namespace

TEST_CASE("a string in double quotes is a key in both modes", "[http][key]") {
  const auto [line, key] = GENERATE(table<std::string, std::string>({
      {R"("8e03978e-40d5-43dd-bc93-6894a57f9324")", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
      {R"("a")", "a"},
      {R"(" a ")", " a "},
      {"  \t \"a\"\t ", "a"},
      {R"("a, b; c=\"d\" \\")", R"(a, b; c="d" \)"},
      {R"("\"")", R"(")"},
      {R"("\\")", R"(\)"},
      {R"("\\\"")", R"(\")"},
      {R"("'")", "'"},
      {"\"\x7e\"", "~"},
      {'"' + std::string(255, 'k') + '"', std::string(255, 'k')},
  }));
  CHECK(strict(line) == text(key));
  CHECK(lenient(line) == text(key));
}

TEST_CASE("what is quoted wrongly is refused in both modes, with the reason", "[http][key]") {
  const auto [line, problem] = GENERATE(table<std::string, KeyProblem>({
      {"", KeyProblem::empty},
      {" \t ", KeyProblem::empty},
      {R"("")", KeyProblem::empty},
      {R"( "" )", KeyProblem::empty},
      {R"(")", KeyProblem::unfinished},
      {R"("a)", KeyProblem::unfinished},
      {R"("a\)", KeyProblem::unfinished},
      {R"("a\")", KeyProblem::unfinished},
      {R"("a\n")", KeyProblem::bad_escape},
      {R"("\u0041")", KeyProblem::bad_escape},
      {"\"a\tb\"", KeyProblem::bad_byte},
      {"\"a\nb\"", KeyProblem::bad_byte},
      {"\"a\0b\""s, KeyProblem::bad_byte},
      {"\"\x7f\"", KeyProblem::bad_byte},
      {"\"\xc3\xa9\"", KeyProblem::bad_byte},
      {"\"a\\\x80\"", KeyProblem::bad_escape},
      {R"("a", "b")", KeyProblem::repeated},
      {R"("a","a")", KeyProblem::repeated},
      {R"("a" ,)", KeyProblem::repeated},
      {R"("", "b")", KeyProblem::repeated},
      {R"("a";v=1)", KeyProblem::trailing},
      {R"("a"; v)", KeyProblem::trailing},
      {R"("a"b)", KeyProblem::trailing},
      {R"("a" "b")", KeyProblem::trailing},
      {R"("a"")", KeyProblem::trailing},
      {'"' + std::string(256, 'k') + '"', KeyProblem::too_long},
      {'"' + std::string(100'000, 'k'), KeyProblem::too_long},
  }));
  CAPTURE(line);
  CHECK(strict(line) == Parsed(problem));
  CHECK(lenient(line) == Parsed(problem));
}

TEST_CASE("a bare key is a key in lenient mode alone", "[http][key]") {
  const std::string line = GENERATE("8e03978e-40d5-43dd-bc93-6894a57f9324"s, "a"s, " a\t"s, "order:1001/2"s,
                                    "KG5LxwFBepaKHyUD"s, "?1"s, ":YQ==:"s, "'a'"s, std::string(255, 'k'));
  CHECK(strict(line) == Parsed(KeyProblem::not_a_string));
  CHECK(lenient(line) == text(line == " a\t" ? "a" : line));
}

TEST_CASE("what is bare and cannot be a key is refused, with the reason", "[http][key]") {
  const auto [line, problem] = GENERATE(table<std::string, KeyProblem>({
      {"a b", KeyProblem::not_a_string},
      {"a\tb", KeyProblem::not_a_string},
      {"a;v=1", KeyProblem::not_a_string},
      {R"(a"b)", KeyProblem::not_a_string},
      {R"(a")", KeyProblem::not_a_string},
      {R"(a\b)", KeyProblem::not_a_string},
      {"a, b", KeyProblem::repeated},
      {R"(a, "b")", KeyProblem::repeated},
      {"a,b", KeyProblem::repeated},
      {",", KeyProblem::repeated},
      {"a\0b"s, KeyProblem::bad_byte},
      {"caf\xc3\xa9", KeyProblem::bad_byte},
      {"a\x7f", KeyProblem::bad_byte},
      {std::string(256, 'k'), KeyProblem::too_long},
  }));
  CAPTURE(line);
  CHECK(lenient(line) == Parsed(problem));
  CHECK(strict(line) == Parsed(KeyProblem::not_a_string));
}

TEST_CASE("each byte is what its place says, and means the same bare and quoted", "[http][key]") {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string key = "a"s + c + "b";
    const bool printable = byte >= 0x20 && byte <= 0x7e;
    const bool special = c == '"' || c == '\\';
    CAPTURE(byte);
    if (printable && !special) {
      CHECK(strict('"' + key + '"') == text(key));
    } else {
      CHECK(strict('"' + key + '"').index() == 1);
    }
    const Parsed bare = lenient(key);
    CHECK((bare.index() == 0) == (printable && !special && c != ' ' && c != ',' && c != ';'));
    if (bare.index() == 0) CHECK(bare == strict('"' + key + '"'));
    if (printable) {
      CHECK(strict(format_idempotency_key(key)) == text(key));
    } else {
      CHECK_THROWS_MATCHES(format_idempotency_key(key), Error, support::has_code<Error>(errc::invalid_key));
    }
  }
}

TEST_CASE("no field is no key, and two fields are none either, equal or not", "[http][key]") {
  const auto syntax = GENERATE(KeySyntax::strict, KeySyntax::lenient);
  const std::vector<std::string_view> none, same{"\"a\"", "\"a\""}, other{"\"a\"", "\"b\""},
      blank{"\"a\"", ""};
  CHECK(parse_idempotency_key(none, syntax) == Parsed(KeyProblem::missing));
  CHECK(parse_idempotency_key(same, syntax) == Parsed(KeyProblem::repeated));
  CHECK(parse_idempotency_key(other, syntax) == Parsed(KeyProblem::repeated));
  CHECK(parse_idempotency_key(blank, syntax) == Parsed(KeyProblem::repeated));
}

TEST_CASE("what is formatted is read back, whatever printable text it is", "[http][key]") {
  std::minstd_rand random(7);
  for (std::size_t size = 1; size <= 255; ++size) {
    std::string key;
    while (key.size() < size) key += static_cast<char>(0x20 + random() % 0x5f);
    CAPTURE(key);
    const std::string line = format_idempotency_key(key);
    CHECK(strict(line) == text(key));
    CHECK(lenient("\t" + line + " ") == text(key));
  }
  const std::string quotes(255, '"');
  CHECK(format_idempotency_key(quotes).size() == 512);
  CHECK(strict(format_idempotency_key(quotes)) == text(quotes));
  CHECK(strict("\"" + std::string(512, '\\') + "\"") == Parsed(KeyProblem::too_long));
  CHECK(format_idempotency_key("a\"\\b") == R"("a\"\\b")");
}

TEST_CASE("a text that the field cannot carry is not formatted, nor quoted", "[http][key]") {
  const std::string key = GENERATE(""s, "secret\n"s, "secret\0"s, "secret\xc3\xa9"s, std::string(256, 's'));
  try {
    format_idempotency_key(key);
    FAIL("formatted");
  } catch (const Error& error) {
    CHECK(error.code() == errc::invalid_key);
    CHECK_THAT(error.what(), !support::contains("secret") && !support::contains("sss"));
  }
}

TEST_CASE("each reason is told in words of its own, with what to do", "[http][key]") {
  std::set<std::string_view> told;
  for (const KeyProblem problem : all_problems) {
    const std::string_view reason = to_string(problem);
    CHECK_THAT(std::string(reason), support::contains("Idempotency-Key") && support::ends_with("."));
    CHECK(reason.find(": ") != reason.npos);
    told.insert(reason);
  }
  CHECK(told.size() == std::size(all_problems));
}

// Records are kept under it: these never change.
TEST_CASE("the scope of a request is the same in every release", "[http][scope]") {
  CHECK(scope_of(Tenant("acct_1"), "POST", "/v1/charges") ==
        "83bf3999b4f7e250b9e49bc31ab8d6f5f5af76a49d5188f4054d868024d7189b");
  CHECK(scope_of(Tenant(""), "", "") == "cd0bae01d09803811b7a14b69461d4b28f8d6e0f0b779ac030adfe1cdc0dee6a");
  CHECK(scope_of(Tenant("acct_1"), "POST", "/v1/payment_intents") ==
        "7e2aa7852d5111c37e0d456486ab48d4678365dc5df249be47455d2a4c4406e4");
  CHECK(scope_of(Tenant(std::string(200, 't')), "PUT", "/\xc3\xa4") ==
        "4824c43118ab4202a2b6f8e6c6133c19f34c62ef0dc77b4d284dca10c15346fb");
}

TEST_CASE("no two triples of tenant, method and path meet", "[http][scope]") {
  const std::vector<std::string> parts = {"",     "a",     "b",   "ab",    "aab",     "aa",
                                          "POST", "post",  "/",   "/pay",  "/pay/",   "\1",
                                          "\1a",  "\1\1a", "\0"s, "\1\0"s, "POST/pay"};
  std::set<std::string> scopes;
  std::size_t triples = 0;
  for (const std::string& tenant : parts)
    for (const std::string& method : parts)
      for (const std::string& path : parts) {
        scopes.insert(scope_of(Tenant(tenant), method, path));
        ++triples;
      }
  CHECK(scopes.size() == triples);
  for (const std::string& scope : scopes) {
    if (scope.size() != 64 || scope.find_first_not_of("0123456789abcdef") != scope.npos) FAIL(scope);
  }
}
