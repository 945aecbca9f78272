// Thousands of connections that ask for one payment at the same moment: a server and its clients, as two
// processes.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/guarded_server.hpp"

using namespace integration;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t threads = 32;

struct Facts {
  std::size_t charges = 0, memory_kib = 0, threads = 0;
};

/// A line of /proc/self/status.
std::size_t status_of_process(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(name + ":", 0) == 0) return std::strtoul(line.c_str() + name.size() + 1, nullptr, 10);
  return 0;
}

/// A GuardedServer in a process of its own, which ends with this object, and with the test. No other thread
/// runs when it is made.
class ServerProcess {
 public:
  explicit ServerProcess(std::chrono::milliseconds wait) {
    int up[2], down[2];
    if (::pipe(up) != 0 || ::pipe(down) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    child_ = ::fork();
    if (child_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child_ == 0) {
      ::close(up[0]);
      ::close(down[1]);
      serve(wait, down[0], up[1]);
      ::_exit(0);
    }
    ::close(up[1]);
    ::close(down[0]);
    in_ = up[0];
    out_ = down[1];
    port_ = read<int>();
  }
  ~ServerProcess() {
    ::close(out_);
    ::close(in_);
    ::waitpid(child_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const noexcept { return port_; }
  void let_go() { ask('g'); }
  Facts facts() {
    ask('f');
    return read<Facts>();
  }

 private:
  static void serve(std::chrono::milliseconds wait, int in, int out) {
    GuardedServer::Settings settings;
    settings.threads = threads;
    settings.wait = wait;
    settings.idle_timeout = settings.head_timeout = 30s;
    GuardedServer server(settings);
    const int port = server.port();
    if (::write(out, &port, sizeof port) < 0) return;
    for (char asked; ::read(in, &asked, 1) == 1;) {
      if (asked == 'g') server.let_go();
      if (asked != 'f') continue;
      const Facts facts{server.charges().size(), status_of_process("VmHWM"), status_of_process("Threads")};
      if (::write(out, &facts, sizeof facts) < 0) return;
    }
  }
  void ask(char what) {
    if (::write(out_, &what, 1) != 1) throw std::runtime_error("the server is gone");
  }
  template <class T>
  T read() {
    T value;
    if (::read(in_, &value, sizeof value) != sizeof value) throw std::runtime_error("the server is gone");
    return value;
  }

  pid_t child_ = -1;
  int in_ = -1, out_ = -1, port_ = 0;
};

struct Crowd {
  std::size_t paid = 0, replayed = 0, told_later = 0, other = 0, broken = 0, without_retry_after = 0;
};

/// `count` connections that are all there before the first sends `request`; each follows its 409s to the end.
/// Single-threaded.
class Clients {
 public:
  Clients(int port, std::size_t count, std::string request, std::function<void(const Crowd&)> look)
      : request_(std::move(request)),
        look_(std::move(look)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        all_(count) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~Clients() {
    for (const One& one : all_)
      if (one.socket >= 0) ::close(one.socket);
    ::close(epoll_);
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  /// Throws std::runtime_error when it takes more than two minutes.
  Crowd run() {
    for (std::size_t at = 0; at < all_.size(); ++at) begin(at);
    const auto deadline = Clock::now() + 120s;
    while (ended_ < all_.size()) {
      if (Clock::now() > deadline) throw std::runtime_error("the crowd was not served in two minutes");
      epoll_event events[512];
      const int count = ::epoll_wait(epoll_, events, 512, 20);
      for (int at = 0; at < count; ++at) happens(static_cast<std::size_t>(events[at].data.u64));
      look_(crowd_);
      while (!later_.empty() && later_.top().first <= Clock::now()) {
        const std::size_t again = later_.top().second;
        later_.pop();
        begin(again);
      }
    }
    return crowd_;
  }

 private:
  struct One {
    int socket = -1;
    bool connected = false;
    std::string answer;
  };
  using Later = std::pair<Clock::time_point, std::size_t>;

  void begin(std::size_t at) {
    One& one = all_[at];
    one.answer.clear();
    one.connected = false;
    one.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one.socket < 0) throw std::system_error(errno, std::generic_category(), "socket");
    if (::connect(one.socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0 &&
        errno != EINPROGRESS)
      return ends(at, crowd_.broken);
    watch(at, EPOLL_CTL_ADD, EPOLLOUT);
  }
  void watch(std::size_t at, int operation, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = at;
    ::epoll_ctl(epoll_, operation, all_[at].socket, &event);
  }
  void happens(std::size_t at) {
    One& one = all_[at];
    if (one.socket < 0) return;
    if (!one.connected) {
      int failure = 0;
      socklen_t size = sizeof failure;
      ::getsockopt(one.socket, SOL_SOCKET, SO_ERROR, &failure, &size);
      if (failure != 0) return ends(at, crowd_.broken);
      one.connected = true;
      watch(at, EPOLL_CTL_MOD, EPOLLIN);
      if (++connected_ < all_.size()) return;
      if (connected_ > all_.size()) return send(at);
      for (std::size_t each = 0; each < all_.size(); ++each) send(each);  // now all are there
      return;
    }
    char buffer[4096];
    const ssize_t count = ::recv(one.socket, buffer, sizeof buffer, 0);
    if (count > 0) {
      one.answer.append(buffer, static_cast<std::size_t>(count));
    } else if (count == 0) {
      judge(at);
    } else if (errno != EAGAIN && errno != EINTR) {
      ends(at, crowd_.broken);
    }
  }
  void send(std::size_t at) {
    if (::send(all_[at].socket, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      ends(at, crowd_.broken);
  }
  /// The server has closed, as it was asked to: the answer is whole.
  void judge(std::size_t at) {
    const std::string_view answer = all_[at].answer;
    const auto has = [&](std::string_view text) { return answer.find(text) != answer.npos; };
    if (answer.empty()) return ends(at, crowd_.broken);
    if (answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\npaid"))
      return ends(at, has("Idempotent-Replayed: true") ? crowd_.replayed : crowd_.paid);
    if (!answer.starts_with("HTTP/1.1 409") || !has("problem:in-progress")) return ends(at, crowd_.other);
    constexpr std::string_view field = "\r\nRetry-After: ";
    const auto retry_after = answer.find(field);
    if (retry_after == answer.npos) return ends(at, crowd_.without_retry_after);
    const auto seconds = std::strtol(all_[at].answer.c_str() + retry_after + field.size(), nullptr, 10);
    ++crowd_.told_later;
    ::close(std::exchange(all_[at].socket, -1));
    later_.push({Clock::now() + std::chrono::seconds(seconds), at});
  }
  void ends(std::size_t at, std::size_t& counted) {
    ++counted;
    ++ended_;
    if (all_[at].socket >= 0) ::close(std::exchange(all_[at].socket, -1));
  }

  std::string request_;
  std::function<void(const Crowd&)> look_;
  int epoll_;
  sockaddr_in address_{};
  std::vector<One> all_;
  std::priority_queue<Later, std::vector<Later>, std::greater<>> later_;
  Crowd crowd_;
  std::size_t connected_ = 0, ended_ = 0;
};

/// Client and server have a descriptor for each connection.
void allow_descriptors(std::size_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  INFO("This test opens " << count << " connections. The hard limit of descriptors is " << limit.rlim_max
                          << ": raise it ('ulimit -Hn', limits.conf, or docker run --ulimit nofile=20000).");
  REQUIRE(limit.rlim_max >= count + 200);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, count + 200));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

std::string duplicate() {
  return "POST /slow HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nIdempotency-Key: \"one\"\r\n"
         "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\namount=450";
}

void are_one_charge(std::size_t count, std::chrono::milliseconds wait) {
  allow_descriptors(count);
  ServerProcess server(wait);
  // Until its threads have served a few, the server has not the memory that any server has.
  Clients few(server.port(), 4 * threads,
              "GET /probe HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", [](const Crowd&) {});
  CHECK(few.run().other == 4 * threads);
  const Facts before = server.facts();

  const auto begin = Clock::now();
  bool let_go = false;
  // Who does not wait is told 409, all but the one that pays; who waits stands in a queue behind those that
  // do.
  Clients clients(server.port(), count, duplicate(), [&](const Crowd& crowd) {
    if (let_go || (wait == 0ms ? crowd.told_later + 1 < count : Clock::now() - begin < 1s)) return;
    let_go = true;
    server.let_go();
  });
  const Crowd crowd = clients.run();
  const Facts after = server.facts();
  INFO(count << " connections, " << (wait == 0ms ? "told 409" : "waiting") << ": "
             << std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count()
             << " ms, memory of the server " << before.memory_kib << " -> " << after.memory_kib << " KiB, "
             << after.threads << " threads, " << crowd.told_later << " times 409");

  CHECK(after.charges == 1);
  CHECK(crowd.paid == 1);
  CHECK(crowd.replayed == count - 1);
  CHECK(crowd.told_later >= (wait == 0ms ? count - 1 : 0));
  CHECK(crowd.broken == 0);
  CHECK(crowd.other == 0);
  CHECK(crowd.without_retry_after == 0);
  // A connection that waits for a thread is an entry in a list and a descriptor; only those that are served
  // have buffers. 1 KiB each is several times that, and far below a buffer or a stack.
  CHECK(after.memory_kib - before.memory_kib <= 8 * 1024 + count);
  CHECK(after.threads <= threads + 8);
}

}  // namespace

TEST_CASE("ten thousand duplicates at once are one charge: each is told 409 and follows it to the end",
          "[http][hostile][many]") {
  are_one_charge(10'000, 0ms);
}

TEST_CASE("ten thousand duplicates at once are one charge: each waits for its answer",
          "[http][hostile][many]") {
  are_one_charge(10'000, 60s);
}
