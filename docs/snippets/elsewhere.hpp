#pragma once
// Paths on the pages are relative; while this lives, they lead into a directory that goes away.

#include <filesystem>

#include "integration/support/process.hpp"

namespace integration {

class ElsewhereForNow {
 public:
  ElsewhereForNow() { std::filesystem::current_path(directory_ / "."); }
  ~ElsewhereForNow() { std::filesystem::current_path(before_); }
  ElsewhereForNow(const ElsewhereForNow&) = delete;
  ElsewhereForNow& operator=(const ElsewhereForNow&) = delete;

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
  TemporaryDirectory directory_;
};

}  // namespace integration
