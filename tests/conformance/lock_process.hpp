#pragma once
// A lock that lives in several other processes: each call is made by another one of them.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/lock.hpp>

#include "file_lock_support.hpp"

namespace conformance {

/// A program, its input and its output. Lines go in and come out.
class Program {
 public:
  explicit Program(std::vector<std::string> command) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    const int failure = ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = ::fdopen(out[0], "r");
    if (failure != 0) throw std::runtime_error("cannot start " + command[0]);
  }
  ~Program() {
    end();
    std::fclose(out_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Lines are shorter than what a pipe takes at once.
  void write(const std::string& line) {
    const std::string whole = line + '\n';
    if (::write(in_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size()))
      throw std::runtime_error("the program has ended");
  }

  /// Blocks until it says something; nothing when it has ended.
  std::optional<std::string> read() {
    char* line = nullptr;
    std::size_t room = 0;
    const ssize_t size = ::getline(&line, &room, out_);
    std::optional<std::string> text;
    if (size > 0) text.emplace(line, static_cast<std::size_t>(size) - (line[size - 1] == '\n' ? 1 : 0));
    std::free(line);
    return text;
  }

  ::pid_t id() const { return pid_; }

  /// Returns when it is dead.
  void kill() {
    ::kill(pid_, SIGKILL);
    end();
  }

  /// Closes its input and returns its exit status when it has ended, 128 and more where a signal did it.
  int end() {
    if (in_ >= 0) ::close(std::exchange(in_, -1));
    if (pid_ <= 0) return status_;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  ::pid_t pid_ = -1;
  int in_ = -1;
  std::FILE* out_ = nullptr;
  int status_ = -1;
};

/// A file_lock_client that serves; any number of threads may ask it at once.
class LockProcess {
 public:
  LockProcess(const std::string& client, const std::filesystem::path& file)
      : program_({client, "serve", file.string()}) {
    const auto greeting = program_.read();
    if (greeting != "0 ready") throw std::runtime_error("the client says " + greeting.value_or("nothing"));
    reader_ = std::thread([this] { listen(); });
  }
  ~LockProcess() { end(); }

  /// What it answers, or "dead".
  std::future<std::string> ask(const std::string& command) { return ask(command, nullptr); }

  /// As above; says which number the command was given.
  std::future<std::string> ask(const std::string& command, std::uint64_t* given) {
    std::lock_guard lock(mutex_);
    const std::uint64_t number = ++last_;
    if (given) *given = number;
    std::future<std::string> answer = pending_[number].get_future();
    if (dead_)
      pending_.extract(number).mapped().set_value("dead");
    else
      program_.write(std::to_string(number) + ' ' + command);
    return answer;
  }

  void kill() {
    program_.kill();
    if (reader_.joinable()) reader_.join();
  }

  /// Its exit status: 0 when all went well, also in the eyes of a sanitizer.
  int end() {
    const int status = program_.end();
    if (reader_.joinable()) reader_.join();
    return status;
  }

 private:
  void listen() {
    while (const auto line = program_.read()) {
      const auto space = line->find(' ');
      std::lock_guard lock(mutex_);
      auto answered = pending_.extract(std::stoull(line->substr(0, space)));
      if (answered) answered.mapped().set_value(line->substr(space + 1));
    }
    std::lock_guard lock(mutex_);
    dead_ = true;
    for (auto& [number, promise] : pending_) promise.set_value("dead");
    pending_.clear();
  }

  Program program_;
  std::mutex mutex_ = {};
  std::map<std::uint64_t, std::promise<std::string>> pending_ = {};
  std::uint64_t last_ = 0;
  bool dead_ = false;
  std::thread reader_ = {};
};

/// Three processes on one file. Who acquires is the next one in turn, so that nearly all who meet are apart.
class ProcessLock {
  struct Shared;

 public:
  class Hold {
   public:
    Hold(Hold&&) = default;
    Hold& operator=(Hold&& other) noexcept {
      std::swap(process_, other.process_);
      std::swap(number_, other.number_);
      return *this;
    }
    ~Hold() {
      if (process_) process_->ask("release " + std::to_string(number_)).wait();
    }

   private:
    friend class ProcessLock;
    Hold(std::shared_ptr<LockProcess> process, std::uint64_t number)
        : process_(std::move(process)), number_(number) {}
    std::shared_ptr<LockProcess> process_;
    std::uint64_t number_;
  };

  /// `failed` counts the processes that did not end well.
  ProcessLock(const std::string& client, std::filesystem::path file, std::atomic<int>& failed)
      : shared_(std::make_unique<Shared>(failed)) {
    for (auto& process : shared_->processes) process = std::make_shared<LockProcess>(client, file);
  }

  std::optional<Hold> acquire(const paidonce::IdempotencyKey& key, paidonce::Duration wait) {
    const auto process = shared_->processes[shared_->next.fetch_add(1) % count];
    std::uint64_t number = 0;
    const std::string answer =
        process->ask("acquire " + std::to_string(wait.count()) + ' ' + to_hex(key.bytes()), &number).get();
    if (answer == "held") return Hold(process, number);
    if (answer == "none") return std::nullopt;
    if (answer.rfind("error ", 0) == 0)
      throw paidonce::Error(static_cast<paidonce::errc>(std::stoi(answer.substr(6))), answer);
    throw std::runtime_error("the client says " + answer);
  }
  void interrupt() noexcept { ask_all("interrupt"); }
  void break_backend() { ask_all("break"); }

 private:
  static constexpr std::size_t count = 3;
  struct Shared {
    explicit Shared(std::atomic<int>& given) : failed(given) {}
    ~Shared() {
      for (auto& process : processes)
        if (process && process->end() != 0) ++failed;
    }
    std::shared_ptr<LockProcess> processes[count] = {};
    std::atomic<std::size_t> next = 0;
    std::atomic<int>& failed;
  };

  void ask_all(const char* command) {
    for (auto& process : shared_->processes) process->ask(command).wait();
  }

  std::unique_ptr<Shared> shared_;
};

}  // namespace conformance
