#include "guard_support.hpp"

#include <memory>
#include <new>

#include "support/catch.hpp"

using namespace guard_tests;

namespace {

struct MoveOnly {
  std::unique_ptr<int> value;
};

}  // namespace

template <>
struct paidonce::Codec<MoveOnly> {
  static constexpr std::string_view format = "move-only";
  static std::string encode(const MoveOnly& value) { return std::to_string(*value.value); }
  static MoveOnly decode(std::string_view bytes) {
    return {std::make_unique<int>(std::stoi(std::string(bytes)))};
  }
};

TEST_CASE("a payment runs once and is replayed byte for byte", "[guard]") {
  World world;
  Counting pay;
  const auto first = world.guard.execute(key(), request, pay);
  REQUIRE(first.status() == Status::completed);
  CHECK(first.succeeded());
  CHECK_FALSE(first.declined());
  CHECK_FALSE(first.replayed());
  CHECK(first.response() == "paid 1");

  const auto second = world.guard.execute(key(), request, pay);
  CHECK(second.status() == Status::completed);
  CHECK(second.replayed());
  CHECK(second.response() == first.response());
  CHECK(pay.runs == 1);
}

TEST_CASE("a decline is final and replayed like a success", "[guard]") {
  World world;
  const auto first = world.guard.execute(key(), request, [] { return declined("no funds"); });
  CHECK(first.status() == Status::completed);
  CHECK(first.declined());
  CHECK_FALSE(first.succeeded());
  const auto second = world.guard.execute(key(), request, never);
  CHECK(second.declined());
  CHECK(second.replayed());
  CHECK(second.response() == "no funds");
}

TEST_CASE("the same text in another scope is another payment", "[guard]") {
  World world;
  Counting pay;
  (void)world.guard.execute(IdempotencyKey{"a", "1"}, request, pay);
  const auto other = world.guard.execute(IdempotencyKey{"b", "1"}, request, pay);
  CHECK_FALSE(other.replayed());
  CHECK(pay.runs == 2);
}

