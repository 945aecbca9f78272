#include <paidonce/retry/retry.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/testing/instant_timer.hpp>

#include "guard_support.hpp"
#include "support/catch.hpp"

using namespace guard_tests;

namespace {

Outcome<int> answer(Status status, Duration retry_after = 0ms) {
  detail::OutcomeParts<int> parts;
  parts.status = status;
  parts.retry_after = retry_after;
  if (status == Status::completed) parts.value = 17;
  return Outcome<int>(std::move(parts));
}

/// What is tried gives one answer after the other, the last for good, and takes down when it was asked.
struct Script {
  using Step = std::function<Outcome<int>()>;

  Outcome<int> operator()() {
    asked.push_back(clock.elapsed());
    return steps.size() > asked.size() - 1 ? steps[asked.size() - 1]() : steps.back()();
  }

  ManualClock clock;
  std::vector<Step> steps;
  std::vector<Duration> asked = {};
};

Script::Step gives(Status status, Duration retry_after = 0ms) {
  return [=] { return answer(status, retry_after); };
}
Script::Step fails(errc code) {
  return [=]() -> Outcome<int> { throw Error(code); };
}

/// Retries on a clock that moves when somebody waits, without jitter, so that every moment is known.
struct Trial {
  Retried<int> run(std::vector<Script::Step> steps) {
    script.steps = std::move(steps);
    std::minstd_rand random;
    return retry(policy, InstantTimer(script.clock), random, script);
  }

  RetryPolicy policy{.backoff = {100ms, 10s, Jitter::none}};
  Script script{{}, {}};
};

using Moments = std::vector<Duration>;

}  // namespace

TEST_CASE("what is completed is not tried again", "[retry]") {
  Trial trial;
  auto result = trial.run({gives(Status::completed)});
  CHECK(result.end == RetryEnd::settled);
  CHECK(result.tries == 1);
  CHECK(result.waited == 0ms);
  CHECK(std::move(result).value().response() == 17);
}

TEST_CASE("in_progress and not_executed are tried again after pauses that grow", "[retry]") {
  const Status open = GENERATE(Status::in_progress, Status::not_executed);
  Trial trial;
  const auto result = trial.run({gives(open), gives(open), gives(open), gives(Status::completed)});
  CHECK(result.end == RetryEnd::settled);
  CHECK(result.tries == 4);
  CHECK(trial.script.asked == Moments{0ms, 100ms, 300ms, 700ms});
  CHECK(result.waited == 700ms);
}

TEST_CASE("errors are tried again exactly when they are retryable", "[retry]") {
  for (int code = static_cast<int>(errc::invalid_key); code <= static_cast<int>(errc::unsupported_format);
       ++code) {
    Trial trial;
    const auto result = trial.run({fails(static_cast<errc>(code)), gives(Status::completed)});
    CAPTURE(code);
    if (retryable(Error(static_cast<errc>(code)))) {
      CHECK(result.end == RetryEnd::settled);
      CHECK(result.tries == 2);
      CHECK(result.error == nullptr);
    } else {
      CHECK(result.end == RetryEnd::not_retryable);
      CHECK(result.tries == 1);
      CHECK(!result.outcome);
      CHECK_THROWS_MATCHES(std::rethrow_exception(result.error), Error,
                           support::has_code<Error>(static_cast<errc>(code)));
    }
  }
}

TEST_CASE("what another try does not help is not tried again", "[retry]") {
  const Status status = GENERATE(Status::key_reused, Status::refused, Status::in_doubt);
  Trial trial;
  const auto result = trial.run({gives(status), gives(Status::completed)});
  CHECK(result.end == RetryEnd::not_retryable);
  CHECK(result.tries == 1);
  CHECK(result.outcome->status() == status);
}

TEST_CASE("exceptions that are no errors of the library end it", "[retry]") {
  Trial trial;
  auto result =
      trial.run({[]() -> Outcome<int> { throw std::runtime_error("a bug"); }, gives(Status::completed)});
  CHECK(result.end == RetryEnd::not_retryable);
  CHECK(result.tries == 1);
  CHECK_THROWS_WITH(std::move(result).value(), "a bug");
}

TEST_CASE("a payment in doubt is sent again only on demand", "[retry]") {
  Trial trial;
  trial.policy.in_doubt = WhenInDoubt::send_again;
  const auto result = trial.run({gives(Status::in_doubt), gives(Status::completed)});
  CHECK(result.end == RetryEnd::settled);
  CHECK(result.tries == 2);
}

