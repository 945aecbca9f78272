#include "guard_support.hpp"

#include <unistd.h>
#include <csignal>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace guard_tests;

namespace {

struct Unencodable {
  int value;
};

/// Writes down what it is told.
struct Diary {
  std::vector<std::string>* lines;
  void on(const events::Began& event) noexcept {
    lines->push_back("began " + std::to_string(event.record.attempts));
  }
  void on(const events::Replayed& event) noexcept { lines->push_back("replayed " + event.record.response); }
  void on(const events::Refused& event) noexcept {
    lines->push_back("refused " + std::to_string(static_cast<int>(event.refusal)));
  }
  void on(const events::Waited&) noexcept { lines->push_back("waited"); }
  void on(const events::Completed& event) noexcept {
    lines->push_back("completed " + std::string(to_string(event.record.state)));
  }
  void on(const events::InDoubt& event) noexcept {
    lines->push_back("in doubt " + std::string(event.reason));
  }
  void on(const events::LeaseLost&) noexcept { lines->push_back("lease lost"); }
  void on(const events::StoreFailed&) noexcept { lines->push_back("store failed"); }
};

/// Opens once; whoever comes before waits.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    signal_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    signal_.wait(lock, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable signal_;
  bool open_ = false;
};

/// A lock that tells when somebody queues up for a key that is held.
struct TellingLock {
  using Hold = KeyedMutex::Hold;
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    if (wait > 0ms) queued->open();
    return inner->acquire(key, wait);
  }
  void interrupt() noexcept { inner->interrupt(); }
  std::shared_ptr<KeyedMutex> inner = std::make_shared<KeyedMutex>();
  std::shared_ptr<Gate> queued = std::make_shared<Gate>();
};

/// A lock that is lost when the test says so.
struct LosableLock {
  struct Hold {
    std::shared_ptr<std::atomic<bool>> gone;
    explicit Hold(std::shared_ptr<std::atomic<bool>> when) : gone(std::move(when)) {}
    Hold(Hold&&) = default;
    Hold& operator=(Hold&&) = default;
    bool lost() const noexcept { return gone->load(); }
  };
  std::optional<Hold> acquire(const IdempotencyKey&, Duration) { return Hold(gone); }
  std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);
};
static_assert(LossAwareLock<LosableLock> && !LossAwareLock<KeyedMutex>);

}  // namespace

template <>
struct paidonce::Codec<Unencodable> {
  static constexpr std::string_view format = "unencodable";
  static std::string encode(const Unencodable&) { throw std::runtime_error("no bytes for this"); }
  static Unencodable decode(std::string_view) { throw std::runtime_error("no value for this"); }
};

TEST_CASE("a response that cannot be encoded is in doubt, with the response as evidence", "[guard][doubt]") {
  World world;
  const auto outcome = world.guard.execute(key(), request, [] { return Unencodable{7}; });
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence() != nullptr);
  CHECK(outcome.evidence()->value == 7);
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("an attempt knows its key, its number, its fence and its lease", "[attempt]") {
  World world;
  (void)world.guard.execute(key(), request, [&](Attempt& attempt) {
    CHECK(attempt.key() == key());
    CHECK(attempt.number() == 1);
    CHECK(attempt.fence() == world.record().version);
    CHECK(attempt.lease_until() == world.clock.now() + 30s);
    CHECK_FALSE(attempt.lease_lost());
    CHECK(attempt.provider_key() == provider_key(key(), world.record().created_at));
    return succeeded("paid");
  });
}

TEST_CASE("the provider key is pinned", "[attempt]") {
  CHECK(provider_key(IdempotencyKey{"coffee-shop", "order-1001"}, Timestamp(Duration(1'700'000'000'000))) ==
        "ca25856f-ee6d-8f9d-a302-de10d0bd2446");
  CHECK(provider_key(IdempotencyKey{"coffee-shop", "order-1001"}, Timestamp(Duration(1'700'000'000'001))) ==
        "53083d41-3b7f-845d-a8da-261dffd82781");
  CHECK(provider_key(IdempotencyKey{"", "x"}, Timestamp{}) == "6fa8b345-d5b6-80fc-bb91-e40d048d1da6");
}

