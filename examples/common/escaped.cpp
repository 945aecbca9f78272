#include "escaped.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>

namespace common {
namespace {

struct Letter {
  std::size_t size = 0;  ///< in bytes; 0: this is not UTF-8 (RFC 3629)
  std::uint32_t number = 0;
};

Letter first_letter(std::string_view bytes) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const unsigned lead = byte(0);
  const std::size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (size == 0 || lead > 0xf4 || size > bytes.size()) return {};
  std::uint32_t number = size == 1 ? lead : lead & (0xffU >> (size + 1));
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xc0U) != 0x80) return {};
    number = number << 6 | (byte(at) & 0x3fU);
  }
  const std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (number < least[size] || number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff)) return {};
  return {size, number};
}

/// Neither control characters nor what is invisible or changes the direction of writing.
bool is_seen(std::uint32_t letter) {
  constexpr std::uint32_t unseen[][2] = {{0, 0x1f},        {0x7f, 0xa0},      {0xad, 0xad},
                                         {0x61c, 0x61c},   {0x180e, 0x180e},  {0x200b, 0x200f},
                                         {0x2028, 0x202e}, {0x2060, 0x206f},  {0xfeff, 0xfeff},
                                         {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}};
  for (const auto& [from, to] : unseen)
    if (letter >= from && letter <= to) return false;
  return true;
}

}  // namespace

std::string escaped(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Letter letter = first_letter(bytes);
    const std::size_t size = letter.size == 0 ? 1 : letter.size;
    if (letter.size == 0 || !is_seen(letter.number)) {
      for (const char byte : bytes.substr(0, size)) {
        constexpr const char* digits = "0123456789abcdef";
        const auto value = static_cast<unsigned char>(byte);
        text.append("\\x").append(1, digits[value >> 4U]).append(1, digits[value & 15U]);
      }
    } else {
      if (bytes[0] == '\\') text += '\\';
      text += bytes.substr(0, size);
    }
    bytes.remove_prefix(size);
  }
  return text;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\') {
      bytes += text[at];
    } else if (text.substr(at, 2) == "\\\\") {
      bytes += text[++at];
    } else {
      unsigned value = 0;
      const char* const digits = text.data() + at + 2;
      if (text.substr(at, 2) != "\\x" || text.size() < at + 4 ||
          std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2)
        return std::nullopt;
      bytes += static_cast<char>(value);
      at += 3;
    }
  }
  return bytes;
}

}  // namespace common
