#pragma once
// The clauses about one key and few callers: who gets it, how long they wait, and when it is given back.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/lock_bench.hpp>
#include <paidonce/testing/conformance/samples.hpp>

namespace paidonce::inline v1::detail {

template <class Run, class MakeBench>
void lock_hold_clauses(Run& run, MakeBench make_bench) {
  const IdempotencyKey key("suite", "key");
  const IdempotencyKey other("suite", "other");

  run.clause("exclusion.second_caller_gets_nothing", [&] {
    auto bench = make_bench();
    [[maybe_unused]] const auto held = bench.hold(key);
    for (int i = 0; i < 3; ++i) bench.expect_held(key, "of a key that is held");
  });

  run.clause("exclusion.within_one_thread", [&] {
    auto bench = make_bench();
    bench.race(1, std::make_shared<int>(), [](std::size_t, auto& lock, int&) {
      const IdempotencyKey same("suite", "one thread");
      auto held = lock.acquire(same, Duration(0));
      expect(held.has_value(), "acquire of a free key: expected a hold, saw nullopt");
      expect(!lock.acquire(same, Duration(0)),
             "acquire of a key that the same thread holds: expected nullopt, saw a second hold");
      expect(!lock.acquire(same, Duration(1)),
             "acquire of a key that the same thread holds: expected nullopt, saw a second hold");
      held.reset();
      expect(lock.acquire(same, Duration(0)).has_value(),
             "acquire after the release by the same thread: expected a hold, saw nullopt");
    });
  });

  run.clause("release.on_destruction", [&] {
    auto bench = make_bench();
    for (int i = 0; i < 3; ++i) {
      { [[maybe_unused]] const auto held = bench.hold(key); }
      bench.expect_free(key, "after the hold was destroyed");
    }
  });

  run.clause("release.on_exception", [&] {
    auto bench = make_bench();
    try {
      [[maybe_unused]] const auto held = bench.hold(key);
      throw std::runtime_error("thrown by the suite");
    } catch (const ClauseFailed&) {
      throw;
    } catch (const std::runtime_error&) {
    }
    bench.expect_free(key, "after an exception has passed the hold");
  });

  run.clause("release.on_another_thread", [&] {
    auto bench = make_bench();
    auto held = bench.hold(key);
    Call call([held = std::move(held)]() mutable { [[maybe_unused]] const auto mine = std::move(held); });
    call.finish(bench.patience(), "destruction of a hold on another thread");
    bench.expect_free(key, "after the hold was destroyed on another thread");
  });

  run.clause("release.once_by_the_last_owner", [&] {
    auto bench = make_bench();
    std::optional first(bench.hold(key));
    std::optional second(std::move(*first));
    bench.expect_held(key, "of a key whose hold was moved");
    first.reset();
    bench.expect_held(key, "after the moved-from hold was destroyed");
    second.reset();
    bench.expect_free(key, "after the hold that was moved to was destroyed");
  });

  run.clause("release.by_move_assignment", [&] {
    auto bench = make_bench();
    std::optional first(bench.hold(key));
    std::optional second(bench.hold(other));
    *first = std::move(*second);
    bench.expect_held(other, "of a key whose hold was moved by assignment");
    second.reset();
    bench.expect_held(other, "of it, after the hold that was assigned from was destroyed");
    bench.expect_free(key, "of the key that was held by what was assigned to, both moves being over");
    first.reset();
    bench.expect_free(other, "after the hold that was assigned to was destroyed");
  });

  run.clause("wait_zero.returns_at_once", [&] {
    auto bench = make_bench();
    [[maybe_unused]] const auto held = bench.hold(key);
    auto waiter = bench.start(key, Duration(0));
    expect(!waiter.finish(bench.patience(), "acquire of a held key with wait zero"),
           "acquire of a held key with wait zero: expected nullopt, saw a hold");
  });

  run.clause("wait.is_bounded", [&] {
    auto bench = make_bench();
    constexpr Duration wait(30);
    std::optional held(bench.hold(key));
    const auto start = std::chrono::steady_clock::now();
    auto waiter = bench.start(key, wait);
    try {
      const auto got = waiter.finish(wait + bench.patience(), "acquire of a held key with a wait of 30 ms");
      const auto waited = std::chrono::steady_clock::now() - start;
      expect(!got, "acquire of a held key with a wait of 30 ms: expected nullopt, saw a hold");
      expect(waited >= wait,
             "acquire of a held key with a wait of 30 ms: expected it to wait as long, it "
             "returned earlier");
    } catch (...) {
      held.reset();  // lets one go that waits for ever
      throw;
    }
  });

  run.clause("wait.ends_with_the_release", [&] {
    auto bench = make_bench();
    for (const Duration wait :
         {bench.long_wait(), Duration(std::chrono::hours(24 * 365 * 10)), Duration::max()}) {
      std::optional held(bench.hold(key));
      auto waiter = bench.start(key, wait);
      expect(waiter.still_waits(), "acquire of a held key with a wait of " + std::to_string(wait.count()) +
                                       " ms: expected it to wait, it returned");
      held.reset();
      expect(waiter.finish(bench.patience(), "acquire of a key that was released meanwhile").has_value(),
             "acquire of a key that was released meanwhile: expected a hold, saw nullopt");
    }
  });

  run.clause("wait.in_vain_leaves_no_trace", [&] {
    auto bench = make_bench();
    std::optional held(bench.hold(key));
    std::vector<typename decltype(bench)::Waiter> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(bench.start(key, Duration(5)));
    auto patient = bench.start(key, bench.long_wait());
    for (auto& waiter : waiters)
      expect(!waiter.finish(bench.patience(), "acquire of a held key with a wait of 5 ms"),
             "acquire of a held key with a wait of 5 ms: expected nullopt, saw a hold");
    held.reset();
    auto got = patient.finish(bench.patience(), "acquire by one who waited longer than others");
    expect(got.has_value(), "acquire by one who waited longer than others: expected a hold, saw nullopt");
    got.reset();
    bench.expect_free(key, "after some have waited in vain");
  });
}

template <class Run, class MakeBench>
void lock_key_clauses(Run& run, MakeBench make_bench) {
  /// All of the keys are held at once; each is refused to a second caller.
  const auto hold_all = [&](const std::vector<IdempotencyKey>& keys) {
    auto bench = make_bench();
    std::vector<typename decltype(bench)::Hold> holds;
    for (const IdempotencyKey& key : keys) {
      auto held = bench.acquire(key, Duration(0), "acquire of a free key");
      expect(held.has_value(), "acquire of the key " + in_quotes(key.scope()) + ", " + in_quotes(key.text()) +
                                   " while others are held: expected a hold, saw nullopt");
      holds.push_back(std::move(*held));
    }
    for (const IdempotencyKey& key : keys) bench.expect_held(key, "of a key that is held among many");
    holds.clear();
    for (const IdempotencyKey& key : keys) bench.expect_free(key, "after all were released");
  };
  run.clause("keys.are_opaque_bytes", [&] { hold_all(hostile_keys()); });
  run.clause("keys.scope_and_text_are_apart", [&] { hold_all(ambiguous_keys()); });
  run.clause("keys.count_to_their_last_byte", [&] { hold_all(long_keys()); });
  run.clause("keys.do_not_block_each_other", [&] {
    std::vector<IdempotencyKey> keys;
    for (int i = 0; i < 200; ++i) keys.emplace_back("suite", std::to_string(i));
    hold_all(keys);
  });
}

/// Run where the lock has interrupt().
template <class Run, class MakeBench>
void lock_interrupt_clauses(Run& run, MakeBench make_bench) {
  const IdempotencyKey key("suite", "key");
  const IdempotencyKey other("suite", "other");

  run.clause("interrupt.ends_waits", [&] {
    auto bench = make_bench();
    [[maybe_unused]] const auto held = bench.hold(key);
    [[maybe_unused]] const auto other_held = bench.hold(other);
    std::vector<typename decltype(bench)::Waiter> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.push_back(bench.start(key, bench.long_wait()));
      waiters.push_back(bench.start(other, bench.long_wait()));
    }
    for (auto& waiter : waiters)
      expect(waiter.still_waits(), "acquire of a held key: expected it to wait, it returned");
    bench.lock().interrupt();
    for (auto& waiter : waiters)
      expect(!waiter.finish(bench.patience(), "acquire whose wait was interrupted"),
             "acquire whose wait was interrupted: expected nullopt, saw a hold");
  });

  run.clause("interrupt.ends_waits_to_come", [&] {
    auto bench = make_bench();
    bench.lock().interrupt();
    [[maybe_unused]] const auto held = bench.hold(key);
    auto waiter = bench.start(key, bench.long_wait());
    expect(!waiter.finish(bench.patience(), "acquire of a held key after interrupt"),
           "acquire of a held key after interrupt: expected nullopt, saw a hold");
  });

  run.clause("interrupt.keeps_holds", [&] {
    auto bench = make_bench();
    std::optional held(bench.hold(key));
    bench.lock().interrupt();
    bench.lock().interrupt();
    bench.expect_held(key, "of a key that was held when the lock was interrupted");
    held.reset();
    bench.expect_free(key, "of it, after its release");
  });
}

}  // namespace paidonce::inline v1::detail