TEST_CASE("an attempt extends its lease and saves checkpoints in the store", "[attempt]") {
  World world;
  const auto outcome = world.guard.execute(key(), request, [&](Attempt& attempt) {
    const Version fence = attempt.fence();
    world.clock.advance(20s);
    attempt.extend_lease();
    CHECK(attempt.lease_until() == world.clock.now() + 30s);
    CHECK(world.record().lease_until == attempt.lease_until());
    attempt.save_checkpoint("authorised");
    CHECK(world.record().checkpoint == "authorised");
    CHECK(world.record().lease_until == attempt.lease_until());
    CHECK(attempt.checkpoint() == "authorised");
    CHECK(attempt.fence() == fence);
    CHECK(world.record().version > fence);
    return succeeded("captured");
  });
  CHECK(outcome.succeeded());
  CHECK(world.record().checkpoint == "authorised");
}

TEST_CASE("who has lost the lock has lost the lease, and can still record what was paid", "[attempt]") {
  LosableLock lock;
  TestedStore store;
  ManualClock clock;
  IdempotencyGuard guard(store, lock, clock);
  const auto outcome = guard.execute(key(), request, [&](Attempt& attempt) {
    CHECK_FALSE(attempt.lease_lost());
    *lock.gone = true;
    CHECK(attempt.lease_lost());
    attempt.extend_lease();  // the record is still this attempt's
    CHECK(attempt.lease_lost());
    return succeeded("paid");
  });
  CHECK(outcome.response() == "paid");
  const auto again = guard.execute(key(), request, never);
  CHECK(again.replayed());
}

TEST_CASE("an attempt that broke off is resumed from its checkpoint", "[attempt]") {
  World world({.provider_deduplicates = true});
  (void)world.guard.execute(key(), request, [](Attempt& attempt) -> Text {
    attempt.save_checkpoint("authorised");
    throw std::runtime_error("no reply");
  });
  const auto outcome = world.guard.execute(
      key(), request, [](Attempt& attempt) { return succeeded("from " + attempt.checkpoint()); });
  CHECK(outcome.response() == "from authorised");
}

TEST_CASE("a duplicate that may wait gets the result of the running attempt", "[guard][wait]") {
  TestedStore store;
  TellingLock lock;
  IdempotencyGuard guard(store, lock);
  std::thread duplicate;
  Outcome<std::string> second({});
  const auto first = guard.execute(key(), request, [&] {
    duplicate = std::thread([&] { second = guard.execute(key(), request, never, {.wait = 1h}); });
    lock.queued->pass();
    return succeeded("paid");
  });
  duplicate.join();
  CHECK(first.succeeded());
  CHECK(second.replayed());
  CHECK(second.response() == "paid");
}

TEST_CASE("without a lock that queues a waiting duplicate polls the record", "[guard][wait]") {
  TestedStore store;
  IdempotencyGuard guard(store, NoLock());
  Gate polled;
  struct Watching {
    TestedStore* store;
    Gate* polled;
    int finds = 0;
    std::optional<Record> find(const IdempotencyKey& of) {
      if (++finds == 3) polled->open();
      return store->find(of);
    }
    std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
      return store->insert(of, record);
    }
    bool replace(const IdempotencyKey& of, Version version, const Record& record) {
      return store->replace(of, version, record);
    }
  };
  IdempotencyGuard waiting(Watching{&store, &polled}, NoLock());
  std::thread duplicate;
  Outcome<std::string> second({});
  (void)guard.execute(key(), request, [&] {
    duplicate = std::thread([&] { second = waiting.execute(key(), request, never, {.wait = 1h}); });
    polled.pass();
    return succeeded("paid");
  });
  duplicate.join();
  CHECK(second.replayed());
}

TEST_CASE("nobody waits past the deadline that they gave", "[guard][wait]") {
  World<NoLock> world;
  World<KeyedMutex> locked;
  const auto wait_inside = [](auto& guard, auto& clock, auto& store) {
    (void)clock;
    IdempotencyGuard other(store, NoLock(), clock);
    const auto since = std::chrono::steady_clock::now();
    const auto outcome = other.execute(key(), request, never, {.wait = 20ms});
    CHECK(outcome.status() == Status::in_progress);
    CHECK(outcome.retry_after() == 30s);
    CHECK(std::chrono::steady_clock::now() - since >= 20ms);
    return guard.find(key()).value().state;
  };
  (void)world.guard.execute(key(), request, [&] {
    CHECK(wait_inside(world.guard, world.clock, world.store) == State::in_progress);
    return succeeded("paid");
  });
  (void)locked.guard.execute(key(), request, [&] {
    std::thread duplicate([&] {
      const auto outcome = locked.guard.execute(key(), request, never, {.wait = 20ms});
      CHECK(outcome.status() == Status::in_progress);
    });
    duplicate.join();
    return succeeded("paid");
  });
}

