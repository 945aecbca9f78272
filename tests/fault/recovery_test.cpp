// Recovery while things go wrong around it: it dies at each call to the store, others recover and pay on the
// same store, and the function that it asks hangs, throws or answers nonsense.

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>

#include "fault/event.hpp"
#include "fault/world.hpp"
#include "support/catch.hpp"

using namespace fault;
using namespace std::chrono_literals;
using Text = PaymentResult<std::string>;
using Answer = ProviderAnswer<std::string>;

namespace {

const Fingerprint request = fingerprint("4.50", "EUR");

IdempotencyKey key(const std::string& text) { return {"shop", text}; }

GuardOptions options() {
  GuardOptions options;
  options.lease = 30s;
  options.retention = 24h * 10'000;
  options.heartbeat = false;
  return options;
}

RecoveryOptions one_at_a_time() {
  RecoveryOptions options;
  options.concurrency = 1;
  options.backoff = {1min, 1min, Jitter::none};
  options.rounds = 1000;
  return options;
}

using Store = FaultStore<TestedStore>;
using Guard = IdempotencyGuard<Store&, KeyedMutex, ManualClock>;

/// A store with one payment of each kind that recovery meets, as a process left it that is dead.
struct Left {
  Left() {
    Guard guard(store, KeyedMutex(), clock, options());
    const auto lost = []() -> Text { throw std::runtime_error("no reply"); };
    for (const char* text : {"paid", "declined", "unknown", "never sent"})
      static_cast<void>(guard.execute(key(text), request, lost));
    static_cast<void>(guard.execute(key("done"), request, [] { return "receipt"; }));
    for (const char* text : {"abandoned, paid", "abandoned"}) {  // the process dies in the callable
      static_cast<void>(guard.execute(key(text), request, [&]() -> Text {
        store.inject({FaultKind::throws_before, 1, Fault::for_ever});
        return succeeded("nobody hears this");
      }));
      store.heal();
    }
    clock.advance(1min);
  }

  Text ask(const Doubt& doubt) {
    ++asked[std::string(doubt.key.text())];
    const std::string_view text = doubt.key.text();
    if (text == "paid" || text == "abandoned, paid") return succeeded("receipt");
    if (text == "declined") return declined("no funds");
    if (text == "never sent") return not_executed("the provider refuses late requests");
    return in_doubt("not found");
  }
  /// A process that starts, recovers once, and ends.
  RecoveryReport recover() {
    Guard guard(store, KeyedMutex(), clock, options());
    return Recovery(
               guard, [this](const Doubt& doubt) { return ask(doubt); }, one_at_a_time(), clock)
        .run();
  }
  std::map<std::string, State> states() {
    std::map<std::string, State> states;
    store.inner().scan(ScanFilter{}, [&](const IdempotencyKey& of, const Record& record) {
      states.emplace(std::string(of.text()), record.state);
      return true;
    });
    return states;
  }

  ManualClock clock;
  Store store{TestedStore{}};
  std::map<std::string, int> asked;
};

const std::map<std::string, State> settled = {
    {"paid", State::succeeded},      {"declined", State::declined}, {"unknown", State::in_doubt},
    {"never sent", State::released}, {"done", State::succeeded},    {"abandoned, paid", State::succeeded},
    {"abandoned", State::in_doubt},
};

}  // namespace

TEST_CASE("recovery that dies at any call to the store changes nothing that the next does not find",
          "[fault][recovery]") {
  {
    Left left;
    CHECK(left.recover().finished);
    CHECK(left.states() == settled);
  }
  const auto kind = GENERATE(FaultKind::throws_before, FaultKind::throws_after);
  std::size_t at = 1;
  for (;; ++at) {
    CAPTURE(at, kind == FaultKind::throws_after);
    Left left;
    left.store.inject({kind, at, 1});
    left.store.inject({FaultKind::throws_before, at + 1, Fault::for_ever});
    const std::size_t failures = left.store.failures();
    static_cast<void>(left.recover());
    const bool died = left.store.failures() > failures;
    left.store.heal();
    for (const auto& [text, state] : left.states()) {  // where it got to is on the way
      const State end = settled.at(text);
      const bool on_the_way = state == end || state == State::in_doubt ||
                              (state == State::in_progress && text.substr(0, 9) == "abandoned");
      CHECK(on_the_way);
    }
    CHECK(left.recover().finished);
    CHECK(left.states() == settled);
    for (const auto& [text, times] : left.asked) CHECK(times <= 2);
    if (!died) break;
  }
  CHECK(at > 15);
}

