// What a client may get wrong, in a table: what it is answered, whether the connection is kept, and how many
// charges are made. docs/http_bad_requests.md shows the same table.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/guarded_server.hpp"
#include "support/raw_client.hpp"

using namespace integration;

namespace {

struct Row {
  const char* part;
  std::string name, bytes;
  /// "400 key-missing, kept": the answers, and what becomes of the connection.
  std::string told;
  std::size_t charges = 0;
  enum class Then { waits, half_closes } then = Then::waits;
};

const std::string form = "amount=450&currency=EUR";
const std::string form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
const std::string json_type = "Content-Type: application/json\r\n";
const std::string quoted_key = "Idempotency-Key: \"{key}\"\r\n";

std::string length_of(std::string_view body) {
  return "Content-Length: " + std::to_string(body.size()) + "\r\n";
}

/// A request with these fields beside Host.
std::string request(const std::string& line, const std::string& fields, const std::string& body) {
  return line + "\r\nHost: shop.test\r\n" + fields + "\r\n" + body;
}
/// A payment that is well but for its fields, or its body.
std::string pay(const std::string& fields = quoted_key, const std::string& body = form,
                const std::string& line = "POST /pay HTTP/1.1") {
  return request(line, fields + form_type + length_of(body), body);
}
std::string pay_json(const std::string& body, const std::string& fields = quoted_key) {
  return request("POST /strict HTTP/1.1", fields + json_type + length_of(body), body);
}
/// A payment whose framing is all in `fields`.
std::string framed(const std::string& fields, const std::string& body) {
  return request("POST /pay HTTP/1.1", quoted_key + form_type + fields, body);
}
std::string chunked(const std::string& chunks) { return framed("Transfer-Encoding: chunked\r\n", chunks); }
std::string line(const std::string& text) { return pay(quoted_key, form, text); }
std::string key(const std::string& value) { return pay("Idempotency-Key: " + value + "\r\n"); }
std::string times(std::size_t count, std::string_view text) {
  std::string all;
  while (count-- > 0) all += text;
  return all;
}

std::vector<Row> table() {
  const auto half_closes = Row::Then::half_closes;
  const std::string malformed = "400 request-malformed, closed", bad_key = "400 key-malformed, kept";
  const char* part = "The key";
  std::vector<Row> rows;
  const auto add = [&](std::string name, std::string bytes, std::string told, std::size_t charges = 0,
                       Row::Then then = Row::Then::waits) {
    rows.push_back({part, std::move(name), std::move(bytes), std::move(told), charges, then});
  };

  add("in double quotes", pay(), "200, kept", 1);
  add("bare, where that is allowed", key("{key}"), "200, kept", 1);
  add("bare, where it is not", pay_json("{\"amount\":450}", "Idempotency-Key: {key}\r\n"), bad_key);
  add("the field's name in capitals", pay("IDEMPOTENCY-KEY: \"{key}\"\r\n"), "200, kept", 1);
  add("white space around it", pay("Idempotency-Key:\t \"{key}\" \t\r\n"), "200, kept", 1);
  add("a quote and a backslash in it, escaped", key(R"("{key}\"\\")"), "200, kept", 1);
  add("255 characters", key('"' + times(249, "a") + "{key}\""), "200, kept", 1);
  add("`%41` in one and `A` in the other: two keys", key("\"{key}%41\"") + key("\"{key}A\""),
      "200, 200, kept", 2);
  add("no field", pay(""), "400 key-missing, kept");
  add("a field without a value", key(""), bad_key);
  add("`\"\"`", key("\"\""), bad_key);
  add("a quote that is not closed", key("\"{key}"), bad_key);
  add("a quote at the end alone", key("{key}\""), bad_key);
  add("two lines, different", pay("Idempotency-Key: \"a\"\r\n" + quoted_key), bad_key);
  add("two lines, equal", pay(quoted_key + quoted_key), bad_key);
  add("two values on one line", key("\"{key}\", \"b\""), bad_key);
  add("parameters behind it", key("\"{key}\"; a=1"), bad_key);
  add("a backslash before a letter", key(R"("{key}\n")"), bad_key);
  add("a tab in it", key("\"{key}\ta\""), bad_key);
  add("no ASCII", key("\"{key}\xc3\xa9\""), bad_key);
  add("256 characters", key('"' + times(250, "a") + "{key}\""), bad_key);
  add("10,000 characters", key('"' + times(10'000, "a") + '"'), bad_key);
  add("a control character in it", key("\"{key}\x01\""), malformed);
  add("a NUL in it", key(std::string("\"{key}\0\"", 9)), malformed);
  add("continued on the next line", key("\"{key}\r\n  a\""), malformed);
  add("a space before the colon", pay("Idempotency-Key : \"{key}\"\r\n"), malformed);
  add("in a trailer behind the body",
      request("POST /pay HTTP/1.1", form_type + "Transfer-Encoding: chunked\r\n",
              "17\r\n" + form + "\r\n0\r\n" + quoted_key + "\r\n"),
      "400 key-missing, kept");
  add("in the query", pay("", form, "POST /pay?Idempotency-Key={key} HTTP/1.1"), "400 key-missing, kept");

  part = "Request line";
  add("`http://shop.test/pay`, and again as `/pay`", line("POST http://shop.test/pay HTTP/1.1") + pay(),
      "200, 200 replayed, kept", 1);
  add("an empty line before it", "\r\n" + pay(), "200, kept", 1);
  add("`/%70ay`", line("POST /%70ay HTTP/1.1"), "200, kept", 1);
  add("a target of 8,000 characters", line("POST /pay?" + times(7995, "a") + " HTTP/1.1"), "200, kept", 1);
  add("HTTP/1.0", line("POST /pay HTTP/1.0"), "200, closed", 1);
  add("the same key with another query", pay() + line("POST /pay?a=1 HTTP/1.1"), "200, 422 key-reused, kept",
      1);
  add("a path of 7,000 characters that is none", line("POST /" + times(7000, "a") + " HTTP/1.1"),
      "404 request-malformed, kept");
  add("`/a/../pay`", line("POST /a/../pay HTTP/1.1"), "404 request-malformed, kept");
  add("`/pay/`", line("POST /pay/ HTTP/1.1"), "404 request-malformed, kept");
  add("`//pay`", line("POST //pay HTTP/1.1"), "404 request-malformed, kept");
  add("a target of 8,001 characters", line("POST /pay?" + times(7996, "a") + " HTTP/1.1"),
      "414 request-malformed, closed");
  add("a target of 100 KB", line("POST /pay?" + times(100'000, "a") + " HTTP/1.1"),
      "414 request-malformed, closed");
  add("`%00` in the path", line("POST /pay%00 HTTP/1.1"), malformed);
  add("`%zz` in the path", line("POST /%zzpay HTTP/1.1"), malformed);
  add("a control character in the target", line("POST /pay\x01 HTTP/1.1"), malformed);
  add("a NUL in the target", line(std::string("POST /pay\0 HTTP/1.1", 19)), malformed);
  add("no ASCII in the target", line("POST /p\xc3\xa4y HTTP/1.1"), malformed);
  add("a fragment", line("POST /pay#a HTTP/1.1"), malformed);
  add("two question marks", line("POST /pay?a?b HTTP/1.1"), malformed);
  add("no slash", line("POST pay HTTP/1.1"), malformed);
  add("two spaces", line("POST  /pay HTTP/1.1"), malformed);
  add("no version (HTTP/0.9)", line("POST /pay"), malformed);
  add("a version that is none", line("POST /pay HTTP/1.1.1"), malformed);
  add("`http/1.1`", line("POST /pay http/1.1"), malformed);
  add("HTTP/1.2", line("POST /pay HTTP/1.2"), "505 request-malformed, closed");
  add("HTTP/2.0", line("POST /pay HTTP/2.0"), "505 request-malformed, closed");
  add("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + pay(), "505 request-malformed, closed");
  add("a method that is no token", line("P@ST /pay HTTP/1.1"), malformed);
  add("`post`", line("post /pay HTTP/1.1"), "501 request-malformed, closed");
  add("`PAY`", line("PAY /pay HTTP/1.1"), "501 request-malformed, closed");
  add("CONNECT", line("CONNECT shop.test:443 HTTP/1.1"), "501 request-malformed, closed");
  add("TRACE", line("TRACE /pay HTTP/1.1"), "501 request-malformed, closed");
  for (const char* method : {"GET", "PUT", "PATCH", "DELETE", "OPTIONS"})
    add(std::string(method) + ", which this path does not have", line(std::string(method) + " /pay HTTP/1.1"),
        "404 request-malformed, kept");
  add("HEAD, which this path does not have", line("HEAD /pay HTTP/1.1"), "404, kept");
  add("bytes of TLS", std::string("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 15), malformed);
  add("nothing but empty lines", "\r\n\r\n\r\n" + pay(), malformed);
  add("nothing", "", "closed", 0, half_closes);

  part = "Header fields";
  add("a field of 8,000 bytes", pay(quoted_key + "X-Long: " + times(8000, "a") + "\r\n"), "200, kept", 1);
  add("`REMOTE_ADDR` from the client", pay(quoted_key + "REMOTE_ADDR: 10.0.0.1\r\n"), "200, kept", 1);
  add("`Range`", pay(quoted_key + "Range: bytes=0-1\r\n"), "200, kept", 1);
  add("`Connection: Close`", pay(quoted_key + "Connection: a, Close\r\n"), "200, closed", 1);
  add("`Expect: 100-continue`, the body sent at once", pay(quoted_key + "Expect: 100-continue\r\n"),
      "200, kept", 1);
  add("`Expect: 200-ok`", pay(quoted_key + "Expect: 200-ok\r\n"), "417 request-malformed, closed");
  add("101 fields", pay(quoted_key + times(101, "A: b\r\n")), "431 request-malformed, closed");
  add("16 KiB of fields", pay(quoted_key + times(4, "A: " + times(4096, "b") + "\r\n")),
      "431 request-malformed, closed");
  add("1 MB of fields", pay(quoted_key + "A: " + times(1'000'000, "b") + "\r\n"),
      "431 request-malformed, closed");
  add("a line without a colon", pay(quoted_key + "Idempotency\r\n"), malformed);
  add("no name", pay(quoted_key + ": a\r\n"), malformed);
  add("a name that is no token", pay(quoted_key + "Idempotency Key: a\r\n"), malformed);
  add("a carriage return in a value", pay(quoted_key + "A: b\rIdempotency-Key: c\r\n"), malformed);
  add("lines that end without carriage return", "POST /pay HTTP/1.1\nHost: shop.test\nContent-Length: 0\n\n",
      malformed);
  add("one line that ends without carriage return", pay("A: b\n" + quoted_key), malformed);
  add("no Host", "POST /pay HTTP/1.1\r\n" + quoted_key + form_type + length_of(form) + "\r\n" + form,
      malformed);
  add("two Hosts", pay(quoted_key + "Host: shop.test\r\n"), malformed);
  add("the head ends in the middle", "POST /pay HTTP/1.1\r\nHost: sh", malformed, 0, half_closes);

  part = "Length of the body";
  add("in chunks", chunked("5\r\n" + form.substr(0, 5) + "\r\n12\r\n" + form.substr(5) + "\r\n0\r\n\r\n"),
      "200, kept", 1);
  add("in chunks with extensions and a trailer", chunked("17;a=\"b\"\r\n" + form + "\r\n0\r\nA: b\r\n\r\n"),
      "200, kept", 1);
  add("a whole request inside the body",
      pay(quoted_key, form + "&note=\r\n\r\n" + pay("Idempotency-Key: x\r\n")), "200, kept", 1);
  add("more than announced: the rest is the next request", pay() + "amount=9\r\n\r\n",
      "200, 400 request-malformed, closed", 1);
  add("less than announced, and then the end", framed("Content-Length: 24\r\n", form), malformed, 0,
      half_closes);
  add("no Content-Length", framed("", form), "411 request-malformed, closed");
  for (const char* wrong : {"", "-1", "+23", "23a", "0x17", "2e1", "23, 23", "23 23", "99999999999999999999"})
    add("`Content-Length: " + std::string(wrong) + '`',
        framed("Content-Length: " + std::string(wrong) + "\r\n", form), malformed);
  add("Content-Length twice, different", framed("Content-Length: 23\r\nContent-Length: 5\r\n", form),
      malformed);
  add("Content-Length twice, equal", framed("Content-Length: 23\r\nContent-Length: 23\r\n", form), malformed);
  add("Content-Length of 1 TB", framed("Content-Length: 1000000000000\r\n", form),
      "413 body-too-large, closed");
  add("Transfer-Encoding and Content-Length",
      framed("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "17\r\n" + form + "\r\n0\r\n\r\n"),
      malformed);
  add("Transfer-Encoding twice",
      framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), malformed);
  add("Transfer-Encoding in HTTP/1.0",
      request("POST /pay HTTP/1.0", quoted_key + form_type + "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      malformed);
  for (const char* wrong : {"gzip, chunked", "identity", "xchunked", "chunked, identity"})
    add("`Transfer-Encoding: " + std::string(wrong) + '`',
        framed("Transfer-Encoding: " + std::string(wrong) + "\r\n", "17\r\n" + form + "\r\n0\r\n\r\n"),
        "501 request-malformed, closed");
  for (const char* wrong : {"x", "-1", "0x17", " 17", "17 ", "", "10000000000000017"})
    add("chunk of the size `" + std::string(wrong) + '`', chunked(wrong + ("\r\n" + form) + "\r\n0\r\n\r\n"),
        malformed);
  add("a chunk longer than its size", chunked("5\r\n" + form + "\r\n0\r\n\r\n"), malformed);
  add("a chunk's line without carriage return", chunked("17\n" + form + "\r\n0\r\n\r\n"), malformed);
  add("a chunk's line that ends in an extension", chunked("17;a\n" + form + "\r\n0\r\n\r\n"), malformed);
  add("a chunk of 15 digits", chunked("fffffffffffffff\r\n" + form), "413 body-too-large, closed");
  add("chunks that end in the middle", chunked("17\r\n" + form + "\r\n"), malformed, 0, half_closes);

  part = "The body";
  add("a form of 8,192 bytes", pay(quoted_key, "a=" + times(8190, "b")), "200, kept", 1);
  add("a form of 8,193 bytes", pay(quoted_key, "a=" + times(8191, "b")), "413 body-too-large, closed");
  add("JSON of 1 MiB", pay_json('"' + times((1 << 20) - 2, "a") + '"'), "200, kept", 1);
  add("JSON of 1 MiB and a byte", pay_json('"' + times((1 << 20) - 1, "a") + '"'),
      "413 body-too-large, closed");
  add("none", pay(quoted_key, ""), "400 body-malformed, kept");
  add("a form with `%zz`", pay(quoted_key, "amount=%zz"), "400 body-malformed, kept");
  add("a form that is no UTF-8", pay(quoted_key, "amount=450&note=\xff%ff"), "200, kept", 1);
  add("the same form in another order, escaped", pay() + pay(quoted_key, "currency=%45UR&amount=450"),
      "200, 200 replayed, kept", 1);
  add("another form", pay() + pay(quoted_key, "amount=451&currency=EUR"), "200, 422 key-reused, kept", 1);
  add("the same JSON, written otherwise",
      pay_json("{\"a\":1,\"b\":2}") + pay_json("{ \"b\": 2.0, \"a\": 1 }"), "200, 200 replayed, kept", 1);
  add("JSON that ends in the middle", pay_json("{\"amount\":45"), "400 body-malformed, kept");
  add("JSON with something behind it", pay_json("{} {}"), "400 body-malformed, kept");
  add("JSON with a name that comes twice", pay_json("{\"amount\":1,\"amount\":2}"),
      "400 body-malformed, kept");
  add("JSON of 100,000 arrays in each other", pay_json(times(100'000, "[") + times(100'000, "]")),
      "400 body-malformed, kept");
  add("JSON with `1e999999999`", pay_json("{\"amount\":1e999999999}"), "400 body-malformed, kept");
  add("JSON with `NaN`", pay_json("{\"amount\":NaN}"), "400 body-malformed, kept");
  add("JSON that is no UTF-8", pay_json("{\"note\":\"\xff\"}"), "400 body-malformed, kept");
  add("a form where JSON is asked for", pay(quoted_key, form, "POST /strict HTTP/1.1"),
      "415 request-malformed, kept");
  add("no Content-Type", request("POST /pay HTTP/1.1", quoted_key + length_of(form), form),
      "415 request-malformed, kept");
  add("Content-Type twice", pay(quoted_key + form_type), "415 request-malformed, kept");
  add("of several parts",
      request("POST /pay HTTP/1.1",
              quoted_key + "Content-Type: multipart/form-data; boundary=a\r\n" + length_of(form), form),
      "415 request-malformed, closed");
  add("`Content-Encoding: gzip`", pay(quoted_key + "Content-Encoding: gzip\r\n"),
      "415 request-malformed, closed");
  add("`Content-Encoding: br`", pay(quoted_key + "Content-Encoding: br\r\n"),
      "415 request-malformed, closed");
  add("`Content-Encoding: none`", pay(quoted_key + "Content-Encoding: none\r\n"),
      "415 request-malformed, closed");
  add("`Content-Encoding: identity`", pay(quoted_key + "Content-Encoding: identity\r\n"), "200, kept", 1);
  add("of a GET", request("GET /probe HTTP/1.1", length_of(form), form), "200, kept");

  part = "Several requests at once";
  std::string ten, tens_told;
  for (const char digit : std::string("0123456789")) {
    ten += key(std::string("\"{key}") + digit + '"');
    tens_told += "200, ";
  }
  add("two with one key", pay() + pay(), "200, 200 replayed, kept", 1);
  add("ten with ten keys", ten, tens_told + "kept", 10);
  add("a payment behind a malformed request", line("POST pay HTTP/1.1") + pay(), malformed);
  add("a payment behind a body too large", framed("Content-Length: 2000000\r\n", "") + pay(),
      "413 body-too-large, closed");
  add("a payment behind `Transfer-Encoding` and `Content-Length`",
      framed("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n") + pay(), malformed);
  add("a payment, a malformed request, a payment", pay() + "?\r\n\r\n" + key("\"{key}b\""),
      "200, 400 request-malformed, closed", 1);
  add("a payment behind `Connection: close`",
      request("GET /probe HTTP/1.1", "Connection: close\r\n", "") + pay(), "200, closed");
  add("the client sends no more, and reads", pay(), "200, closed", 1, half_closes);
  return rows;
}

/// With a key that no other row has, of six characters.
std::string with_key(std::string bytes, std::size_t row) {
  const std::string name = "row" + std::to_string(100 + row);
  for (auto at = bytes.find("{key}"); at != bytes.npos; at = bytes.find("{key}", at + name.size()))
    bytes.replace(at, 5, name);
  return bytes;
}

const std::string probe = request("GET /probe HTTP/1.1", "", "");

/// What the server makes of a row: its answers, and whether it still reads what follows.
std::string told(int port, const Row& row, std::size_t number) {
  RawClient client(port);
  client.send(with_key(row.bytes, number));
  if (row.then == Row::Then::half_closes) client.half_close();
  std::string text;
  const auto expected = static_cast<std::size_t>(std::count(row.told.begin(), row.told.end(), ','));
  for (std::size_t answers = 0; answers < expected; ++answers) {
    const auto answer = client.answer(row.bytes.rfind("HEAD", 0) == 0);
    if (!answer) return text + "closed";
    if (answer->status == 100) {
      --answers;
      continue;
    }
    text += answer->told() + ", ";
  }
  client.send(probe);
  const auto after = client.answer();
  if (!after) return text + "closed";
  return text + (after->body == "probe" ? "kept" : "and not asked for: " + after->told());
}

/// The table as the page has it.
std::string shown() {
  std::string text, part;
  for (const Row& row : table()) {
    if (part != row.part)
      text += (part.empty() ? "## " : "\n## ") + std::string(row.part) +
              "\n\n| request | answer | charges |\n| --- | --- | --- |\n";
    part = row.part;
    text += "| " + row.name + " | " + row.told + " | " + std::to_string(row.charges) + " |\n";
  }
  return text;
}

}  // namespace

TEST_CASE("every malformed or odd request has its documented answer, and charges what it should",
          "[http][hostile]") {
  GuardedServer server;
  const std::vector<Row> rows = table();
  CHECK(rows.size() >= 60);
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const Row& row = rows[at];
    INFO(row.part << ": " << row.name);
    const std::size_t before = server.charges().size();
    std::string seen;
    CHECK_NOTHROW(seen = told(server.port(), row, at));
    CHECK(seen == row.told);
    CHECK(server.charges().size() - before == row.charges);
  }
}

TEST_CASE("the page on bad requests shows the table", "[http][hostile][docs]") {
  std::ifstream in(PAIDONCE_DOCS "/http_bad_requests.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  INFO("What the page has to show is printed by: http_hostile_tests '[printed]'");
  CHECK(page.find(shown()) != page.npos);
}

TEST_CASE("the table for the page on bad requests", "[.][printed]") { std::fputs(shown().c_str(), stdout); }
