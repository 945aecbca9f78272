// operator new that fails at the nth allocation inside a call to the guard, once and for ever.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/testing/manual_clock.hpp>
#include <paidonce/testing/transactional_store.hpp>

#include "support/catch.hpp"
#include "support/failing_new.hpp"

using namespace paidonce;

namespace {

enum class Does { succeeds, declines, says_not_executed, throws, saves_and_succeeds };
enum class Finds { nothing, a_success, a_release, a_doubt, an_abandoned_charge, an_expired_success };
enum class Asks { nobody, the_provider };

struct Path {
  const char* name;
  Finds finds;
  Does does;
  Asks asks;
};

constexpr Path paths[] = {
    {"new, succeeds", Finds::nothing, Does::succeeds, Asks::nobody},
    {"new, declines", Finds::nothing, Does::declines, Asks::nobody},
    {"new, not executed", Finds::nothing, Does::says_not_executed, Asks::nobody},
    {"new, throws", Finds::nothing, Does::throws, Asks::nobody},
    {"new, saves a checkpoint", Finds::nothing, Does::saves_and_succeeds, Asks::nobody},
    {"replay", Finds::a_success, Does::succeeds, Asks::nobody},
    {"released, runs again", Finds::a_release, Does::succeeds, Asks::nobody},
    {"released, not executed again", Finds::a_release, Does::says_not_executed, Asks::nobody},
    {"in doubt", Finds::a_doubt, Does::succeeds, Asks::nobody},
    {"in doubt, asks, runs", Finds::a_doubt, Does::succeeds, Asks::the_provider},
    {"in doubt, asks, throws", Finds::a_doubt, Does::throws, Asks::the_provider},
    {"abandoned", Finds::an_abandoned_charge, Does::succeeds, Asks::nobody},
    {"abandoned, asks, settles", Finds::an_abandoned_charge, Does::succeeds, Asks::the_provider},
    {"begins anew", Finds::an_expired_success, Does::succeeds, Asks::nobody},
};

const std::string receipt = "a receipt that is too long to be kept inside of a string";

/// One payment with a ledger that allocates nothing.
template <class L>
struct Shop {
  explicit Shop(const Path& path, bool heartbeat)
      : guard(MemoryStore{{.shards = 1}}, L{}, clock, options(heartbeat)) {
    prepare(path.finds);
  }

  static GuardOptions options(bool heartbeat) {
    GuardOptions options;
    options.heartbeat = heartbeat;
    return options;
  }

  void prepare(Finds finds) {
    if (finds == Finds::nothing) return;
    const Timestamp now = clock.now();
    const Duration lease = std::chrono::seconds(30), retention = std::chrono::hours(24);
    Record record;
    protocol::begin_first(record, {request, now, lease, 77, "4.50 EUR", ""});
    if (finds == Finds::a_success || finds == Finds::an_expired_success) {
      protocol::complete(record, {State::succeeded, receipt, "text", now, retention});
      charges = 1;
    } else if (finds == Finds::a_release) {
      protocol::release(record, "nothing was sent, and this is a long reason", now, retention);
    } else if (finds == Finds::a_doubt) {
      protocol::doubt(record, "nobody knows, and this is a long reason too", now);
    } else {
      charges = 1;
    }
    guard.store().insert(key, record);
    if (finds == Finds::an_expired_success) {
      clock.advance(retention);
      charges = 0;  // of the payment to come
    } else {
      clock.advance(lease);
    }
  }

  PaymentResult<std::string> pay(Does does, Attempt& attempt, std::string& prepared) {
    ++started;
    if (does == Does::saves_and_succeeds)
      attempt.save_checkpoint("a checkpoint that is too long for a small string");
    if (does == Does::says_not_executed) return PaymentResult<std::string>::not_executed(std::move(prepared));
    if (does == Does::declines) {
      ++declines;
      ++returned;
      return PaymentResult<std::string>::declined(std::move(prepared));
    }
    ++charges;
    if (does == Does::throws) throw 42;
    ++returned;
    return PaymentResult<std::string>::succeeded(std::move(prepared));
  }

  PaymentResult<std::string> ask() const {
    if (charges > 0) return PaymentResult<std::string>::succeeded(receipt);
    if (declines > 0) return PaymentResult<std::string>::declined(receipt);
    return PaymentResult<std::string>::not_executed("the provider does not have it, as far as it says");
  }

