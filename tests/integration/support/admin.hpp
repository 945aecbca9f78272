#pragma once
// Runs paidonce_admin over stores that a test has written, with nobody at its terminal or with somebody.

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <paidonce/stores/file.hpp>

#include "process.hpp"
#include "support/catch.hpp"

extern template class paidonce::BasicFileStore<>;  // paidonce_admin_test.cpp has it

namespace integration {

inline Finished admin(const std::filesystem::path& store, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {PAIDONCE_ADMIN, "--store", store.string()});
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  Finished finished = run(arguments, nothing);
  ::close(nothing);
  return finished;
}

inline nlohmann::json admin_json(const std::filesystem::path& store, std::vector<std::string> arguments,
                                 int status = 0) {
  arguments.push_back("--json");
  const Finished finished = admin(store, arguments);
  CHECK(finished.status == status);
  CHECK(finished.err.empty());
  return nlohmann::json::parse(finished.out);
}

/// paidonce_admin at a terminal of its own, whose keyboard the test has.
class AtTerminal {
 public:
  AtTerminal(const std::filesystem::path& store, std::vector<std::string> arguments)
      : keyboard_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (keyboard_ < 0 || ::grantpt(keyboard_) != 0 || ::unlockpt(keyboard_) != 0)
      throw std::runtime_error("there are no terminals here");
    arguments.insert(arguments.begin(), {PAIDONCE_ADMIN, "--store", store.string()});
    const int terminal = ::open(::ptsname(keyboard_), O_RDWR | O_NOCTTY | O_CLOEXEC);
    out_ = ::open((files_ / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    process_.emplace(arguments, out_, terminal, std::vector<std::string>{}, terminal);
    ::close(terminal);
  }
  ~AtTerminal() {
    ::close(keyboard_);
    ::close(out_);
  }
  AtTerminal(const AtTerminal&) = delete;
  AtTerminal& operator=(const AtTerminal&) = delete;

  /// What it shows until it waits for an answer, or has ended.
  std::string question() {
    std::string shown;
    for (char letter; shown.find("Type yes") == std::string::npos && ::read(keyboard_, &letter, 1) == 1;)
      if (letter != '\r') shown.push_back(letter);
    return shown;
  }
  Finished answer(const std::string& text) {
    if (::write(keyboard_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("the terminal takes no text");
    Finished finished;
    for (char letter; ::read(keyboard_, &letter, 1) == 1;) finished.err.push_back(letter);
    finished.status = process_->wait();
    finished.out = content_of(files_ / "out");
    return finished;
  }

 private:
  TemporaryDirectory files_;
  int keyboard_, out_ = -1;
  std::optional<Process> process_;
};

/// A record that changed so many seconds after 3 May 2026, noon. Retentions of these days are over.
inline paidonce::Record record(paidonce::State state, int second) {
  using paidonce::Duration, paidonce::State;
  const paidonce::Timestamp noon{Duration(1'777'809'600'000)};
  paidonce::Record record;
  record.fingerprint = paidonce::fingerprint("what was asked for");
  record.state = state;
  record.version = 9'007'199'254'740'993;  // that a double rounds
  record.attempt_id = 0xabc;
  record.attempts = 2;
  record.created_at = noon;
  record.updated_at = noon + Duration(1000 * second);
  record.lease_until = noon + Duration(30'000);
  const bool unfinished = state == State::in_progress || state == State::in_doubt;
  if (!unfinished) record.expires_at = noon + Duration(86'400'000);
  return record;
}

using Records = std::vector<std::pair<paidonce::IdempotencyKey, paidonce::Record>>;

inline void write_store(const std::filesystem::path& directory, const Records& records) {
  paidonce::FileStore store(directory, {.housekeeping = paidonce::Housekeeping::by_hand});
  for (const auto& [key, record] : records) CHECK_FALSE(store.insert(key, record));
}

/// One of each state, with keys of that name, and one that is kept until the year 3000.
inline Records one_of_each() {
  using paidonce::IdempotencyKey, paidonce::State;
  Records records;
  int second = 0;
  for (const State state :
       {State::released, State::declined, State::succeeded, State::in_doubt, State::in_progress})
    records.emplace_back(IdempotencyKey("shop", std::string(to_string(state))), record(state, second++));
  records.emplace_back(IdempotencyKey("", "kept"), record(State::succeeded, second));
  records.back().second.expires_at = paidonce::Timestamp(paidonce::Duration(32'503'680'000'000));
  return records;
}

/// What is to be the same before and after: of every file its bytes, and of all that there is to know of it
/// what a program that reads leaves alone.
inline std::map<std::string, std::string> state_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  const auto add = [&](const std::filesystem::path& path) {
    const std::string content = std::filesystem::is_directory(path) ? "" : content_of(path);
    struct ::stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    const auto time = [](const timespec& at) {
      return std::to_string(at.tv_sec) + '.' + std::to_string(at.tv_nsec);
    };
    files[path.string()] = std::to_string(status.st_ino) + ' ' + std::to_string(status.st_mode) + ' ' +
                           std::to_string(status.st_blocks) + ' ' + time(status.st_mtim) + ' ' +
                           time(status.st_ctim) + ' ' + content;
  };
  for (const auto& entry : std::filesystem::directory_iterator(directory)) add(entry.path());
  add(directory);
  return files;
}

}  // namespace integration
