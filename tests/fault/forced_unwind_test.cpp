// A thread that is cancelled inside the callable unwinds through the guard, which lets go of everything.

#include <pthread.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/execute_many.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/worker.hpp>
#include <paidonce/retry/retry.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/event.hpp"
#include "support/catch.hpp"
#include "support/tested_store.hpp"

using namespace paidonce;
using support::TestedStore;

namespace {

/// A thread that can be cancelled.
class Thread {
 public:
  explicit Thread(std::function<void()> body) : body_(std::move(body)) {
    if (pthread_create(&thread_, nullptr, &run, this) != 0) throw std::runtime_error("no thread");
  }
  void cancel() { pthread_cancel(thread_); }
  /// Whether it was unwound, rather than that it returned.
  bool join_cancelled() {
    void* result = nullptr;
    pthread_join(thread_, &result);
    return result == PTHREAD_CANCELED;
  }

 private:
  static void* run(void* self) {
    static_cast<Thread*>(self)->body_();
    return nullptr;
  }
  std::function<void()> body_;
  pthread_t thread_{};
};

/// Says that the thread is here, and stays until it is cancelled.
[[noreturn]] void wait_for_cancellation(fault::Event& here) {
  here.happen();
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (;;) never.wait(lock);
}

/// Notes that it was destroyed: that the stack was unwound.
struct Unwound {
  bool& noted;
  ~Unwound() { noted = true; }
};

template <class L>
void cancel_inside_the_callable(bool saves_a_checkpoint) {
  ManualClock clock;
  GuardOptions options;
  options.lease = std::chrono::seconds(30);
  IdempotencyGuard<TestedStore, L, ManualClock&> guard(TestedStore{}, L{}, clock, options);
  const IdempotencyKey key("shop", "order-1");
  const Fingerprint request = fingerprint("order-1");
  fault::Event inside;
  bool unwound = false, returned = false;
  Thread thread([&] {
    static_cast<void>(guard.execute(key, request, [&](Attempt& attempt) -> PaymentResult<std::string> {
      const Unwound note{unwound};
      if (saves_a_checkpoint) attempt.save_checkpoint("charging");
      wait_for_cancellation(inside);
    }));
    returned = true;
  });
  REQUIRE(inside.await());
  thread.cancel();
  CHECK(thread.join_cancelled());
  CHECK(unwound);
  CHECK(!returned);

  // The record tells that somebody was at work; the lock is free, and nothing beats for it any more.
  const std::optional<Record> left = guard.find(key);
  REQUIRE(left);
  CHECK(left->state == State::in_progress);
  const auto never = []() -> std::string { throw std::logic_error("the callable ran"); };
  const auto early = guard.execute(key, request, never);
  CHECK(early.status() == Status::in_progress);
  CHECK(early.retry_after() > Duration(0));
  clock.advance(options.lease);
  CHECK(guard.find(key)->lease_until == left->lease_until);
  const auto late = guard.execute(key, request, never);
  CHECK(late.status() == Status::in_doubt);
  CHECK(late.evidence() == nullptr);
  CHECK(guard.find(key)->state == State::in_doubt);
  const auto settled = guard.execute(
      key, request, []() -> PaymentResult<std::string> { return succeeded("paid"); },
      [](const Record&) -> PaymentResult<std::string> {
        return not_executed("the ledger does not have it");
      });
  CHECK(settled.succeeded());
  CHECK(settled.response() == "paid");
}

}  // namespace

TEST_CASE("a thread cancelled inside the callable lets go of lock and heartbeat, and leaves a doubt",
          "[fault][unwind]") {
  const bool saves_a_checkpoint = GENERATE(false, true);
  cancel_inside_the_callable<KeyedMutex>(saves_a_checkpoint);
  cancel_inside_the_callable<NoLock>(saves_a_checkpoint);
}

TEST_CASE("a thread cancelled inside the callable frees the key for the same thread's next call",
          "[fault][unwind]") {
  ManualClock clock;
  IdempotencyGuard guard(TestedStore{}, KeyedMutex{}, clock);
  const IdempotencyKey outer("shop", "outer"), inner("shop", "inner");
  fault::Event inside;
  Thread thread([&] {
    static_cast<void>(guard.execute(outer, fingerprint(1), [&]() -> std::string {
      static_cast<void>(
          guard.execute(inner, fingerprint(2), [&]() -> std::string { wait_for_cancellation(inside); }));
      return "";
    }));
  });
  REQUIRE(inside.await());
  thread.cancel();
  CHECK(thread.join_cancelled());
  clock.advance(std::chrono::minutes(1));
  const auto never = []() -> std::string { throw std::logic_error("the callable ran"); };
  CHECK(guard.execute(outer, fingerprint(1), never).status() == Status::in_doubt);
  CHECK(guard.execute(inner, fingerprint(2), never).status() == Status::in_doubt);
}

