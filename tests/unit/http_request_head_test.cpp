// What is a request and what is none, byte by byte, without a socket: heads, and bodies in chunks.

#include <paidonce/http/request_head.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <paidonce/http/chunked_body.hpp>

#include "support/catch.hpp"

using namespace paidonce::http;
using namespace std::string_literals;

namespace {

/// Reads from memory of exactly this size, so that a sanitizer sees a byte too many.
std::variant<RequestHead, Refusal> read(const std::vector<char>& text) {
  return read_request_head({text.data(), text.size()});
}
std::vector<char> bytes(const std::string& text) { return {text.begin(), text.end()}; }

/// The status of the refusal; 0 for a head that is accepted.
int refused(const std::string& text) {
  const std::vector<char> kept = bytes(text);
  const auto read_head = read(kept);
  const auto* why = std::get_if<Refusal>(&read_head);
  if (why == nullptr) return 0;
  CHECK(why->detail.size() > 10);
  return why->status;
}
int line(const std::string& request_line) { return refused(request_line + "\r\nHost: a\r\n\r\n"); }
/// POST with these fields, each with its end.
int fields(const std::string& more) { return refused("POST / HTTP/1.1\r\nHost: a\r\n" + more + "\r\n"); }
int with_length(const std::string& more) { return fields("Content-Length: 1\r\n" + more); }

// What is behind a text is not looked at: reading it would not compile.
static_assert(!paidonce::http::detail::sound_path(std::string_view("/%411").substr(0, 3)));
static_assert(paidonce::http::detail::sound_path("/%41"));

RequestHead accepted(std::string_view text) {
  auto read_head = read_request_head(text);
  REQUIRE(std::holds_alternative<RequestHead>(read_head));
  return std::get<RequestHead>(std::move(read_head));
}

}  // namespace

TEST_CASE("a head is its method, target, fields and the length of its body", "[http][request_head]") {
  const RequestHead head = accepted(
      "\r\nPOST /pay?a=%zz HTTP/1.1\r\nHost:a\r\nContent-Length:\t 0123 \t\r\nX-Empty:\r\n"
      "Idempotency-Key: \"a%41\"\r\nidempotency-key: b\r\n\r\nleft alone");
  CHECK(head.method == "POST");
  CHECK(head.target == "/pay?a=%zz");  // a query is its handler's
  REQUIRE(head.fields.size() == 5);
  CHECK(head.fields[1].value == "0123");
  CHECK(head.fields[2].value.empty());
  CHECK(head.fields[3].value == "\"a%41\"");
  CHECK(head.fields[4].name == "idempotency-key");
  CHECK(head.length == 123);
  CHECK_FALSE(head.chunked);
  CHECK(head.keeps_alive);
  CHECK_FALSE(head.expects_continue);
}

TEST_CASE("a target is a path, also behind a scheme and a host", "[http][request_head]") {
  const auto [sent, target] = GENERATE(table<std::string, std::string>({{"/", "/"},
                                                                        {"/a%20b?c", "/a%20b?c"},
                                                                        {"http://a/pay?b", "/pay?b"},
                                                                        {"HTTPS://a/", "/"},
                                                                        {"http://a", "/"}}));
  const std::string text = "GET " + sent + " HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(accepted(text).target == target);
}

