// Every system call of a file store fails, once, some times and for ever, in every way that it can: what was
// acknowledged is there when the store is opened again, what was refused is not, and no sound file is ever
// called corrupt.

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "fault/file_world.hpp"
#include "support/sanitizer.hpp"

using namespace fault;

namespace {

/// After the trouble: with what the process that had it left, and after a power loss on top of that.
bool aftermath(const Played& played, const Script& script, const std::string& context) {
  Expectations expect = played.expect;
  reopen_and_look(played.machine->disk.after_kill(), script, expect, "opened again");
  Expectations after_loss = played.expect;
  reopen_and_look(played.machine->disk.after_power_loss({}), script, after_loss, "after a power loss");
  const bool right = report(expect, context);
  return report(after_loss, context) && right;
}

/// ThreadSanitizer makes a play seven times as long: it has each third call.
constexpr std::size_t step = support::thread_sanitizer ? 3 : 1;

/// How often the fault was reached. `expect_trouble`: whether a call of the store may fail for it.
enum class Trouble : std::uint8_t { passes_by, may_come };
std::size_t enumerate(const Script& script, FileFault fault, Trouble trouble,
                      Machine::Direct direct = Machine::Direct::works) {
  std::size_t reached = 0;
  for (fault.at = 1;; fault.at += step) {
    const Played played = play(script, fault, direct);
    if (played.plan.hits() == 0) return reached;
    ++reached;
    const std::string context = describe(fault);
    if (!aftermath(played, script, context)) return reached;
    if (trouble == Trouble::passes_by && (played.failure || played.expect.failures() > 0)) {
      FAIL_CHECK(context << " was not put up with");
      return reached;
    }
    if (played.failure) {
      try {
        std::rethrow_exception(played.failure);
      } catch (const Error& error) {
        INFO(context);
        CHECK(error.code() != errc::store_corrupt);
        CHECK(std::string(error.what()).size() > 30);
      }
    }
    REQUIRE(fault.at < 100'000);
  }
}

}  // namespace

TEST_CASE("the script plays to its end where nothing fails", "[store][file][fault]") {
  const Script script(2);
  const auto direct =
      GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened, Machine::Direct::is_not_written);
  Played played = play(script, {.at = FileFault::for_ever}, direct);
  CHECK_FALSE(played.failure);
  CHECK(played.expect.failures() == 0);
  CHECK(report(played.expect, "nothing fails"));
  CHECK(aftermath(played, script, "nothing fails"));
  // It did what it is to do.
  CHECK(played.plan.count(FileCall::write) > 50);
  CHECK(played.plan.count(FileCall::rename_at) > 3);
  CHECK(played.plan.count(FileCall::unlink_at) > 1);
}

TEST_CASE("short reads and writes and interrupted calls are put up with", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  using enum FileCall;
  for (const FileCall call : {FileCall::read, FileCall::write})
    for (const std::size_t times : {std::size_t{1}, std::size_t{3}})
      CHECK(enumerate(script, {.call = call, .times = times, .does = FileFault::Does::does_half},
                      Trouble::passes_by, direct) > 5 / step);
  for (const FileCall call : {open_at, FileCall::read, FileCall::write, truncate, lock})
    for (const std::size_t times : {std::size_t{1}, std::size_t{3}})
      enumerate(script, {.call = call, .times = times, .error = EINTR}, Trouble::passes_by, direct);
}

TEST_CASE("whatever call of a file store fails, what was acknowledged stays", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  struct Kind {
    FileCall call;
    std::vector<int> errors;
    bool is_used;
  };
  const int error_of_all = EIO;
  const Kind kinds[] = {
      {FileCall::open_at, {error_of_all, EMFILE, ENOSPC, EACCES}, true},
      {FileCall::make_directory, {error_of_all, EACCES, ENOSPC}, true},
      {FileCall::read, {error_of_all}, true},
      {FileCall::write, {error_of_all, ENOSPC, EFBIG}, true},
      {FileCall::sync_data, {error_of_all, ENOSPC, EINTR}, direct != Machine::Direct::works},
      {FileCall::sync, {error_of_all, EINTR}, true},
      {FileCall::truncate, {error_of_all, ENOSPC}, false},
      {FileCall::rename_at, {error_of_all, ENOSPC}, true},
      {FileCall::unlink_at, {error_of_all, EACCES}, true},
      {FileCall::lock, {error_of_all, ENOLCK}, true},
      {FileCall::status, {error_of_all}, true},
      {FileCall::status_of, {error_of_all, ENOENT}, true},
      {FileCall::is_on_network, {error_of_all}, true},
      {FileCall::list, {error_of_all}, true},
      {FileCall::close, {error_of_all}, true},
  };
  for (const Kind& kind : kinds) {
    std::size_t reached = 0;
    for (const int error : kind.errors)
      for (const std::size_t times : {std::size_t{1}, std::size_t{2}, FileFault::for_ever})
        if (error != EINTR || times != FileFault::for_ever)
          reached += enumerate(script, {.call = kind.call, .times = times, .error = error}, Trouble::may_come,
                               direct);
    INFO(support::to_string(kind.call));
    if (kind.is_used) CHECK(reached > 0);
  }
}