TEST_CASE("a thread cancelled while it asks the provider settles nothing", "[fault][unwind]") {
  ManualClock clock;
  IdempotencyGuard guard(TestedStore{}, KeyedMutex{}, clock);
  const IdempotencyKey key("shop", "order-1");
  const Fingerprint request = fingerprint("order-1");
  REQUIRE(guard.execute(key, request, []() -> std::string { throw std::runtime_error("lost"); }).status() ==
          Status::in_doubt);
  const auto before = guard.find(key);
  fault::Event asking;
  Thread thread([&] {
    static_cast<void>(guard.reconcile<std::string>(
        key, [&](const Record&) -> PaymentResult<std::string> { wait_for_cancellation(asking); }));
  });
  REQUIRE(asking.await());
  thread.cancel();
  CHECK(thread.join_cancelled());
  CHECK(guard.find(key) == before);
  const auto settled = guard.reconcile<std::string>(
      key, [](const Record&) -> PaymentResult<std::string> { return succeeded("paid"); });
  CHECK(settled.succeeded());
}

TEST_CASE("a background job whose thread is cancelled ends, and no other", "[fault][unwind][memory]") {
  fault::Event ran, began;
  bool unwound = false;
  ManualClock clock;
  BackgroundWorker<ManualClock, ManualClock> worker({}, clock, clock);
  worker.add({"cancelled", {}, [&](Stop&) {
                const Unwound note{unwound};
                began.happen();
                pthread_cancel(pthread_self());
                pthread_testcancel();
              }});
  worker.add({"other", {}, [&](Stop&) { ran.happen(); }});
  worker.start();
  for (int runs = 1; runs <= 3; ++runs) {
    REQUIRE(ran.await(runs));
    clock.await_waiting(1);
    clock.advance(std::chrono::minutes(1));
  }
  REQUIRE(began.await(1));
  worker.stop();
  CHECK(unwound);
  CHECK(worker.status()[0].phase == JobStatus::Phase::ended);
  CHECK(worker.status()[0].runs == 0);
  CHECK(worker.status()[1].runs >= 3);
}

TEST_CASE("a thread cancelled in a try is not kept from it by those that would follow", "[fault][unwind]") {
  fault::Event inside;
  bool unwound = false, returned = false;
  Thread thread([&] {
    static_cast<void>(retry(RetryPolicy{}, [&]() -> Outcome<int> {
      const Unwound note{unwound};
      wait_for_cancellation(inside);
    }));
    returned = true;
  });
  REQUIRE(inside.await());
  thread.cancel();
  CHECK(thread.join_cancelled());
  CHECK(unwound);
  CHECK(!returned);
}

TEST_CASE("a thread of a batch that is cancelled leaves its payment to the store, and the others to the rest",
          "[fault][unwind]") {
  IdempotencyGuard guard(TestedStore{});
  const pthread_t caller = pthread_self();
  pthread_t helper{};
  fault::Event inside;
  const std::vector<int> payments = {0, 1, 2, 3, 4, 5};
  const auto results =
      execute_many(guard, payments,
                   [&](auto& by, int payment) {
                     return by.execute(IdempotencyKey("shop", std::to_string(payment)), fingerprint(payment),
                                       [&]() -> int {
                                         if (pthread_equal(pthread_self(), caller) == 0) {
                                           helper = pthread_self();
                                           wait_for_cancellation(inside);
                                         }
                                         if (inside.await() && helper != pthread_t{})
                                           pthread_cancel(std::exchange(helper, pthread_t{}));
                                         return payment;
                                       });
                   },
                   {.concurrency = 2});
  int paid = 0, lost = 0;
  for (const Executed<int>& result : results) {
    CHECK(result.started());
    if (result.error) {
      ++lost;
      CHECK_THROWS_WITH(std::rethrow_exception(result.error), support::contains("thread was ended"));
    } else {
      ++paid;
    }
  }
  CHECK(lost == 1);
  CHECK(paid == 5);
}

TEST_CASE("a batch whose caller is cancelled ends when what runs is finished", "[fault][unwind]") {
  IdempotencyGuard guard(TestedStore{});
  const auto key_of = [](int payment) { return IdempotencyKey("shop", std::to_string(payment)); };
  fault::Event callers, helpers, unwinding;
  struct Notes {
    fault::Event& event;
    ~Notes() { event.happen(); }
  };
  Thread thread([&] {
    const pthread_t caller = pthread_self();
    const std::vector<int> payments = {0, 1, 2, 3, 4, 5};
    static_cast<void>(execute_many(guard, payments,
                                   [&](auto& by, int payment) {
                                     return by.execute(key_of(payment), fingerprint(payment), [&] {
                                       if (pthread_equal(pthread_self(), caller) != 0) {
                                         const Notes notes{unwinding};
                                         wait_for_cancellation(callers);
                                       }
                                       helpers.happen();
                                       static_cast<void>(unwinding.await());
                                       return payment;
                                     });
                                   },
                                   {.concurrency = 2}));
  });
  REQUIRE(callers.await());
  REQUIRE(helpers.await());
  thread.cancel();
  CHECK(thread.join_cancelled());
  int succeeded = 0;
  for (int payment = 0; payment < 6; ++payment)
    if (const auto record = guard.find(key_of(payment)); record && record->state == State::succeeded)
      ++succeeded;
  CHECK(succeeded == helpers.count());
}
