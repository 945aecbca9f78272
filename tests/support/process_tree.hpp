#pragma once
// The processes that a process has started, as the kernel lists them.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <dirent.h>
#include <sys/types.h>

namespace support {

/// Ids of all that descend from a process, itself left out, those that have ended but were not waited for
/// too.
inline std::vector<pid_t> descendants(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  if (DIR* const processes = ::opendir("/proc")) {
    while (const ::dirent* const entry = ::readdir(processes)) {
      const pid_t id = std::atoi(entry->d_name);
      if (id <= 0) continue;
      std::FILE* const stat = std::fopen(("/proc/" + std::to_string(id) + "/stat").c_str(), "r");
      if (stat == nullptr) continue;
      char line[1024];
      const std::size_t size = std::fread(line, 1, sizeof line - 1, stat);
      std::fclose(stat);
      line[size] = 0;
      // The name is in parentheses and may hold anything; state and parent follow the last one.
      const std::string text(line);
      const auto name_ends = text.rfind(')');
      int parent = 0;
      if (name_ends != std::string::npos &&
          std::sscanf(text.c_str() + name_ends + 1, " %*c %d", &parent) == 1)
        children.emplace(parent, id);
    }
    ::closedir(processes);
  }
  std::vector<pid_t> found{root};
  for (std::size_t at = 0; at < found.size(); ++at) {
    const auto [first, last] = children.equal_range(found[at]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

/// Kills all that descend from a process. Stopped first, so that nobody starts another meanwhile or sees the
/// others die.
inline void kill_tree(pid_t root) {
  for (std::size_t seen = 0;;) {
    const std::vector<pid_t> all = descendants(root);
    for (const pid_t id : all) ::kill(id, SIGSTOP);
    if (all.size() == seen) break;
    seen = all.size();
  }
  for (const pid_t id : descendants(root)) ::kill(id, SIGKILL);
}

}  // namespace support