TEST_CASE("request lines that are refused", "[http][request_head]") {
  const std::string longest = "/" + std::string(longest_target - 1, 'a');
  const auto [sent, status] = GENERATE_COPY(table<std::string, int>({
      {"OPTIONS * HTTP/1.1", 0},
      {"GET " + longest + " HTTP/1.1", 0},
      {"GET /~!$&'()*+,;=:@\"<>[]^`{|} HTTP/1.1", 0},
      {"GET " + longest + "a HTTP/1.1", 414},
      {"", 400},
      {"GET", 400},
      {"GET /", 400},
      {"GET  HTTP/1.1", 400},
      {"GET  / HTTP/1.1", 400},
      {"GET /  HTTP/1.1", 400},
      {" GET / HTTP/1.1", 400},
      {"GET / HTTP/1.1 ", 400},
      {"GET\t/ HTTP/1.1", 400},
      {"GET / HTTP/1", 400},
      {"GET / HTTP/1.10", 400},
      {"GET / HTTP/1,1", 400},
      {"GET / HTTP/x.1", 400},
      {"GET / HTTP/1.x", 400},
      {"GET / http/1.1", 400},
      {"GET / HTTP/1.2", 505},
      {"GET / HTTP/0.9", 505},
      {"GET / HTTP/2.0", 505},
      {"G@T / HTTP/1.1", 400},
      {"get / HTTP/1.1", 501},
      {"CONNECT / HTTP/1.1", 501},
      {"GETS / HTTP/1.1", 501},
      {"GET * HTTP/1.1", 400},
      {"OPTIONS ** HTTP/1.1", 400},
      {"GET pay HTTP/1.1", 400},
      {"GET ftp://a/ HTTP/1.1", 400},
      {"GET http://a?b HTTP/1.1", 400},
      {"GET /a#b HTTP/1.1", 400},
      {"GET /a\x7f HTTP/1.1", 400},
      {"GET /a\x80 HTTP/1.1", 400},
      {"GET /a\x1f HTTP/1.1", 400},
      {"GET /a\0b HTTP/1.1"s, 400},
      {"GET /a\rb HTTP/1.1", 400},
      {"GET /a b HTTP/1.1", 400},
      {"GET /?a?b HTTP/1.1", 400},
      {"GET /%0 HTTP/1.1", 400},
      {"GET /% HTTP/1.1", 400},
      {"GET /%g0 HTTP/1.1", 400},
      {"GET /%0g HTTP/1.1", 400},
      {"GET /%00 HTTP/1.1", 400},
      {"GET /%41%0 HTTP/1.1", 400},
      {"GET /%0?1 HTTP/1.1", 400},
      {"GET /%01 HTTP/1.1", 0},
      {"GET /%e0?%00 HTTP/1.1", 0},
  }));
  INFO(sent);
  CHECK(line(sent) == status);
}

TEST_CASE("methods that are served", "[http][request_head]") {
  const std::string method = GENERATE("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  CHECK(refused(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == 0);
  const bool has_body = method == "POST" || method == "PUT" || method == "PATCH";
  CHECK(line(method + " / HTTP/1.1") == (has_body ? 411 : 0));
}

TEST_CASE("lines of a head that are refused", "[http][request_head]") {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const auto [sent, status] = GENERATE_COPY(table<std::string, int>({
      {"", 400},
      {"\r\n", 400},
      {"\r\n\r\n" + get + "\r\n", 400},  // one empty line, not two
      {get + "a\n\r\n", 400},
      {get + "a: b", 400},
      {get + "a\r\n\r\n", 400},
      {get + ": a\r\n\r\n", 400},
      {get + "a : b\r\n\r\n", 400},
      {get + " a: b\r\n\r\n", 400},  // continued
      {get + "\ta: b\r\n\r\n", 400},
      {get + "a(: b\r\n\r\n", 400},
      {get + "a\x80: b\r\n\r\n", 400},
      {get + "a: b\rc\r\n\r\n", 400},
      {get + "a: b\nc: d\r\n\r\n", 400},
      {get + "a: \0\r\n\r\n"s, 400},
      {get + "a: \x01\r\n\r\n", 400},
      {get + "a: \x7f\r\n\r\n", 400},
      {get + "a: b\tc \xff:\r\n\r\n", 0},
  }));
  INFO(sent);
  CHECK(refused(sent) == status);
}

TEST_CASE("a head has so many fields", "[http][request_head]") {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t at = 1; at < most_fields; ++at) text += "a: b\r\n";
  CHECK(refused(text + "\r\n") == 0);
  CHECK(refused(text + "a: b\r\n\r\n") == 431);
}

