// Every call to the store, the lock, the clock and the codec fails once, some times, and for ever, on every
// path through the guard.

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "fault/paths.hpp"
#include "support/catch.hpp"

using namespace fault;

namespace {

constexpr std::size_t for_ever = Fault::for_ever;

/// Runs a path with a fault at the first, the second, ... place, until none is reached any more.
/// `arm(trial, at)` sets it; `reached(trial)` tells after the call.
template <class L, class S = TestedStore, class Arm, class Reached>
int enumerate(const Path& path, const std::string& what, LateWrites late, const Arm& arm,
              const Reached& reached) {
  for (std::size_t at = 1;; ++at) {
    REQUIRE(at < 100);
    Trial<L, S> trial(path);
    arm(trial, at);
    trial.call();
    const bool was_reached = reached(trial);
    if (!was_reached && trial.world.store.failures() == 0) trial.expect_without_faults();
    trial.aftermath(late);
    if (!trial.wrong().empty()) {
      const std::string status(trial.status() ? to_string(*trial.status()) : trial.exception());
      FAIL_CHECK(path.name << ", " << what << " at " << at << ": " << trial.wrong() << " [" << status << "]");
    }
    if (!was_reached) return static_cast<int>(at) - 1;
  }
}

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::throws_before: return "never arrives";
    case FaultKind::throws_after: return "reply lost";
    case FaultKind::lands_later: return "lands later";
  }
  return "";
}

/// All of them in memory. Where each call is a commit, those at the ends: what lies between them differs in
/// the guard alone.
std::vector<std::size_t> all_or_ends(std::vector<std::size_t> all) {
  if (!support::tested_in_memory()) all = {all.front(), all.back()};
  return all;
}

template <class L, class S = TestedStore>
int enumerate_store_faults(const Path& path, LateWrites late) {
  int reached = 0;
  for (const FaultKind kind : {FaultKind::throws_before, FaultKind::throws_after, FaultKind::lands_later})
    for (const std::size_t times : all_or_ends({1, 2, 3, 4, 5, for_ever}))
      for (const std::size_t delay : all_or_ends({0, 1, 2, 3, for_ever})) {
        if (kind != FaultKind::lands_later && delay > 0) continue;
        const std::string what =
            std::string(name_of(kind)) + " x" + std::to_string(times) + " delay " + std::to_string(delay);
        reached += enumerate<L, S>(
            path, what, late,
            [&](auto& trial, std::size_t at) {
              trial.world.store.inject({.kind = kind, .at = at, .times = times, .delay = delay});
            },
            [](auto& trial) { return trial.world.store.failures() > 0; });
      }
  return reached;
}

}  // namespace

TEST_CASE("whatever store call fails, the answer is right and the next call finds the truth",
          "[fault][store]") {
  const auto late = GENERATE(LateWrites::before_the_next_call, LateWrites::after_it);
  int reached = 0;
  for (const Path& path : paths) {
    const int on_this_path = enumerate_store_faults<KeyedMutex>(path, late);
    CHECK(on_this_path > 0);
    reached += on_this_path;
  }
  CHECK(reached > (support::tested_in_memory() ? 4000 : 800));
}

TEST_CASE("the same without a lock", "[fault][store]") {
  for (const Path& path : paths)
    CHECK(enumerate_store_faults<NoLock>(path, LateWrites::before_the_next_call) > 0);
}

TEST_CASE("the same with a store that is locked before it is read", "[fault][store]") {
  for (const Path& path : paths) {
    CHECK(enumerate_store_faults<KeyedMutex, RemoteStore>(path, LateWrites::before_the_next_call) > 0);
    CHECK(enumerate_store_faults<NoLock, RemoteStore>(path, LateWrites::after_it) > 0);
  }
}