  ManualClock clock;
  IdempotencyKey key{"shop", "an order number that is too long for a small string"};
  Fingerprint request = fingerprint("order", 450, "EUR");
  IdempotencyGuard<MemoryStore, L, ManualClock&> guard;
  int charges = 0, declines = 0;  // of the payment that this key stands for now
  int started = 0, returned = 0;
};

/// Runs a path with a shortage at the first, the second, ... allocation until none fails; how many did.
template <class L>
int run_short_of_memory(const Path& path, std::size_t times, bool heartbeat) {
  for (std::size_t at = 1;; ++at) {
    REQUIRE(at < 200);
    CAPTURE(path.name, at, times, heartbeat);
    Shop<L> shop(path, heartbeat);
    const int charged_before = shop.charges;
    std::string prepared = receipt;
    std::optional<Outcome<std::string>> outcome;
    bool out_of_memory = false, other = false;
    const auto pay = [&](Attempt& attempt) { return shop.pay(path.does, attempt, prepared); };
    const auto ask = [&](const Record&) { return shop.ask(); };
    try {
      const Shortage shortage(at, times);
      if (path.asks == Asks::nobody)
        outcome.emplace(shop.guard.execute(shop.key, shop.request, pay));
      else
        outcome.emplace(shop.guard.execute(shop.key, shop.request, pay, ask));
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    } catch (...) {
      other = true;
    }
    const std::size_t failed = allocations.failed;
    CHECK(!other);
    CHECK(shop.started <= 1);
    CHECK(out_of_memory != outcome.has_value());
    if (outcome && (path.finds == Finds::nothing || path.finds == Finds::a_release ||
                    path.finds == Finds::an_expired_success))
      CHECK(shop.started == 1);
    if (out_of_memory) {
      CHECK(shop.started == 0);
      CHECK(shop.charges == charged_before);
    } else if (outcome && shop.returned == 1) {
      const bool completed = outcome->status() == Status::completed;
      CHECK((completed || outcome->status() == Status::in_doubt));
      if (completed) {
        CHECK(outcome->response() == receipt);
        CHECK(outcome->succeeded() == (shop.charges == 1));
        CHECK(shop.guard.find(shop.key)->response == receipt);
      } else {
        REQUIRE(outcome->evidence() != nullptr);
        CHECK(*outcome->evidence() == receipt);
        CHECK(outcome->evidence_state() == (shop.charges == 1 ? State::succeeded : State::declined));
      }
    } else if (outcome && shop.started == 1) {
      const bool proven = outcome->status() == Status::not_executed;
      CHECK((proven || outcome->status() == Status::in_doubt));
      if (proven) CHECK(shop.charges == 0);
    } else if (outcome && outcome->status() == Status::completed) {
      CHECK(shop.charges + shop.declines == 1);
      CHECK(outcome->response() == receipt);
    }
    // Memory is back, and so is the customer.
    shop.clock.advance(std::chrono::minutes(1));
    std::string again = receipt;
    const Does next = path.does == Does::declines ? Does::declines : Does::succeeds;
    const auto settled = shop.guard.execute(
        shop.key, shop.request, [&](Attempt& attempt) { return shop.pay(next, attempt, again); }, ask);
    CHECK(settled.status() == Status::completed);
    CHECK(shop.charges + shop.declines == 1);
    if (settled.status() == Status::completed) CHECK(settled.response() == receipt);
    if (failed == 0) return static_cast<int>(at) - 1;
  }
}

}  // namespace

TEST_CASE("whichever allocation fails, the callable is not started or its result is not lost",
          "[fault][memory]") {
  const std::size_t times = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{3}, for_ever);
  const bool heartbeat = GENERATE(false, true);
  for (const Path& path : paths) {
    const int with_lock = run_short_of_memory<KeyedMutex>(path, times, heartbeat);
    const int without = run_short_of_memory<NoLock>(path, times, heartbeat);
    CAPTURE(path.name);
    CHECK(with_lock > 0);
    CHECK(without > 0);
  }
}

