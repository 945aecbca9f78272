#include "support/tcp_proxy.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/kept_process.hpp"

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

::sockaddr_in loopback(int port) {
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int bind_to(int port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const ::sockaddr_in address = loopback(port);
  if (listener < 0 || ::bind(listener, reinterpret_cast<const ::sockaddr*>(&address), sizeof address) != 0)
    fail("a proxy's listener");
  return listener;
}

void set_options(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(socket, F_SETFL, O_NONBLOCK);
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t each = at; each < at + 4; ++each)
    number = number << 8U | static_cast<unsigned char>(bytes[each]);
  return number;
}

/// How long the value of RESP is that begins there; 0: it has not come as a whole. A command is an array.
std::size_t resp_size(const std::string& bytes, std::size_t from = 0) {
  const std::size_t end = bytes.find("\r\n", from);
  if (end == std::string::npos) return 0;
  const std::size_t line = end + 2 - from;
  const char type = bytes[from];
  if (type != '$' && type != '*') return line;
  const long count = std::atol(bytes.c_str() + from + 1);
  if (count < 0) return line;
  std::size_t size = line;
  if (type == '$') {
    size += static_cast<std::size_t>(count) + 2;
    return bytes.size() - from < size ? 0 : size;
  }
  for (long at = 0; at < count; ++at) {
    if (from + size >= bytes.size()) return 0;
    const std::size_t element = resp_size(bytes, from + size);
    if (element == 0) return 0;
    size += element;
  }
  return size;
}

/// The words of a command, separated by spaces.
std::string resp_words(const std::string& command) {
  std::string words;
  for (std::size_t at = command.find("\r\n") + 2; at < command.size();) {
    const std::size_t end = command.find("\r\n", at) + 2;
    const auto size = static_cast<std::size_t>(std::atol(command.c_str() + at + 1));
    if (!words.empty()) words += ' ';
    words.append(command, end, size);
    at = end + size + 2;
  }
  return words;
}

std::string upper(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return text;
}

struct Armed {
  Cut cut;
  std::string containing;
  std::size_t left;  // how many that match until it hits; 0: every one
};

/// One client's way to the server.
struct Link {
  /// Startup messages have no type. A request for encryption is answered by one letter, and followed by
  /// another startup message.
  enum class Stage : std::uint8_t { startup, asks_for_encryption, connecting, connected };

  int client = -1, server = -1;
  Stage stage = Stage::startup;
  std::string from_client = {}, from_server = {};  // read; no whole message yet
  std::string to_client = {}, to_server = {};      // to be written
  std::string request = {}, sql = {};              // whole messages of one that has no end yet, and their SQL
  std::string reply = {};                          // likewise, where all of it is waited for
  std::map<std::string, std::string> prepared = {}, portals = {};
  std::vector<std::optional<Cut>> outstanding = {};  // what becomes of the replies that have not come
  std::optional<std::string> held = {};              // a request
  bool swallowed = false;                            // nothing is read
  bool mute = false;                                 // nothing is passed on to the client
  bool cut = false;                                  // closed as soon as what is to be written is
  bool drained = false;                              // of these: the server's side is read to its end
};

}  // namespace

