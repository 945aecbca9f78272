#pragma once
// What a test and the processes that it commands both need to know of a lock file.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace conformance {

inline std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// The descriptors of this process that are open on the file.
template <class Visit>
void each_descriptor_of(const std::filesystem::path& file, Visit visit) {
  struct ::stat wanted {};
  if (::stat(file.c_str(), &wanted) != 0) throw std::runtime_error("the lock file is gone");
  for (int fd = 0; fd < 1024; ++fd) {
    struct ::stat found {};
    if (::fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev) visit(fd);
  }
}

/// As other code of the program may: gives the lock's descriptors to a file that cannot be locked.
inline void break_lock_file(const std::filesystem::path& file) {
  const int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  each_descriptor_of(file, [other](int fd) { ::dup3(other, fd, O_CLOEXEC); });
  ::close(other);
}

}  // namespace conformance