TEST_CASE("a key that comes back with another request is refused in every state", "[guard]") {
  World world;
  SECTION("completed") {
    (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
  }
  SECTION("declined") {
    (void)world.guard.execute(key(), request, [] { return declined("no"); });
  }
  SECTION("in doubt") { world.put_in_doubt(); }
  SECTION("released") {
    (void)world.guard.execute(key(), request, []() -> Text { return not_executed("refused"); });
  }
  SECTION("in progress, its lease over") {
    Record record;
    record.fingerprint = request;
    record.version = 1;
    (void)world.store.insert(key(), record);
  }
  const Record before = world.record();
  const auto outcome = world.guard.execute(key(), other_request, never);
  CHECK(outcome.status() == Status::key_reused);
  CHECK(world.record() == before);
}

TEST_CASE("a key that comes back with another request while it runs is refused", "[guard]") {
  World<NoLock> world;
  (void)world.guard.execute(key(), request, [&] {
    TestedStore& store = world.store;
    IdempotencyGuard other(store, NoLock(), world.clock);
    CHECK(other.execute(key(), other_request, never).status() == Status::key_reused);
    CHECK(other.execute(key(), request, never).status() == Status::in_progress);
    return succeeded("paid");
  });
}

TEST_CASE("what was proven not to have happened frees the key for another attempt", "[guard]") {
  World world;
  const auto by_report =
      world.guard.execute(key(), request, []() -> Text { return not_executed("connection refused"); });
  CHECK(by_report.status() == Status::not_executed);
  CHECK(by_report.reason() == "connection refused");
  CHECK(by_report.cause() == nullptr);
  CHECK(by_report.retry_after() > 0ms);
  CHECK(world.state() == State::released);

  const auto by_throw = world.guard.execute(key(), request, [](Attempt& attempt) -> Text {
    CHECK(attempt.number() == 2);
    throw NotExecuted("still refused");
  });
  CHECK(by_throw.status() == Status::not_executed);
  CHECK(by_throw.reason() == "still refused");
  CHECK_THROWS_AS(std::rethrow_exception(by_throw.cause()), NotExecuted);

  const auto third = world.guard.execute(key(), request, [] { return succeeded("paid"); });
  CHECK(third.succeeded());
  CHECK(world.record().attempts == 3);
}

TEST_CASE("a new attempt keeps the creation time, and so the provider key", "[guard]") {
  World world;
  std::string first, second;
  (void)world.guard.execute(key(), request, [&](Attempt& attempt) -> Text {
    first = attempt.provider_key();
    return not_executed("later");
  });
  world.clock.advance(1h);
  (void)world.guard.execute(key(), request, [&](Attempt& attempt) {
    second = attempt.provider_key();
    CHECK(attempt.fence() == world.record().version);
    return succeeded("paid");
  });
  CHECK(first.size() == 36);
  CHECK(first == second);
}

TEST_CASE("after its retention a key begins anew, for any request", "[guard]") {
  World world;
  std::string first, second;
  (void)world.guard.execute(key(), request, [&](Attempt& attempt) {
    first = attempt.provider_key();
    return succeeded("old");
  });
  const Record old = world.record();
  world.clock.advance(24h - 1ms);
  CHECK(world.guard.execute(key(), request, never).replayed());
  world.clock.advance(1ms);
  const auto anew = world.guard.execute(key(), other_request, [&](Attempt& attempt) {
    second = attempt.provider_key();
    CHECK(attempt.number() == 1);
    return succeeded("new");
  });
  CHECK(anew.response() == "new");
  CHECK(first != second);
  CHECK(world.record().created_at > old.created_at);
  CHECK(world.record().version > old.version);
}

TEST_CASE("versions rise even where the clock goes back", "[guard]") {
  World world;
  (void)world.guard.execute(key(), request, []() -> Text { return not_executed("later"); });
  const Version before = world.record().version;
  world.clock.advance(-1h);
  (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
  CHECK(world.record().version == before + 2);
}

TEST_CASE("refuse_if is asked only when a payment is about to begin, and writes nothing", "[guard]") {
  World world;
  int asked = 0;
  CallOptions options;
  options.refuse_if = [&]() -> std::optional<std::string> {
    ++asked;
    return "the order is cancelled";
  };
  const auto refused = world.guard.execute(key(), request, never, options);
  CHECK(refused.status() == Status::refused);
  CHECK(refused.reason() == "the order is cancelled");
  CHECK_FALSE(world.store.find(key()).has_value());

  (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
  CHECK(world.guard.execute(key(), request, never, options).replayed());
  CHECK(world.guard.execute(key(), other_request, never, options).status() == Status::key_reused);
  CHECK(asked == 1);

  options.refuse_if = [] { return std::optional<std::string>(); };
  CHECK(world.guard
            .execute(
                key("order-1002"), request, [] { return succeeded("paid"); }, options)
            .succeeded());
}

TEST_CASE("amount and description go into the record", "[guard]") {
  World world;
  (void)world.guard.execute(key(), request, [] { return succeeded("paid"); },
                            {.amount = "4.50 EUR", .description = "a cappuccino"});
  CHECK(world.record().amount == "4.50 EUR");
  CHECK(world.record().description == "a cappuccino");
}

TEST_CASE("plain returns succeed, and text is kept as std::string", "[guard]") {
  World world;
  const Outcome<std::string> text = world.guard.execute(key("text"), request, [] { return "paid"; });
  CHECK(text.response() == "paid");
  const Outcome<int> number = world.guard.execute(key("number"), request, [] { return 42; });
  CHECK(number.response() == 42);
  const Outcome<int> replayed = world.guard.execute(key("number"), request, [] { return 43; });
  CHECK(replayed.response() == 42);
}

TEST_CASE("results and callables may be move-only", "[guard]") {
  World world;
  auto number = std::make_unique<int>(7);
  const auto pay = [number = std::move(number)]() mutable { return MoveOnly{std::move(number)}; };
  auto moving = std::move(const_cast<std::remove_const_t<decltype(pay)>&>(pay));
  auto first = world.guard.execute(key(), request, moving);
  CHECK(*std::move(first).response().value == 7);
  const auto second = world.guard.execute(key(), request, []() -> PaymentResult<MoveOnly> { throw 1; });
  CHECK(*second.response().value == 7);
}

TEST_CASE("a response in a format that the caller does not know is an error and never a run", "[guard]") {
  World world;
  (void)world.guard.execute(key(), request, [] { return 42; });
  try {
    (void)world.guard.execute(key(), request, never);
    FAIL("it was to throw");
  } catch (const Error& error) {
    CHECK(error.code() == errc::unsupported_format);
  }
}

TEST_CASE("a stored response that cannot be decoded is an error and never a run", "[guard]") {
  World world;
  (void)world.guard.execute(key(), request, [] { return 4'000'000'000; });
  try {
    (void)world.guard.execute(key(), request, []() -> PaymentResult<std::int16_t> { throw 1; });
    FAIL("it was to throw");
  } catch (const Error& error) {
    CHECK(error.code() == errc::codec_failure);
  }
}

TEST_CASE("options that cannot work are refused before anything happens", "[guard]") {
  const auto refused = [](GuardOptions options) {
    try {
      World world(options);
    } catch (const Error& error) {
      return error.code() == errc::invalid_options;
    }
    return false;
  };
  CHECK(refused({.lease = 0ms}));
  CHECK(refused({.lease = -1ms}));
  CHECK(refused({.retention = 0ms}));
  CHECK(refused({.wait = -1ms}));
  CHECK(refused({.provider_remembers = 0ms}));
  CHECK(refused({.lease = 30s, .retention = 30s}));
  CHECK(refused({.lease = 30s, .retention = 60s, .wait = 30s}));
  CHECK_FALSE(refused({.lease = 30s, .retention = 60s, .wait = 29s}));
  CHECK_FALSE(refused({.retention = Duration::max()}));

  World world;
  for (const CallOptions& options : {CallOptions{.lease = 0ms}, CallOptions{.retention = 1ms},
                                     CallOptions{.wait = -1ms}, CallOptions{.wait = 24h}}) {
    CHECK_THROWS_AS((void)world.guard.execute(key(), request, never, options), Error);
    CHECK_FALSE(world.store.find(key()).has_value());
  }
}

TEST_CASE("retention without end is held at the last moment of time", "[guard]") {
  World world({.retention = Duration::max()});
  (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
  CHECK(world.record().expires_at == Timestamp::max());
  CHECK(world.guard.execute(key(), request, never).replayed());
}

TEST_CASE("the same guard and key further up the call chain is told at once", "[guard]") {
  World world;
  const auto outcome = world.guard.execute(key(), request, [&] {
    try {
      (void)world.guard.execute(key(), request, never, {.wait = 1h});
      FAIL("it was to throw");
    } catch (const Error& error) {
      CHECK(error.code() == errc::reentrant_call);
    }
    CHECK(world.guard.execute(key("order-1002"), request, [] { return succeeded("inner"); }).succeeded());
    IdempotencyGuard other(world.store, NoLock(), world.clock);
    CHECK(other.execute(key(), request, never).status() == Status::in_progress);
    return succeeded("outer");
  });
  CHECK(outcome.response() == "outer");
  CHECK(world.guard.execute(key(), request, never).replayed());
}

TEST_CASE("a guard that shuts down refuses new calls", "[guard]") {
  World world;
  world.guard.shut_down();
  try {
    (void)world.guard.execute(key(), request, never);
    FAIL("it was to throw");
  } catch (const Error& error) {
    CHECK(error.code() == errc::shutting_down);
    CHECK(retryable(error));
  }
}

TEST_CASE("lvalues are referred to, rvalues are moved in", "[guard]") {
  TestedStore store;
  KeyedMutex lock;
  ManualClock clock;
  IdempotencyGuard referring(store, lock, clock);
  static_assert(
      std::is_same_v<decltype(referring), IdempotencyGuard<TestedStore&, KeyedMutex&, ManualClock&>>);
  CHECK(&referring.store() == &store);
  IdempotencyGuard owning{TestedStore{}, KeyedMutex{}, GuardOptions{}};
  static_assert(std::is_same_v<decltype(owning), IdempotencyGuard<TestedStore>>);
  static_assert(!std::is_move_constructible_v<decltype(owning)>);
  IdempotencyGuard<TestedStore> named{TestedStore{}, GuardOptions{.wait = 1s}};
  (void)referring.execute(key(), request, [] { return succeeded("paid"); });
  CHECK(store.find(key()).has_value());
  CHECK(referring.find(key()) == store.find(key()));
  CHECK_FALSE(owning.find(key()).has_value());
  CHECK_FALSE(named.find(key()).has_value());
}

TEST_CASE("a fingerprint under a previous secret is still the same request", "[guard]") {
  World world;
  const Fingerprinter old_one("old secret");
  const Fingerprinter new_one("new secret", {"old secret"});
  (void)world.guard.execute(key(), old_one("4242"), [] { return succeeded("paid"); });
  CHECK(world.guard.execute(key(), new_one("4242"), never).replayed());
  CHECK(world.guard.execute(key(), new_one("4343"), never).status() == Status::key_reused);
  CHECK(world.guard.execute(key(), Fingerprinter("new secret")("4242"), never).status() ==
        Status::key_reused);
}

TEST_CASE("an attempt's lease begins when refuse_if has answered, however long that took", "[guard]") {
  World world;
  CallOptions options;
  options.refuse_if = [&]() -> std::optional<std::string> {
    world.clock.advance(31s);
    return std::nullopt;
  };
  const auto outcome = world.guard.execute(
      key(), request,
      [&](Attempt& attempt) {
        CHECK(attempt.lease_until() == world.clock.now() + 30s);
        CHECK(world.record().created_at == world.clock.now());
        return succeeded("paid");
      },
      options);
  CHECK(outcome.succeeded());
}

TEST_CASE("while refuse_if is asked, the provider may forget", "[guard]") {
  World world({.provider_deduplicates = true, .provider_remembers = 1h});
  world.put_in_doubt();
  CallOptions options;
  options.refuse_if = [&]() -> std::optional<std::string> {
    world.clock.advance(1h);
    return std::nullopt;
  };
  CHECK(world.guard.execute(key(), request, never, options).status() == Status::in_doubt);
}

TEST_CASE("while refuse_if is asked, a clock that goes back may bring an old payment back", "[guard]") {
  World world;
  (void)world.guard.execute(key(), request, [] { return succeeded("old"); });
  world.clock.advance(24h);
  CallOptions options;
  options.refuse_if = [&]() -> std::optional<std::string> {
    world.clock.advance(-1h);
    return std::nullopt;
  };
  CHECK(world.guard.execute(key(), other_request, never, options).status() == Status::key_reused);
  CHECK(world.guard.execute(key(), request, never).response() == "old");
}

namespace {

/// Its copies fail when they are told to, and it has no moves of its own.
struct Heavy {
  int value = 0;
  static inline int copies_left = 1000;
  explicit Heavy(int number) : value(number) {}
  Heavy(const Heavy& other) : value(other.value) {
    if (--copies_left < 0) throw std::bad_alloc();
  }
};

}  // namespace

template <>
struct paidonce::Codec<Heavy> {
  static constexpr std::string_view format = "heavy";
  static std::string encode(const Heavy& value) { return std::to_string(value.value); }
  static Heavy decode(std::string_view bytes) { return Heavy(std::stoi(std::string(bytes))); }
};

TEST_CASE("a response whose copy fails after the payment is an outcome, and the next call replays it",
          "[guard]") {
  int completed = 0;
  for (int copies = 0; copies < 12; ++copies) {
    World world;
    Heavy::copies_left = copies;
    int runs = 0;
    const auto pay = [&]() -> PaymentResult<Heavy> {
      ++runs;
      return succeeded(Heavy(7));
    };
    const auto outcome = world.guard.execute(key(), request, pay);
    CHECK((outcome.status() == Status::completed || outcome.status() == Status::in_doubt));
    Heavy::copies_left = 1000;
    if (outcome.succeeded()) ++completed;
    if (world.state() == State::succeeded)
      CHECK(world.guard.execute(key(), request, pay).response().value == 7);
    CHECK(runs == 1);
  }
  CHECK(completed > 0);
}
