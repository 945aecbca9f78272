#pragma once
// One connection: commands go out in a pipeline, and answers are waited for until a deadline, by poll(2),
// whatever the server or the network does. What did not come in time never will: the connection is closed,
// and who knows what became of its commands.

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <hiredis/hiredis.h>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

using RedisDeadline = std::chrono::steady_clock::time_point;

inline RedisDeadline redis_deadline(Duration from_now) { return std::chrono::steady_clock::now() + from_now; }

/// The words of a command, any bytes.
using RedisWords = std::span<const std::string_view>;

/// Belongs to one thread at a time.
class RedisConnection {
 public:
  /// Takes a context that is connected, and makes it one that never blocks.
  explicit RedisConnection(redisContext* context) : context_(context) {
    const int flags = ::fcntl(context->fd, F_GETFL);
    if (flags < 0 || ::fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) != 0) throw lost();
    context->flags &= ~REDIS_BLOCK;
  }

  bool usable() const noexcept { return context_ && context_->err == 0 && owed_ == 0; }
  void close() noexcept { context_.reset(); }
  redisContext* native() const noexcept { return context_.get(); }

  /// Whether the server has not hung up meanwhile. Costs a system call, and waits for nothing.
  bool quiet() noexcept {
    if (!usable()) return false;
    pollfd descriptor{context_->fd, POLLIN, 0};
    if (::poll(&descriptor, 1, 0) == 0) return true;
    close();  // hung up, or says what nobody has asked
    return false;
  }

  /// Adds a command to the pipeline; sent by `read`. Throws std::bad_alloc.
  void add(RedisWords words) {
    if (!context_ || context_->err != 0) throw lost();
    words_.clear();
    lengths_.clear();
    for (const std::string_view word : words) {
      words_.push_back(word.data() ? word.data() : "");
      lengths_.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(words_.size()), words_.data(),
                               lengths_.data()) != REDIS_OK) {
      close();
      throw std::bad_alloc();
    }
    ++owed_;
    unsent_ = true;
  }
  void add(std::initializer_list<std::string_view> words) { add(RedisWords(words.begin(), words.size())); }

  /// The answer to the first command that none has been read for, errors of the server included. Throws
  /// `RedisOutage` where it did not come, with the connection closed: then nothing is known of this command
  /// and those behind it.
  RedisReply read(RedisDeadline deadline) {
    if (!context_ || owed_ == 0) throw lost();
    for (;;) {
      if (unsent_) send();
      void* reply = nullptr;
      if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) throw hung_up();
      if (reply) {
        --owed_;
        return RedisReply(static_cast<redisReply*>(reply));
      }
      wait(unsent_ ? POLLIN | POLLOUT : POLLIN, deadline);
      take_in();
    }
  }

  /// One command, and its answer.
  RedisReply run(RedisWords words, RedisDeadline deadline) {
    if (owed_ != 0) throw lost();  // answers of an exchange that broke off are not ours
    add(words);
    return read(deadline);
  }
  RedisReply run(std::initializer_list<std::string_view> words, RedisDeadline deadline) {
    return run(RedisWords(words.begin(), words.size()), deadline);
  }

  static RedisOutage lost() {
    return RedisOutage("the connection to the server was lost; what became of the command is not known");
  }

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
  };

  void send() {
    const PipeSignalBlocked no_signal;
    int done = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) throw hung_up();
    unsent_ = done == 0;
  }

  /// A TLS layer holds nothing back that poll does not see: a record of TLS fits into what is read at once.
  void take_in() {
    const PipeSignalBlocked no_signal;  // a TLS layer may write
    if (redisBufferRead(context_.get()) != REDIS_OK) throw hung_up();
  }

  void wait(int events, RedisDeadline deadline) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0) {
        close();
        throw RedisOutage("the server did not answer in time; what became of the command is not known");
      }
      pollfd descriptor{context_->fd, static_cast<short>(events), 0};
      const int ready = ::poll(&descriptor, 1, left > INT32_MAX ? INT32_MAX : static_cast<int>(left));
      if (ready > 0) return;
      if (ready < 0 && errno != EINTR) throw hung_up();
    }
  }

  RedisOutage hung_up() noexcept {
    close();
    return lost();
  }

  std::unique_ptr<redisContext, Free> context_;
  std::size_t owed_ = 0;  // answers
  bool unsent_ = false;   // some of what was added
  std::vector<const char*> words_;
  std::vector<std::size_t> lengths_;
};

}  // namespace paidonce::inline v1::detail