TEST_CASE("fields that say how a body is framed", "[http][request_head]") {
  const auto [more, status] = GENERATE(table<std::string, int>({
      {"Content-Length: 0\r\n", 0},
      {"Content-Length: 18446744073709551615\r\n", 0},
      {"Content-Length: 18446744073709551616\r\n", 400},
      {"Content-Length: 99999999999999999999999999999999999999999\r\n", 400},
      {"Content-Length:\r\n", 400},
      {"Content-Length: -1\r\n", 400},
      {"Content-Length: +1\r\n", 400},
      {"Content-Length: 1a\r\n", 400},
      {"Content-Length: 0x1\r\n", 400},
      {"Content-Length: 1,1\r\n", 400},
      {"Content-Length: 1 1\r\n", 400},
      {"Content-Length: 1\r\ncontent-length: 1\r\n", 400},
      {"", 411},
      {"Transfer-Encoding: Chunked\r\n", 0},
      {"Transfer-Encoding: gzip, chunked\r\n", 501},
      {"Transfer-Encoding: chunked, chunked\r\n", 501},
      {"Transfer-Encoding: xchunked\r\n", 501},
      {"Transfer-Encoding:\r\n", 501},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400},
      {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400},
  }));
  INFO(more);
  CHECK(fields(more) == status);
}

TEST_CASE("fields that are refused beside a length", "[http][request_head]") {
  const auto [more, status] = GENERATE(table<std::string, int>({
      {"Host: a\r\n", 400},
      {"host: b\r\n", 400},
      {"Expect: 100-Continue\r\n", 0},
      {"Expect: 200-ok\r\n", 417},
      {"Expect:\r\n", 417},
      {"Content-Encoding: Identity\r\n", 0},
      {"Content-Encoding:\r\n", 0},
      {"Content-Encoding: gzip\r\n", 415},
      {"Content-Encoding: identity, gzip\r\n", 415},
      {"Content-Type: text/multipart/\r\n", 0},
      {"Content-Type: multipart\r\n", 0},
      {"Content-Type: Multipart/form-data\r\n", 415},
  }));
  INFO(more);
  CHECK(with_length(more) == status);
}

