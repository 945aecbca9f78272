#pragma once
// System calls made whole: repeated when a signal interrupts them, continued when they do part of the work,
// and turned into errors that name the file and say what to do. An open file that closes itself.

#include <fcntl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/stores/file/files.hpp>

namespace paidonce::inline v1::detail {

/// Throws what a failed call means to whoever called the store. `what` names the file and what was tried.
[[noreturn, gnu::cold]] inline void throw_file_error(int error, const std::string& what) {
  const std::string text = what + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: throw Error(errc::store_full, text + "; make room on this file system, then repeat the call");
    case EMFILE:
    case ENFILE:
      throw Error(errc::store_unavailable,
                  text + "; raise the limit of open files (ulimit -n), or close some");
    case EACCES:
    case EPERM:
    case EROFS:
      throw Error(errc::store_unavailable,
                  text + "; the store's directory and files must be this user's, and writable");
    default: throw Error(errc::store_unavailable, text);
  }
}

/// The same error with the name of the store's directory before its text.
[[noreturn, gnu::cold]] inline void throw_named(const Error& error, const std::string& directory) {
  std::string text = error.what();
  const std::string behind = ": " + error.code().message();
  if (text.ends_with(behind)) text.resize(text.size() - behind.size());
  throw Error(static_cast<errc>(error.code().value()), directory + ": " + text);
}

/// Calls again as long as signals interrupt it.
template <class Call>
auto uninterrupted(Call&& call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

template <FilePolicy Files>
class OpenFile {
 public:
  OpenFile() = default;
  OpenFile(Files& files, int fd) noexcept : files_(&files), fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept : files_(other.files_), fd_(std::exchange(other.fd_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(files_, other.files_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OpenFile() {
    if (fd_ >= 0) files_->close(fd_);
  }

  int fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  Files* files_ = nullptr;
  int fd_ = -1;
};

/// Throws where the file cannot be opened.
template <FilePolicy Files>
OpenFile<Files> open_file(Files& files, int directory, const std::string& name, int flags) {
  const int fd = uninterrupted([&] { return files.open_at(directory, name.c_str(), flags); });
  if (fd < 0) throw_file_error(errno, "cannot open " + name);
  return {files, fd};
}

/// Throws unless all of it was written.
template <FilePolicy Files>
void write_all(Files& files, int fd, const char* from, std::size_t size, std::uint64_t at,
               const std::string& name) {
  while (size > 0) {
    const ssize_t written =
        uninterrupted([&] { return files.write(fd, from, size, static_cast<off_t>(at)); });
    if (written <= 0) throw_file_error(written < 0 ? errno : EIO, "cannot write " + name);
    from += written;
    at += static_cast<std::uint64_t>(written);
    size -= static_cast<std::size_t>(written);
  }
}

/// Throws where the directory cannot be synced.
template <FilePolicy Files>
void sync_directory(Files& files, int directory) {
  if (uninterrupted([&] { return files.sync(directory); }) != 0)
    throw_file_error(errno, "cannot sync the store's directory");
}

}  // namespace paidonce::inline v1::detail
