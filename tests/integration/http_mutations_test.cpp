// Valid requests with something changed at random: whatever a stricter reader than the server's does not
// take for a complete request, is not charged.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/guarded_server.hpp"
#include "support/raw_client.hpp"

using namespace integration;
using namespace std::chrono_literals;

namespace {

/// How many complete POSTs `bytes` begin with. Written apart from the server's reader, and simpler: it takes
/// less care of what a field means, but none for well framed that is not.
std::size_t complete_posts(std::string_view bytes) {
  std::size_t posts = 0;
  const auto field = [](std::string_view head, std::string_view wanted, std::size_t& times) {
    std::string_view found;
    times = 0;
    for (auto at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at)) {
      at += 2;
      const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
      if (line.size() < wanted.size() || line.find(':') != wanted.size()) continue;
      if (!std::equal(wanted.begin(), wanted.end(), line.begin(),
                      [](char a, char b) { return a == b || (a | 0x20) == (b | 0x20); }))
        continue;
      ++times;
      found = line.substr(wanted.size() + 1);
      while (!found.empty() && (found.front() == ' ' || found.front() == '\t')) found.remove_prefix(1);
      while (!found.empty() && (found.back() == ' ' || found.back() == '\t')) found.remove_suffix(1);
    }
    return found;
  };
  for (;;) {
    if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
    const auto end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return posts;
    const std::string_view head = bytes.substr(0, end);
    bytes.remove_prefix(end + 4);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    if (!line.ends_with(" HTTP/1.1") && !line.ends_with(" HTTP/1.0")) return posts;
    for (const char c : head)
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
        return posts;
    std::size_t lengths, codings;
    const std::string_view length = field(head, "content-length", lengths);
    const std::string_view coding = field(head, "transfer-encoding", codings);
    if (lengths + codings > 1 || (lengths + codings == 0 && line.starts_with("POST "))) return posts;
    if (codings == 1) {
      if (coding.size() != 7) return posts;
      for (;;) {
        const auto line_end = bytes.find("\r\n");
        if (line_end == bytes.npos || line_end == 0) return posts;
        const std::size_t size = std::strtoul(std::string(bytes.substr(0, line_end)).c_str(), nullptr, 16);
        bytes.remove_prefix(line_end + 2);
        if (size == 0) {
          while (!bytes.starts_with("\r\n")) {  // trailers
            const auto trailer = bytes.find("\r\n");
            if (trailer == bytes.npos) return posts;
            bytes.remove_prefix(trailer + 2);
          }
          bytes.remove_prefix(2);
          break;
        }
        if (bytes.size() < size + 2 || bytes.substr(size, 2) != "\r\n") return posts;
        bytes.remove_prefix(size + 2);
      }
    } else if (lengths == 1) {
      if (length.empty() || length.find_first_not_of("0123456789") != length.npos || length.size() > 9)
        return posts;
      const std::size_t size = std::strtoul(std::string(length).c_str(), nullptr, 10);
      if (bytes.size() < size) return posts;
      bytes.remove_prefix(size);
    }
    if (line.starts_with("POST ")) ++posts;
  }
}

std::vector<std::string> valid(const std::string& key) {
  const std::string fields =
      " HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/x-www-form-urlencoded\r\n";
  const std::string named = "Idempotency-Key: \"" + key;
  return {
      "POST /pay" + fields + named + "\"\r\nContent-Length: 23\r\n\r\namount=450&currency=EUR",
      "POST /pay" + fields + "Transfer-Encoding: chunked\r\n" + named +
          "\"\r\n\r\na\r\namount=450\r\nd;x=y\r\n&currency=EUR\r\n0\r\nA: b\r\n\r\n",
      "POST /pay?a=%20" + fields + named + "a\"\r\nContent-Length: 10\r\n\r\namount=450POST /pay" + fields +
          named + "b\"\r\nContent-Length: 10\r\n\r\namount=451",
      "GET /probe HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 96\r\n\r\nPOST /pay" + fields + named +
          "c\"\r\nContent-Length: 10\r\n\r\namount=450",
      "POST /strict HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\n" + named +
          "\"\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: "
          "14\r\n\r\n{\"amount\":450}",
  };
}

template <class Random>
void mutate(std::string& bytes, Random& random) {
  const auto below = [&](std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
  };
  constexpr std::string_view telling = std::string_view("\r\n\0 \t:,;\"%?/0159afx-+\x7f\xff", 24);
  const char* const pieces[] = {"\r\n",
                                "\r\n\r\n",
                                "Content-Length: 5\r\n",
                                "Transfer-Encoding: chunked\r\n",
                                "0\r\n\r\n",
                                "\r\n ",
                                "Host: a\r\n",
                                "HTTP/1.0",
                                "POST /pay HTTP/1.1\r\n",
                                "Idempotency-Key: \"k\"\r\n"};
  for (std::size_t changes = 1 + below(3); changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = below(bytes.size());
    switch (below(7)) {
      case 0: bytes[at] = telling[below(telling.size())]; break;
      case 1: bytes[at] = static_cast<char>(below(256)); break;
      case 2: bytes.erase(at, 1 + below(4)); break;
      case 3: bytes.insert(at, 1, telling[below(telling.size())]); break;
      case 4: bytes.insert(at, pieces[below(std::size(pieces))]); break;
      case 5: bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(40))); break;
      case 6: bytes.resize(at); break;
    }
  }
}

void are_harmless(std::chrono::steady_clock::duration time) {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  GuardedServer server;
  std::size_t requests = 0, charged = 0, unchanged = 0;
  for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;
       ++requests) {
    std::vector<std::string> all = valid("key" + std::to_string(requests));
    std::string bytes = all[random() % all.size()];
    if (requests % 16 == 0)
      ++unchanged;
    else
      mutate(bytes, random);
    const std::size_t before = server.charges().size();
    RawClient client(server.port());
    client.send(bytes);
    client.half_close();
    std::size_t paid = 0;
    CAPTURE(bytes);
    while (const auto answer = client.answer()) {
      REQUIRE(answer->status >= 100);
      REQUIRE(answer->status < 600);
      REQUIRE(answer->status != 500);
      if (answer->told() == "200" && answer->body == "paid") ++paid;
    }
    const std::size_t charges = server.charges().size() - before;
    REQUIRE(charges == paid);
    REQUIRE(charges <= complete_posts(bytes));
    charged += charges;
  }
  INFO(requests << " requests, " << charged << " charges");
  CHECK(charged >= unchanged / 2);  // most of what is valid is paid
  CHECK(charged < 2 * requests);
}

}  // namespace

TEST_CASE("requests with random changes charge no more than what is whole in them", "[http][hostile]") {
  are_harmless(1s);
}

TEST_CASE("requests with random changes charge no more than what is whole in them, for a minute", "[soak]") {
  are_harmless(60s);
}
