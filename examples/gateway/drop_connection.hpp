#pragma once
// Closes the connection of a request that is being handled, without an answer. The HTTP library has no way to
// say so.

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <string_view>

namespace gateway {

/// Called by the handler of the request, whose socket stays open until it returns. IPv4, as the server.
inline void drop_connection(int remote_port) {
  DIR* descriptors = ::opendir("/proc/self/fd");
  if (descriptors == nullptr) return;
  while (const dirent* entry = ::readdir(descriptors)) {
    const std::string_view name = entry->d_name;
    int descriptor = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), descriptor).ec != std::errc()) continue;
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == remote_port) ::shutdown(descriptor, SHUT_RDWR);
  }
  ::closedir(descriptors);
}

}  // namespace gateway
