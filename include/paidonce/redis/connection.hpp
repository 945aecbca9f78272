#pragma once
// One connection: commands go out in a pipeline, and answers are waited for until a deadline, by poll(2),
// whatever the server or the network does. What did not come in time never will: the connection is closed,
// and who knows what became of its commands.

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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

/// A word in the form in which it goes out.
inline void append_redis_word(std::string& to, std::string_view word) {
  char head[std::numeric_limits<std::size_t>::digits10 + 4] = {'$'};
  char* end = std::to_chars(head + 1, head + sizeof head - 2, word.size()).ptr;
  *end++ = '\r';
  *end++ = '\n';
  to.append(head, static_cast<std::size_t>(end - head)).append(word).append("\r\n", 2);
}

/// Belongs to one thread at a time.
class RedisConnection {
 public:
  /// What bytes go through: the socket itself, or a layer of the application's between, such as TLS.
  enum class Transport : std::uint8_t { socket, of_application };

  /// Takes a context that is connected, and makes it one that never blocks, and that programs which this
  /// process starts do not inherit: it has been let in to the records.
  RedisConnection(redisContext* context, Transport transport) : context_(context), transport_(transport) {
    const int flags = ::fcntl(context->fd, F_GETFL);
    if (flags < 0 || ::fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::fcntl(context->fd, F_SETFD, FD_CLOEXEC) != 0)
      throw lost();
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
    std::string head = "*";
    head.append(std::to_string(words.size())).append("\r\n");
    add_pieces([&](std::string& to) {
      to.append(head);
      for (const std::string_view word : words) append_redis_word(to, word);
    });
  }
  /// Likewise a command that is made: these pieces one behind the other.
  void add_made(std::initializer_list<std::string_view> pieces) {
    add_pieces([&](std::string& to) {
      for (const std::string_view piece : pieces) to.append(piece);
    });
  }
  void add(std::initializer_list<std::string_view> words) { add(RedisWords(words.begin(), words.size())); }

  /// The answer to the first command that none has been read for, errors of the server included. Throws
  /// `RedisOutage` where it did not come, with the connection closed: then nothing is known of this command
  /// and those behind it.
  RedisReply read(RedisDeadline deadline) {
    if (!context_ || owed_ == 0) throw lost();
    for (;;) {
      if (unsent()) send();
      void* reply = nullptr;
      if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) {
        close();
        throw RedisOutage(
            "what answers does not speak as Redis does; what became of the command is not known");
      }
      if (reply) {
        --owed_;
        return RedisReply(static_cast<redisReply*>(reply));
      }
      wait(unsent() ? POLLIN | POLLOUT : POLLIN, deadline);
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

  /// Half of a command is never left behind.
  template <class Append>
  void add_pieces(Append append) {
    if (!context_ || context_->err != 0) throw lost();
    const std::size_t before = outgoing_.size();
    try {
      append(outgoing_);
    } catch (...) {
      outgoing_.resize(before);
      throw;
    }
    ++owed_;
  }

  bool unsent() const noexcept { return sent_ < outgoing_.size() || handed_over_; }

  void send() {
    if (transport_ == Transport::of_application) return send_by_layer();
    const ssize_t sent =
        ::send(context_->fd, outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_NOSIGNAL);
    if (sent > 0) sent_ += static_cast<std::size_t>(sent);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) throw hung_up();
    if (sent_ == outgoing_.size()) forget_sent();
  }

  void send_by_layer() {
    const PipeSignalBlocked no_signal;
    if (!outgoing_.empty()) {
      if (redisAppendFormattedCommand(context_.get(), outgoing_.data(), outgoing_.size()) != REDIS_OK) {
        close();
        throw std::bad_alloc();
      }
      forget_sent();
    }
    int done = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) throw hung_up();
    handed_over_ = done == 0;
  }

  /// Room for a usual pipeline is kept.
  void forget_sent() noexcept {
    sent_ = 0;
    outgoing_.clear();
    if (outgoing_.capacity() > most_kept) std::string().swap(outgoing_);
  }

  /// A TLS layer holds nothing back that poll does not see: a record of TLS fits into what is read at once.
  void take_in() {
    if (transport_ == Transport::of_application) {
      const PipeSignalBlocked no_signal;  // it may write
      if (redisBufferRead(context_.get()) != REDIS_OK) throw hung_up();
      return;
    }
    char bytes[std::size_t{16} << 10];
    const ssize_t came = ::recv(context_->fd, bytes, sizeof bytes, 0);
    if (came < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (came <= 0) throw hung_up();
    if (redisReaderFeed(context_->reader, bytes, static_cast<std::size_t>(came)) != REDIS_OK) throw hung_up();
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

  static constexpr std::size_t most_kept = std::size_t{256} << 10;

  std::unique_ptr<redisContext, Free> context_;
  std::size_t owed_ = 0;  // answers
  Transport transport_;
  std::string outgoing_;      // what was added, from the beginning until all of it is sent
  std::size_t sent_ = 0;      // of it
  bool handed_over_ = false;  // the layer has some that it has not sent
};

}  // namespace paidonce::inline v1::detail
