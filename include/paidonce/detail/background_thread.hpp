#pragma once
// Threads of the library's own: the application's signals are not theirs, and where there can be none, the
// error says what to do.

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// Throws `store_unavailable` where the system allows for no more threads.
template <class Run>
std::thread start_store_thread(Run&& run) {
  const SignalsBlocked blocked;
  try {
    return std::thread(std::forward<Run>(run));
  } catch (const std::system_error& failure) {
    throw Error(errc::store_unavailable, std::string("the store cannot start a thread of its own (") +
                                             failure.what() +
                                             "): raise the limit of threads (ulimit -u, or the container's)");
  }
}

}  // namespace paidonce::inline v1::detail
