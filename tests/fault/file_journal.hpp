#pragma once
// What a player of the script wrote down before it died, and what the store owes by that.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "fault/file_script.hpp"

namespace fault {

/// A line is there whole or not at all, also when the writer is killed. Written by write(2), which no
/// store calls, so that faults of the store's calls do not hit it.
class JournalWriter {
 public:
  explicit JournalWriter(const char* file) : fd_(::creat(file, 0600)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), file);
  }
  ~JournalWriter() { ::close(fd_); }
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  void begins(std::size_t step) { write("b " + std::to_string(step) + "\n"); }
  void ended(std::size_t step, const Told& told) {
    const std::string number = std::to_string(step) + " ";
    if (!told.failure) {
      std::string seen = "-";
      if (told.record) {
        seen.clear();
        for (const char byte : to_bytes(*told.record)) {
          const auto value = static_cast<unsigned char>(byte);
          seen += "0123456789abcdef"[value >> 4U];
          seen += "0123456789abcdef"[value & 15U];
        }
      }
      return write("e " + number + (told.replaced ? "1 " : "0 ") + std::to_string(told.erased) + " " + seen +
                   "\n");
    }
    int code = 0;
    std::string what;
    try {
      std::rethrow_exception(told.failure);
    } catch (const Error& error) {
      code = error.code().value();
      what = error.what();
    } catch (const std::exception& error) {
      what = error.what();
    }
    write("f " + number + std::to_string(code) + " " + what + "\n");
  }

 private:
  void write(const std::string& line) {
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  }
  int fd_;
};

/// Settles what a journal says. Steps that began and did not end may have happened or not.
struct JournalRead {
  Expectations expect;
  std::size_t begun = 0, ended = 0, failed = 0;

  JournalRead(const Script& script, const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    Expectations before;
    bool together = false;  // the step before began, and has not ended
    for (std::string line; std::getline(in, line) && !in.eof();) {
      const char kind = line.at(0);
      char* rest = line.data() + 2;
      const std::size_t number = std::strtoul(rest, &rest, 10);
      const Step& step = script[number];
      if (kind == 'b') {
        ++begun;
        if (!together) before = expect;
        together = true;
        if (step.does == Step::Does::reopen) expect.reopened();
        expect.begin(step);
        continue;
      }
      together = false;
      ++ended;
      Told told;
      if (kind == 'e') {
        told.replaced = std::strtoul(rest, &rest, 10) == 1;
        told.erased = std::strtoul(rest, &rest, 10);
        ++rest;
        if (*rest != '-') {
          std::string bytes;
          for (; *rest != '\0'; rest += 2) bytes += static_cast<char>(nibble(rest[0]) << 4 | nibble(rest[1]));
          told.record = record_from_bytes(bytes);
        }
      } else {
        ++failed;
        const int code = static_cast<int>(std::strtol(rest, &rest, 10));
        const std::string what = rest + 1;
        told.failure = code != 0 ? std::make_exception_ptr(Error(static_cast<errc>(code), what))
                                 : std::make_exception_ptr(std::runtime_error(what));
      }
      expect.settle(step, told, before);
    }
  }

 private:
  static int nibble(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }
};

}  // namespace fault
