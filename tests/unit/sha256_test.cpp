// SHA-256: the examples of FIPS 180, and the portable way against the hardware's.

#include <paidonce/digest/sha256.hpp>

#include <cstdio>
#include <string>
#include <string_view>

#include <paidonce/digest/hex.hpp>
#include "support/catch.hpp"

using namespace paidonce;

namespace {

std::string hex(const detail::Digest& digest) {
  std::string text(64, ' ');
  detail::hex(digest.data(), digest.size(), text.data());
  return text;
}

std::string digest_by(detail::Sha256Compress compress, std::string_view message) {
  detail::Sha256 hash(compress);
  hash.update(message);
  return hex(hash.finish());
}

struct Way {
  const char* name;
  detail::Sha256Compress compress;
};

/// The portable way and the one that this processor gets; without SHA instructions they are the same.
const Way ways[] = {{"portable", detail::sha256_compress_portable}, {"best here", detail::sha256_best()}};

std::string pattern(std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>((i * 7 + size) & 255);
  return bytes;
}

}  // namespace

TEST_CASE("the examples of FIPS 180 come out as printed", "[sha256]") {
  const struct {
    std::string message, digest;
  } examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
       "mnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Way& way : ways) {
    for (const auto& example : examples) {
      INFO(way.name << ", " << example.message.size() << " bytes");
      CHECK(digest_by(way.compress, example.message) == example.digest);
    }
  }
}

TEST_CASE("both ways give the same digest at every length to 200", "[sha256]") {
  if (detail::sha256_best() == detail::sha256_compress_portable) {
    WARN("this processor has no SHA instructions: only the portable way is tested");
  }
  for (std::size_t size = 0; size <= 200; ++size) {
    CAPTURE(size);
    CHECK(digest_by(detail::sha256_best(), pattern(size)) ==
          digest_by(detail::sha256_compress_portable, pattern(size)));
  }
}

TEST_CASE("the digests of all lengths to 200 are those of an independent program", "[sha256]") {
  for (const Way& way : ways) {
    INFO(way.name);
    detail::Sha256 all(way.compress);
    for (std::size_t size = 0; size <= 200; ++size) {
      detail::Sha256 one(way.compress);
      one.update(pattern(size));
      const detail::Digest digest = one.finish();
      all.update({reinterpret_cast<const char*>(digest.data()), digest.size()});
    }
    CHECK(hex(all.finish()) == "e673d33f6940a6d3856d0d305fd88363ae0ba3b96e2411d8ddd5e0dd443f4525");
  }
}

TEST_CASE("a message may come in pieces of any size", "[sha256]") {
  const std::string message = pattern(200);
  const std::string whole = hex(detail::sha256(message));
  for (std::size_t first = 0; first <= message.size(); ++first) {
    for (const std::size_t second : {0U, 1U, 63U, 64U, 65U, 128U}) {
      detail::Sha256 hash;
      const std::string_view rest = std::string_view(message).substr(first);
      hash.update(std::string_view(message).substr(0, first));
      hash.update(rest.substr(0, second));
      if (rest.size() > second) hash.update(rest.substr(second));
      CAPTURE(first, second);
      REQUIRE(hex(hash.finish()) == whole);
    }
  }
  detail::Sha256 bytewise;
  for (const char c : message) bytewise.update(static_cast<unsigned char>(c));
  CHECK(hex(bytewise.finish()) == whole);
}

TEST_CASE("a copy of a running digest goes its own way", "[sha256]") {
  detail::Sha256 hash;
  hash.update("ab");
  detail::Sha256 copy = hash;
  hash.update("c");
  copy.update("d");
  CHECK(hex(hash.finish()) == hex(detail::sha256("abc")));
  CHECK(hex(copy.finish()) == hex(detail::sha256("abd")));
}

TEST_CASE("hex digits are right for every byte", "[sha256][hex]") {
  for (unsigned value = 0; value < 256; ++value) {
    const unsigned char bytes[4] = {static_cast<unsigned char>(value), 0, 255,
                                    static_cast<unsigned char>(255 - value)};
    char text[9] = {};
    char expected[9] = {};
    detail::hex(bytes, 4, text);
    std::snprintf(expected, sizeof expected, "%02x00ff%02x", value, 255 - value);
    REQUIRE(std::string(text) == expected);
  }
}
