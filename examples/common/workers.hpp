#pragma once
// The processes of a program, which are killed and started again.

#include <random>
#include <string>
#include <vector>

#include <sys/types.h>

namespace common {

class Workers {
 public:
  /// Runs `command` so many times at once, each with its number added, until all have ended well. `kills`
  /// times one of them is killed in the middle of whatever it does. Throws std::runtime_error where one fails
  /// by itself, and std::system_error; then none of them is left.
  static void run(const std::vector<std::string>& command, unsigned workers, unsigned kills, unsigned seed);

  /// For a worker: it dies with the process that started it.
  static void end_with_parent(pid_t parent);
};

}  // namespace common
