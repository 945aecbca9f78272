#include <paidonce/observe/metrics.hpp>
#include <paidonce/observe/observers.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "guard_support.hpp"
#include "support/catch.hpp"

namespace {

using namespace guard_tests;
using Nanoseconds = LatencyHistogram::Nanoseconds;

Record in_state(State state) {
  Record record;
  record.state = state;
  return record;
}

constexpr events::Times times = {Nanoseconds(100), Nanoseconds(2'000), Nanoseconds(30'000)};

/// Tells an observer of `payments` payments that succeeded.
void pay(Metrics& metrics, int payments) {
  const IdempotencyKey paid = key();
  const Record record = in_state(State::succeeded);
  for (int i = 0; i < payments; ++i) {
    metrics.on(events::Began{paid, record});
    metrics.on(events::Completed{paid, record, times});
  }
}

}  // namespace

TEST_CASE("the buckets of a latency histogram follow each other without a gap", "[observe][histogram]") {
  for (std::size_t bucket = 0; bucket + 1 < LatencyHistogram::buckets; ++bucket) {
    const Nanoseconds bound = LatencyHistogram::bound_of(bucket);
    REQUIRE(LatencyHistogram::bucket_of(bound) == bucket);
    REQUIRE(LatencyHistogram::bucket_of(bound + Nanoseconds(1)) == bucket + 1);
  }
  CHECK(LatencyHistogram::bucket_of(Nanoseconds(-1)) == 0);
  CHECK(LatencyHistogram::bucket_of(Nanoseconds(0)) == 0);
  CHECK(LatencyHistogram::bucket_of(Nanoseconds::max()) == LatencyHistogram::buckets - 1);
  CHECK(LatencyHistogram::bound_of(LatencyHistogram::buckets - 1) == Nanoseconds::max());
}

TEST_CASE("the bound of a bucket is at most a quarter above what it counts", "[observe][histogram]") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const Nanoseconds time(static_cast<std::int64_t>(random() >> (23 + i % 40)));
    const Nanoseconds bound = LatencyHistogram::bound_of(LatencyHistogram::bucket_of(time));
    REQUIRE(bound >= time);
    if (time > Nanoseconds(4) && bound != Nanoseconds::max()) REQUIRE(bound <= time * 5 / 4 + Nanoseconds(1));
  }
}

