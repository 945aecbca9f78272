#pragma once
// What a lock asks of Redis: three commands on one name, each of which can be told from those of all others
// by its token. https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/redis/client.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Whose lock it is: 128 random bits, so that nobody ever renews or releases what somebody else holds.
class LockToken {
 public:
  /// Throws std::system_error where the random source fails.
  LockToken() {
    unsigned char bytes[16];
    random_fill(bytes, sizeof bytes);
    hex(bytes, sizeof bytes, digits_.data());
  }
  std::string_view text() const noexcept { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 32> digits_;
};

/// Thread-safe. All throw what RedisClient does, and what an error of the server means.
class LockServer {
 public:
  LockServer(std::string_view uri, const RedisOptions& options, Duration ttl)
      : client_(uri, options),
        ttl_(std::to_string(ttl.count())),
        patience_(std::min(options.reply_timeout, ttl / 3)) {}

  void check_process() const { client_.check_process(); }

  RedisDeadline deadline() const { return redis_deadline(patience_); }
  RedisDeadline deadline_of_release() const { return redis_deadline(std::min(patience_, Duration(500))); }

  static bool is_late(RedisDeadline deadline) { return std::chrono::steady_clock::now() >= deadline; }

  /// False: somebody has it; that may be who asks, where an earlier answer was lost.
  bool take(std::string_view name, const LockToken& token, RedisDeadline deadline) {
    if (!allowed_.load(std::memory_order_relaxed)) check_allowed(name, token, deadline);
    const RedisReply reply = run(name, {"SET", name, token.text(), "NX", "PX", ttl_}, deadline);
    return !reply.is_nil();
  }

  /// Its time begins anew. False: it is not, or no longer, this token's.
  bool renew(std::string_view name, const LockToken& token, RedisDeadline deadline) {
    return run(name, {"EVAL", renewal, "1", name, token.text(), ttl_}, deadline).integer() == 1;
  }

  /// Whatever is not this token's stays.
  void release(std::string_view name, const LockToken& token, RedisDeadline deadline) {
    run(name, {"EVAL", removal, "1", name, token.text()}, deadline);
  }

 private:
  /// Sent whole each time: they are short, and a server that has been restarted needs no telling.
  static constexpr std::string_view renewal =
      "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0";
  static constexpr std::string_view removal =
      "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

  static constexpr std::string_view commands =
      "redis.call('GET',KEYS[1]) redis.call('PEXPIRE',KEYS[1],1) return redis.call('DEL',KEYS[1])";

  RedisReply run(std::string_view name, std::initializer_list<std::string_view> words,
                 RedisDeadline deadline) {
    RedisReply reply = client_.run(name, RedisWords(words.begin(), words.size()), deadline);
    if (is_not_allowed(reply)) allowed_.store(false, std::memory_order_relaxed);  // whoever is next is told
    reply.expect_done(*words.begin());
    return reply;
  }

  /// A user who could take locks, but neither renew nor release them, gets none. Asked of a name that is
  /// nobody's.
  void check_allowed(std::string_view name, const LockToken& token, RedisDeadline deadline) {
    const std::string nobodys =
        std::string(name.substr(0, name.find('}') + 1)).append(":l:").append(token.text());
    const std::array<std::string_view, 4> words{"EVAL", commands, "1", nobodys};
    const RedisReply reply = client_.run(name, words, deadline);
    if (is_not_allowed(reply))
      throw Error(
          errc::invalid_options,
          "the server does not let this user keep a lock: its ACL must allow EVAL, SET, GET, PEXPIRE and "
          "DEL on the keys of RedisLockOptions::prefix");
    reply.expect_done("EVAL");
    allowed_.store(true, std::memory_order_relaxed);
  }

  static bool is_not_allowed(const RedisReply& reply) noexcept {
    return reply.error_word() == "NOPERM" || refuses_script_user(reply.error());
  }

  RedisClient client_;
  const std::string ttl_;
  std::atomic<bool> allowed_{false};  ///< its user was let run all of its scripts, and not refused since
  const Duration patience_;           ///< a renewal that is not answered can be made again
};

}  // namespace paidonce::inline v1::detail
