// UUIDs: the layout of RFC 9562 and its text form.

#include <paidonce/uuid.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

/// 8-4-4-4-12 lower-case digits.
bool is_uuid_text(const std::string& text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !digit) return false;
  }
  return true;
}

bool is_rfc_variant(const std::string& text) {
  return std::string("89ab").find(text[19]) != std::string::npos;
}

Timestamp at(std::int64_t millis) { return Timestamp{Duration{millis}}; }

std::string time_of(std::int64_t millis) {
  const std::string text = uuid_v7(at(millis));
  return text.substr(0, 8) + text.substr(9, 4);
}

}  // namespace

TEST_CASE("sixteen bytes become text in their order", "[uuid]") {
  unsigned char bytes[16];
  for (unsigned i = 0; i < 16; ++i) bytes[i] = static_cast<unsigned char>(i * 17);
  char text[38] = "#####################################";
  detail::uuid_text(bytes, text);
  CHECK(std::string(text, 37) == "00112233-4455-6677-8899-aabbccddeeff#");
}

TEST_CASE("the version and the variant go where the examples of RFC 9562 have them", "[uuid]") {
  const struct {
    unsigned version;
    std::string text;
  } examples[] = {
      {4, "919108f7-52d1-4320-9bac-f847db4148a8"},  // appendix A.3
      {7, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"},  // appendix A.6
      {8, "5c146b14-3c52-8afd-938a-375d0df1fbf6"},  // appendix B.2, from a SHA-256 digest
  };
  for (const auto& example : examples) {
    unsigned char bytes[16];
    std::string digits;
    for (const char c : example.text) {
      if (c != '-') digits += c;
    }
    for (std::size_t i = 0; i < 16; ++i) {
      bytes[i] = static_cast<unsigned char>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
    }
    bytes[6] = static_cast<unsigned char>(bytes[6] ^ 0xf0);  // what was there before does not matter
    bytes[8] = static_cast<unsigned char>(bytes[8] ^ 0xc0);
    CHECK(detail::uuid_string(bytes, example.version) == example.text);
  }
}

TEST_CASE("version 4 has its layout and does not repeat", "[uuid]") {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string text = uuid_v4();
    REQUIRE(is_uuid_text(text));
    REQUIRE(text[14] == '4');
    REQUIRE(is_rfc_variant(text));
    seen.insert(text);
  }
  CHECK(seen.size() == 10'000);
}

TEST_CASE("version 7 has its layout and does not repeat within a millisecond", "[uuid]") {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string text = uuid_v7(at(0x017f22e279b0));
    REQUIRE(is_uuid_text(text));
    REQUIRE(text.substr(0, 15) == "017f22e2-79b0-7");  // the time of appendix A.6
    REQUIRE(is_rfc_variant(text));
    seen.insert(text);
  }
  CHECK(seen.size() == 10'000);
}

TEST_CASE("version 7 sorts by time", "[uuid]") {
  std::string before = uuid_v7(at(0));
  for (int bit = 0; bit < 48; ++bit) {
    const std::string text = uuid_v7(at(std::int64_t{1} << bit));
    CHECK(before < text);
    before = text;
  }
}

TEST_CASE("times outside version 7 are held at its ends", "[uuid]") {
  CHECK(time_of(0) == "000000000000");
  CHECK(time_of(-1) == "000000000000");
  CHECK(time_of(INT64_MIN) == "000000000000");
  CHECK(time_of((std::int64_t{1} << 48) - 1) == "ffffffffffff");
  CHECK(time_of(std::int64_t{1} << 48) == "ffffffffffff");
  CHECK(time_of(INT64_MAX) == "ffffffffffff");
}
