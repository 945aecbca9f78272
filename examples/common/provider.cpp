#include "provider.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <system_error>

namespace common {

namespace {

using Kind = Entry::Kind;

/// The ledger, while nobody else has it.
class OpenLedger {
 public:
  explicit OpenLedger(const std::filesystem::path& file)
      : file_(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (file_ < 0 || ::flock(file_, LOCK_EX) != 0) fail();
  }
  ~OpenLedger() {
    if (file_ >= 0) ::close(file_);
  }
  OpenLedger(const OpenLedger&) = delete;
  OpenLedger& operator=(const OpenLedger&) = delete;

  std::vector<Entry> entries() const {
    struct stat about {};
    if (::fstat(file_, &about) != 0) fail();
    std::string text(static_cast<std::size_t>(about.st_size), '\0');
    if (::pread(file_, text.data(), text.size(), 0) != about.st_size) fail();
    std::istringstream lines(text);
    std::vector<Entry> all;
    int kind = 0;
    for (Entry entry; lines >> kind >> entry.provider_key >> entry.attempt >> entry.order >> entry.cents;) {
      entry.kind = static_cast<Kind>(kind);
      all.push_back(entry);
    }
    return all;
  }

  void add(const Entry& entry) const {
    std::ostringstream line;
    line << static_cast<int>(entry.kind) << ' ' << entry.provider_key << ' ' << entry.attempt << ' '
         << entry.order << ' ' << entry.cents << '\n';
    const std::string text = line.str();
    if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail();
  }

 private:
  [[noreturn]] static void fail() {
    throw std::system_error(errno, std::generic_category(), "the provider's ledger");
  }
  int file_;
};

/// The answer takes its time, in which the one who asked may die.
void take_time() { ::poll(nullptr, 0, 2); }

}  // namespace

Entry Provider::carry_out(const Entry& request) const {
  Entry answer = request;
  {
    const OpenLedger ledger(ledger_);
    for (const Entry& entry : ledger.entries())
      if (entry.kind == Kind::barred && entry.provider_key == request.provider_key &&
          entry.attempt >= request.attempt)
        answer.kind = Kind::barred;
    if (answer.kind != Kind::barred) ledger.add(answer);
  }
  take_time();
  return answer;
}

Entry Provider::look_up(const std::string& provider_key, std::uint32_t attempt) const {
  const OpenLedger ledger(ledger_);
  for (const Entry& entry : ledger.entries())
    if (entry.kind != Kind::barred && entry.provider_key == provider_key) return entry;
  const Entry barred{Kind::barred, provider_key, attempt, "-", 0};
  ledger.add(barred);
  return barred;
}

std::vector<Entry> Provider::ledger() const { return OpenLedger(ledger_).entries(); }

}  // namespace common
