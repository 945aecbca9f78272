#pragma once
// What an error reply means, by its first word. The rest of a server's text can hold keys, and is never
// passed on. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// The first word: `MOVED`, `OOM`, `ERR`.
inline std::string_view redis_error_word(std::string_view error) noexcept {
  return error.substr(0, error.find(' '));
}

/// What becomes of a command that was refused. It was not executed.
enum class RedisVerdict : std::uint8_t {
  load_script,  ///< the server does not know the script: load it, and repeat
  moved,        ///< another node has that slot
  ask,          ///< another node has that key, for now
  repeat,       ///< the slot is on its way
  leave,        ///< this server cannot serve: connect anew
  refuse,       ///< this command will not do
};

constexpr RedisVerdict redis_verdict(std::string_view word) noexcept {
  if (word == "NOSCRIPT") return RedisVerdict::load_script;
  if (word == "MOVED") return RedisVerdict::moved;
  if (word == "ASK") return RedisVerdict::ask;
  if (word == "TRYAGAIN") return RedisVerdict::repeat;
  if (word == "READONLY" || word == "LOADING" || word == "MASTERDOWN" || word == "CLUSTERDOWN" ||
      word == "NOAUTH" || word == "UNBLOCKED")
    return RedisVerdict::leave;
  return RedisVerdict::refuse;
}

/// The error for callers: a fixed text and that word.
inline Error redis_error(std::string_view error) {
  const std::string_view word = redis_error_word(error);
  const auto told = [&](errc code, const char* text) {
    return Error(code, std::string(text) + " (" + std::string(word.substr(0, 32)) + ")");
  };
  if (word == "OOM")
    return told(errc::store_full, "the server has reached maxmemory and takes no more: give it more memory");
  if (word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM")
    return told(errc::invalid_options,
                "the server does not let this user do that: check user, password and ACL");
  if (word == "WRONGTYPE")
    return told(errc::store_corrupt, "another program uses the same keys: choose another prefix");
  if (word == "READONLY" || word == "MASTERDOWN")
    return told(errc::store_unavailable, "the server is a replica, and takes no writes");
  if (word == "NOREPLICAS")
    return told(errc::store_unavailable, "the server has fewer replicas than min-replicas-to-write");
  if (word == "MISCONF")
    return told(errc::store_unavailable, "the server cannot write to its disk, and takes no writes");
  if (word == "BUSY") return told(errc::store_busy, "the server is busy with somebody's script");
  if (word == "LOADING") return told(errc::store_unavailable, "the server reads its data from disk");
  if (word == "CLUSTERDOWN" || word == "MOVED" || word == "ASK" || word == "TRYAGAIN" || word == "CROSSSLOT")
    return told(errc::store_unavailable, "the cluster is not in order at the moment");
  return told(errc::store_unavailable, "the server refused the command");
}

/// A server out of reach, as opposed to one that refused.
class RedisOutage : public Error {
 public:
  explicit RedisOutage(const char* what) : Error(errc::store_unavailable, what) {}
};

}  // namespace paidonce::inline v1::detail
