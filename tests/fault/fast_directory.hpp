#pragma once
// A directory in memory for tests that kill processes: what a killed process wrote is there whether or not it
// was synced, and a sync costs nothing.

#include <filesystem>
#include <system_error>

#include "support/scratch_directory.hpp"

namespace fault {

/// In memory where the system has such a place.
class FastDirectory : public ScratchDirectory {
 public:
  FastDirectory() : ScratchDirectory(place()) {}

 private:
  static std::filesystem::path place() {
    std::error_code none;
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory, none) ? memory : std::filesystem::temp_directory_path();
  }
};

}  // namespace fault
