#pragma once
// What the server answered to one command.

#include <cstddef>
#include <memory>
#include <string_view>

#include <hiredis/hiredis.h>

#include <paidonce/errors.hpp>
#include <paidonce/redis/failure.hpp>

namespace paidonce::inline v1::detail {

/// One value of an answer, where it stands in it.
class RedisValue {
 public:
  explicit RedisValue(const redisReply* reply) noexcept : reply_(reply) {}

  bool is_nil() const noexcept { return reply_->type == REDIS_REPLY_NIL; }
  bool is_error() const noexcept { return reply_->type == REDIS_REPLY_ERROR; }
  bool is_integer(long long value) const noexcept {
    return reply_->type == REDIS_REPLY_INTEGER && reply_->integer == value;
  }
  /// The whole text of an error: for decisions, never for callers.
  std::string_view error() const noexcept { return is_error() ? bytes() : std::string_view(); }
  std::string_view error_word() const noexcept { return redis_error_word(error()); }

  /// Bytes of a string or status. These three throw `store_corrupt` where the answer is something else, as
  /// where another program uses the same keys.
  std::string_view text() const {
    if (reply_->type != REDIS_REPLY_STRING && reply_->type != REDIS_REPLY_STATUS) unexpected();
    return bytes();
  }
  long long integer() const {
    if (reply_->type != REDIS_REPLY_INTEGER) unexpected();
    return reply_->integer;
  }
  std::size_t size() const {
    if (reply_->type != REDIS_REPLY_ARRAY) unexpected();
    return reply_->elements;
  }
  RedisValue operator[](std::size_t at) const {
    if (at >= size()) unexpected();
    return RedisValue(reply_->element[at]);
  }

  /// Throws what an error means. `command`: what was asked, for its text.
  const RedisValue& expect_done(std::string_view command = {}) const {
    if (is_error()) throw redis_error(error(), command);
    return *this;
  }

 private:
  std::string_view bytes() const noexcept { return {reply_->str, reply_->len}; }
  [[noreturn]] static void unexpected() {
    throw Error(errc::store_corrupt, "the server's answer is not what the command gives");
  }

  const redisReply* reply_;
};

/// Owns an answer.
class RedisReply : public RedisValue {
 public:
  explicit RedisReply(redisReply* reply) noexcept : RedisValue(reply), owned_(reply) {}

 private:
  struct Free {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, Free> owned_;
};

}  // namespace paidonce::inline v1::detail