TEST_CASE("a latency histogram counts, adds up and subtracts", "[observe][histogram]") {
  LatencyHistogram histogram;
  CHECK(histogram.quantile(0.5) == Nanoseconds(0));
  CHECK(histogram.mean() == Nanoseconds(0));
  for (int i = 1; i <= 1000; ++i) histogram.add(Nanoseconds(i * 1000));
  CHECK(histogram.count() == 1000);
  CHECK(histogram.sum() == 500'500'000);
  CHECK(histogram.mean() == Nanoseconds(500'500));
  CHECK(histogram.count_up_to(Nanoseconds(1 << 16)) == 65);
  CHECK(histogram.count_up_to(Nanoseconds::max()) == 1000);
  CHECK(histogram.quantile(0.5) >= Nanoseconds(500'000));
  CHECK(histogram.quantile(0.5) <= Nanoseconds(625'000));
  CHECK(histogram.quantile(0) >= Nanoseconds(1000));
  CHECK(histogram.quantile(0) <= Nanoseconds(1250));
  CHECK(histogram.quantile(1) >= Nanoseconds(1'000'000));

  LatencyHistogram later = histogram;
  later.add(Nanoseconds(7));
  LatencyHistogram one;
  one.add(Nanoseconds(7));
  CHECK(later - histogram == one);
  CHECK(histogram - later == LatencyHistogram());  // a counter that started again is not negative
  CHECK((histogram += one) == later);
}

TEST_CASE("metrics count every event once", "[observe][metrics]") {
  Metrics metrics;
  const IdempotencyKey paid = key();
  const Record record = in_state(State::succeeded);
  pay(metrics, 1);
  for (const State state : {State::declined, State::declined, State::released})
    metrics.on(events::Completed{paid, in_state(state), times});
  metrics.on(events::Completed{paid, in_state(State::declined)});
  metrics.on(events::InDoubt{paid, "no reply", times});
  metrics.on(events::InDoubt{paid, "asked again"});
  metrics.on(events::Replayed{paid, record});
  for (const auto refusal :
       {events::Refusal::key_reused, events::Refusal::in_progress, events::Refusal::refuse_if})
    for (int i = 0; i <= static_cast<int>(refusal); ++i) metrics.on(events::Refused{paid, refusal});
  metrics.on(events::Waited{paid, 5ms});
  metrics.on(events::LeaseLost{paid, 1});
  for (const auto call : {events::StoreCall::find, events::StoreCall::insert, events::StoreCall::replace})
    for (int i = 0; i <= static_cast<int>(call); ++i) metrics.on(events::StoreFailed{paid, call});

  const MetricsSnapshot counted = metrics.snapshot();
  MetricsSnapshot expected;
  expected.began = 1;
  expected.paying.succeeded.add(times.paying);
  for (int i = 0; i < 2; ++i) expected.paying.declined.add(times.paying);
  expected.paying.released.add(times.paying);
  expected.paying.in_doubt.add(times.paying);
  for (int i = 0; i < 5; ++i) expected.beginning.add(times.beginning);
  for (int i = 0; i < 5; ++i) expected.recording.add(times.recording);
  expected.waiting.add(5ms);
  expected.untimed.declined = 1;
  expected.still_in_doubt = expected.replayed = expected.lease_lost = 1;
  expected.refused = {1, 2, 3};
  expected.store_failed = {1, 2, 3};
  CHECK(counted == expected);
  CHECK(counted.succeeded() == 1);
  CHECK(counted.declined() == 3);
  CHECK(counted.released() == 1);
  CHECK(counted.in_doubt() == 1);
  CHECK(counted.waited() == 1);

  CHECK(counted - counted == MetricsSnapshot());
  CHECK(MetricsSnapshot() - counted == MetricsSnapshot());
  MetricsSnapshot twice = counted;
  CHECK((twice += counted) - counted == counted);
}

TEST_CASE("what a guard tells metrics is what happened", "[observe][metrics]") {
  Metrics metrics;
  World<KeyedMutex, Metrics&> world{{}, metrics};
  const auto pay = [&](std::string_view text, auto callable) {
    return world.guard.execute(key(text), request, callable).status();
  };
  REQUIRE(pay("paid", []() -> Text { return succeeded(std::string("receipt")); }) == Status::completed);
  REQUIRE(pay("paid", never) == Status::completed);
  REQUIRE(pay("declined", []() -> Text { return declined(std::string("no funds")); }) == Status::completed);
  REQUIRE(pay("doubt", []() -> Text { throw std::runtime_error("no reply"); }) == Status::in_doubt);
  REQUIRE(pay("doubt", never) == Status::in_doubt);
  REQUIRE(world.guard.execute(key("paid"), other_request, never).status() == Status::key_reused);
  const auto settle = [](const Record&) -> Text { return succeeded(std::string("it was paid")); };
  REQUIRE(world.guard.reconcile<std::string>(key("doubt"), settle).succeeded());

  const MetricsSnapshot counted = metrics.snapshot();
  CHECK(counted.began == 3);
  CHECK(counted.paying.succeeded.count() == 1);
  CHECK(counted.paying.declined.count() == 1);
  CHECK(counted.in_doubt() == 1);
  CHECK(counted.still_in_doubt == 1);
  CHECK(counted.untimed.succeeded == 1);
  CHECK(counted.succeeded() == 2);
  CHECK(counted.replayed == 1);
  CHECK(counted.refused.key_reused == 1);
  CHECK(counted.beginning.count() == 3);
  CHECK(counted.recording.count() == 3);
  CHECK(counted.beginning.sum() > 0);
}

TEST_CASE("threads that come and go lose no count", "[observe][metrics]") {
  constexpr int payments = 500;
  Metrics metrics;
  std::uint64_t expected = 0;
  for (const int threads : {1, 4, 2}) {
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back([&] { pay(metrics, payments); });
    std::uint64_t seen = expected;  // beside them: nothing is torn, nothing goes back
    while (seen < expected + payments) {
      const std::uint64_t now = metrics.snapshot().began;
      REQUIRE(now >= seen);
      seen = now;
    }
    for (std::thread& thread : all) thread.join();
    expected += static_cast<std::uint64_t>(threads * payments);
    const MetricsSnapshot counted = metrics.snapshot();
    REQUIRE(counted.began == expected);
    REQUIRE(counted.succeeded() == expected);
    REQUIRE(counted.paying.succeeded.sum() == expected * 2'000);
  }
}

TEST_CASE("a thread goes on with the cell of one that has ended", "[observe][metrics]") {
  Metrics metrics;
  const auto cells = [&] {
    auto counting = std::make_shared<detail::MetricCells>();
    for (int i = 0; i < 5; ++i)
      std::thread([&] {
        counting->write([](detail::MetricCell& cell) { detail::MetricCell::add(cell.began); });
      }).join();
    int all = 0;
    std::uint64_t began = 0;
    counting->for_each([&](const detail::MetricCell& cell) { ++all, began += cell.began; });
    counting->close();
    REQUIRE(began == 5);
    return all;
  };
  CHECK(cells() == 2);  // theirs, and the common one
}

TEST_CASE("a thread forgets metrics that have ended", "[observe][metrics]") {
  auto counting = std::make_shared<detail::MetricCells>();
  const std::weak_ptr<detail::MetricCells> ended = counting;
  counting->write([](detail::MetricCell& cell) { detail::MetricCell::add(cell.began); });
  counting->close();
  counting.reset();
  CHECK_FALSE(ended.expired());  // so that nothing else lies where it lay
  Metrics metrics;
  pay(metrics, 1);
  CHECK(ended.expired());
}

TEST_CASE("one thread counts in many metrics, at a time and one after the other", "[observe][metrics]") {
  Metrics lasting;
  for (int round = 0; round < 50; ++round) {
    Metrics a;
    auto b = std::make_unique<Metrics>();
    for (int i = 0; i < 3; ++i) {
      pay(a, 1);
      pay(*b, 2);
      pay(lasting, 1);
    }
    REQUIRE(a.snapshot().began == 3);
    REQUIRE(b->snapshot().began == 6);
    b = std::make_unique<Metrics>();  // often where the last one was
    REQUIRE(b->snapshot().began == 0);
    pay(*b, 1);
    REQUIRE(b->snapshot().began == 1);
    REQUIRE(a.snapshot().began == 3);
  }
  CHECK(lasting.snapshot().began == 150);
}

TEST_CASE("metrics may end before the threads that counted in them", "[observe][metrics]") {
  std::atomic<int> step{0};
  auto first = std::make_unique<Metrics>();
  Metrics second;
  std::thread thread([&] {
    pay(*first, 1);
    step = 1;
    step.notify_all();
    step.wait(1);
    pay(second, 1);
  });
  step.wait(0);
  CHECK(first->snapshot().began == 1);
  first.reset();
  step = 2;
  step.notify_all();
  thread.join();
  CHECK(second.snapshot().began == 1);
}

namespace {

void count_one(detail::MetricCells& cells) {
  cells.write([](detail::MetricCell& cell) { detail::MetricCell::add(cell.began); });
}

/// Counts when its thread is all but gone: after the cells of the thread were given back.
struct CountsAtTheEnd {
  ~CountsAtTheEnd() {
    if (cells) count_one(*cells);
  }
  detail::MetricCells* cells = nullptr;
};

}  // namespace

TEST_CASE("what a thread counts at its very end is in no cell that another has by then",
          "[observe][metrics]") {
  const auto cells = std::make_shared<detail::MetricCells>();
  std::thread([&] {
    static thread_local CountsAtTheEnd at_the_end;  // made first, so destroyed last
    at_the_end.cells = cells.get();
    count_one(*cells);
  }).join();
  std::vector<std::uint64_t> counts;
  cells->for_each([&](const detail::MetricCell& cell) { counts.push_back(cell.began); });
  CHECK(counts == std::vector<std::uint64_t>{1, 1});  // the thread's, and the common one
}

namespace {

struct Noting {
  std::vector<int>& notes;
  int name;
  template <class Event>
  void on(const Event&) noexcept {
    notes.push_back(name);
  }
};
struct Timed : NoObserver {
  static constexpr bool measures_time = true;
};
struct Untimed : NoObserver {
  static constexpr bool measures_time = false;
};

static_assert(Observer<Observers<NoObserver, Metrics&, Noting>>);
static_assert(Observer<Observers<>>);
static_assert(detail::measures_time<Metrics&>());
static_assert(detail::measures_time<Observers<NoObserver, Timed>>());
static_assert(detail::measures_time<Observers<Observers<Metrics&>, Untimed>&>());
static_assert(!detail::measures_time<Observers<NoObserver, Untimed>>());
static_assert(!detail::measures_time<Observers<>>());

}  // namespace

TEST_CASE("composed observers are told in their order", "[observe][observers]") {
  std::vector<int> notes;
  Noting second{notes, 2};
  Observers all{Noting{notes, 1}, second, Observers{Noting{notes, 3}, Noting{notes, 4}}};
  static_assert(std::is_same_v<decltype(all), Observers<Noting, Noting&, Observers<Noting, Noting>>>);
  second.name = 20;  // it is referred to
  all.on(events::LeaseLost{key(), 1});
  CHECK(notes == std::vector{1, 20, 3, 4});
}

TEST_CASE("a guard tells all of its observers", "[observe][observers]") {
  std::vector<int> notes;
  Metrics metrics;
  MemoryStore store;
  IdempotencyGuard guard{store, KeyedMutex{}, ManualClock{}, GuardOptions{},
                         Observers{metrics, Noting{notes, 1}}};
  REQUIRE(guard.execute(key(), request, Counting{}).succeeded());
  CHECK(metrics.snapshot().succeeded() == 1);
  CHECK(metrics.snapshot().paying.succeeded.count() == 1);  // time was measured
  CHECK(notes.size() == 2);                                 // began, completed
}