TEST_CASE("whichever allocation fails in a transaction, once its callable has started an outcome comes back",
          "[fault][memory][transaction]") {
  const std::size_t times = GENERATE(std::size_t{1}, std::size_t{2}, for_ever);
  const bool executes = GENERATE(true, false);
  const IdempotencyKey key{"bank", "a transfer number that is too long for a small string"};
  const Fingerprint request = fingerprint("transfer", 450, "EUR");
  bool reached = true;
  for (std::size_t at = 1; reached; ++at) {
    REQUIRE(at < 200);
    CAPTURE(at, times, executes);
    TransactionalMemoryStore bank;
    IdempotencyGuard guard(bank, NoLock());
    int started = 0;
    std::string prepared = receipt;
    const auto book = [&](Attempt&, TransactionalMemoryStore::Transaction& transaction) {
      ++started;
      using Report = PaymentResult<std::string>;
      if (!executes) return Report::not_executed(std::move(prepared));
      transaction.native()["booking"] = "1";
      return Report::succeeded(std::move(prepared));
    };
    std::optional<Outcome<std::string>> outcome;
    try {
      const Shortage shortage(at, times);
      outcome.emplace(guard.execute_in_transaction(key, request, book));
    } catch (const std::bad_alloc&) {
      CHECK(started == 0);
    }
    reached = allocations.failed > 0;
    if (outcome && outcome->status() == Status::completed) CHECK(bank.rows().size() == 1);
    if (outcome && outcome->status() == Status::not_executed) CHECK(bank.rows().empty());
    if (!outcome) CHECK(bank.rows().empty());
  }
}

TEST_CASE("whichever allocation fails in a responder, it answers, and what it says is true",
          "[fault][memory][http]") {
  const std::size_t times = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{5}, for_ever);
  enum class Before { nothing, a_payment, a_doubt };
  const Before before = GENERATE(Before::nothing, Before::a_payment, Before::a_doubt);
  const int status = GENERATE(200, 400, 500);
  const auto says = [](const http::Response& answer, const char* text) {
    return answer.body.find(text) != std::string::npos;
  };
  bool reached = true;
  std::size_t completed = 0;
  for (std::size_t at = 1; reached; ++at) {
    REQUIRE(at < 200);
    CAPTURE(at, times, status);
    IdempotencyGuard guard(MemoryStore{{.shards = 1}}, NoLock());
    const http::Responder responder(guard);
    const http::Tenant tenant("a tenant whose name is too long for a small string");
    const std::vector<http::FieldView> fields = {{"Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"}};
    const http::Request request{"POST", "/payments", "", fields, "amount=450"};
    int runs = 0;
    const auto handler = [&](http::Response& prepared) {
      return [&runs, &prepared] {
        ++runs;
        return std::move(prepared);
      };
    };
    const http::Response made{200, {{"Content-Type", "application/json; charset=utf-8"}}, receipt};
    http::Response prepared = made;
    if (before == Before::a_doubt) prepared.status = 500;
    if (before != Before::nothing) (void)responder.answer(tenant, request, handler(prepared));
    runs = 0;
    prepared = made;
    prepared.status = status;
    http::Response answer;
    {
      const Shortage shortage(at, times);
      answer = responder.answer(tenant, request, handler(prepared));
    }
    reached = allocations.failed > 0;
    CHECK(runs <= (before == Before::nothing ? 1 : 0));
    CHECK((answer.status == status || answer.status == 200 || answer.status >= 500));
    if (says(answer, "This request executed nothing")) CHECK(runs == 0);
    if (says(answer, "was not made")) CHECK(status == 400);
    if (says(answer, "new_key_is_safe\":true")) CHECK((status == 400 && before == Before::nothing));
    if (answer.status == 200) {
      CHECK((before == Before::a_payment || (status == 200 && runs == 1)));
      CHECK(answer.body == receipt);
      ++completed;
    }
    // Memory is back. Who asks again with the same key gets the payment, or is told that nobody knows; where
    // not even that could be written, that it is being carried out, until the lease is over.
    prepared = made;
    const http::Response again = responder.answer(tenant, request, handler(prepared));
    CHECK((again.status == 200 || says(again, "in-doubt") || says(again, "in-progress")));
    if (answer.status == 200) CHECK(again.body == receipt);
    const bool was_free = before == Before::nothing && status == 400;
    CHECK(runs <= (was_free ? 2 : 1));
  }
  if (before == Before::a_payment || (before == Before::nothing && status == 200)) CHECK(completed > 0);
}
