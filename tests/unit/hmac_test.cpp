// HMAC-SHA-256: the test cases of RFC 4231, and keys on both sides of a block.

#include <paidonce/digest/hmac.hpp>

#include <string>

#include <paidonce/digest/hex.hpp>
#include "support/catch.hpp"

using namespace paidonce;

namespace {

std::string hex(const detail::Digest& digest) {
  std::string text(64, ' ');
  detail::hex(digest.data(), digest.size(), text.data());
  return text;
}

std::string counting(std::size_t from, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(from + i);
  return bytes;
}

}  // namespace

TEST_CASE("the test cases of RFC 4231 come out as printed", "[hmac]") {
  const struct {
    int number;
    std::string key, data, code;
  } cases[] = {
      {1, std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {2, "Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {3, std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {4, counting(1, 25), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {6, std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {7, std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
       "to be hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& test : cases) {
    INFO("test case " << test.number);
    CHECK(hex(detail::hmac_sha256(test.key, test.data)) == test.code);
  }
  INFO("test case 5, of which the RFC prints the first 128 bits");
  CHECK(hex(detail::hmac_sha256(std::string(20, '\x0c'), "Test With Truncation")).substr(0, 32) ==
        "a3b6167473100ee06e0c796c2955552b");
}

TEST_CASE("codes for keys and messages of 0 to 150 bytes are those of an independent program", "[hmac]") {
  detail::Sha256 all;
  for (std::size_t size = 0; size <= 150; ++size) {
    const detail::Digest code = detail::hmac_sha256(counting(0, size), counting(0, size));
    all.update({reinterpret_cast<const char*>(code.data()), code.size()});
  }
  CHECK(hex(all.finish()) == "ecfc71cda4e210b953eefeec1c7e0072a9853889f5164031d0453bfa78ee97b6");
}

TEST_CASE("one key makes any number of codes", "[hmac]") {
  const detail::HmacKey key("Jefe");
  detail::Sha256 first = key.start();
  detail::Sha256 second = key.start();
  first.update("what do ya want ");
  second.update("something else");
  first.update("for nothing?");
  CHECK(hex(key.finish(first)) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(key.finish(second)) == hex(detail::hmac_sha256("Jefe", "something else")));
}

TEST_CASE("wiped memory holds zeros and its neighbours what they held", "[hmac]") {
  std::string secret = "abcdef";
  detail::wipe(secret.data() + 1, 4);
  CHECK(secret == std::string("a\0\0\0\0f", 6));
}