TEST_CASE("two faults of any kinds in one call leave the answer right", "[fault][store]") {
  int reached = 0;
  for (const Path& path : paths)
    for (const FaultKind first : {FaultKind::throws_before, FaultKind::throws_after, FaultKind::lands_later})
      for (const FaultKind second :
           {FaultKind::throws_before, FaultKind::throws_after, FaultKind::lands_later})
        for (const std::size_t gap : all_or_ends({1, 2, 3, 4, 5, 6}))
          reached += enumerate<KeyedMutex>(
              path,
              std::string(name_of(first)) + ", then " + name_of(second) + " after " + std::to_string(gap),
              LateWrites::before_the_next_call,
              [&](auto& trial, std::size_t at) {
                trial.world.store.inject({.kind = first, .at = at, .delay = 1});
                trial.world.store.inject({.kind = second, .at = at + gap, .delay = 2});
              },
              [](auto& trial) { return trial.world.store.failures() > 0; });
  CHECK(reached > (support::tested_in_memory() ? 5000 : 1600));
}

TEST_CASE("a codec that throws loses no result", "[fault][codec]") {
  const auto throws = GENERATE(Tripwire::Throws::error, Tripwire::Throws::integer);
  int reached = 0;
  for (const Path& path : paths)
    for (const std::size_t times : {std::size_t{1}, for_ever}) {
      reached += enumerate<KeyedMutex>(
          path, "encode throws", LateWrites::before_the_next_call,
          [&](auto&, std::size_t at) { Receipt::encoding().set(at, times, throws); },
          [](auto&) { return Receipt::encoding().tripped(); });
      reached += enumerate<KeyedMutex>(
          path, "decode throws", LateWrites::before_the_next_call,
          [&](auto&, std::size_t at) { Receipt::decoding().set(at, times, throws); },
          [](auto&) { return Receipt::decoding().tripped(); });
    }
  CHECK(reached >= 40);
}

TEST_CASE("a lock that throws stops the call before the payment", "[fault][lock]") {
  int reached = 0;
  for (const Path& path : paths)
    for (const std::size_t times : {std::size_t{1}, for_ever})
      reached += enumerate<KeyedMutex>(
          path, "acquire throws", LateWrites::before_the_next_call,
          [&](auto& trial, std::size_t at) { trial.world.lock.wire.set(at, times); },
          [](auto& trial) {
            const bool tripped = trial.world.lock.wire.tripped();
            if (tripped) {
              CHECK(!trial.started());
              CHECK(trial.exception().find("tripped") != std::string::npos);
            }
            return tripped;
          });
  CHECK(reached > 20);
}

TEST_CASE("a clock that throws stops the call before the payment, or leaves it in doubt", "[fault][clock]") {
  const auto throws = GENERATE(Tripwire::Throws::error, Tripwire::Throws::integer);
  int reached = 0;
  for (const Path& path : paths)
    for (const std::size_t times : {std::size_t{1}, for_ever})
      reached += enumerate<KeyedMutex>(
          path, "the clock throws", LateWrites::before_the_next_call,
          [&](auto& trial, std::size_t at) { trial.world.clock.wire.set(at, times, throws); },
          [](auto& trial) { return trial.world.clock.wire.tripped(); });
  CHECK(reached > 100);
}

TEST_CASE("a clock that throws while the store fails leaves the answer right", "[fault][clock]") {
  int reached = 0;
  for (const Path& path : paths)
    for (const FaultKind kind : {FaultKind::throws_before, FaultKind::throws_after})
      for (std::size_t fails_at = 1; fails_at <= 6; ++fails_at)
        reached += enumerate<KeyedMutex>(
            path, std::string("the clock throws, store ") + name_of(kind), LateWrites::before_the_next_call,
            [&](auto& trial, std::size_t at) {
              trial.world.store.inject({.kind = kind, .at = fails_at});
              trial.world.clock.wire.set(at, for_ever);
            },
            [](auto& trial) { return trial.world.clock.wire.tripped(); });
  CHECK(reached > 50);
}

