// Bodies that mean the same are the same bytes, all others are not, and what is malformed is refused.

#include <paidonce/http/canonical_json.hpp>
#include <paidonce/http/form.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/json_rewriting.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::string_literals;

namespace {

const CanonicalJson json;

std::string number(std::string_view text) {
  std::string out;
  http::detail::append_number(out, text);
  return out;
}

std::string nested(std::size_t depth, const std::string& open, const std::string& inner,
                   const std::string& close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += inner;
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

/// Any JSON, as CanonicalJson writes it.
std::string any_json(std::minstd_rand& random, int depth = 0) {
  static const std::vector<std::string> values = {
      "null",
      "true",
      "false",
      "0",
      "1",
      "-1",
      "45e-1",
      "45e1",
      "-12e3",
      "1e100",
      "-17e-300",
      "18446744073709551615",
      "9223372036854775809",
      "123456789012345678901234567891",
      "10000000000000001e-16",
      R"("")",
      R"("a/b")",
      R"("\"\\\b\f\n\r\t\u0000\u001f")",
      "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\x7f\""};
  const auto pick = random() % (depth < 4 ? 5u : 2u);
  if (pick < 2) return values[random() % values.size()];
  const auto count = random() % 5;
  std::string inside;
  for (unsigned i = 0; i < count; ++i) {
    if (i > 0) inside += ',';
    if (pick > 2) inside += "\"" + std::string(1, static_cast<char>('A' + 7 * i)) + "\xc3\xa9\":";
    inside += any_json(random, depth + 1);
  }
  return pick > 2 ? "{" + inside + "}" : "[" + inside + "]";
}

}  // namespace

// ---- forms ----

TEST_CASE("a form is decoded as the URL Standard says", "[http][form]") {
  CHECK(parse_form("").empty());
  CHECK(parse_form("&&").empty());
  CHECK(parse_form("amount=450&currency=eur") == Form{{"amount", "450"}, {"currency", "eur"}});
  CHECK(parse_form("&a=1&&b=2&") == Form{{"a", "1"}, {"b", "2"}});
  CHECK(parse_form("a") == Form{{"a", ""}});
  CHECK(parse_form("=") == Form{{"", ""}});
  CHECK(parse_form("=b") == Form{{"", "b"}});
  CHECK(parse_form("a=b=c") == Form{{"a", "b=c"}});
  CHECK(parse_form("a+b=c+d%2B%20") == Form{{"a b", "c d+ "}});
  CHECK(parse_form("a%3Db%26=%25%3d") == Form{{"a=b&", "%="}});
  CHECK(parse_form("x%00y=%FF%c3%A9") == Form{{"x\0y"s, "\xff\xc3\xa9"}});
  CHECK(parse_form("caf\xc3\xa9=\"") == Form{{"caf\xc3\xa9", "\""}});
  CHECK(parse_form("b=2&a=1&b=1") == Form{{"b", "2"}, {"a", "1"}, {"b", "1"}});
  CHECK(parse_form("metadata[order]=7;8") == Form{{"metadata[order]", "7;8"}});
}

TEST_CASE("a percent sign without two hexadecimal digits is refused, anywhere in a form", "[http][form]") {
  const std::string body = GENERATE("a=%"s, "a=%4"s, "%=a"s, "a=%4g"s, "a=%g4"s, "a=%+1"s, "4242=1&b=%%41"s,
                                    "a=%4&1=2"s, "a=%\0"s + "41"s, "%4=1"s);
  CAPTURE(body);
  CHECK_THROWS_MATCHES(parse_form(body), BodyMalformed, support::says<BodyMalformed>("write %25"));
  CHECK_THROWS_MATCHES(canonical_form(body), BodyMalformed, !support::says<BodyMalformed>("42"));
  CHECK_THROWS_AS(parse_form(std::string_view("a=%41").substr(0, 4)), BodyMalformed);  // no byte behind it
}