TEST_CASE("recovery asks about each payment once a round, and pays none", "[fault][recovery]") {
  constexpr int count = 500;
  ManualClock clock;
  TestedStore store;
  IdempotencyGuard<TestedStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options());
  int runs = 0;
  for (int i = 0; i < count; ++i)
    static_cast<void>(guard.execute(key(std::to_string(i)), request, [&]() -> Text {
      ++runs;
      throw std::runtime_error("no reply");
    }));
  std::mutex mutex;
  std::map<std::string, int> asked;
  RecoveryOptions rules = one_at_a_time();
  rules.concurrency = 4;
  rules.batch = 64;
  Recovery recovery(
      guard,
      [&](const Doubt& doubt) -> Text {
        const std::lock_guard lock(mutex);
        ++asked[std::string(doubt.key.bytes())];
        return in_doubt("not found");
      },
      rules, clock);
  for (int round = 1; round <= 3; ++round) {
    const RecoveryReport report = recovery.run();
    CHECK(report.finished);
    CHECK(report.asked == count);
    CHECK(report.in_doubt == count);
    CHECK(recovery.run().not_due == count);
    CHECK(asked.size() == count);
    for (const auto& [bytes, times] : asked) CHECK(times == round);
    clock.advance(1min);
  }
  CHECK(runs == count);
}

TEST_CASE("two recoverers and payments on one store charge nobody twice", "[fault][recovery][threads]") {
  constexpr int keys = 120, payers = 3;
  ManualClock clock;
  TestedStore store;
  std::mutex mutex;
  std::map<std::string, int> charges;  // the provider's ledger
  std::atomic<int> told_paid{0}, told_wrong{0}, open_payers{payers}, rounds{0};

  const auto pay_all = [&](unsigned seed) {
    IdempotencyGuard<TestedStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options());
    std::minstd_rand random(seed);
    for (int i = 0; i < keys * 3; ++i) {
      const IdempotencyKey of = key(std::to_string(random() % keys));
      try {
        const auto outcome = guard.execute(of, request, [&](Attempt& attempt) -> Text {
          const auto fate = random() % 8;
          if (fate == 0) {  // its lease runs out, and others look at it, before it gets to work
            clock.advance(40s);
            for (const int seen = rounds; rounds < seen + 6;) std::this_thread::yield();
          }
          if (fate == 1) throw std::runtime_error("never sent");
          if (fate == 2) return not_executed("connection refused");
          const std::string provider_key(attempt.provider_key());
          {
            const std::lock_guard lock(mutex);
            ++charges[provider_key];
          }
          if (fate == 3) clock.advance(40s);
          if (fate == 4) throw std::runtime_error("the reply was lost");
          return succeeded(provider_key);
        });
        if (!outcome.succeeded()) continue;
        ++told_paid;
        const std::lock_guard lock(mutex);
        if (charges.count(outcome.response()) == 0) ++told_wrong;
      } catch (const Error&) {
        ++told_wrong;
      }
    }
    --open_payers;
  };
  const auto recover_on = [&] {
    IdempotencyGuard<TestedStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options());
    RecoveryOptions rules = one_at_a_time();
    rules.concurrency = 2;
    rules.batch = 16;
    // Its holders are alive: what is not found stays in doubt, however long.
    Recovery recovery(guard,
                      provider_query<std::string>(NotFound::proves_not_executed_after(1ms),
                                                  [&](const Doubt& doubt) {
                                                    const std::lock_guard lock(mutex);
                                                    const std::string provider_key = doubt.provider_key();
                                                    return charges.count(provider_key) != 0
                                                               ? Answer::succeeded(provider_key)
                                                               : Answer::not_found();
                                                  }),
                      rules, clock);
    while (open_payers > 0) {
      static_cast<void>(recovery.run());
      clock.advance(1min);
      ++rounds;
    }
    return recovery.run().failed;
  };

  std::vector<std::thread> threads;
  std::atomic<std::size_t> failed{0};
  for (unsigned seed = 1; seed <= payers; ++seed) threads.emplace_back(pay_all, seed);
  for (int recoverer = 0; recoverer < 2; ++recoverer) threads.emplace_back([&] { failed += recover_on(); });
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  clock.advance(1h);
  recover_on();

  CHECK(told_wrong == 0);
  CHECK(told_paid > 0);
  CHECK(charges.size() > keys / 2);
  for (const auto& [provider_key, times] : charges) CHECK(times == 1);
  std::size_t succeeded = 0;
  store.scan(ScanFilter{}, [&](const IdempotencyKey& of, const Record& record) {
    const bool charged = charges.count(provider_key(of, record.created_at)) != 0;
    CHECK((record.state == State::succeeded) == charged);
    CHECK(record.state != State::in_progress);
    if (charged) ++succeeded;
    return true;
  });
  CHECK(succeeded == charges.size());
}

