#include "guard_support.hpp"

#include "support/catch.hpp"

using namespace guard_tests;

namespace {

errc code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return {};
}

}  // namespace

TEST_CASE("whatever a callable throws leaves the payment in doubt, with its cause", "[guard][doubt]") {
  World world;
  const auto standard =
      world.guard.execute(key("1"), request, []() -> Text { throw std::runtime_error("timed out"); });
  CHECK(standard.status() == Status::in_doubt);
  CHECK(standard.reason() == "timed out");
  CHECK_THROWS_AS(std::rethrow_exception(standard.cause()), std::runtime_error);
  CHECK(standard.evidence() == nullptr);
  CHECK_FALSE(standard.evidence_state().has_value());
  CHECK_THROWS_AS(standard.response(), std::logic_error);

  const auto odd = world.guard.execute(key("2"), request, []() -> Text { throw 42; });
  CHECK(odd.status() == Status::in_doubt);
  CHECK_THROWS_AS(std::rethrow_exception(odd.cause()), int);

  const auto said = world.guard.execute(key("3"), request, []() -> Text { return in_doubt("no reply"); });
  CHECK(said.status() == Status::in_doubt);
  CHECK(said.reason() == "no reply");
  CHECK(world.record(key("3")).note == "no reply");
}

TEST_CASE("what is in doubt is not run again", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  world.clock.advance(365 * 24h);
  const auto outcome = world.guard.execute(key(), request, never);
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(outcome.reason() == "no reply");
}