TEST_CASE("no try comes earlier than retry_after, and those told the same do not come together", "[retry]") {
  Trial trial;
  trial.run({gives(Status::in_progress, 7s), gives(Status::not_executed, 20s), gives(Status::completed)});
  CHECK(trial.script.asked == Moments{0ms, 7100ms, 27300ms});

  std::mt19937_64 random(5);
  Moments came;
  for (int client = 0; client < 50; ++client) {
    Script script{{}, {gives(Status::in_progress, 3s), gives(Status::completed)}};
    (void)retry(Backoff{1s, 10s, Jitter::full}, InstantTimer(script.clock), random, script);
    came.push_back(script.asked.at(1));
  }
  std::sort(came.begin(), came.end());
  CHECK(came.front() >= 3s);
  CHECK(came.back() <= 4s);
  CHECK(came.back() - came.front() > 500ms);
}

TEST_CASE("a retry_after of an answer does not hold for the error after it", "[retry]") {
  Trial trial;
  trial.run({gives(Status::not_executed, 5s), fails(errc::store_busy), gives(Status::completed)});
  CHECK(trial.script.asked == Moments{0ms, 5100ms, 5300ms});
}

TEST_CASE("no more tries are made than are allowed", "[retry]") {
  Trial trial;
  trial.policy.attempts = GENERATE(1U, 2U, 5U);
  const auto result = trial.run({gives(Status::not_executed)});
  CHECK(result.end == RetryEnd::out_of_attempts);
  CHECK(result.tries == trial.policy.attempts);
  CHECK(trial.script.asked.size() == trial.policy.attempts);
  CHECK(result.outcome->status() == Status::not_executed);
  CHECK(trial.script.clock.elapsed() == trial.script.asked.back());  // no pause after the last
}

TEST_CASE("a pause that would end after the deadline is not begun", "[retry]") {
  Trial trial;
  trial.policy.deadline = 700ms;
  auto result = trial.run({gives(Status::not_executed)});
  CHECK(result.end == RetryEnd::past_deadline);
  CHECK(trial.script.asked == Moments{0ms, 100ms, 300ms, 700ms});  // the last exactly at the deadline
  CHECK(trial.script.clock.elapsed() == 700ms);

  Trial shorter;
  shorter.policy.deadline = 699ms;
  result = shorter.run({gives(Status::not_executed)});
  CHECK(result.end == RetryEnd::past_deadline);
  CHECK(shorter.script.asked == Moments{0ms, 100ms, 300ms});
  CHECK(shorter.script.clock.elapsed() == 300ms);
}

TEST_CASE("the deadline counts the time in which a try runs, and what retry_after asks for", "[retry]") {
  Trial slow;
  slow.policy.deadline = 1s;
  ManualClock clock = slow.script.clock;
  auto result = slow.run({[clock]() mutable {
    clock.advance(950ms);
    return answer(Status::not_executed);
  }});
  CHECK(result.end == RetryEnd::past_deadline);
  CHECK(result.tries == 1);

  Trial told;
  told.policy.deadline = 1s;
  result = told.run({gives(Status::in_progress, 950ms)});
  CHECK(result.end == RetryEnd::past_deadline);
  CHECK(told.script.clock.elapsed() == 0ms);

  Trial late;  // long after the deadline, and with a pause that is longer than all time
  late.policy.backoff = {Duration::max(), Duration::max(), Jitter::none};
  late.policy.deadline = 1s;
  ManualClock passing = late.script.clock;
  result = late.run({[passing]() mutable {
    passing.advance(1h);
    return answer(Status::not_executed);
  }});
  CHECK(result.end == RetryEnd::past_deadline);

  Trial forever;
  forever.policy.deadline = Duration::max();
  result = forever.run({gives(Status::in_progress, Duration::max())});
  CHECK(result.end == RetryEnd::past_deadline);
}

TEST_CASE("pauses are never longer than the longest, whatever the jitter", "[retry][property]") {
  const Jitter jitter = GENERATE(Jitter::none, Jitter::full, Jitter::equal, Jitter::decorrelated);
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    Script script{{}, {gives(Status::not_executed)}};
    const RetryPolicy policy{.backoff = {20ms, 500ms, jitter}, .attempts = 40, .deadline = 1h};
    const auto result = retry(policy, InstantTimer(script.clock), random, script);
    REQUIRE(script.asked.size() == 40);
    for (std::size_t at = 1; at < script.asked.size(); ++at)
      REQUIRE(script.asked[at] - script.asked[at - 1] <= 500ms);
    REQUIRE(result.waited == script.asked.back());
    if (jitter == Jitter::decorrelated) CHECK(result.waited > 39 * 60ms);  // 60 ms: if none built on the last
  }
}