TEST_CASE("a shutdown ends waits at once and lets the running payment finish", "[guard][wait]") {
  TestedStore store;
  TellingLock lock;
  IdempotencyGuard guard(store, lock);
  std::promise<errc> told;
  std::thread duplicate;
  const auto outcome = guard.execute(key(), request, [&] {
    duplicate = std::thread([&] {
      try {
        (void)guard.execute(key(), request, never, {.wait = 1h});
        told.set_value({});
      } catch (const Error& error) {
        told.set_value(static_cast<errc>(error.code().value()));
      }
    });
    lock.queued->pass();
    guard.shut_down();
    CHECK(told.get_future().get() == errc::shutting_down);
    return succeeded("paid");
  });
  duplicate.join();
  CHECK(outcome.succeeded());
  CHECK(store.find(key()).value().state == State::succeeded);
}

TEST_CASE("observers are told each thing once", "[guard][observer]") {
  std::vector<std::string> lines;
  World<KeyedMutex, Diary> world({}, Diary{&lines});
  SECTION("payment, replay, reuse") {
    (void)world.guard.execute(key(), request, [] { return succeeded("paid"); });
    (void)world.guard.execute(key(), request, never);
    (void)world.guard.execute(key(), other_request, never);
    CHECK(lines == std::vector<std::string>{"began 1", "completed succeeded", "replayed paid", "refused 0"});
  }
  SECTION("doubt and reconciliation") {
    world.put_in_doubt();
    (void)world.guard.execute(key(), request, never, [](const Record&) { return succeeded("found"); });
    CHECK(lines == std::vector<std::string>{"began 1", "in doubt no reply", "completed succeeded"});
  }
  SECTION("release and refusal") {
    (void)world.guard.execute(key(), request, []() -> Text { return not_executed("later"); });
    (void)world.guard.execute(key(), request, never,
                              {.refuse_if = [] { return std::optional<std::string>("no"); }});
    CHECK(lines == std::vector<std::string>{"began 1", "completed released", "refused 2"});
  }
  SECTION("a lease that is lost, and another's turn") {
    (void)world.guard.execute(key(), request, [&] {
      world.clock.advance(31s);
      IdempotencyGuard other(world.store, NoLock(), world.clock);
      (void)other.execute(key(), request, never, [](const Record&) { return declined("found"); });
      return succeeded("paid");
    });
    CHECK(lines ==
          std::vector<std::string>{"began 1", "lease lost",
                                   "in doubt the result could not be recorded: the record had moved on"});
  }
}

TEST_CASE("a store that proves a holder dead lets others recover at once", "[guard][doubt]") {
  struct Restarted {
    TestedStore* store;
    std::uint64_t dead;
    std::optional<Record> find(const IdempotencyKey& of) { return store->find(of); }
    std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
      return store->insert(of, record);
    }
    bool replace(const IdempotencyKey& of, Version version, const Record& record) {
      return store->replace(of, version, record);
    }
    bool holder_gone(const IdempotencyKey&, const Record& record) { return record.attempt_id == dead; }
  };
  static_assert(HolderAwareStore<Restarted>);
  World world;
  Record begun;
  begun.fingerprint = request;
  begun.version = 1;
  begun.attempt_id = 42;
  begun.attempts = 1;
  begun.lease_until = world.clock.now() + 1h;
  (void)world.store.insert(key(), begun);
  CHECK(world.guard.execute(key(), request, never).status() == Status::in_progress);
  IdempotencyGuard unsure(Restarted{&world.store, 41}, NoLock(), world.clock);
  CHECK(unsure.execute(key(), request, never).status() == Status::in_progress);
  IdempotencyGuard sure(Restarted{&world.store, 42}, NoLock(), world.clock);
  CHECK(sure.execute(key(), request, never, [](const Record&) { return succeeded("found"); }).succeeded());
}