namespace {

GuardOptions quiet() {
  GuardOptions options;
  options.heartbeat = false;
  return options;
}

PaymentResult<Receipt> must_not_run(Attempt&) { throw std::logic_error("the callable ran"); }

/// Leaves a payment in doubt, begun by a callable that charged and threw.
void leave_in_doubt(World<>& world) {
  const auto outcome =
      world.guard.execute(world.key, world.request, [&](Attempt& attempt) -> PaymentResult<Receipt> {
        world.ledger.charge(attempt.provider_key());
        throw std::runtime_error("lost");
      });
  REQUIRE(outcome.status() == Status::in_doubt);
}

}  // namespace

TEST_CASE("a refuse_if that throws writes nothing and starts nothing", "[fault][refuse_if]") {
  const bool after_release = GENERATE(false, true);
  World<> world(quiet());
  if (after_release) {
    const auto first = world.guard.execute(world.key, world.request,
                                           []() -> PaymentResult<Receipt> { return not_executed("no"); });
    REQUIRE(first.status() == Status::not_executed);
  }
  const auto before = world.record();
  CallOptions options;
  options.refuse_if = []() -> std::optional<std::string> { throw std::runtime_error("no balance service"); };
  CHECK_THROWS_AS(world.guard.execute(world.key, world.request, must_not_run, options), std::runtime_error);
  CHECK(world.record() == before);
  options.refuse_if = []() -> std::optional<std::string> { return std::nullopt; };
  const auto paid = world.guard.execute(
      world.key, world.request, [&](Attempt& attempt) { return world.ledger.charge(attempt.provider_key()); },
      options);
  CHECK(paid.succeeded());
}

TEST_CASE("a lock that throws while a duplicate waits tells it, and the payment goes on", "[fault][lock]") {
  const std::size_t at = GENERATE(std::size_t{1}, std::size_t{2});
  World<> world(quiet());
  CallOptions patient;
  patient.wait = std::chrono::minutes(1);
  std::optional<std::error_code> told;
  const auto outcome = world.guard.execute(world.key, world.request, [&](Attempt& attempt) {
    std::thread duplicate([&] {
      world.lock.wire.set(at, 1);
      try {
        static_cast<void>(world.guard.execute(world.key, world.request, must_not_run, patient));
      } catch (const Error& error) {
        told = error.code();
      }
    });
    duplicate.join();
    return world.ledger.charge(attempt.provider_key());
  });
  CHECK(told == errc::lock_unavailable);
  CHECK(outcome.succeeded());
  CHECK(!world.ledger.charged_twice());
}

TEST_CASE("what reconcile throws proves nothing, NotExecuted included", "[fault][reconcile]") {
  World<> world(quiet());
  leave_in_doubt(world);
  const auto before = world.record();
  const int thrown = GENERATE(0, 1, 2);
  const auto ask = [&](const Record&) -> PaymentResult<Receipt> {
    if (thrown == 0) throw NotExecuted("not found");
    if (thrown == 1) throw std::runtime_error("timeout");
    throw 42;
  };
  const auto outcome = world.guard.execute(world.key, world.request, must_not_run, ask);
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(outcome.cause() != nullptr);
  CHECK(outcome.evidence() == nullptr);
  CHECK(world.record() == before);
  CHECK(world.guard.reconcile<Receipt>(world.key, ask).status() == Status::in_doubt);
  CHECK(world.record() == before);
}

TEST_CASE("a provider's answer is no evidence of the attempt that runs after it", "[fault][reconcile]") {
  World<> world(quiet());
  leave_in_doubt(world);
  const std::string stale = "what the provider said of the attempt before";
  int asked = 0;
  const auto ask = [&](const Record& record) -> PaymentResult<Receipt> {
    if (++asked > 1) return in_doubt("not known");
    // Meanwhile a person, who knows better, frees the key.
    Record freed = record;
    protocol::release(freed, "seen by a person", world.clock.time.now(), std::chrono::hours(24));
    REQUIRE(world.store.inner().replace(world.key, record.version, freed));
    return succeeded(Receipt{stale});
  };
  const auto outcome = world.guard.execute(
      world.key, world.request, []() -> PaymentResult<Receipt> { throw std::runtime_error("lost again"); },
      ask);
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(outcome.evidence() == nullptr);
}