TEST_CASE("NotExecuted is no proof once a checkpoint was saved", "[guard][doubt]") {
  World world;
  const auto outcome = world.guard.execute(key(), request, [](Attempt& attempt) -> Text {
    attempt.save_checkpoint("authorised");
    throw NotExecuted("the capture was refused");
  });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("not_executed that is returned is proof, also after a checkpoint, and the checkpoint stays",
          "[guard][doubt]") {
  World world;
  const auto outcome = world.guard.execute(key(), request, [](Attempt& attempt) -> Text {
    CHECK(attempt.checkpoint().empty());
    attempt.save_checkpoint("authorised");
    return not_executed("the capture was refused");
  });
  CHECK(outcome.status() == Status::not_executed);
  world.clock.advance(365 * 24h);
  const auto next = world.guard.execute(key(), request, [](Attempt& attempt) {
    CHECK(attempt.number() == 2);
    return succeeded("resumed from " + attempt.checkpoint());
  });
  CHECK(next.response() == "resumed from authorised");
}

TEST_CASE("the provider is asked about what is in doubt", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  SECTION("and says that it was paid") {
    const auto outcome = world.guard.execute(key(), request, never, [](const Record& record) -> Text {
      CHECK(record.state == State::in_doubt);
      CHECK(record.attempts == 1);
      return succeeded("found");
    });
    CHECK(outcome.succeeded());
    CHECK(outcome.response() == "found");
    CHECK(world.guard.execute(key(), request, never).response() == "found");
  }
  SECTION("and says that it was declined") {
    const auto outcome =
        world.guard.execute(key(), request, never, [](const Record&) { return declined("found"); });
    CHECK(outcome.declined());
  }
  SECTION("and proves that nothing happened: then the payment runs again") {
    const auto outcome = world.guard.execute(
        key(), request,
        [](Attempt& attempt) { return succeeded("attempt " + std::to_string(attempt.number())); },
        [](const Record&) -> Text { return not_executed("never arrived"); });
    CHECK(outcome.response() == "attempt 2");
  }
  SECTION("and does not know") {
    const auto outcome = world.guard.execute(key(), request, never,
                                             [](const Record&) -> Text { return in_doubt("not found"); });
    CHECK(outcome.status() == Status::in_doubt);
    CHECK(outcome.reason() == "not found");
    CHECK(world.state() == State::in_doubt);
  }
  SECTION("and throws, if it be NotExecuted") {
    const auto outcome = world.guard.execute(key(), request, never,
                                             [](const Record&) -> Text { throw NotExecuted("offline"); });
    CHECK(outcome.status() == Status::in_doubt);
    CHECK(outcome.reason() == "offline");
    CHECK(world.state() == State::in_doubt);
  }
}

TEST_CASE("the provider is not asked about anything else", "[guard][doubt]") {
  World world;
  const auto never_ask = [](const Record&) -> Text { throw std::logic_error("asked"); };
  CHECK(world.guard
            .execute(
                key(), request, [] { return succeeded("paid"); }, never_ask)
            .succeeded());
  CHECK(world.guard.execute(key(), request, never, never_ask).replayed());
}

TEST_CASE("a provider that deduplicates may be given the payment again, while it remembers",
          "[guard][doubt]") {
  World world({.provider_deduplicates = true, .provider_remembers = 12h});
  std::string first;
  (void)world.guard.execute(key(), request, [&](Attempt& attempt) -> Text {
    first = attempt.provider_key();
    throw std::runtime_error("no reply");
  });
  SECTION("just before it forgets") {
    world.clock.advance(12h - 1ms);
    const auto outcome = world.guard.execute(key(), request, [&](Attempt& attempt) {
      CHECK(attempt.provider_key() == first);
      CHECK(attempt.number() == 2);
      return succeeded("paid");
    });
    CHECK(outcome.succeeded());
  }
  SECTION("not once it may have forgotten") {
    world.clock.advance(12h);
    CHECK(world.guard.execute(key(), request, never).status() == Status::in_doubt);
  }
  SECTION("not where the provider can be asked and is unsure") {
    const auto outcome =
        world.guard.execute(key(), request, never, [](const Record&) -> Text { return in_doubt("unknown"); });
    CHECK(outcome.status() == Status::in_doubt);
  }
  SECTION("and an attempt that was not executed proves nothing of the one before it") {
    const auto again = world.guard.execute(key(), request, []() -> Text { return not_executed("refused"); });
    CHECK(again.status() == Status::in_doubt);
    CHECK(world.state() == State::in_doubt);
    world.clock.advance(48h);
    CHECK(world.guard.execute(key(), request, never).status() == Status::in_doubt);
  }
}

TEST_CASE("an attempt whose lease ran out is abandoned and falls into doubt", "[guard][doubt]") {
  World<NoLock> world({.heartbeat = false});
  IdempotencyGuard other(world.store, NoLock(), world.clock, {.heartbeat = false});
  const auto outcome = world.guard.execute(key(), request, [&](Attempt& attempt) {
    CHECK_FALSE(attempt.lease_lost());
    world.clock.advance(30s - 1ms);
    const auto early = other.execute(key(), request, never);
    CHECK(early.status() == Status::in_progress);
    CHECK(early.retry_after() == 1ms);
    world.clock.advance(1ms);
    CHECK(attempt.lease_lost());
    CHECK(other.execute(key(), request, never).status() == Status::in_doubt);
    CHECK(world.state() == State::in_doubt);
    CHECK(code_of([&] { attempt.extend_lease(); }) == errc::lease_lost);
    CHECK(code_of([&] { attempt.save_checkpoint("late"); }) == errc::lease_lost);
    return succeeded("paid after all");
  });
  CHECK(outcome.succeeded());
  CHECK(world.state() == State::succeeded);
  CHECK(other.execute(key(), request, never).response() == "paid after all");
}

TEST_CASE("a late holder does not touch what others have completed, and carries its result as evidence",
          "[guard][doubt]") {
  World<NoLock> world({.heartbeat = false});
  IdempotencyGuard other(world.store, NoLock(), world.clock, {.heartbeat = false});
  const auto outcome = world.guard.execute(key(), request, [&] {
    world.clock.advance(31s);
    CHECK(other.execute(key(), request, never, [](const Record&) { return declined("as the provider says"); })
              .declined());
    return succeeded("paid");
  });
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence() != nullptr);
  CHECK(*outcome.evidence() == "paid");
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK(world.state() == State::declined);
}

