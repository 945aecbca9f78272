// What a client makes of replies and failures, without any connection.

#include <paidonce/http/client_policy.hpp>

#include <string>
#include <vector>

#include <paidonce/http/base_url.hpp>
#include <paidonce/http/retry_after.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using namespace paidonce::http;
using namespace std::chrono_literals;

namespace {

using enum ReplyMeaning;

Response problem_of(ProblemKind kind) { return problem_response(problem(kind), "https://example.com/p#"); }

Response with(int status, std::vector<Field> fields) { return {status, std::move(fields), ""}; }

Timestamp moment(long long seconds) { return Timestamp(std::chrono::seconds(seconds)); }

}  // namespace

TEST_CASE("every status has a meaning for a client", "[http][client]") {
  for (int status = 0; status < 700; ++status) {
    const bool is_settled = (status >= 200 && status < 300) || status == 303 || status == 402;
    const bool is_again =
        status < 200 || status >= 499 || status == 408 || status == 423 || status == 425 || status == 429;
    CAPTURE(status);
    CHECK(meaning_of_reply({status, {}, ""}) == (is_settled ? settled : is_again ? again : turned_away));
  }
}

TEST_CASE("a conflict is asked again where another try is being carried out", "[http][client]") {
  CHECK(meaning_of_reply(with(409, {})) == turned_away);
  CHECK(meaning_of_reply(with(409, {{"retry-after", "1"}})) == again);
  CHECK(meaning_of_reply(problem_of(ProblemKind::in_progress)) == again);
  Response refused = problem_of(ProblemKind::refused);
  CHECK(meaning_of_reply(refused) == turned_away);
  refused.set("Retry-After", "1");
  CHECK(meaning_of_reply(refused) == turned_away);
  Response other = problem_of(ProblemKind::in_progress);
  other.set("Content-Type", "text/html");  // not a problem: its text means nothing
  CHECK(meaning_of_reply(other) == turned_away);
}

TEST_CASE("problems of this library mean to a client what they say", "[http][client]") {
  const auto [kind, meaning] = GENERATE(table<ProblemKind, ReplyMeaning>({
      {ProblemKind::key_missing, turned_away},
      {ProblemKind::key_malformed, turned_away},
      {ProblemKind::body_malformed, turned_away},
      {ProblemKind::body_too_large, turned_away},
      {ProblemKind::in_progress, again},
      {ProblemKind::key_reused, turned_away},
      {ProblemKind::refused, turned_away},
      {ProblemKind::in_doubt, again},
      {ProblemKind::not_executed, again},
      {ProblemKind::store_unavailable, again},
      {ProblemKind::internal, again},
  }));
  CHECK(meaning_of_reply(problem_of(kind)) == meaning);
  SendProgress progress(RequestKey::first_use("a"));
  progress.replied(problem_of(kind), meaning);
  CHECK(progress.new_key() == problem(kind).new_key);
  const bool open = meaning == again && problem(kind).new_key == NewKey::unsafe;
  CHECK(progress.status() == (open ? SendStatus::unknown : SendStatus::answered));
}

TEST_CASE("that a new key is safe is believed only where the server says it as a member", "[http][client]") {
  const auto believed = [](const std::string& body, const std::string& type = "application/problem+json") {
    SendProgress progress(RequestKey::first_use("a"));
    progress.replied({503, {{"Content-Type", type}}, body}, again);
    return progress.new_key() == NewKey::safe;
  };
  CHECK(believed(R"({"new_key_is_safe":true})"));
  CHECK(believed("{\"new_key_is_safe\" :\n true }", "application/problem+json; charset=utf-8"));
  CHECK_FALSE(believed(R"({"new_key_is_safe":true})", "application/json"));
  CHECK_FALSE(believed(R"({"new_key_is_safe":false})"));
  CHECK_FALSE(believed(R"({"new_key_is_safe":true)"));  // and then?
  CHECK_FALSE(believed(R"({"new_key_is_safe":trueish})"));
  CHECK_FALSE(believed(R"({"detail":"\"new_key_is_safe\":true"})"));
  CHECK_FALSE(believed(R"({"new_key_is_safe")"));
  CHECK_FALSE(believed(R"({"new_key_is_safe":)"));
  CHECK_FALSE(believed(""));
}