TEST_CASE("what was known in doubt is kept when the next try throws", "[retry]") {
  Trial trial;
  trial.policy.in_doubt = WhenInDoubt::send_again;
  trial.policy.attempts = 2;
  auto result = trial.run({gives(Status::in_doubt), fails(errc::store_unavailable)});
  CHECK(result.end == RetryEnd::out_of_attempts);
  CHECK(result.outcome->status() == Status::in_doubt);
  CHECK(result.error != nullptr);
  CHECK(std::move(result).value().status() == Status::in_doubt);  // an error would say: nothing was started
  Trial running;
  running.policy.attempts = 2;
  result = running.run({gives(Status::in_progress), fails(errc::store_unavailable)});
  CHECK(std::move(result).value().status() == Status::in_progress);
  Trial released;
  released.policy.attempts = 2;
  result = released.run({gives(Status::not_executed), fails(errc::store_unavailable)});
  CHECK_THROWS_MATCHES(std::move(result).value(), Error, support::has_code<Error>(errc::store_unavailable));
}

TEST_CASE("nothing is tried after a stop, and its pause ends", "[retry]") {
  SECTION("before the first try") {
    Stop stop;
    stop.request();
    Trial trial;
    trial.policy.stop = &stop;
    auto result = trial.run({gives(Status::completed)});
    CHECK(result.end == RetryEnd::stopped);
    CHECK(result.tries == 0);
    CHECK_THROWS_MATCHES(std::move(result).value(), Error, support::has_code<Error>(errc::shutting_down));
  }
  SECTION("while a try runs") {
    Stop stop;
    Trial trial;
    trial.policy.stop = &stop;
    const auto result = trial.run({[&] {
      stop.request();
      return answer(Status::not_executed);
    }});
    CHECK(result.end == RetryEnd::stopped);
    CHECK(result.tries == 1);
    CHECK(result.outcome->status() == Status::not_executed);
  }
  SECTION("in a pause") {
    Stop stop;
    ManualClock clock;
    const RetryPolicy policy{.stop = &stop};
    Retried<int> result;
    std::thread tries([&] {
      result = retry(policy, clock, SystemRandom(), [] { return answer(Status::in_progress, 10s); });
    });
    clock.await_waiting(1);
    clock.advance(4s);  // not enough
    stop.request();
    tries.join();
    CHECK(result.end == RetryEnd::stopped);
    CHECK(result.tries == 1);
    CHECK(result.waited == 4s);
  }
}

TEST_CASE("policies that make no sense are refused before anything is tried", "[retry]") {
  const auto refused = [](const RetryPolicy& policy) {
    Trial trial;
    trial.policy = policy;
    CHECK_THROWS_MATCHES(trial.run({gives(Status::completed)}), Error,
                         support::has_code<Error>(errc::invalid_options));
    CHECK(trial.script.asked.empty());
  };
  refused({.backoff = {0ms, 1s}});
  refused({.backoff = {2s, 1s}});
  refused({.attempts = 0});
  refused({.deadline = 0ms});
  refused({.deadline = -1ms});
}

TEST_CASE("a response that can only be moved is handed over", "[retry]") {
  World<> world;
  auto result = retry(RetryPolicy{}, [&] {
    return world.guard.execute(key(), request, [] { return std::string("receipt"); });
  });
  static_assert(std::is_same_v<decltype(result), Retried<std::string>>);
  CHECK(std::move(result).value().response() == "receipt");

  using Boxed = std::unique_ptr<int>;
  auto boxed = retry(RetryPolicy{}, [&] {
    detail::OutcomeParts<Boxed> parts;
    parts.status = Status::completed;
    parts.value = std::make_unique<int>(4);
    return Outcome<Boxed>(std::move(parts));
  });
  CHECK(*std::move(boxed).value().response() == 4);
}

TEST_CASE("tries through a guard send the same key, and pay once", "[retry][guard]") {
  World<> world;
  std::vector<std::string> provider_keys;
  std::minstd_rand random;
  const auto result = retry(RetryPolicy{}, InstantTimer(world.clock), random, [&] {
    return world.guard.execute(key(), request, [&](Attempt& attempt) -> Text {
      provider_keys.emplace_back(attempt.provider_key());
      if (provider_keys.size() < 3) return not_executed("no connection");
      return succeeded("paid");
    });
  });
  CHECK(result.end == RetryEnd::settled);
  CHECK(result.tries == 3);
  CHECK(provider_keys.size() == 3);
  CHECK(provider_keys[2] == provider_keys[1]);
  CHECK(provider_keys[1] == provider_keys[0]);
  CHECK(result.waited >= 2s);  // the guard asks for a second each time
}