TEST_CASE("a late holder completes what was released in its absence, but not a later attempt",
          "[guard][doubt]") {
  World<NoLock> world({.heartbeat = false});
  IdempotencyGuard other(world.store, NoLock(), world.clock, {.heartbeat = false});
  const auto proof = [](const Record&) -> Text { return not_executed("never arrived"); };
  SECTION("released") {
    const auto outcome = world.guard.execute(key(), request, [&] {
      world.clock.advance(31s);
      CHECK(other.reconcile<std::string>(key(), proof).status() == Status::not_executed);
      CHECK(world.state() == State::released);
      return succeeded("paid");
    });
    CHECK(outcome.succeeded());
    CHECK(world.state() == State::succeeded);
  }
  SECTION("begun again") {
    const auto outcome = world.guard.execute(key(), request, [&] {
      world.clock.advance(31s);
      CHECK(other
                .execute(
                    key(), request, [] { return succeeded("second"); }, proof)
                .succeeded());
      return succeeded("first");
    });
    CHECK(outcome.status() == Status::in_doubt);
    CHECK(*outcome.evidence() == "first");
    CHECK(world.record().response == "second");
  }
}

TEST_CASE("reconcile settles a doubt without paying", "[guard][doubt]") {
  World world;
  const auto found = [](const Record&) { return succeeded("found"); };
  CHECK(code_of([&] { (void)world.guard.reconcile<std::string>(key(), found); }) == errc::wrong_state);
  world.put_in_doubt();
  SECTION("completes") {
    const auto outcome = world.guard.reconcile<std::string>(key(), found);
    CHECK(outcome.succeeded());
    CHECK_FALSE(outcome.replayed());
    CHECK(world.guard.reconcile<std::string>(key(), found).replayed());
  }
  SECTION("releases") {
    const auto proof = [](const Record&) -> Text { return not_executed("never arrived"); };
    CHECK(world.guard.reconcile<std::string>(key(), proof).status() == Status::not_executed);
    CHECK(world.state() == State::released);
    CHECK(world.guard.reconcile<std::string>(key(), proof).status() == Status::not_executed);
  }
  SECTION("stays in doubt") {
    const auto unsure = [](const Record&) -> Text { return in_doubt("not found"); };
    CHECK(world.guard.reconcile<std::string>(key(), unsure).status() == Status::in_doubt);
  }
}

TEST_CASE("reconcile leaves a running payment alone", "[guard][doubt]") {
  World<NoLock> world({.heartbeat = false});
  (void)world.guard.execute(key(), request, [&] {
    IdempotencyGuard other(world.store, NoLock(), world.clock);
    CHECK(other.reconcile<std::string>(key(), [](const Record&) { return succeeded("x"); }).status() ==
          Status::in_progress);
    return succeeded("paid");
  });
  CHECK(world.record().response == "paid");
}

TEST_CASE("a person resolves what is in doubt, and the record says who and why", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  SECTION("as succeeded") {
    const auto outcome = world.guard.resolve(key(), succeeded("receipt 7"), "ann", "seen on the statement");
    CHECK(outcome.succeeded());
    CHECK(world.record().note == "no reply\nresolved as succeeded by ann: seen on the statement");
    CHECK(world.guard.execute(key(), request, never).response() == "receipt 7");
    CHECK(code_of([&] { (void)world.guard.resolve(key(), succeeded("again"), "ann", "twice"); }) ==
          errc::wrong_state);
  }
  SECTION("as declined") {
    CHECK(world.guard.resolve(key(), declined("no"), "ann", "asked the bank").declined());
  }
  SECTION("as not executed, which frees the key") {
    const auto outcome = world.guard.resolve<std::string>(key(), not_executed("not on the statement"), "ann",
                                                          "two days later");
    CHECK(outcome.status() == Status::not_executed);
    CHECK(world.guard.execute(key(), request, [] { return succeeded("paid"); }).succeeded());
  }
  SECTION("raw, as succeeded") {
    world.guard.resolve(key(), State::succeeded, "receipt 7", "text", "ann", "seen");
    CHECK(world.guard.execute(key(), request, never).response() == "receipt 7");
  }
  SECTION("raw, released") {
    world.guard.resolve(key(), State::released, "", "", "ann", "not seen");
    CHECK(world.state() == State::released);
    CHECK(world.record().note.find("released by ann: not seen") != std::string::npos);
  }
  SECTION("not as in doubt or in progress") {
    CHECK(code_of([&] { (void)world.guard.resolve<std::string>(key(), in_doubt("?"), "ann", "?"); }) ==
          errc::invalid_options);
    CHECK(code_of([&] { world.guard.resolve(key(), State::in_doubt, "", "", "ann", "?"); }) ==
          errc::invalid_options);
    CHECK(code_of([&] { world.guard.resolve(key(), State::in_progress, "", "", "ann", "?"); }) ==
          errc::invalid_options);
  }
}

