#pragma once
// What an error reply means, by its first word. The rest of a server's text can hold keys, and is never
// passed on. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors

#include <algorithm>
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

/// Whether a script was stopped since its user may not do what it does. What it did before that has happened.
constexpr bool refuses_script_user(std::string_view error) noexcept {
  return error.find("The user executing the script") != error.npos ||  // before Redis 7.2
         error.find("ACL failure in script") != error.npos;
}

/// The error for callers: a fixed text and that word. `command`: what was asked, in our words.
inline Error redis_error(std::string_view error, std::string_view command = {}) {
  const std::string_view word = redis_error_word(error);
  const auto told = [&](errc code, const char* text) {
    return Error(code, std::string(text) + " (" + std::string(word.substr(0, 32)) + ")");
  };
  if (word == "OOM")
    return told(errc::store_full, "the server has reached maxmemory and takes no more: give it more memory");
  if (word == "NOAUTH")
    return told(errc::invalid_options, "the server wants a password: give one in the URI or in RedisOptions");
  if (word == "WRONGPASS")
    return told(errc::invalid_options, "the server does not let this user in: check user and password");
  if (word == "NOPERM") {
    std::string what("the server does not let this user run ");
    what.append(command.empty() ? "a command" : command);
    if (error.find(" key") != error.npos) what += " on the keys of this prefix";
    return told(errc::invalid_options, (what + ": check its ACL").c_str());
  }
  if (refuses_script_user(error))
    return told(errc::store_unavailable,
                "a script may not do all that it does in this user's name: check the ACL");
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
  explicit RedisOutage(const std::string& what) : Error(errc::store_unavailable, what) {}
};

/// What an error says, without the name of its code behind it.
inline std::string redis_text_of(const Error& error) {
  std::string what = error.what();
  what.resize(what.size() - std::min(what.size(), error.code().message().size()));
  if (what.ends_with(": ")) what.resize(what.size() - 2);
  return what;
}

/// Throws `RedisOutage` where an answer says that this server cannot serve at the moment. Want of a password
/// does not pass.
inline void expect_serving(std::string_view error) {
  const std::string_view word = redis_error_word(error);
  if (redis_verdict(word) == RedisVerdict::leave && word != "NOAUTH")
    throw RedisOutage(redis_text_of(redis_error(error)));
}

}  // namespace paidonce::inline v1::detail
