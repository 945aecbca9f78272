// Several processes pay and refund the same orders, and die at any moment: in SQLite and in PostgreSQL, with
// orders beside their payments and apart from them.

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <paidonce/orders/orders.hpp>
#include <paidonce/orders/postgres_orders.hpp>
#include <paidonce/orders/sqlite_orders.hpp>
#include <paidonce/paidonce.hpp>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;

namespace {

constexpr int most_orders = 256, refunds_each = 5;

/// What the provider did, in memory that outlives its clients. Once it was asked about an attempt and did not
/// know it, it does not take it any more: "not found" is proof then.
class SharedLedger {
 public:
  struct Slot {
    std::atomic<std::uint64_t> barred_and_done{
        0};  // attempts up to this are barred, times 2; plus 1 when done
    std::atomic<std::uint64_t> times{0};

    PaymentResult<std::string> move_money(const Attempt& attempt) {
      std::uint64_t seen = barred_and_done.load();
      do {
        if (seen / 2 >= attempt.number()) return not_executed("the provider takes this attempt no more");
      } while (!barred_and_done.compare_exchange_weak(seen, seen | 1));
      ++times;
      return succeeded(std::string("done"));
    }
    PaymentResult<std::string> ask(const Record& record) {
      std::uint64_t seen = barred_and_done.load();
      do {
        if (seen % 2 == 1) return succeeded(std::string("done"));
      } while (!barred_and_done.compare_exchange_weak(
          seen, std::max<std::uint64_t>(seen / 2, record.attempts) * 2));
      return not_executed("the provider does not know it, and takes it no more");
    }
  };
  struct Of {
    Slot payment = {};
    std::array<Slot, refunds_each> refunds = {};
  };