TEST_CASE("HTTP/1.0 needs no Host, keeps no connection and has no chunks", "[http][request_head]") {
  const RequestHead head = accepted(
      "POST / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n");
  CHECK_FALSE(head.keeps_alive);
  CHECK_FALSE(head.expects_continue);
  CHECK(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
}

TEST_CASE("what a head says about its connection and its body", "[http][request_head]") {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
  CHECK(accepted(post + "\r\n").chunked);
  CHECK(accepted(post + "Expect: 100-continue\r\n\r\n").expects_continue);
  CHECK_FALSE(accepted(post + "Connection: te , Close\r\n\r\n").keeps_alive);
  CHECK_FALSE(accepted(post + "Connection: close\r\nConnection: keep-alive\r\n\r\n").keeps_alive);
  CHECK(accepted(post + "Connection: closed, te\r\n\r\n").keeps_alive);
}

namespace {

constexpr std::size_t largest = 64;

/// What came of a body: how many bytes were taken, whether it ended, with what.
struct Taken {
  std::size_t count = 0;
  bool ended = false;
  int status = 0;
  std::string body = {};
  bool operator==(const Taken&) const = default;
};

/// In pieces that end at these places.
Taken take(const std::string& sent, std::vector<std::size_t> places = {}, std::size_t most = largest) {
  ChunkedBody chunks(most);
  Taken taken;
  places.push_back(sent.size());
  for (const std::size_t place : places) {
    const std::vector<char> piece(sent.begin() + static_cast<std::ptrdiff_t>(taken.count),
                                  sent.begin() + static_cast<std::ptrdiff_t>(place));
    const std::size_t count = chunks.take({piece.data(), piece.size()});
    taken.count += count;
    if (count < piece.size()) {
      CHECK((chunks.ended() || chunks.refusal().status != 0));
      break;
    }
  }
  taken.ended = chunks.ended();
  taken.status = chunks.refusal().status;
  taken.body = chunks.body();
  CHECK_FALSE((taken.ended && taken.status != 0));
  return taken;
}

/// The same in one piece, in two and three pieces wherever they end, and byte by byte.
Taken take_split(const std::string& sent) {
  const Taken whole = take(sent);
  std::vector<std::size_t> each;
  for (std::size_t one = 1; one < sent.size(); ++one) {
    each.push_back(one);
    for (std::size_t two = one; two < sent.size(); ++two)
      if (!(take(sent, {one, two}) == whole)) FAIL("split at " << one << " and " << two << ": " << sent);
  }
  CHECK(take(sent, each) == whole);
  return whole;
}

}  // namespace

TEST_CASE("a body in chunks is the same however it arrives", "[http][chunked_body]") {
  const auto [sent, body] = GENERATE(table<std::string, std::string>({
      {"0\r\n\r\n", ""},
      {"000000000000000\r\n\r\n", ""},
      {"3\r\nabc\r\n0\r\n\r\n", "abc"},
      {"00000000000000A\r\n0123456789\r\n00b\r\n\r\n0\r\n\r\n\r\nxy\r\n0\r\n\r\n",
       "0123456789\r\n0\r\n\r\n\r\nxy"},
      {"1;a;b=\"c\t\x80\"\r\na\r\n0;\r\n\r\n", "a"},
      {"1\r\na\r\n0\r\nIdempotency-Key: \"b\"\r\nno colon\t\xff\r\n\r\n", "a"},
  }));
  const Taken taken = take_split(sent);
  CHECK(taken == Taken{sent.size(), true, 0, body});
  // What follows is the next request's.
  Taken followed = take_split(sent + "GET /");
  CHECK(followed == taken);
  // Less is no end.
  for (std::size_t count = 0; count < sent.size(); ++count) {
    const Taken less = take(sent.substr(0, count));
    CHECK((!less.ended && less.status == 0 && less.count == count));
  }
}

TEST_CASE("chunks that are malformed", "[http][chunked_body]") {
  const std::string sent = GENERATE(
      as<std::string>(), "\r\n", ";a\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n",
      "1\t\r\n", "1\n", "1\ra", "1\r\r\n", "0000000000000001\r\na\r\n", "10000000000000001\r\na\r\n",
      "ffffffffffffffff\r\n", "1;a\n", "1;\x01\r\n", "1;\x7f\r\n", "1;a\rb\r\n", "1\r\nab\r\n", "1\r\na\n",
      "1 \na\r\n", "1\n\na\r\n", "1\rxa\r\n", "1\r\nax\n", "1;\x01\r\na\r\n", "1;\x7f\r\na\r\n",
      "1;a\n\r\na\r\n", "1\r\na\r\r", "1\r\na\r0", "1\r\na\r\n\r\n", "1\r\na\r\n0\n", "1\r\na0\r\n\r\n",
      "0\r\n\n", "0\r\na\n", "0\r\n\ra", "0\r\na\x01\r\n", "0\r\na\x7f\r\n", "0\r\na\rb\r\n");
  INFO(sent);
  const Taken taken = take_split(sent + "0\r\n\r\n");
  CHECK(taken.status == 400);
  CHECK_FALSE(taken.ended);
}

TEST_CASE("a body in chunks has so many bytes", "[http][chunked_body]") {
  const std::string data(largest - 1, 'a');
  CHECK(take_split("3f\r\n" + data + "\r\n1\r\na\r\n0\r\n\r\n") == Taken{largest + 16, true, 0, data + "a"});
  const Taken taken = take_split("3f\r\n" + data + "\r\n2\r\nab\r\n0\r\n\r\n");
  CHECK(taken == Taken{4 + data.size() + 5, false, 413, data});  // before the chunk comes
  CHECK(take("41\r\n").status == 413);
  CHECK(take("fffffffffffffff\r\n").status == 413);
  CHECK(take("1\r\n", {}, 0).status == 413);
  CHECK(take("0\r\n\r\n", {}, 0).ended);
}

TEST_CASE("what is around the chunks has so many bytes", "[http][chunked_body]") {
  const std::size_t most = largest + 4096;
  const std::string open = GENERATE("0;", "0\r\na");
  const std::string close = "\r\n\r\n";
  const std::string filled = open + std::string(most - open.size() - close.size(), 'b');
  CHECK(take(filled + close) == Taken{most, true, 0, ""});
  CHECK(take(filled + "b" + close).status == 413);
  CHECK(take(open + std::string(2 * most, 'b'), {1, most, most + 1}) == Taken{most, false, 413, ""});
  // Chunks of one byte each: 5 bytes around every one.
  std::string tiny;
  for (std::size_t at = 0; at < largest; ++at) tiny += "1\r\na\r\n";
  CHECK(take(tiny + "0\r\n\r\n").body == std::string(largest, 'a'));
}
