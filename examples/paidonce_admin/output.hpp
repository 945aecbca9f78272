#pragma once
// Standard output, which remembers why it could not be written.

#include <array>
#include <cerrno>
#include <cstddef>
#include <ostream>
#include <streambuf>

#include <unistd.h>

namespace paidonce_admin {

/// Writes to a file descriptor, and gives up at the first failure.
class OutputBuffer : public std::streambuf {
 public:
  explicit OutputBuffer(int fd) : fd_(fd) { setp(bytes_.data(), bytes_.data() + bytes_.size()); }
  /// Of the call that failed; 0: none did.
  int error() const noexcept { return error_; }

 private:
  int overflow(int letter) override {
    if (sync() != 0) return traits_type::eof();
    if (letter != traits_type::eof()) sputc(traits_type::to_char_type(letter));
    return traits_type::not_eof(letter);
  }
  int sync() override {
    for (const char* at = pbase(); error_ == 0 && at < pptr();) {
      const ::ssize_t written = ::write(fd_, at, static_cast<std::size_t>(pptr() - at));
      if (written >= 0)
        at += written;
      else if (errno != EINTR)
        error_ = errno;
    }
    setp(bytes_.data(), bytes_.data() + bytes_.size());
    return error_ == 0 ? 0 : -1;
  }

  int fd_, error_ = 0;
  std::array<char, 16'384> bytes_;
};

class Output : private OutputBuffer, public std::ostream {
 public:
  explicit Output(int fd) : OutputBuffer(fd), std::ostream(static_cast<OutputBuffer*>(this)) {}
  using OutputBuffer::error;
};

}  // namespace paidonce_admin