TEST_CASE("a person may declare a holder dead, and the holder, should it live, keeps its evidence",
          "[guard][doubt]") {
  World world({.heartbeat = false});
  const auto outcome = world.guard.execute(key(), request, [&] {
    IdempotencyGuard desk(world.store, NoLock(), world.clock);
    CHECK(desk.resolve(key(), declined("given up"), "ann", "the host burnt down").declined());
    return succeeded("paid");
  });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(*outcome.evidence() == "paid");
  CHECK(world.state() == State::declined);
}

TEST_CASE("a person resolves only the attempt that was looked at, where they say which", "[guard][doubt]") {
  World world({.lease = 10s, .provider_deduplicates = true});
  world.put_in_doubt();
  const Record looked_at = world.record();
  const auto outcome = world.guard.execute(key(), request, [&] {  // another attempt, which lives
    IdempotencyGuard desk(world.store, NoLock(), world.clock);
    CHECK(code_of([&] {
            desk.resolve(key(), State::released, "", "", "ann", "not seen", looked_at.attempt_id);
          }) == errc::wrong_state);
    CHECK(code_of([&] {
            (void)desk.resolve(key(), declined("?"), "ann", "not seen", looked_at.attempt_id);
          }) == errc::wrong_state);
    CHECK(world.state() == State::in_progress);
    return succeeded("paid");
  });
  CHECK(outcome.succeeded());
}

TEST_CASE("a person resolves the attempt that was looked at", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  world.guard.resolve(key(), State::released, "", "", "ann", "not seen", world.record().attempt_id);
  CHECK(world.state() == State::released);
}

TEST_CASE("what is absent, completed or released cannot be resolved", "[guard][doubt]") {
  World world;
  CHECK(code_of([&] { (void)world.guard.resolve(key(), succeeded("x"), "ann", "?"); }) == errc::wrong_state);
  SECTION("completed") {
    (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
  }
  SECTION("released") {
    (void)world.guard.execute(key(), request, []() -> Text { return not_executed("later"); });
  }
  const auto before = world.store.find(key());
  CHECK(code_of([&] { world.guard.resolve(key(), State::succeeded, "x", "text", "ann", "?"); }) ==
        errc::wrong_state);
  CHECK(world.store.find(key()) == before);
}

namespace {

/// Lets a test do something before each replace that would write a given state.
struct Meddled {
  TestedStore* store;
  std::function<void(const Record&)> before_replace = {};
  std::optional<Record> find(const IdempotencyKey& of) { return store->find(of); }
  std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
    return store->insert(of, record);
  }
  bool replace(const IdempotencyKey& of, Version expected, const Record& record) {
    if (before_replace) before_replace(record);
    return store->replace(of, expected, record);
  }
};

/// Moves the record on, as its holder's heartbeat or another attempt does.
void move_on(TestedStore& store) {
  Record there = store.find(key()).value();
  const Version seen = there.version++;
  if (!store.replace(key(), seen, there)) throw std::logic_error("nobody else is here");
}

}  // namespace

TEST_CASE("what a person gave in bytes is kept through a conflict", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  int conflicts = 0;
  const auto once = [&](const Record&) {
    if (++conflicts == 1) move_on(world.store);
  };
  IdempotencyGuard desk(Meddled{&world.store, once}, NoLock(), world.clock);
  desk.resolve(key(), State::succeeded, "receipt 7", "text", "ann", "seen");
  CHECK(conflicts == 2);
  CHECK(world.record().response == "receipt 7");
  CHECK(world.guard.execute(key(), request, never).response() == "receipt 7");
}

TEST_CASE("a person is told when nothing could be resolved", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  IdempotencyGuard desk(Meddled{&world.store, [&](const Record&) { move_on(world.store); }}, NoLock(),
                        world.clock);
  CHECK(code_of([&] { desk.resolve(key(), State::succeeded, "receipt 7", "text", "ann", "seen"); }) ==
        errc::store_unavailable);
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("a release by bytes says once who did it and why", "[guard][doubt]") {
  World world;
  world.put_in_doubt();
  world.guard.resolve(key(), State::released, "", "", "ann", "not seen");
  CHECK(world.record().note == "no reply\nreleased by ann: not seen");
}
