#pragma once
// Errors of a queue over Redis say so: the payments may be in another Redis.

#include <paidonce/errors.hpp>
#include <paidonce/redis/failure.hpp>

namespace paidonce::inline v1::detail {

inline Error of_queue(const Error& failure) {
  return Error(static_cast<errc>(failure.code().value()), "the queue's broker: " + redis_text_of(failure));
}
/// What `ask()` returns; throws as it does, of the queue.
template <class Ask>
decltype(auto) ask_queue(Ask&& ask) try {
  return ask();
} catch (const Error& failure) {
  throw of_queue(failure);
}

}  // namespace paidonce::inline v1::detail