TEST_CASE("a doubt stays until this key is answered", "[http][client]") {
  SendProgress progress(RequestKey::first_use("a"));
  CHECK(progress.status() == SendStatus::nothing_sent);
  CHECK(progress.new_key() == NewKey::safe);
  CHECK(progress.failed(TryEnd::not_connected) == NextStep::try_again);
  CHECK(progress.status() == SendStatus::nothing_sent);
  CHECK(progress.new_key() == NewKey::safe);

  CHECK(progress.failed(TryEnd::no_whole_reply) == NextStep::try_again);
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.failed(TryEnd::not_connected) == NextStep::try_again);
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.new_key() == NewKey::unsafe);
  // That this try was not carried out says nothing of the one that is still under way.
  CHECK(progress.replied(problem_of(ProblemKind::not_executed), again) == NextStep::try_again);
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.new_key() == NewKey::unsafe);
  CHECK(progress.replied({404, {}, ""}, turned_away) == NextStep::finish);
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.replied({200, {}, "paid"}, settled) == NextStep::finish);
  CHECK(progress.status() == SendStatus::answered);
}

TEST_CASE("a server whose certificate is not trusted is not asked again, and got nothing", "[http][client]") {
  SendProgress progress(RequestKey::first_use("a"));
  CHECK(progress.failed(TryEnd::not_trusted) == NextStep::finish);
  CHECK(progress.status() == SendStatus::nothing_sent);
}

TEST_CASE("a failure that is replayed is not asked for again", "[http][client]") {
  SendProgress progress(RequestKey::first_use("a"));
  CHECK(progress.replied(with(500, {{"Idempotent-Replayed", "true"}}), again) == NextStep::finish);
  CHECK(progress.status() == SendStatus::unknown);
}

TEST_CASE("a key that may have been sent leaves a request unknown until it is answered", "[http][client]") {
  SendProgress progress(RequestKey::again("a"));
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.new_key() == NewKey::unsafe);
  progress.replied(problem_of(ProblemKind::key_missing), turned_away);
  CHECK(progress.status() == SendStatus::unknown);
  CHECK(progress.new_key() == NewKey::unsafe);
}

TEST_CASE("the key of a request is one line, quoted or bare", "[http][client]") {
  CHECK(RequestKey::first_use("order-17").field_value(KeyForm::quoted) == "\"order-17\"");
  CHECK(RequestKey::first_use("order-17").field_value(KeyForm::bare) == "order-17");
  CHECK(RequestKey::fresh().text().size() == 36);
  CHECK(RequestKey::fresh() != RequestKey::fresh());
  CHECK_FALSE(RequestKey::fresh().may_have_been_sent());
  for (const char* text : {"", "a\r\nX: y", "\xc3\xa9"})
    CHECK_THROWS_MATCHES(RequestKey::again(text), Error, support::has_code<Error>(errc::invalid_key));
  for (const char* text : {" a", "a b", "\"a\"", "a,b", "a;b", "a\\"}) {
    const RequestKey key = RequestKey::first_use(text);
    CHECK_THROWS_MATCHES(key.field_value(KeyForm::bare), Error, support::has_code<Error>(errc::invalid_key));
  }
}

TEST_CASE("dates are read in the three forms of HTTP", "[http][client]") {
  const Timestamp in_1994 = moment(784111777);
  const Timestamp now = moment(1'700'000'000);
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", now) == in_1994);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now) == in_1994);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994", now) == in_1994);
  CHECK(parse_http_date("Wed, 16-Nov-16 00:00:00 GMT", now) == moment(1479254400));
  CHECK(parse_http_date("Fri, 16-Nov-73 00:00:00 GMT", now) == moment(3278016000));  // 50 years ahead
  CHECK(parse_http_date("Fri, 16-Nov-74 00:00:00 GMT", now) == moment(153792000));
  CHECK(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", now) == moment(1483228800));
  for (const char* text :
       {"", "Sun", "Sun,", "Sun, ", "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37 GMT"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text, now).has_value());
  }
}

