#pragma once
// Files that an option names.

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <ios>
#include <string>

#include "escape.hpp"
#include "exit.hpp"

namespace paidonce_admin {

/// All bytes of it. Throws `Refusal{bad_usage}` where it cannot be read, or is longer than 16 MiB, which no
/// file store takes.
inline std::string content_of(const std::string& option, const std::string& file) {
  constexpr std::size_t longest = std::size_t{16} << 20;
  std::string bytes(longest + 1, '\0');
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (in) in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in.is_open() || in.bad() || errno != 0)
    throw Refusal(Exit::bad_usage, option + ": cannot read " + escaped(file) + ": " + std::strerror(errno));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  if (bytes.size() > longest) throw Refusal(Exit::bad_usage, option + ": it is longer than 16 MiB");
  return bytes;
}

}  // namespace paidonce_admin
