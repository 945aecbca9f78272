// The system calls of a program with a file store fail, or are its last, as the kernel would have it: strace
// injects the errors and the signals, one call after the other.

#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <paidonce/stores/file.hpp>

#include "fault/fast_directory.hpp"
#include "fault/file_journal.hpp"
#include "integration/support/process.hpp"
#include "support/catch.hpp"

using namespace fault;

namespace {

using integration::Finished;

bool strace_is_here() {
  const bool here =
      integration::run({"sh", "-c", "strace -qq -o /dev/null -e inject=getppid:error=EIO:when=1 true"})
          .status == 0;
  if (here) return true;
  const char* const ci = std::getenv("CI");
  if (ci != nullptr && std::string(ci) == "true") FAIL("strace is missing, or may not trace here");
  WARN("skipped: strace is missing, or may not trace here");
  return false;
}

struct Run {
  unsigned rounds = 1;
  std::size_t large = 3900;
  std::string way = "direct";
};

/// How often `call` is made when nothing fails.
std::size_t count_calls(const Run& run, const std::string& call) {
  const FastDirectory files;
  const Finished finished = integration::run(
      {"strace", "-f", "-qq", "--seccomp-bpf", "-o", (files / "trace").string(), "-e", "trace=" + call,
       FILE_SCRIPT_PLAYER, (files / "store").string(), (files / "journal").string(),
       std::to_string(run.rounds), std::to_string(run.large), run.way});
  CHECK(finished.status == 0);
  const std::string trace = integration::content_of(files / "trace");
  std::size_t calls = 0;
  for (std::size_t at = 0; (at = trace.find(' ' + call + '(', at)) != std::string::npos; ++at) ++calls;
  return calls;
}

/// One run with the `at`-th of these calls hit. False: something is wrong.
bool inject(const Run& run, const Script& script, const std::string& call, const std::string& how,
            std::size_t at) {
  const FastDirectory files;
  const Finished finished =
      integration::run({"strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + call,
                        "-e", "inject=" + call + ":" + how + ":when=" + std::to_string(at),
                        FILE_SCRIPT_PLAYER, (files / "store").string(), (files / "journal").string(),
                        std::to_string(run.rounds), std::to_string(run.large), run.way});
  INFO(run.way << ", " << call << " " << at << " " << how << ": " << finished.err);
  const bool killed = how.starts_with("signal");
  JournalRead journal(script, (files / "journal").string());
  // 127: it was the loader's call.
  const bool loaded = finished.status != 127 && finished.err.find("shared librar") == std::string::npos;
  if (loaded && !killed && finished.status != 0 && finished.status != 3) {
    FAIL_CHECK("the player ended with status " << finished.status);
    return false;
  }
  try {
    FileStoreOptions options;
    options.housekeeping = Housekeeping::by_hand;
    FileStore store(files / "store", options);
    look(store, script, journal.expect, "opened again");
  } catch (const std::exception& error) {
    journal.expect.complain(error.what());
  }
  std::string wrong;
  for (const std::string& one : journal.expect.wrong()) wrong += "\n  " + one;
  if (wrong.empty()) return true;
  FAIL_CHECK(wrong);
  return false;
}

using Faults = std::map<std::string, std::vector<std::string>>;

void inject_everywhere(const Run& run, const Faults& faults) {
  const Script script(run.rounds, run.large);
  for (const auto& [call, ways] : faults) {
    const std::size_t calls = count_calls(run, call);
    INFO(call);
    CHECK(calls > 0);
    for (const std::string& how : ways)
      for (std::size_t at = 1; at <= calls; ++at)
        if (!inject(run, script, call, how, at)) return;
  }
}

/// With direct writes, and where each group is synced by fdatasync.
void inject_everywhere(unsigned rounds) {
  inject_everywhere({.rounds = rounds, .way = "direct"},
                    {{"pwrite64", {"error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"}},
                     {"fsync", {"error=EIO", "signal=KILL"}},
                     {"openat", {"error=EMFILE", "error=EINTR", "signal=KILL"}},
                     {"renameat", {"error=EIO", "error=ENOSPC", "signal=KILL"}},
                     {"unlinkat", {"error=EIO", "signal=KILL"}},
                     {"ftruncate", {"error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"}},
                     {"flock", {"error=EINTR", "error=ENOLCK", "signal=KILL"}}});
  inject_everywhere(
      {.rounds = rounds, .way = "buffered"},
      {{"fdatasync", {"error=EIO", "error=ENOSPC", "signal=KILL"}}, {"pwrite64", {"signal=KILL"}}});
}

}  // namespace

TEST_CASE("errors and kills injected by strace at every call lose nothing", "[store][file][fault][strace]") {
  if (!strace_is_here()) return;
  inject_everywhere(1);
}

TEST_CASE("errors and kills injected by strace into a longer script lose nothing",
          "[store][file][fault][strace][soak]") {
  if (!strace_is_here()) return;
  inject_everywhere(4);
}
