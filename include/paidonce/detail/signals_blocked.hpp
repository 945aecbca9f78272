#pragma once
// Keeps the application's signals on the application's threads: a thread starts with the signal mask of the
// one that starts it.

#include <pthread.h>
#include <csignal>
#include <ctime>

namespace paidonce::inline v1::detail {

/// All signals are blocked on this thread while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

/// One signal that a system call of this thread can raise is blocked while it lives, and forgotten.
class OneSignalBlocked {
 public:
  explicit OneSignalBlocked(int number) {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, number) == 1;
    sigemptyset(&signal_);
    sigaddset(&signal_, number);
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~OneSignalBlocked() {
    if (!was_pending_) {
      const timespec at_once{};
      sigtimedwait(&signal_, nullptr, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  OneSignalBlocked(const OneSignalBlocked&) = delete;
  OneSignalBlocked& operator=(const OneSignalBlocked&) = delete;

 private:
  sigset_t signal_, before_;
  bool was_pending_ = false;
};

/// A write beyond the process's limit of file size fails with EFBIG on this thread while it lives, instead of
/// ending the process by a signal.
struct FileSizeSignalBlocked : OneSignalBlocked {
  FileSizeSignalBlocked() : OneSignalBlocked(SIGXFSZ) {}
};

/// A write to a connection whose other end is gone fails with EPIPE on this thread while it lives, instead of
/// ending the process by a signal.
struct PipeSignalBlocked : OneSignalBlocked {
  PipeSignalBlocked() : OneSignalBlocked(SIGPIPE) {}
};

/// This thread cannot be cancelled while it lives: it is in the middle of something that others wait for.
class NotCancellable {
 public:
  NotCancellable() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NotCancellable() { pthread_setcancelstate(before_, nullptr); }
  NotCancellable(const NotCancellable&) = delete;
  NotCancellable& operator=(const NotCancellable&) = delete;

 private:
  int before_ = 0;
};

}  // namespace paidonce::inline v1::detail
