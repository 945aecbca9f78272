#pragma once
// What the payer (a program that is killed) and the ledger (in the process of the test) say to each other:
// one datagram each over a socket pair.

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/socket.h>

namespace crash {

enum class Verb : char {
  charge =
      'c',  ///< order, fence and provider key -> the charge's bytes, or empty: declined, or "!": too late
  look_up = 'l',  ///< order, fence -> the charge's bytes, or empty: none, and none comes with such a fence
  asks = 'a',     ///< order: the guard is called now; no answer
  told = 't',     ///< order, what its caller was told; no answer
  reached = 'r',  ///< the name of a crash point that is survived for now; no answer
  dies = 'd',     ///< the name of the crash point that is the last; no answer
};

struct Message {
  Verb verb = Verb::told;
  unsigned order = 0;
  std::string text = {};
};

inline void send(int socket, const Message& message) {
  const std::string bytes =
      std::string(1, static_cast<char>(message.verb)) + std::to_string(message.order) + ' ' + message.text;
  while (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "send");
}

/// Nothing where the other side is gone.
inline std::optional<Message> receive(int socket, int flags = 0) {
  char bytes[65536];
  ssize_t size = 0;
  do size = ::recv(socket, bytes, sizeof bytes, flags);
  while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  const std::string_view all(bytes, static_cast<std::size_t>(size));
  const std::size_t blank = all.find(' ');
  return Message{static_cast<Verb>(all[0]),
                 static_cast<unsigned>(std::stoul(std::string(all.substr(1, blank - 1)))),
                 std::string(all.substr(blank + 1))};
}

}  // namespace crash
