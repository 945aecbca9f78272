#include "journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <sstream>
#include <system_error>

namespace queue_worker {

namespace {

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category(), "the journal"); }

}  // namespace

Journal::Journal(const std::filesystem::path& file)
    : file_(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (file_ < 0) fail();
}

Journal::~Journal() { ::close(file_); }

void Journal::clear() {
  if (::ftruncate(file_, 0) != 0) fail();
}

void Journal::write(Word word, const std::string& message) {
  const std::string line = std::to_string(static_cast<int>(word)) + ' ' + message + '\n';
  if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail();
}

std::vector<Line> Journal::read() const {
  struct stat about {};
  if (::fstat(file_, &about) != 0) fail();
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  if (::pread(file_, text.data(), text.size(), 0) != about.st_size) fail();
  std::istringstream in(text);
  std::vector<Line> lines;
  int word = 0;
  for (Line line; in >> word >> line.message;) {
    line.word = static_cast<Word>(word);
    lines.push_back(line);
  }
  return lines;
}

bool is_done(const std::vector<Line>& lines, unsigned producers) {
  std::set<std::string> open, settled;
  for (const Line& line : lines) switch (line.word) {
      case Word::all_sent: producers -= producers > 0; break;
      case Word::sent: open.insert(line.message); break;
      case Word::paid:
      case Word::asked:
      case Word::replayed:
      case Word::dead: settled.insert(line.message); break;
      case Word::received:
      case Word::killed: break;
    }
  for (const std::string& message : settled) open.erase(message);
  return producers == 0 && open.empty();
}

}  // namespace queue_worker
