#pragma once
// Whether a server can be trusted with payments: a decision over what it says of itself.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/stores/redis/options.hpp>

namespace paidonce::inline v1::detail {

/// What a server says of itself. Null where it does not tell.
struct RedisServerFacts {
  std::optional<std::int64_t> version = {};  ///< the first number of redis_version
  std::optional<std::string> role = {}, loading = {}, aof_enabled = {}, maxmemory_policy = {};
  /// Of what it has and hands to replicas. Another one begins where a replica becomes a master.
  std::optional<std::string> history = {};
  /// Of CONFIG, which is often forbidden.
  std::optional<std::string> appendfsync = {}, no_appendfsync_on_rewrite = {};
};

/// The value of a line `name:value` of INFO.
inline std::optional<std::string> info_field(std::string_view info, std::string_view name) {
  for (std::size_t at = 0; at < info.size();) {
    std::size_t end = info.find('\n', at);
    if (end == info.npos) end = info.size();
    std::string_view line = info.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
      return std::string(line.substr(name.size() + 1));
    at = end + 1;
  }
  return std::nullopt;
}

/// From the answers to INFO and to CONFIG GET *appendfsync*; either may be an error.
inline RedisServerFacts facts_of(const RedisValue& info, const RedisValue& config) {
  RedisServerFacts facts;
  if (!info.is_error()) {
    const std::string_view text = info.text();
    if (const auto version = info_field(text, "redis_version")) {
      std::int64_t number = 0;
      if (std::from_chars(version->data(), version->data() + version->size(), number).ec == std::errc())
        facts.version = number;
    }
    facts.role = info_field(text, "role");
    facts.loading = info_field(text, "loading");
    facts.aof_enabled = info_field(text, "aof_enabled");
    facts.maxmemory_policy = info_field(text, "maxmemory_policy");
    facts.history = info_field(text, "master_replid");
  }
  for (std::size_t at = 0; !config.is_error() && at + 1 < config.size(); at += 2) {
    if (config[at].text() == "appendfsync") facts.appendfsync = config[at + 1].text();
    if (config[at].text() == "no-appendfsync-on-rewrite")
      facts.no_appendfsync_on_rewrite = config[at + 1].text();
  }
  return facts;
}

/// Pure. Whether a server cannot serve at the moment: throws `RedisOutage`; or never could:
/// `unsupported_format`.
inline void check_serving(const RedisServerFacts& facts) {
  if (facts.version && *facts.version < 6)
    throw Error(errc::unsupported_format, "the server is older than Redis 6: upgrade it");
  if (facts.loading && *facts.loading != "0") throw RedisOutage("the server reads its data from disk");
  if (facts.role && *facts.role != "master")
    throw RedisOutage("the server is a replica: name its master in the URI");
}

/// Pure. Why payments would be forgotten, and what to do about it; null where they are not.
inline const char* reason_to_refuse(const RedisServerFacts& facts, Fsync fsync) noexcept {
  if (!facts.maxmemory_policy)
    return "the server does not tell its maxmemory-policy: let this user run INFO "
           "(RedisStoreOptions::unsafe accepts it)";
  if (*facts.maxmemory_policy != "noeviction")
    return "the server may evict payments: set maxmemory-policy noeviction "
           "(RedisStoreOptions::unsafe accepts it)";
  if (fsync == Fsync::unchecked) return nullptr;
  if (facts.aof_enabled != "1")
    return "the server keeps no append-only file, and forgets payments when it restarts: set appendonly yes; "
           "or Fsync::unchecked, where it keeps them in a way of its own "
           "(RedisStoreOptions::unsafe accepts it)";
  if (facts.appendfsync == "no")
    return "the server leaves it to its system when payments reach the disk: set appendfsync everysec or "
           "always (RedisStoreOptions::unsafe accepts it)";
  if (facts.no_appendfsync_on_rewrite == "yes")
    return "the server does not sync while it rewrites its log: set no-appendfsync-on-rewrite no "
           "(RedisStoreOptions::unsafe accepts it)";
  if (fsync == Fsync::always && !facts.appendfsync)
    return "the server does not tell whether it has appendfsync always: let this user run CONFIG GET; or "
           "Fsync::unchecked, where you know";
  if (fsync == Fsync::always && facts.appendfsync != "always")
    return "the server does not sync what it acknowledges: set appendfsync always; or ask for "
           "Fsync::every_second, and lose what it says";
  return nullptr;
}

}  // namespace paidonce::inline v1::detail
