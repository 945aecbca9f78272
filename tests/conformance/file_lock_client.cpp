// A process that holds keys of a lock file on command.
//
//   file_lock_client serve <file>     reads commands, one a line, each with a number of its own; answers each
//     <n> acquire <wait> <key>        "<n> held", "<n> none", or "<n> error <code> <text>"; answered in any
//     order <n> release <m>                 "<n> ok": what command m acquired is free <n> interrupt "<n> ok"
//     <n> break                       "<n> ok": from now on the lock's descriptor is another file's
//     <n> run <argument>...           "<n> ok": this program again, as a child that outlives this process
//     <n> count <file> <key> <threads> <rounds>    "<n> ok": each thread adds so much to the number in the
//     file
//   file_lock_client wait <fifo>      ends when all who write to the FIFO have gone
//   file_lock_client open <file> nobody|full     "ok", or the error: without rights; without descriptors
//   file_lock_client fork <file> <key>    "forked <what went wrong in the child>"; a line later, "released"
//   file_lock_client fork_with_waiters <file> <key>    "forked ...", while threads wait for a key
//
// Keys are in hexadecimal. Ends with its input.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/locks/file_lock.hpp>

#include "fault/event.hpp"
#include "file_lock_support.hpp"

using namespace paidonce;

namespace {

std::mutex output;

void say(const std::string& line) {
  std::lock_guard lock(output);
  std::cout << line << std::endl;
}

IdempotencyKey key_from(const std::string& hex) {
  return IdempotencyKey::from_bytes(conformance::from_hex(hex));
}

std::string text_of(const Error& error) {
  return "error " + std::to_string(error.code().value()) + ' ' + error.what();
}

/// Threads for what waits, as many as wait at once.
class Pool {
 public:
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void run(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    if (work_.size() > idle_)
      threads_.emplace_back([this] { serve(); });
    else
      changed_.notify_one();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [this] { return over_ || !work_.empty(); });
      --idle_;
      if (work_.empty()) return;
      const auto work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::deque<std::function<void()>> work_ = {};
  std::size_t idle_ = 0;
  bool over_ = false;
  std::vector<std::thread> threads_ = {};
};

/// Adds one, so often, with nothing but the lock to keep two from doing so at once.
void count(FileLock& lock, const std::string& file, const IdempotencyKey& key, int rounds) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  for (int i = 0; i < rounds; ++i) {
    const auto hold = lock.acquire(key, std::chrono::minutes(5));
    if (!hold) break;
    long number = 0;
    if (::pread(fd, &number, sizeof number, 0) != sizeof number) break;
    std::this_thread::yield();
    ++number;
    if (::pwrite(fd, &number, sizeof number, 0) != sizeof number) break;
  }
  ::close(fd);
}

class Server {
 public:
  explicit Server(const char* file) : file_(file), lock_(file_) {}

  void run() {
    say("0 ready");
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      std::string number, command;
      words >> number >> command;
      if (command == "acquire") acquire(number, words);
      if (command == "release") release(number, words);
      if (command == "interrupt") lock_.interrupt();
      if (command == "break") conformance::break_lock_file(file_);
      if (command == "run") start(words);
      if (command == "count") add_up(number, words);
      if (command == "interrupt" || command == "break" || command == "run") say(number + " ok");
    }
    lock_.interrupt();
  }

 private:
  void acquire(const std::string& number, std::istringstream& words) {
    Duration::rep wait = 0;
    std::string hex;
    words >> wait >> hex;
    const auto take = [this, number, wait, key = key_from(hex)] {
      try {
        auto hold = lock_.acquire(key, Duration(wait));
        if (!hold) return say(number + " none");
        {
          std::lock_guard lock(mutex_);
          holds_.emplace(number, std::move(*hold));
        }
        say(number + " held");
      } catch (const Error& error) {
        say(number + ' ' + text_of(error));
      }
    };
    if (wait > 0)
      pool_.run(take);
    else
      take();
  }

  void release(const std::string& number, std::istringstream& words) {
    std::string which;
    words >> which;
    {
      std::lock_guard lock(mutex_);
      holds_.erase(which);
    }
    say(number + " ok");
  }

  void start(std::istringstream& words) {
    std::vector<std::string> arguments = {"/proc/self/exe"};
    for (std::string word; words >> word;) arguments.push_back(word);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;  // it keeps none of our pipes open
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_RDWR, 0);
    ::pid_t pid = 0;
    if (::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, pointers.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
  }

  void add_up(const std::string& number, std::istringstream& words) {
    std::string file, hex;
    int threads = 0, rounds = 0;
    words >> file >> hex >> threads >> rounds;
    pool_.run([this, number, file, key = key_from(hex), threads, rounds] {
      std::vector<std::thread> adding;
      for (int i = 0; i < threads; ++i) adding.emplace_back([&] { count(lock_, file, key, rounds); });
      for (std::thread& thread : adding) thread.join();
      say(number + " ok");
    });
  }

  std::filesystem::path file_;
  FileLock lock_;
  std::mutex mutex_ = {};
  std::map<std::string, FileLock::Hold> holds_ = {};
  Pool pool_ = {};  // ends first
};

