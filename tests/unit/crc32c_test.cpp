// CRC32C: the examples of RFC 3720, and Boost.CRC as a second opinion.

#include <paidonce/stores/file/crc32c.hpp>

#include <boost/crc.hpp>
#include <cstdint>
#include <random>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

using Way = std::uint32_t (*)(std::uint32_t, const unsigned char*, std::size_t) noexcept;

struct NamedWay {
  const char* name;
  Way way;
};

/// The way of any machine and, where this one has it, that of the instruction.
std::vector<NamedWay> ways() {
  std::vector<NamedWay> all = {{"tables", detail::crc32c_by_tables}};
#if defined(__x86_64__)
  if (detail::has_crc32c_instruction()) all.push_back({"instruction", detail::crc32c_by_instruction});
#endif
  return all;
}

const unsigned char* data(const std::string& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

}  // namespace

TEST_CASE("the examples of RFC 3720 come out as printed", "[store][file][crc32c]") {
  std::string up, down;
  for (int i = 0; i < 32; ++i) {
    up += static_cast<char>(i);
    down += static_cast<char>(31 - i);
  }
  std::string command(48, '\0');  // an iSCSI SCSI read command
  command[0] = 0x01;
  command[1] = static_cast<char>(0xC0);
  command[16] = 0x14;
  command[22] = 0x04;
  command[27] = 0x14;
  command[31] = 0x18;
  command[32] = 0x28;
  command[40] = 0x02;
  const struct {
    std::string bytes;
    std::uint32_t crc;
  } examples[] = {{"", 0},
                  {"123456789", 0xE3069283},
                  {std::string(32, '\0'), 0x8A9136AA},
                  {std::string(32, '\xFF'), 0x62A8AB43},
                  {up, 0x46DD794E},
                  {down, 0x113FDB5C},
                  {command, 0xD9963A56}};
  for (const auto& example : examples) {
    CAPTURE(example.bytes.size());
    CHECK(crc32c(0, example.bytes.data(), example.bytes.size()) == example.crc);
    for (const NamedWay& way : ways()) {
      INFO(way.name);
      CHECK(~way.way(~0U, data(example.bytes), example.bytes.size()) == example.crc);
    }
  }
}

TEST_CASE("every way agrees with Boost.CRC at any size and alignment", "[store][file][crc32c][oracle]") {
  std::mt19937_64 random(20240701);
  const std::string bytes = random_bytes(random, 5000);
  for (int round = 0; round < 4000; ++round) {
    const std::size_t begin = random() % 64;
    const std::size_t size = random() % (round % 10 == 0 ? 4900 : 300);
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> theirs;
    theirs.process_bytes(bytes.data() + begin, size);
    CAPTURE(begin, size);
    REQUIRE(crc32c(0, bytes.data() + begin, size) == theirs.checksum());
    for (const NamedWay& way : ways()) {
      INFO(way.name);
      REQUIRE(~way.way(~0U, data(bytes) + begin, size) == theirs.checksum());
    }
  }
}

TEST_CASE("a checksum continues that of what stands before", "[store][file][crc32c]") {
  std::mt19937_64 random(20240702);
  const std::string bytes = random_bytes(random, 200);
  const std::uint32_t whole = crc32c(0, bytes.data(), bytes.size());
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(crc32c(crc32c(0, bytes.data(), cut), bytes.data() + cut, bytes.size() - cut) == whole);
    for (const NamedWay& way : ways()) {
      INFO(way.name);
      CHECK(~way.way(way.way(~0U, data(bytes), cut), data(bytes) + cut, bytes.size() - cut) == whole);
    }
  }
}