// Fingerprints are taken of these bytes: they never change.
TEST_CASE("the canonical form of a form is the same in every release", "[http][form]") {
  CHECK(canonical_form("") == "");
  CHECK(canonical_form("amount=450&currency=eur&source=tok_visa") ==
        "amount=450&currency=eur&source=tok_visa");
  CHECK(canonical_form("source=tok&currency=eur&amount=450") == "amount=450&currency=eur&source=tok");
  CHECK(canonical_form("b=2&a=1&b=1&") == "a=1&b=2&b=1");
  CHECK(canonical_form("description=Caf%c3%a9+%26%20more%21") == "description=Caf%C3%A9+%26+more%21");
  CHECK(canonical_form("metadata[order]=7&metadata%5bid%5D=*-._~") ==
        "metadata%5Bid%5D=*-._%7E&metadata%5Border%5D=7");
  CHECK(canonical_form("a&=") == "=&a=");
  CHECK(canonical_form("%00=%FF\x7f\x80") == "%00=%FF%7F%80");
}

TEST_CASE("values of one name keep their order, empty ones too", "[http][form]") {
  CHECK(canonical_form("=&=x") == "=&=x");
  CHECK(canonical_form("=x&=") == "=x&=");
  CHECK(canonical_form("a=&b=&a=1&a&b=1&a") == "a=&a=1&a=&a=&b=&b=1");
  CHECK(canonical_form("i[]=2&i[]=1") != canonical_form("i[]=1&i[]=2"));
  std::string many = "=";
  for (int i = 0; i < 40; ++i) many += i % 3 == 0 ? "&=x" : "&=";
  CHECK(canonical_form(many) == many);
}

