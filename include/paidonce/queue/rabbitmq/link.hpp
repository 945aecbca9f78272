#pragma once
// A thread that keeps a connection to the broker: it connects, sends what others want sent, takes in what
// comes, and connects anew when that breaks. librabbitmq lets one thread use a connection; heartbeats flow
// because this one does nothing else.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>

#include <paidonce/detail/background_thread.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/queue/rabbitmq/connection.hpp>
#include <paidonce/queue/rabbitmq/options.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// What a link is for. All is called on its thread; what these throw ends the connection.
class RabbitWork {
 public:
  virtual bool is_wanted() = 0;  ///< whether there should be a connection now
  virtual void connected(RabbitConnection& connection) = 0;
  /// Sends what is to be sent; gives for how long there is nothing to do unless called.
  virtual Duration turn(RabbitConnection& connection) = 0;
  virtual void came(RabbitConnection& connection, const amqp_frame_t& frame) = 0;
  /// Nothing is known of what was sent and not answered. Null: closed because it was not wanted any more.
  virtual void disconnected(const Error* failure) noexcept = 0;

 protected:
  ~RabbitWork() = default;
};

/// Thread-safe. Its work outlives it; stopped by whoever owns both, before the work goes.
class RabbitLink {
 public:
  RabbitLink(RabbitWork& work, const RabbitAddress& address, const RabbitOptions& options)
      : work_(work), address_(address), options_(options) {
    if (::pipe(called_) != 0)
      throw Error(errc::store_unavailable,
                  "no descriptors are left for the connection to the broker: raise ulimit -n");
    for (const int end : called_) {
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
      ::fcntl(end, F_SETFL, O_NONBLOCK);
    }
    try {
      thread_ = start_store_thread([this] { run(); });
    } catch (...) {
      close_pipe();
      throw;
    }
  }
  /// Sends what is left to send, where there is a connection.
  ~RabbitLink() {
    halted_.store(true);
    call();
    thread_.join();
    close_pipe();
  }
  RabbitLink(const RabbitLink&) = delete;
  RabbitLink& operator=(const RabbitLink&) = delete;

  /// Has the thread take a turn.
  void call() noexcept {
    if (calls_.exchange(true)) return;
    while (::write(called_[1], "", 1) < 0 && errno == EINTR) {
    }
  }

 private:
  void run() noexcept {
    std::uint32_t failures = 0;
    while (!halted_.load()) {
      if (!work_.is_wanted()) {
        wait(-1, std::chrono::hours(1));
        continue;
      }
      try {
        RabbitConnection connection(address_, options_);
        work_.connected(connection);
        failures = 0;
        converse(connection);
        connection.close();
        work_.disconnected(nullptr);
        continue;
      } catch (const Error& failure) {
        work_.disconnected(&failure);
      } catch (const std::exception&) {  // out of memory
        const Error failure(errc::store_unavailable, "there was no memory for what came from the broker");
        work_.disconnected(&failure);
      }
      SystemRandom random;
      pause(pause_after(options_.reconnect, ++failures, Duration(0), random));
    }
  }

  void converse(RabbitConnection& connection) {
    while (!halted_.load() && work_.is_wanted()) {
      const Duration left = work_.turn(connection);
      while (const std::optional<amqp_frame_t> frame = connection.next()) work_.came(connection, *frame);
      wait(connection.descriptor(), std::min(left, options_.heartbeat / 4));
    }
    work_.turn(connection);
  }

  /// Until called, or something comes.
  void wait(int descriptor, Duration longest) noexcept {
    pollfd both[] = {{called_[0], POLLIN, 0}, {descriptor, POLLIN, 0}};
    const auto length = std::clamp<Duration::rep>(longest.count(), 0, 3'600'000);
    ::poll(both, descriptor < 0 ? 1 : 2, static_cast<int>(length));
    char bytes[16];
    while (::read(called_[0], bytes, sizeof bytes) > 0) {
    }
    calls_.store(false);  // a call that came before this finds its turn after it
  }

  /// Calls do not end it, unless to halt.
  void pause(Duration length) noexcept {
    const auto end = std::chrono::steady_clock::now() + length;
    while (!halted_.load()) {
      const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now());
      if (left.count() <= 0) return;
      wait(-1, left);
    }
  }

  void close_pipe() noexcept {
    for (const int end : called_) ::close(end);
  }

  RabbitWork& work_;
  const RabbitAddress& address_;
  const RabbitOptions& options_;
  int called_[2] = {-1, -1};
  std::atomic<bool> calls_{false}, halted_{false};
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