TEST_CASE("Retry-After is a time to wait, or nothing", "[http][client]") {
  const Timestamp now = moment(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  const auto asked = [&](const std::string& value) {
    return retry_after(with(503, {{"retry-after", value}}), now);
  };
  CHECK(asked("0") == Duration(0));
  CHECK(asked("120") == Duration(120s));
  CHECK(asked(" 120\t") == Duration(120s));
  CHECK(asked("Sun, 06 Nov 1994 08:50:37 GMT") == Duration(60s));
  CHECK(asked("Sun, 06 Nov 1994 08:40:37 GMT") == Duration(0));
  CHECK(asked("99999999999999999999999") == Duration(std::chrono::years(100)));
  CHECK(asked("Fri, 31 Dec 9999 23:59:59 GMT") == Duration(std::chrono::years(100)));
  for (const char* value : {"", "-1", "+1", "1.5", "1s", "soon", "1, 2"}) {
    CAPTURE(value);
    CHECK_FALSE(asked(value).has_value());
  }
  CHECK_FALSE(retry_after(with(503, {}), now).has_value());
  CHECK(retry_after(with(503, {{"Retry-After", "soon"}, {"Retry-After", "3"}, {"Retry-After", "2"}}), now) ==
        Duration(3s));
  // The clock that the date was made with is the server's.
  CHECK(retry_after(with(503, {{"Date", "Sun, 06 Nov 1994 09:49:37 GMT"},
                               {"Retry-After", "Sun, 06 Nov 1994 09:49:40 GMT"}}),
                    now) == Duration(3s));
  CHECK(retry_after(with(503, {{"Date", "today"}, {"Retry-After", "Sun, 06 Nov 1994 08:49:40 GMT"}}), now) ==
        Duration(3s));
}

TEST_CASE("a server's address is its scheme, host and port", "[http][client]") {
  CHECK(base_url("http://127.0.0.1:8000") == "http://127.0.0.1:8000");
  CHECK(base_url("https://api.example.com//") == "https://api.example.com");
  CHECK(base_url("http://[::1]:8000") == "http://[::1]:8000");
  CHECK(base_url("http://[::1]") == "http://[::1]");
  for (const char* url :
       {"", "/", "http://", "https:///", "127.0.0.1:8000", "ftp://a", "HTTP://a", "http://a/b", "http://a?b",
        "http://a#b", "http://u:p@a", "http://a b", "http://:80", "http://a:", "http://a:0", "http://a:65536",
        "http://a:80x", "http://a\r\n", "http://\xc3\xa9"}) {
    CAPTURE(url);
    CHECK_THROWS_MATCHES(base_url(url), Error, support::has_code<Error>(errc::invalid_options));
  }
}

TEST_CASE("the end of a reply is known from its length, or its chunks", "[http][client]") {
  const auto ends = [](std::vector<Field> fields) { return tells_its_end(with(200, std::move(fields))); };
  CHECK(ends({{"content-length", "0"}}));
  CHECK(ends({{"Content-Length", "12"}, {"Content-Length", "12"}}));
  CHECK(ends({{"Transfer-Encoding", "Chunked"}}));
  CHECK_FALSE(ends({}));
  for (const char* length : {"", "-1", "+1", "1x", "0x1", " 1", "1, 1", "9999999999999999999"})
    CHECK_FALSE(ends({{"Content-Length", length}}));
  CHECK_FALSE(ends({{"Content-Length", "1"}, {"Content-Length", "2"}}));
  CHECK_FALSE(ends({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}));
  CHECK_FALSE(ends({{"Transfer-Encoding", "gzip"}, {"Transfer-Encoding", "chunked"}}));
  CHECK_FALSE(ends({{"Transfer-Encoding", "gzip, chunked"}}));
}