  SharedLedger() {
    void* const memory =
        ::mmap(nullptr, sizeof(Of) * most_orders, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    of_ = static_cast<Of*>(memory);
    std::uninitialized_default_construct_n(of_, most_orders);
  }
  SharedLedger(const SharedLedger&) = delete;
  SharedLedger& operator=(const SharedLedger&) = delete;
  ~SharedLedger() { ::munmap(of_, sizeof(Of) * most_orders); }
  Of& operator[](int order) { return of_[order]; }

 private:
  Of* of_;
};

std::string number_of(int order) { return "o-" + std::to_string(order); }
Money eur(const char* amount) { return Money::parse(amount, "EUR"); }

/// Once over all orders, in an order of its own. How much is not finished.
template <class Guard, class Orders>
int work(Guard& guard, Orders& orders, SharedLedger& ledger, int count, std::minstd_rand& random) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  std::shuffle(numbers.begin(), numbers.end(), random);
  int unfinished = 0;
  const auto finish = [&](auto&& call) {
    try {
      const Status status = call().status();
      if (status != Status::completed && status != Status::refused) ++unfinished;
    } catch (const Error& error) {
      if (!retryable(error)) throw;
      ++unfinished;
    }
  };
  for (const int n : numbers) {
    SharedLedger::Slot& payment = ledger[n].payment;
    finish([&] {
      return pay_order(
          guard, orders, number_of(n),
          [&](Attempt& attempt, const Order&) { return payment.move_money(attempt); },
          [&](const Doubt& doubt) { return payment.ask(doubt.record); });
    });
    for (int r = 0; r < refunds_each; ++r) {
      SharedLedger::Slot& refund = ledger[n].refunds[static_cast<std::size_t>(r)];
      finish([&] {
        return refund_order(
            guard, orders, number_of(n), "r" + std::to_string(r), eur("3.00"),
            [&](Attempt& attempt, const Order&, const Refund&) { return refund.move_money(attempt); },
            [&](const Doubt& doubt) { return refund.ask(doubt.record); });
      });
    }
  }
  return unfinished;
}

enum class Way { beside, apart };

struct Sqlite {
  ScratchDirectory scratch = {};
  struct Opened {
    SqliteStore store;
    SqliteOrders orders;
    Opened(const Sqlite& here, OrderLocking locking)
        : store(here.scratch / "shop.db"), orders(store, {.locking = locking}) {}
  };
};

struct Postgres {
  std::string conninfo = shared_postgres().conninfo();
  std::string schema = PostgresServer::fresh_name("shop");
  struct Opened {
    PostgresStore store;
    PostgresOrders orders;
    Opened(const Postgres& here, OrderLocking locking)
        : store(here.conninfo, {.schema = here.schema, .unsafe = UnsafeConfig::accept}),
          orders(store, {.locking = locking, .schema = here.schema}) {}
  };
  Postgres() {
    PostgresStore store(conninfo, {.schema = schema, .unsafe = UnsafeConfig::accept});
    store.migrate();
    PostgresOrders::migrate(store, {.schema = schema});
  }
};

/// Opens what is shared, as a process does it, and hands a guard and the orders to `body`.
template <class Backend, class Body>
void as_process(const Backend& backend, Way way, OrderLocking locking, Body&& body) {
  GuardOptions options;
  options.lease = Duration(250);
  typename Backend::Opened opened(backend, locking);
  if (way == Way::beside) {
    IdempotencyGuard guard{OrderStore{opened.store, opened.orders}, options};
    body(guard, opened.orders);
  } else {
    IdempotencyGuard guard{opened.store, options};
    body(guard, opened.orders);
    settle_orders(guard, opened.orders);
  }
}

/// A child that is killed by its timer after so long, wherever it is; zero: it works until all is done.
template <class Backend>
::pid_t spawn(const Backend& backend, Way way, SharedLedger& ledger, int count, unsigned seed,
              long microseconds) {
  const ::pid_t child = ::fork();
  if (child != 0) return child;
  try {
    std::minstd_rand random(seed);
    if (microseconds > 0) {
      ::signal(SIGALRM, SIG_DFL);
      itimerval timer{};
      timer.it_value.tv_usec = microseconds;
      ::setitimer(ITIMER_REAL, &timer, nullptr);
    }
    const OrderLocking locking = seed % 2 == 0 ? OrderLocking::optimistic : OrderLocking::pessimistic;
    as_process(backend, way, locking, [&](auto& guard, auto& orders) {
      while (work(guard, orders, ledger, count, random) > 0) continue;
    });
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

template <class Backend>
void crowd_of_processes(Way way, int count, int deaths) {
  Backend backend;
  SharedLedger ledger;
  {
    typename Backend::Opened opened(backend, OrderLocking::optimistic);
    for (int n = 0; n < count; ++n) REQUIRE(opened.orders.insert(make_order(number_of(n), eur("10.00"))));
  }
  constexpr int processes = 4;
  std::minstd_rand random(42);
  unsigned seed = 1;
  int alive = 0, killed = 0, failed = 0;
  const auto start = [&](long microseconds) {
    REQUIRE(spawn(backend, way, ledger, count, seed++, microseconds) > 0);
    ++alive;
  };
  const auto lifetime = [&] { return 5'000 + static_cast<long>(random() % 60'000); };
  while (alive < processes) start(lifetime());
  for (int died = 0; alive > 0;) {
    int status = 0;
    REQUIRE(::wait(&status) > 0);
    --alive;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
      ++killed;
    else if (status != 0)
      ++failed;
    if (++died < deaths)
      start(lifetime());
    else if (died < deaths + processes)
      start(0);
  }
  CHECK(failed == 0);
  CHECK(killed > 0);

  as_process(backend, way, OrderLocking::optimistic, [&](auto& guard, auto& orders) {
    for (int again = 0; again < 2; ++again)
      while (work(guard, orders, ledger, count, random) > 0) continue;
    settle_orders(guard, orders);
    for (int n = 0; n < count; ++n) {
      CAPTURE(n);
      const Order order = orders.find(number_of(n)).value();
      CHECK(ledger[n].payment.times == 1);
      CHECK(order.state == OrderState::paid);
      int back = 0;
      for (int r = 0; r < refunds_each; ++r) {
        const auto times = ledger[n].refunds[static_cast<std::size_t>(r)].times.load();
        const Refund* const refund = order.refund("r" + std::to_string(r));
        CHECK(times <= 1);
        CHECK((times == 1) == (refund && refund->state == RefundState::done));
        back += static_cast<int>(times);
      }
      CHECK(back == 3);
      CHECK(order.sum(RefundState::reserved).minor_units() == 0);
    }
  });
}

}  // namespace

TEST_CASE("processes that die pay orders beside their payments once in SQLite", "[fault][orders][sqlite]") {
  crowd_of_processes<Sqlite>(Way::beside, 40, 20);
}
TEST_CASE("processes that die pay orders apart from their payments once in SQLite",
          "[fault][orders][sqlite]") {
  crowd_of_processes<Sqlite>(Way::apart, 30, 20);
}
TEST_CASE("processes that die pay orders beside their payments once in PostgreSQL",
          "[fault][orders][postgres]") {
  crowd_of_processes<Postgres>(Way::beside, 12, 20);
}
TEST_CASE("processes that die pay orders apart from their payments once in PostgreSQL",
          "[fault][orders][postgres]") {
  crowd_of_processes<Postgres>(Way::apart, 12, 20);
}
TEST_CASE("many processes that die pay many orders once", "[.][soak][orders]") {
  const Way way = GENERATE(Way::beside, Way::apart);
  crowd_of_processes<Sqlite>(way, 200, 200);
  crowd_of_processes<Postgres>(way, 200, 200);
}
