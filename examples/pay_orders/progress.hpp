#pragma once
// A progress bar on standard error, where that is a terminal; otherwise nothing.

#include <cstddef>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace pay_orders {

/// Used by one thread at a time.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total), shown_(::isatty(STDERR_FILENO) == 1 && total > 0) {
    draw();
  }
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);  // the table takes its place
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step() {
    ++done_;
    draw();
  }

 private:
  void draw() const {
    if (!shown_) return;
    constexpr std::size_t width = 40;
    const std::size_t filled = width * done_ / total_;
    std::fprintf(stderr, "\r[%s%s] %zu of %zu lines", std::string(filled, '#').c_str(),
                 std::string(width - filled, ' ').c_str(), done_, total_);
    std::fflush(stderr);
  }

  std::size_t total_, done_ = 0;
  bool shown_;
};

}  // namespace pay_orders