TEST_CASE("the canonical form reads back as the same form, whatever its bytes", "[http][form]") {
  std::minstd_rand random(11);
  std::set<std::string> bodies;
  for (int round = 0; round < 2000; ++round) {
    std::string body;
    for (auto size = random() % 24; size > 0; --size) {
      switch (random() % 6) {
        case 0: body += '&'; break;
        case 1: body += '='; break;
        case 2: body += '+'; break;
        case 3: body += std::vector<std::string>{"%00", "%ff", "%3D", "%26", "%2b"}[random() % 5]; break;
        default: body += static_cast<char>('a' + random() % 3);
      }
    }
    CAPTURE(body);
    const std::string canonical = canonical_form(body);
    Form form = parse_form(body);
    std::stable_sort(form.begin(), form.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    REQUIRE(parse_form(canonical) == form);
    REQUIRE(canonical_form(canonical) == canonical);
  }
}

// ---- numbers ----

TEST_CASE("numbers are compared as the decimals that they are", "[http][json]") {
  for (const char* one : {"1", "1.0", "1e0", "1E0", "1e+0", "1e-0", "10e-1", "0.1e1", "1.000", "100e-2",
                          "0.001E3", "1e00000000000000000000000000000000", "10E-000001"})
    CHECK(json(one) == "1");
  for (const char* zero : {"0", "-0", "0.0", "-0.0", "0e5", "0E-5", "0e99999999999999999999", "-0.000e-1"})
    CHECK(json(zero) == "0");
  std::set<std::string> different;
  const std::vector<std::string> all = {"1",
                                        "1.0000000000000001",
                                        "1.00000000000000001",
                                        "0.9999999999999999",
                                        "0.99999999999999999",
                                        "-1",
                                        "10",
                                        "0.1",
                                        "0.10000000000000001",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "9007199254740993.0000001",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "-9223372036854775808",
                                        "-9223372036854775809",
                                        "1e308",
                                        "1e-400",
                                        "2e-400",
                                        "-1e-400",
                                        "4.50e2",
                                        "4.5"};
  for (const std::string& text : all) different.insert(json(text));
  CHECK(different.size() == all.size());
}

TEST_CASE("an amount is not changed by how a number is written, nor by what a double can hold",
          "[http][json]") {
  CHECK(number("450") == "45e1");
  CHECK(json("450") == "45e1");
  CHECK(json("-1000") == "-1e3");
  CHECK(json("18446744073709551610") == "1844674407370955161e1");
  CHECK(number("450.00") == "45e1");
  CHECK(number("4.50") == "45e-1");
  CHECK(number("-0.0123e-7") == "-123e-11");
  CHECK(number("100000000000000000000000000000000000001") == "100000000000000000000000000000000000001");
  CHECK(number("12345678901234567890.09876543210987654321") ==
        "1234567890123456789009876543210987654321e-20");
  // A locale's decimal point, as the parser hands it over.
  CHECK(number("4,50") == "45e-1");
  CHECK(number("-0,0") == "0");
}

TEST_CASE("an exponent of more than nine digits is refused, and costs nothing", "[http][json]") {
  CHECK(number("1e999999999") == "1e999999999");
  CHECK(number("1e-999999999") == "1e-999999999");
  CHECK(number("10e-1000000000") == "1e-999999999");
  CHECK(number("0.1e1000000000") == "1e999999999");
  const std::string text =
      GENERATE("1e1000000000"s, "10e999999999"s, "0.1e-999999999"s, "1e-1000000000"s,
               "1e9223372036854775807"s, "1e9223372036854775808"s, "1e18446744073709551617"s,
               "1e-99999999999999999999999999"s, "1e" + std::string(100'000, '9'));
  CHECK_THROWS_MATCHES(number(text), BodyMalformed, support::says<BodyMalformed>("exponent"));
  CHECK_THROWS_AS(json(text), BodyMalformed);
}

// ---- JSON ----

// Fingerprints are taken of these bytes: they never change.
TEST_CASE("the canonical form of JSON is the same in every release", "[http][json]") {
  CHECK(json("null") == "null");
  CHECK(json(" [ true , false ] ") == "[true,false]");
  CHECK(json("{}") == "{}");
  CHECK(json("[ ]") == "[]");
  CHECK(json(R"({"currency":"EUR","amount":450.00})") == R"({"amount":45e1,"currency":"EUR"})");
  CHECK(json(R"({ "b" : [ 3, 1.50, -0 ], "a" : { "d" : null, "c" : "" } })") ==
        R"({"a":{"c":"","d":null},"b":[3,15e-1,0]})");
  CHECK(json(R"({"Z":1,"a":2,"":3,"\u00e9":4,"aa":5,"A":6})") ==
        "{\"\":3,\"A\":6,\"Z\":1,\"a\":2,\"aa\":5,\"\xc3\xa9\":4}");
  CHECK(json(R"({"!":1,"\n":2,"\"":3,"\\":4,"]":5})") == R"({"\n":2,"!":1,"\"":3,"\\":4,"]":5})");
  CHECK(json(R"("\u0041\/\u00e9\u20ac\ud83d\ude00")") == "\"A/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  CHECK(json(R"("\u0000\u0001\u0008\u0009\u000A\u000b\u000C\u000d\u001F\u0022\u005c\u007f")") ==
        "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\\x7f\"");
  CHECK(json("\xef\xbb\xbf{}") == "{}");
}

TEST_CASE("JSON that means something else is other bytes", "[http][json]") {
  const std::vector<std::string> all = {"null",
                                        "[]",
                                        "{}",
                                        "\"\"",
                                        "0",
                                        "false",
                                        "[null]",
                                        "[[]]",
                                        "[{}]",
                                        "[0]",
                                        "[\"0\"]",
                                        R"(["0",0])",
                                        R"([0,"0"])",
                                        R"({"a":0})",
                                        R"({"a":"0"})",
                                        R"({"a":null})",
                                        R"({"":0})",
                                        R"({"A":0})",
                                        R"({"a":[0]})",
                                        R"(["a",0])",
                                        R"({"a":{"b":0}})",
                                        R"({"a":{},"b":0})",
                                        R"(["a,b"])",
                                        R"(["a","b"])",
                                        R"({"a":0,"b":1})",
                                        R"({"a":1,"b":0})",
                                        R"("\\u0041")",
                                        R"("A")",
                                        "\"\xc3\xa9\"",
                                        "\"e\xcc\x81\"",
                                        R"("a ")",
                                        R"(" a")",
                                        "[1,2]",
                                        "[2,1]",
                                        "[12]",
                                        "[1,2,2]"};
  std::set<std::string> different;
  for (const std::string& text : all) different.insert(json(text));
  CHECK(different.size() == all.size());
}

TEST_CASE("JSON that is written in another way is the same bytes", "[http][json]") {
  std::minstd_rand random(5);
  support::JsonRewriting rewritten(random);
  for (int round = 0; round < 1500; ++round) {
    const std::string canonical = any_json(random);
    const std::string other = rewritten(canonical);
    CAPTURE(canonical, other);
    REQUIRE(json(canonical) == canonical);
    REQUIRE(json(other) == canonical);
  }
}

TEST_CASE("what is no JSON text is refused, without a word of it", "[http][json]") {
  const std::string body = GENERATE(
      ""s, " "s, "\xef\xbb\xbf"s, "{\"card\":\"4242\""s, "[4242"s, "\"4242"s, "4242."s, "-"s, "04242"s,
      "+4242"s, ".4242"s, "4242e"s, "0x4242"s, "NaN"s, "Infinity"s, "nul"s, "True"s, "'4242'"s, "[4242,]"s,
      "{\"a\":4242,}"s, "{4242:1}"s, "{\"a\" 4242}"s, "{\"a\":}"s, "[4242]]"s, "{} 4242"s, "4242 4242"s,
      "{}//4242"s, "/*4242*/{}"s, "[\"4242\n\"]"s, "\"4242\t\""s, R"("4242\x")", R"("4242\u12")",
      R"("\ud800 4242")", R"("4242\udc00")", R"("\ud800\u0041 4242")", "\"4242\x80\""s, "\"4242\xc3\""s,
      "\"4242\xc0\xaf\""s, "\"4242\xed\xa0\x80\""s, "\"4242\xf4\x90\x80\x80\""s, "\xff\xfe{}"s, "{}\0"s,
      "{\"a\":1}\0{\"a\":4242}"s, "\0{}"s, "\"4242\0\""s, "[1e400,4242]"s, "{\"4242\":1,\"4242\":2}"s,
      "amount=4242"s);
  CAPTURE(body);
  try {
    json(body);
    FAIL("accepted");
  } catch (const BodyMalformed& malformed) {
    CHECK_THAT(malformed.what(), !support::contains("4242") && support::ends_with("."));
  }
}

TEST_CASE("a client is told what is wrong with its JSON, and where", "[http][json]") {
  const auto says = [](const char* text) { return support::says<BodyMalformed>(text); };
  CHECK_THROWS_MATCHES(json(""), BodyMalformed, says("is empty"));
  CHECK_THROWS_MATCHES(json("[1, 2"), BodyMalformed, says("ends before its JSON does"));
  CHECK_THROWS_MATCHES(json("[1, x]"), BodyMalformed, says("see byte 5."));
  CHECK_THROWS_MATCHES(json("[1]\0"s), BodyMalformed, says("see byte 4."));
  CHECK_THROWS_MATCHES(json("1e400"), BodyMalformed, says("1.8e308"));
  CHECK_THROWS_MATCHES(json("1e-9999999999"), BodyMalformed, says("exponent"));
}

TEST_CASE("two members of one name are refused, however the name is written", "[http][json]") {
  const std::string body = GENERATE(R"({"a":1,"a":1})"s, R"({"a":1,"b":2,"\u0061":1})"s,
                                    R"([{"x":{"":0,"":1}}])"s, R"({"b":{"a":1},"a":{"a":1},"b":0})"s,
                                    "{\"\xc3\xa9\":1,\"\\u00e9\":2}"s, R"({"z":1,"y":2,"z":3})"s);
  CHECK_THROWS_MATCHES(json(body), BodyMalformed,
                       support::says<BodyMalformed>("two members of the same name"));
  CHECK(json(R"({"a":{"a":[{"a":1},{"a":1}]},"A":1})") == R"({"A":1,"a":{"a":[{"a":1},{"a":1}]}})");
}

TEST_CASE("JSON may be nested 128 deep, and no deeper", "[http][json]") {
  CHECK(json(nested(128, "[", "", "]")) == nested(128, "[", "", "]"));
  CHECK(json(nested(128, "{\"a\":", "1", "}")) == nested(128, "{\"a\":", "1", "}"));
  const std::string body = GENERATE(nested(129, "[", "", "]"), nested(129, "{\"a\":", "1", "}"),
                                    nested(65, "[{\"a\":", "1", "}]"), std::string(1 << 20, '['));
  CHECK_THROWS_MATCHES(json(body), BodyMalformed, support::says<BodyMalformed>("128"));
}

// ---- members that are left out ----

TEST_CASE("what is left out makes no difference, and the rest does", "[http][json]") {
  const CanonicalJson without({"/metadata/trace_id", "/sent_at", "/lines/1/note", "/a~1b", "/m~0n", "/~01"});
  CHECK(without(R"({"sent_at":"10:00","amount":5,"metadata":{"trace_id":"x","order":7}})") ==
        R"({"amount":5,"metadata":{"order":7}})");
  CHECK(without(R"({"metadata":{"trace_id":{"deep":[1]}},"amount":5})") == R"({"amount":5,"metadata":{}})");
  CHECK(without(R"({"amount":5,"metadata":{}})") == R"({"amount":5,"metadata":{}})");
  CHECK(without(R"({"amount":5})") == R"({"amount":5})");
  CHECK(without(R"({"trace_id":1,"metadata":{"sent_at":1,"metadata":{"trace_id":1}}})") ==
        R"({"metadata":{"metadata":{"trace_id":1},"sent_at":1},"trace_id":1})");
  CHECK(without(R"({"lines":[{"note":1},{"note":2,"x":0},{"note":3}]})") ==
        R"({"lines":[{"note":1},{"x":0},{"note":3}]})");
  CHECK(without(R"({"lines":{"1":{"note":2,"x":0}}})") == R"({"lines":{"1":{"x":0}}})");
  CHECK(without(R"({"a/b":1,"a":{"b":2},"m~n":3,"~1":4,"/":5})") == R"({"/":5,"a":{"b":2}})");
  CHECK(without(R"({"sent\u005fat":1})") == "{}");
  CHECK(without(R"([{"sent_at":1}])") == R"([{"sent_at":1}])");
  CHECK(without("5") == "5");
}

TEST_CASE("an element is left out by its place in the body", "[http][json]") {
  CHECK(CanonicalJson({"/0"})("[1,2,3]") == "[2,3]");
  CHECK(CanonicalJson({"/0", "/1", "/2"})("[1,2,3]") == "[]");
  CHECK(CanonicalJson({"/1"})("[1,[2],3]") == "[1,3]");
  CHECK(CanonicalJson({"/2"})("[1,2,3]") == "[1,2]");
  CHECK(CanonicalJson({"/1/0"})("[[1],[2,3],[4]]") == "[[1],[3],[4]]");
  CHECK(CanonicalJson({"/00", "/-", "/01", "/1 ", "/+1", "/18446744073709551617"})("[1,2]") == "[1,2]");
  CHECK(CanonicalJson({"/01", "/-"})(R"({"01":1,"-":2,"1":3})") == R"({"1":3})");
  CHECK(CanonicalJson({"/"})(R"({"":1,"a":{"":2}})") == R"({"a":{"":2}})");
  CHECK(CanonicalJson({"/a/"})(R"({"":1,"a":{"":2}})") == R"({"":1,"a":{}})");
}

TEST_CASE("what is left out must still be JSON, once", "[http][json]") {
  const CanonicalJson without({"/t"});
  const std::string body =
      GENERATE(R"({"t":})"s, R"({"t":1,"t":2})"s, R"({"t":{"a":1,"a":2}})"s, "{\"t\":\"\xff\"}"s,
               R"({"t":1e-9999999999})"s, "{\"t\":" + nested(128, "[", "", "]") + "}");
  CHECK_THROWS_AS(without(body), BodyMalformed);
}

TEST_CASE("what is no pointer is refused when the canonicaliser is made", "[http][json]") {
  const std::string pointer =
      GENERATE(""s, "a"s, "#/a"s, "a/b"s, " /a"s, "/~"s, "/a~2"s, "/a~"s, "/~~0"s, "/a/~x"s);
  CHECK_THROWS_MATCHES(CanonicalJson({"/ok", pointer}), Error,
                       support::has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(CanonicalJson({""}), Error, support::says<Error>("the whole body"));
}