class TcpProxy::Core {
 public:
  Core(int to_port, Speaks protocol)
      : protocol_(protocol), to_port_(to_port), listener_(bind_to(reserved_.number())) {
    if (::listen(listener_, 256) != 0) fail("a proxy's listener");
    if (::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) fail("a proxy's pipe");
    thread_ = std::thread([this] { run(); });
  }
  ~Core() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake();
    thread_.join();
    for (Link& link : links_) close(link);
    ::close(listener_);
    ::close(wake_[0]);
    ::close(wake_[1]);
  }

  /// Changes something under the mutex, and has the thread look.
  template <class Change>
  void change(const Change& what) {
    {
      const std::lock_guard lock(mutex_);
      what();
    }
    wake();
  }
  template <class Look>
  auto look(const Look& what) const {
    const std::lock_guard lock(mutex_);
    return what();
  }

  mutable std::mutex mutex_;
  std::condition_variable hit_, moved_;
  support::ReservedPort reserved_;
  const Speaks protocol_;
  std::optional<std::size_t> left_[2];  // bytes until a cut, of clients and of servers
  int to_port_, listener_;
  bool swallows_ = false, refuses_ = false, frozen_ = false, cut_all_ = false, ending_ = false;
  std::list<Link> links_;
  std::vector<Armed> armed_;
  std::size_t hits_ = 0, requests_ = 0, round_trips_ = 0, connected_ = 0;
  std::vector<std::string> statements_;

  /// As a killed process leaves it: what is not read yet makes it a reset.
  static void close(Link& link) {
    for (int* const side : {&link.client, &link.server}) {
      if (*side >= 0) ::close(*side);
      *side = -1;
    }
  }

 private:
  void wake() {
    const char byte = 0;
    if (::write(wake_[1], &byte, 1) < 0) return;  // full: it will look
  }

  void run() {
    std::vector<::pollfd> polled;
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        polled.clear();
        polled.push_back({wake_[0], POLLIN, 0});
        polled.push_back({refuses_ ? -1 : listener_, POLLIN, 0});
        for (const Link& link : links_) {
          const bool idle = link.swallowed || frozen_;
          const auto events = [](const std::string& writes) {
            return static_cast<short>(POLLIN | (writes.empty() ? 0 : POLLOUT));
          };
          polled.push_back({idle || link.held ? -1 : link.client, events(link.to_client), 0});
          polled.push_back({idle ? -1 : link.server, events(link.to_server), 0});
        }
      }
      ::poll(polled.data(), polled.size(), -1);
      const std::lock_guard lock(mutex_);
      char bytes[256];
      while (::read(wake_[0], bytes, sizeof bytes) > 0) {
      }
      // Only this thread adds and takes away: they are those that were polled.
      std::size_t at = 2;
      for (auto link = links_.begin(); link != links_.end(); at += 2) {
        const bool idle = link->swallowed || frozen_;
        if (!cut_all_ && (idle || move(*link, polled[at].revents, polled[at + 1].revents))) {
          ++link;
        } else {
          close(*link);
          link = links_.erase(link);
        }
      }
      cut_all_ = false;
      if ((polled[1].revents & POLLIN) != 0 && !refuses_) take_connections();
      moved_.notify_all();
    }
  }

  void take_connections() {
    for (;;) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      set_options(client);
      ++connected_;
      Link link;
      link.client = client;
      link.swallowed = swallows_;
      if (protocol_ != Speaks::postgres) link.stage = Link::Stage::connected;
      if (!swallows_) {
        link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const ::sockaddr_in address = loopback(to_port_);
        if (::connect(link.server, reinterpret_cast<const ::sockaddr*>(&address), sizeof address) != 0) {
          close(link);
          continue;
        }
        set_options(link.server);
      }
      links_.push_back(std::move(link));
    }
  }

  /// False: the connection is over.
  bool move(Link& link, short client, short server) {
    constexpr short readable = POLLIN | POLLHUP | POLLERR;
    bool client_ended = false, server_ended = false;
    if (!link.cut) {
      if ((client & readable) != 0) client_ended = !read_into(link.client, link.from_client);
      take_requests(link);
    }
    if ((server & readable) != 0) server_ended = !read_into(link.server, link.from_server);
    if (!link.cut) take_replies(link);
    if (!write_out(link.server, link.to_server)) server_ended = true;
    if (link.client >= 0 && !write_out(link.client, link.to_client)) client_ended = true;
    if (link.cut && link.to_client.empty() && link.to_server.empty()) {
      if (!link.drained) return false;
      // The server is to have read all of it before it learns that nobody is there.
      ::close(link.client);
      link.client = -1;
      ::shutdown(link.server, SHUT_WR);
      link.cut = false;
      link.mute = true;
    }
    return !client_ended && !server_ended;
  }

  static bool read_into(int socket, std::string& to) {
    char bytes[65536];
    for (;;) {
      const ssize_t size = ::recv(socket, bytes, sizeof bytes, MSG_DONTWAIT);
      if (size > 0)
        to.append(bytes, static_cast<std::size_t>(size));
      else
        return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    }
  }
  static bool write_out(int socket, std::string& bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
      bytes.erase(0, static_cast<std::size_t>(size));
    }
    return true;
  }

  /// Of a protocol that is not known.
  void pass_on(Link& link, From side, std::string& from, std::string& to) {
    std::optional<std::size_t>& left = left_[static_cast<std::size_t>(side)];
    const std::size_t size = left ? std::min(*left, from.size()) : from.size();
    to += from.substr(0, size);
    from.erase(0, size);
    if (!left) return;
    *left -= size;
    if (*left != 0) return;
    left.reset();
    link.cut = true;
    count_hit();
  }

  void take_requests(Link& link) {
    if (protocol_ == Speaks::anything) pass_on(link, From::client, link.from_client, link.to_server);
    while (!link.held && !link.cut) {
      if (protocol_ == Speaks::resp) {
        const std::size_t size = resp_size(link.from_client);
        if (size == 0) return;
        if (link.outstanding.empty()) ++round_trips_;
        link.request = link.from_client.substr(0, size);
        link.sql = resp_words(link.request);
        link.from_client.erase(0, size);
        end_request(link);
        continue;
      }
      if (link.stage <= Link::Stage::asks_for_encryption && !pass_startup(link)) return;
      if (link.from_client.size() < 5) return;
      const std::size_t size = 1 + std::size_t{number_at(link.from_client, 1)};
      if (link.from_client.size() < size) return;
      const std::string message = link.from_client.substr(0, size);
      link.from_client.erase(0, size);
      if (message[0] == 'p' || message[0] == 'X') {  // a password, good-bye
        link.to_server += message;
        continue;
      }
      note(link, message);
      if (link.request.empty() && link.outstanding.empty()) ++round_trips_;
      link.request += message;
      if (message[0] == 'Q' || message[0] == 'S') end_request(link);
      // One that has no end yet is waited for, unless it asks for an answer meanwhile.
      if (message[0] == 'H') {
        link.to_server += link.request;
        link.request.clear();
      }
    }
  }

  bool pass_startup(Link& link) {
    if (link.stage != Link::Stage::startup || link.from_client.size() < 8) return false;
    const std::size_t size = number_at(link.from_client, 0);
    if (link.from_client.size() < size) return false;
    const std::uint32_t code = number_at(link.from_client, 4);
    link.to_server += link.from_client.substr(0, size);
    link.from_client.erase(0, size);
    const bool encryption = code == 80877103 || code == 80877104;
    link.stage = encryption ? Link::Stage::asks_for_encryption : Link::Stage::connecting;
    return !encryption;
  }

  static std::string text_at(const std::string& message, std::size_t& at) {
    const std::size_t end = std::min(message.find('\0', at), message.size());
    std::string text = message.substr(at, end - at);
    at = end + 1;
    return text;
  }
  static void note(Link& link, const std::string& message) {
    std::size_t at = 5;
    const auto add = [&](const std::string& sql) { link.sql += (link.sql.empty() ? "" : "; ") + sql; };
    if (message[0] == 'Q') {
      add(text_at(message, at));
    } else if (message[0] == 'P') {
      const std::string name = text_at(message, at);
      link.prepared[name] = text_at(message, at);
    } else if (message[0] == 'B') {
      const std::string portal = text_at(message, at);
      link.portals[portal] = link.prepared[text_at(message, at)];
    } else if (message[0] == 'E') {
      add(link.portals[text_at(message, at)]);
    }
  }

  void end_request(Link& link) {
    ++requests_;
    std::optional<Cut> cut;
    const std::string sql = upper(link.sql);
    for (auto each = armed_.begin(); each != armed_.end(); ++each) {
      if (sql.find(each->containing) == std::string::npos) continue;
      if (each->left > 1) {
        --each->left;
        continue;
      }
      cut = each->cut;
      if (each->left == 1) armed_.erase(each);
      break;
    }
    statements_.push_back(std::move(link.sql));
    link.sql.clear();
    std::string request = std::move(link.request);
    link.request.clear();
    if (!cut) {
      link.to_server += request;
      link.outstanding.push_back(std::nullopt);
      return;
    }
    switch (*cut) {
      case Cut::before_request:
        link.cut = true;
        count_hit();
        break;
      case Cut::within_request:
        link.to_server += request.substr(0, request.size() / 2);
        link.cut = true;
        count_hit();
        break;
      case Cut::after_request:
        link.to_server += request;
        link.cut = true;
        link.drained = true;
        count_hit();
        break;
      case Cut::request_held:
        link.held = std::move(request);
        count_hit();
        break;
      default:
        link.to_server += request;
        link.outstanding.push_back(cut);
        break;
    }
  }

  void take_replies(Link& link) {
    if (protocol_ == Speaks::anything) pass_on(link, From::server, link.from_server, link.to_client);
    while (!link.from_server.empty() && !link.cut) {
      if (link.stage == Link::Stage::asks_for_encryption) {
        link.stage = Link::Stage::startup;
        link.to_client += link.from_server[0];
        link.from_server.erase(0, 1);
        continue;
      }
      const bool resp = protocol_ == Speaks::resp;
      if (!resp && link.from_server.size() < 5) return;
      const std::size_t size =
          resp ? resp_size(link.from_server) : 1 + std::size_t{number_at(link.from_server, 1)};
      if (size == 0 || link.from_server.size() < size) return;
      std::string message = link.from_server.substr(0, size);
      link.from_server.erase(0, size);
      if (link.mute) continue;
      const bool ready = resp || message[0] == 'Z';
      if (ready && link.stage == Link::Stage::connecting) {
        link.stage = Link::Stage::connected;
        link.to_client += message;
        continue;
      }
      if (link.outstanding.empty() || !link.outstanding.front()) {
        link.to_client += message;
        if (ready && !link.outstanding.empty()) link.outstanding.erase(link.outstanding.begin());
        continue;
      }
      link.reply += message;
      if (!ready) continue;
      switch (*link.outstanding.front()) {
        case Cut::within_reply:
          link.to_client += link.reply.substr(0, link.reply.size() / 2);
          link.cut = true;
          break;
        case Cut::after_reply:
          link.to_client += link.reply;
          link.cut = true;
          break;
        case Cut::reply_never: link.mute = true; break;
        default: link.cut = true; break;
      }
      link.reply.clear();
      link.outstanding.erase(link.outstanding.begin());
      count_hit();
    }
  }

  void count_hit() {
    ++hits_;
    hit_.notify_all();
  }

  int wake_[2] = {-1, -1};
  std::thread thread_;
};