TEST_CASE("endings have names", "[retry]") {
  CHECK(to_string(RetryEnd::settled) == "settled");
  CHECK(to_string(RetryEnd::not_retryable) == "not_retryable");
  CHECK(to_string(RetryEnd::out_of_attempts) == "out_of_attempts");
  CHECK(to_string(RetryEnd::past_deadline) == "past_deadline");
  CHECK(to_string(RetryEnd::out_of_budget) == "out_of_budget");
  CHECK(to_string(RetryEnd::stopped) == "stopped");
  CHECK(to_string(static_cast<RetryEnd>(99)) == "unknown");
}

TEST_CASE("a budget lets a share of the calls be tried again, and what was saved up", "[retry][budget]") {
  RetryBudget budget({.percent = 10, .reserve = 5});
  CHECK(budget.balance() == 5);
  int retries = 0;
  for (int call = 0; call < 1000; ++call) {
    budget.deposit();
    while (budget.withdraw()) ++retries;
  }
  CHECK(retries == 105 - 1);  // the first deposit found the bucket full
  for (int call = 0; call < 1000; ++call) budget.deposit();
  CHECK(budget.balance() == 5);  // no more can be saved up
}

TEST_CASE("a budget for odd shares and small reserves is kept to", "[retry][budget]") {
  const auto percent = GENERATE(0U, 1U, 33U, 100U, 250U, 1000U);
  CAPTURE(percent);
  RetryBudget budget({.percent = percent, .reserve = 11});
  std::uint64_t retries = 0;
  for (int call = 0; call < 300; ++call) {
    while (budget.withdraw()) ++retries;
    budget.deposit();
  }
  while (budget.withdraw()) ++retries;
  CHECK(retries == 11 + 300 * percent / 100);
}

TEST_CASE("a deposit larger than the room for it fills the bucket", "[retry][budget]") {
  RetryBudget budget({.percent = 1000, .reserve = 2});
  CHECK(budget.withdraw());
  budget.deposit();
  CHECK(budget.balance() == 2);
}

TEST_CASE("no token is taken out of a budget twice", "[retry][budget]") {
  constexpr int tokens = 1'000'000;  // enough for threads to meet, whatever else the machine does
  RetryBudget budget({.percent = 0, .reserve = tokens});
  std::atomic<int> retries = 0, ready = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (++ready; ready < 4;) std::this_thread::yield();
      int mine = 0;
      while (budget.withdraw()) ++mine;
      retries += mine;
    });
  for (auto& thread : threads) thread.join();
  CHECK(retries == tokens);
}

TEST_CASE("threads that share a budget never get more out of it than went in", "[retry][budget]") {
  RetryBudget budget({.percent = 20, .reserve = 1000});
  std::atomic<int> retries = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int call = 0; call < 5000; ++call) {
        if (budget.withdraw()) ++retries;
        budget.deposit();
      }
    });
  for (auto& thread : threads) thread.join();
  while (budget.withdraw()) ++retries;
  CHECK(retries <= 1000 + 20'000 / 5);
  CHECK(retries >= 20'000 / 5);
}

TEST_CASE("without budget left there is no retry, and no pause for one", "[retry][budget]") {
  RetryBudget budget({.percent = 50, .reserve = 3});
  std::vector<std::uint32_t> tries;
  for (int call = 0; call < 8; ++call) {
    Trial trial;
    trial.policy.budget = &budget;
    const auto result =
        trial.run({gives(Status::not_executed), gives(Status::not_executed), gives(Status::completed)});
    tries.push_back(result.tries);
    if (result.tries < 3) {
      CHECK(result.end == RetryEnd::out_of_budget);
      CHECK(result.outcome->status() == Status::not_executed);
      CHECK(trial.script.clock.elapsed() == (result.tries == 1 ? 0ms : 100ms));
    }
  }
  CHECK(tries == std::vector<std::uint32_t>{3, 2, 2, 1, 2, 1, 2, 1});
}

TEST_CASE("a retry that is not made takes nothing out of the budget", "[retry][budget]") {
  RetryBudget budget;
  const auto before = budget.balance();
  for (auto policy : {RetryPolicy{.attempts = 1}, RetryPolicy{.deadline = 1ms}}) {
    Trial trial;
    policy.backoff = {100ms, 1s, Jitter::none};
    policy.budget = &budget;
    trial.policy = policy;
    trial.run({gives(Status::not_executed)});
  }
  CHECK(budget.balance() == before);
}

TEST_CASE("budgets that make no sense are refused", "[retry][budget]") {
  CHECK_THROWS_MATCHES(RetryBudget({.percent = 1001}), Error,
                       support::has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(RetryBudget({.reserve = 0}), Error, support::has_code<Error>(errc::invalid_options));
}