TEST_CASE("a payment whose begin took longer than its lease to store is not started", "[guard]") {
  struct Slow {
    TestedStore* store;
    bool lose_first_reply;
    int inserts = 0;
    std::optional<Record> find(const IdempotencyKey& of) { return store->find(of); }
    std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
      const auto until = detail::boot_now() + (++inserts == 1 ? 6'000'000 : 0);
      while (detail::boot_now() < until) std::this_thread::yield();
      if (inserts == 1 && lose_first_reply) throw Error(errc::store_unavailable);
      return store->insert(of, record);
    }
    bool replace(const IdempotencyKey& of, Version version, const Record& record) {
      return store->replace(of, version, record);
    }
  };
  for (const bool lose_first_reply : {false, true}) {
    World world;
    IdempotencyGuard guard(Slow{&world.store, lose_first_reply}, NoLock(), world.clock);
    const auto outcome = guard.execute(key(), request, never, {.lease = 5ms});
    CHECK(outcome.status() == Status::not_executed);
    CHECK(world.state() == State::released);
  }
}

TEST_CASE("a store that cannot tell whether a holder is gone loses nothing", "[guard][doubt]") {
  struct Confused {
    TestedStore* store;
    bool refuse_once = false;
    std::optional<Record> find(const IdempotencyKey& of) { return store->find(of); }
    std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
      return store->insert(of, record);
    }
    bool replace(const IdempotencyKey& of, Version version, const Record& record) {
      if (!std::exchange(refuse_once, true)) throw Error(errc::store_unavailable);  // makes it read back
      return store->replace(of, version, record);
    }
    bool holder_gone(const IdempotencyKey&, const Record&) { throw std::runtime_error("cannot tell"); }
  };
  World world;
  IdempotencyGuard guard(Confused{&world.store}, NoLock(), world.clock);
  CHECK(guard.execute(key(), request, [] { return succeeded("paid"); }).succeeded());
  CHECK(world.state() == State::succeeded);

  (void)world.guard.execute(key("2"), request, [&] {
    CHECK(guard.execute(key("2"), request, never).status() == Status::in_progress);
    return succeeded("paid");
  });
}

TEST_CASE("the heartbeat's thread leaves the application's signals alone", "[guard]") {
  World world;
  const auto until_it_has_beaten = [&](Attempt& attempt) {
    while (world.record().version == attempt.fence()) std::this_thread::yield();
    return succeeded("the timer runs by now");
  };
  REQUIRE(world.guard.execute(key(), request, until_it_has_beaten, {.lease = 300ms}).succeeded());
  int others = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(getpid())) continue;
    std::ifstream status(task.path() / "status");
    std::string word, blocked;
    while (status >> word && word != "SigBlk:") {
    }
    status >> blocked;
    CHECK((std::stoull(blocked, nullptr, 16) & 1ULL << (SIGUSR2 - 1)) != 0);
    ++others;
  }
  CHECK(others >= 1);
}

TEST_CASE("a clock that fails after the payment loses no result", "[guard]") {
  struct Failing {
    std::shared_ptr<bool> fails = std::make_shared<bool>(false);
    Timestamp now() {
      if (*fails) throw std::runtime_error("no time");
      return SystemClock().now();
    }
  };
  TestedStore store;
  Failing clock;
  IdempotencyGuard guard(store, NoLock(), clock);
  const auto outcome = guard.execute(key(), request, [&] {
    *clock.fails = true;
    return succeeded("paid");
  });
  CHECK(outcome.succeeded());
  CHECK(store.find(key()).value().state == State::succeeded);
}

TEST_CASE("a result that the store has no room for is in doubt there too, and the caller has it",
          "[guard][doubt]") {
  TestedStore store(MemoryStoreOptions{.max_record_bytes = 100});
  IdempotencyGuard guard(store, NoLock());
  const std::string receipt(200, 'r');
  const auto outcome = guard.execute(key(), request, [&] { return receipt; });
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence() != nullptr);
  CHECK(*outcome.evidence() == receipt);
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK(outcome.reason().find("max_record_bytes") != std::string::npos);
  const Record record = store.find(key()).value();
  CHECK(record.state == State::in_doubt);
  CHECK(record.note == outcome.reason());
  CHECK(record.response.empty());
  CHECK(record.expires_at == Timestamp{});
  CHECK(guard.execute(key(), request, never).status() == Status::in_doubt);
}