TcpProxy::TcpProxy(int to_port, Speaks protocol) : core_(std::make_unique<Core>(to_port, protocol)) {}
TcpProxy::~TcpProxy() = default;

int TcpProxy::port() const noexcept { return core_->reserved_.number(); }

std::string TcpProxy::conninfo(const std::string& of_the_server) const {
  return of_the_server + " port=" + std::to_string(port());  // the last one counts
}

void TcpProxy::arm(Cut cut, const std::string& containing, std::size_t nth) {
  core_->change([&] { core_->armed_.push_back({cut, upper(containing), nth}); });
}
void TcpProxy::arm_always(Cut cut, const std::string& containing) {
  core_->change([&] { core_->armed_.push_back({cut, upper(containing), 0}); });
}
void TcpProxy::cut_after(From side, std::size_t bytes) {
  core_->change([&] { core_->left_[static_cast<std::size_t>(side)] = bytes; });
}
std::size_t TcpProxy::hits() const {
  return core_->look([&] { return core_->hits_; });
}
bool TcpProxy::await_hit(std::size_t hits, std::chrono::milliseconds time) {
  std::unique_lock lock(core_->mutex_);
  return core_->hit_.wait_for(lock, time, [&] { return core_->hits_ >= hits; });
}

void TcpProxy::release() {
  core_->change([&] {
    for (Link& link : core_->links_) {
      if (!link.held) continue;
      link.to_server += *link.held;
      link.held.reset();
      link.outstanding.push_back(std::nullopt);
    }
  });
}
void TcpProxy::reset() {
  release();
  accept();
  core_->change([&] {
    core_->armed_.clear();
    for (auto& left : core_->left_) left.reset();
    core_->frozen_ = false;
    core_->hits_ = core_->requests_ = core_->round_trips_ = core_->connected_ = 0;
    core_->statements_.clear();
  });
}

