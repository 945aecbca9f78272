// The snippets about the callable: reports, attempts, doubts.

#include <paidonce/paidonce.hpp>

#include "provider.hpp"

#include <optional>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;

namespace paying {

using Guard = IdempotencyGuard<MemoryStore>;
using Mood = shop::Provider::Mood;

const Fingerprint request = fingerprint("order-1001", "4.50", "EUR");

struct Warehouse {
  int reserved = 0;
  void reserve(std::string_view) { ++reserved; }
};

// [reports]
PaymentResult<std::string> charge(shop::Provider& provider, Attempt& attempt) {
  if (attempt.lease_lost()) return not_executed("the lease was lost before anything was sent");
  try {
    const shop::Reply reply = provider.charge("order-1001", attempt.provider_key());
    if (reply.declined) return declined(reply.body);
    return succeeded(reply.body);
  } catch (const shop::NotConnected& refused) {
    return not_executed(refused.what());
  } catch (const std::exception& lost) {
    return in_doubt(lost.what());
  }
}
// [/reports]

// [checkpoints]
PaymentResult<std::string> reserve_and_charge(Warehouse& warehouse, shop::Provider& provider,
                                              Attempt& attempt) {
  if (attempt.checkpoint().empty()) {
    warehouse.reserve("order-1001");
    attempt.save_checkpoint("reserved");  // durable when it returns
  }
  return charge(provider, attempt);
}
// [/checkpoints]

// [reconcile]
Outcome<std::string> pay(Guard& guard, shop::Provider& provider, const IdempotencyKey& key) {
  return guard.execute(
      key, request, [&](Attempt& attempt) { return charge(provider, attempt); },
      [&](const Record& record) -> PaymentResult<std::string> {
        const auto found = provider.look_up(provider_key(key, record.created_at));
        if (!found) return in_doubt("the provider does not know it, yet");  // no proof: it may still arrive
        return found->declined ? PaymentResult<std::string>(declined(found->body)) : succeeded(found->body);
      });
}
// [/reconcile]

// [reconcile_later]
Outcome<std::string> settle(Guard& guard, const shop::Provider& provider, const IdempotencyKey& key) {
  return guard.reconcile<std::string>(key, [&](const Record& record) -> PaymentResult<std::string> {
    const auto found = provider.look_up(provider_key(key, record.created_at));
    if (!found) return in_doubt("still unknown to the provider");
    return succeeded(found->body);
  });
}
// [/reconcile_later]

// [resolve]
Outcome<std::string> found_in_the_bank_statement(Guard& guard, const IdempotencyKey& key) {
  return guard.resolve(key, succeeded("receipt 17"), "ann", "bank statement of 3 May, line 12");
}

void never_arrived(Guard& guard, const IdempotencyKey& key) {
  guard.resolve(key, State::released, "", "", "ann", "the provider's support confirmed that nothing arrived");
}
// [/resolve]

// [refuse_if]
Outcome<std::string> pay_from_balance(Guard& guard, const IdempotencyKey& key, const int& balance) {
  const CallOptions options{.refuse_if = [&]() -> std::optional<std::string> {
    if (balance < 450) return "not enough money";
    return std::nullopt;
  }};
  return guard.execute(
      key, request, [] { return "receipt 17"; }, options);
}
// [/refuse_if]

}  // namespace paying

TEST_CASE("reports end as the pages say", "[docs]") {
  using namespace paying;
  shop::Provider provider;
  Guard guard{MemoryStore{}};
  const auto with = [&](Mood mood, std::string_view order) {
    provider.mood = mood;
    return guard.execute(IdempotencyKey("shop", order), request,
                         [&](Attempt& attempt) { return charge(provider, attempt); });
  };
  CHECK(with(Mood::charges, "1").succeeded());
  CHECK(with(Mood::declines, "2").declined());
  CHECK(with(Mood::refuses_connections, "3").status() == Status::not_executed);
  CHECK(with(Mood::charges, "3").succeeded());
  CHECK(with(Mood::hangs_up, "4").status() == Status::in_doubt);
}

TEST_CASE("an attempt goes on from the checkpoint of the one before", "[docs]") {
  using namespace paying;
  shop::Provider provider;
  Warehouse warehouse;
  Guard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "1");
  const auto pay = [&](Attempt& attempt) { return reserve_and_charge(warehouse, provider, attempt); };
  provider.mood = Mood::refuses_connections;
  CHECK(guard.execute(key, request, pay).status() == Status::not_executed);
  provider.mood = Mood::charges;
  CHECK(guard.execute(key, request, pay).succeeded());
  CHECK(warehouse.reserved == 1);
  CHECK(provider.charges == 1);
}

TEST_CASE("a doubt is settled by asking, and by a person", "[docs]") {
  using namespace paying;
  shop::Provider provider;
  Guard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "1"), other("shop", "2"), third("shop", "3");

  provider.mood = Mood::charges_and_hangs_up;
  CHECK(pay(guard, provider, key).status() == Status::in_doubt);
  CHECK(pay(guard, provider, key).succeeded());
  CHECK(provider.charges == 1);

  provider.mood = Mood::hangs_up;
  CHECK(pay(guard, provider, other).status() == Status::in_doubt);
  CHECK(settle(guard, provider, other).status() == Status::in_doubt);
  CHECK(found_in_the_bank_statement(guard, other).succeeded());
  CHECK(settle(guard, provider, other).succeeded());

  CHECK(pay(guard, provider, third).status() == Status::in_doubt);
  never_arrived(guard, third);
  provider.mood = Mood::charges;
  CHECK(pay(guard, provider, third).succeeded());
  CHECK(provider.charges == 2);
}

TEST_CASE("a payment is refused before it begins", "[docs]") {
  using namespace paying;
  Guard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "1");
  CHECK(pay_from_balance(guard, key, 100).reason() == "not enough money");
  CHECK_FALSE(guard.find(key));
  CHECK(pay_from_balance(guard, key, 1000).succeeded());
  CHECK(pay_from_balance(guard, key, 100).replayed());
}