int open_without(const char* file, const std::string& what) {
  if (what == "nobody" && ::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 1;
  // A sanitizer that meets a type for the first time opens files: let it meet the error now, the output
  // later.
  std::string answer = text_of(Error(errc::lock_unavailable, std::string()));
  ::rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const ::rlimit before = limit;
  limit.rlim_cur = 3;
  for (int fd = 3; fd < 64; ++fd) ::close(fd);
  if (what == "full") ::setrlimit(RLIMIT_NOFILE, &limit);
  try {
    FileLock lock{file};
    answer = "ok";
  } catch (const Error& error) {
    answer = text_of(error);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  say(answer);
  return 0;
}

/// What a child sees of its parent's lock: the number of the first thing that is wrong, or 0.
int wrong_in_child(std::optional<FileLock>& lock, std::optional<FileLock::Hold>& hold) {
  const IdempotencyKey other("child", "other");
  try {
    (void)lock->acquire(other, Duration(0));
    return 1;
  } catch (const Error& error) {
    if (error.code() != errc::store_forked) return 2;
    if (std::string(error.what()).find("open a FileLock in the child") == std::string::npos) return 3;
  }
  lock->interrupt();
  hold.reset();
  lock.reset();
  return 0;
}

void fork_child(std::optional<FileLock>& lock, std::optional<FileLock::Hold>& hold) {
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // a child that hangs is wrong, too
    ::_exit(wrong_in_child(lock, hold));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  say("forked " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
}

int fork_while_holding(const char* file, const char* hex) {
  std::optional<FileLock> lock(file);
  std::optional<FileLock::Hold> hold(lock->acquire(key_from(hex), Duration(0)));
  fork_child(lock, hold);
  std::string line;
  std::getline(std::cin, line);
  hold.reset();
  say("released");
  std::getline(std::cin, line);
  return 0;
}

/// Tells when another FileLock's key has been asked for in vain.
struct ToldFiles : PosixLockFiles {
  fault::Event* in_vain;
  int lock_byte(int fd, off_t at, short type) {
    const int result = PosixLockFiles::lock_byte(fd, at, type);
    if (result != 0) in_vain->happen();
    return result;
  }
};

int fork_with_waiters(const char* file, const char* hex) {
  const IdempotencyKey key = key_from(hex);
  FileLock other{file};
  auto held = other.acquire(key, Duration(0));
  fault::Event in_vain;
  using Told = BasicFileLock<ToldFiles>;
  std::optional<Told> lock(std::in_place, file, FileLockOptions{}, ToldFiles{{}, &in_vain});
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i)
    waiting.emplace_back([&] { (void)lock->acquire(key, std::chrono::minutes(5)); });
  in_vain.await(5);  // one looks again and again, and sleeps in between
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    lock.reset();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  say("forked " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  lock->interrupt();
  for (std::thread& thread : waiting) thread.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode == "serve") {
    try {
      Server(argv[2]).run();
    } catch (const Error& error) {
      say("0 " + text_of(error));
    }
    return 0;
  }
  if (mode == "wait") {
    const int fifo = ::open(argv[2], O_RDONLY | O_CLOEXEC);
    char byte = 0;
    while (::read(fifo, &byte, 1) > 0) {
    }
    return 0;
  }
  if (mode == "open" && argc > 3) return open_without(argv[2], argv[3]);
  if (mode == "fork" && argc > 3) return fork_while_holding(argv[2], argv[3]);
  if (mode == "fork_with_waiters" && argc > 3) return fork_with_waiters(argv[2], argv[3]);
  return 2;
}
