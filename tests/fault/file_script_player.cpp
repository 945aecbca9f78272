// file_script_player <directory> <journal> <rounds> <large> <direct|buffered>
//
// Plays the script on a store in a real directory and writes down each step before and after it, so that
// whoever had its system calls fail, or killed it, can tell what the store owes. Exit status 0 at the end of
// the script, 3 where the store could not be opened.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <paidonce/stores/file.hpp>

#include "fault/file_journal.hpp"
#include "fault/file_script.hpp"

namespace {

using namespace fault;

/// No direct writes: groups are synced by fdatasync.
struct BufferedFiles : PosixFiles {
  int open_at(int directory, const char* name, int flags) {
    if ((flags & O_DIRECT) != 0) {
      errno = EINVAL;
      return -1;
    }
    return PosixFiles::open_at(directory, name, flags);
  }
};

template <class Files>
int play_with(const Script& script, const std::string& directory, JournalWriter& journal) {
  FileStoreOptions options;
  options.segment_bytes = std::size_t{64} << 10U;
  options.max_record_bytes = std::size_t{4} << 10U;
  options.housekeeping = Housekeeping::by_hand;
  Expectations expect;
  const auto failure = fault::play(
      script, 0, [&] { return std::make_unique<BasicFileStore<Files>>(directory, options); }, expect,
      journal);
  for (const std::string& wrong : expect.wrong()) std::fprintf(stderr, "%s\n", wrong.c_str());
  if (!expect.wrong().empty()) return 1;
  if (!failure) return 0;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    std::fprintf(stderr, "cannot open: %s\n", error.what());
    return error.code() == errc::store_corrupt ? 1 : 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cannot open: something else: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: file_script_player <directory> <journal> <rounds> <large> <direct|buffered>\n");
    return 2;
  }
  JournalWriter journal(argv[2]);
  const Script script(static_cast<unsigned>(std::atoi(argv[3])),
                      static_cast<std::size_t>(std::atoi(argv[4])));
  return std::string_view(argv[5]) == "buffered" ? play_with<BufferedFiles>(script, argv[1], journal)
                                                 : play_with<PosixFiles>(script, argv[1], journal);
}