void TcpProxy::cut_all() {
  core_->change([&] { core_->cut_all_ = true; });
  std::unique_lock lock(core_->mutex_);
  core_->moved_.wait(lock, [&] { return !core_->cut_all_; });
}
void TcpProxy::refuse() {
  core_->change([&] {
    // Bound to its port by number, it keeps it.
    if (!core_->refuses_) ::shutdown(core_->listener_, SHUT_RDWR);
    core_->refuses_ = true;
  });
}
void TcpProxy::swallow() {
  accept();
  core_->change([&] { core_->swallows_ = true; });
}
void TcpProxy::accept() {
  core_->change([&] {
    core_->swallows_ = false;
    if (core_->refuses_ && ::listen(core_->listener_, 256) != 0) fail("a proxy's listener");
    core_->refuses_ = false;
  });
}
void TcpProxy::freeze() {
  core_->change([&] { core_->frozen_ = true; });
}
void TcpProxy::thaw() {
  core_->change([&] { core_->frozen_ = false; });
}
void TcpProxy::redirect(int to_port) {
  core_->change([&] { core_->to_port_ = to_port; });
}

std::size_t TcpProxy::requests() const {
  return core_->look([&] { return core_->requests_; });
}
std::size_t TcpProxy::round_trips() const {
  return core_->look([&] { return core_->round_trips_; });
}
std::vector<std::string> TcpProxy::statements() const {
  return core_->look([&] { return core_->statements_; });
}
std::size_t TcpProxy::connected() const {
  return core_->look([&] { return core_->connected_; });
}
std::size_t TcpProxy::open() const {
  return core_->look([&] { return core_->links_.size(); });
}
