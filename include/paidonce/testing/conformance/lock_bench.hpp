#pragma once
// A lock under test, shared by all who call it: a call that never returns is left behind and must not find
// its lock gone.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/lock.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/threads.hpp>

namespace paidonce::inline v1::detail {

/// What the fixture made, a lock or a reference to one.
template <class Made>
struct LockBox {
  template <class Make>
  explicit LockBox(Make make) : lock(make()) {}
  Made lock;
};

template <class Made>
class LockBench {
 public:
  using Hold = typename std::remove_reference_t<Made>::Hold;

  template <class Make>
  LockBench(Make make, Duration patience)
      : box_(std::make_shared<LockBox<Made>>(make)), patience_(patience) {}

  /// Long enough for a waiter that depends on being woken to be seen to wait in vain.
  Duration long_wait() const { return 4 * patience_; }
  Duration patience() const { return patience_; }
  std::remove_reference_t<Made>& lock() { return box_->lock; }

  /// One call to acquire, on a thread of its own.
  class Waiter {
   public:
    /// Whether the call still waits a moment later. A lock that is slow to answer may look as if it did.
    bool still_waits() { return !call_.returns_within(Duration(20)); }

    /// What it got. Throws when it does not return in time, or throws itself.
    std::optional<Hold> finish(Duration patience, const std::string& what) {
      call_.finish(patience, what);
      return std::exchange(pending_->hold, std::nullopt);
    }

   private:
    friend class LockBench;
    struct Pending {
      std::shared_ptr<LockBox<Made>> box;
      std::optional<Hold> hold;  // destroyed before its lock
    };
    Waiter(std::shared_ptr<LockBox<Made>> box, const IdempotencyKey& key, Duration wait)
        : pending_(std::make_shared<Pending>(Pending{std::move(box), std::nullopt})),
          call_([pending = pending_, key, wait] { pending->hold = take(pending->box->lock, key, wait); }) {}

    std::shared_ptr<Pending> pending_;
    Call call_;
  };

  Waiter start(const IdempotencyKey& key, Duration wait) { return Waiter(box_, key, wait); }

  /// Acquires on another thread, as another caller would.
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait, const std::string& what) {
    return start(key, wait).finish(wait + patience_, what);
  }

  Hold hold(const IdempotencyKey& key) {
    auto held = acquire(key, Duration(0), "acquire of a free key");
    expect(held.has_value(), "acquire of a free key: expected a hold, saw nullopt");
    return std::move(*held);
  }

  void expect_held(const IdempotencyKey& key, const std::string& when) {
    expect(!acquire(key, Duration(0), "acquire without waiting"),
           "acquire " + when + ": expected nullopt, saw a second hold");
  }

  void expect_free(const IdempotencyKey& key, const std::string& when) {
    expect(acquire(key, Duration(0), "acquire without waiting").has_value(),
           "acquire " + when + ": expected a hold, saw nullopt");
  }

  /// Runs `body(number, lock, context)` on that many threads, each of which has to end in time.
  template <class Context, class Body>
  void race(std::size_t threads, std::shared_ptr<Context> context, Body body) {
    std::vector<Call> calls;
    calls.reserve(threads);
    for (std::size_t number = 0; number < threads; ++number)
      calls.emplace_back([box = box_, context, body, number] { body(number, box->lock, *context); });
    for (Call& call : calls) call.finish(patience_, "callers that pass a key from one to the next");
  }

 private:
  /// `acquire` takes lvalues and gives a hold that cannot be assigned before C++20's own rules are met.
  static std::optional<Hold> take(std::remove_reference_t<Made>& lock, const IdempotencyKey& key,
                                  Duration wait) {
    return lock.acquire(key, wait);
  }

  std::shared_ptr<LockBox<Made>> box_;
  Duration patience_;
};

}  // namespace paidonce::inline v1::detail