TEST_CASE("a question that hangs, throws or is answered with nonsense delays its own payment alone",
          "[fault][recovery][threads]") {
  ManualClock clock;
  TestedStore store(MemoryStoreOptions{.max_record_bytes = 1000});
  IdempotencyGuard<TestedStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options());
  std::vector<std::string> texts = {"hangs", "throws", "throws no exception", "says it was not executed",
                                    "says too much"};
  for (int i = 0; i < 20; ++i) texts.push_back(std::to_string(i));
  for (const std::string& text : texts)
    static_cast<void>(
        guard.execute(key(text), request, []() -> Text { throw std::runtime_error("no reply"); }));

  Event hangs, goes_on;
  RecoveryOptions rules = one_at_a_time();
  rules.answer_within = 10s;
  Recovery recovery(
      guard,
      [&](const Doubt& doubt) -> Text {
        const std::string_view text = doubt.key.text();
        if (text == "hangs") {
          hangs.happen();
          goes_on.await();
        }
        if (text == "throws") throw std::runtime_error("the provider does not answer");
        if (text == "throws no exception") throw 42;
        if (text == "says it was not executed") throw NotExecuted("is no proof when it is thrown");
        if (text == "says too much") return succeeded(std::string(2000, 'x'));
        return succeeded("receipt");
      },
      rules, clock);

  RecoveryReport report;
  std::thread round([&] { report = recovery.run(); });
  REQUIRE(hangs.await());
  clock.await_waiting(1);
  clock.advance(10s);
  round.join();
  CHECK(report.hanging == 1);
  CHECK(report.succeeded == 20);
  CHECK(report.unanswered == 3);
  CHECK(report.failed == 1);
  CHECK(report.released == 0);
  for (const std::string& text : texts)
    CHECK(store.find(key(text))->state == (text.size() <= 2 ? State::succeeded : State::in_doubt));

  // Neither is it asked again while it hangs, nor does anybody run its payment.
  clock.advance(1h);
  CHECK(recovery.run().hanging == 1);
  CHECK(hangs.count() == 1);
  CHECK(guard.execute(key("hangs"), request, []() -> Text { throw std::logic_error("it ran"); }).status() ==
        Status::in_doubt);
  goes_on.happen();
  while (store.find(key("hangs"))->state != State::succeeded) std::this_thread::yield();
}

TEST_CASE("a holder that dies late is given as much time as one that died at once", "[fault][recovery]") {
  ManualClock clock;
  TestedStore store;
  IdempotencyGuard<TestedStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options());
  static_cast<void>(guard.execute(key("a"), request, []() -> Text { throw std::runtime_error("no reply"); }));
  std::atomic<bool> dead{false};
  RecoveryOptions rules = one_at_a_time();
  rules.holder_dead = [&](const IdempotencyKey&, const Record&) { return dead.load(); };
  Recovery recovery(guard,
                    provider_query<std::string>(NotFound::proves_not_executed_after(10min),
                                                [](const Doubt&) { return Answer::not_found(); }),
                    rules, clock);
  CHECK(recovery.run().in_doubt == 1);
  clock.advance(1h);
  CHECK(recovery.run().in_doubt == 1);
  clock.advance(1min);
  dead = true;  // and what it sent in its last moment is under way
  CHECK(recovery.run().in_doubt == 1);
  clock.advance(10min - 1ms);
  CHECK(recovery.run().in_doubt == 1);
  clock.advance(1min);
  CHECK(recovery.run().released == 1);
  CHECK(store.find(key("a"))->state == State::released);
}
