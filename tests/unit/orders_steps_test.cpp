// Orders and their payments when every call fails once, or is the last one of its process.

#include <cstddef>
#include <string>

#include "support/catch.hpp"
#include "support/order_world.hpp"

using namespace order_tests;

namespace {

enum class Repair { recovery, next_call };

/// A client's day: pays, by a second card if need be, and gives all of it back in two parts. False where it
/// did not come to the end; called again, it goes on.
template <class S>
bool run_client(S& shop, Repair repair) {
  const bool asks = repair == Repair::next_call;
  try {
    for (std::uint32_t payment = 1; payment <= shop.ledger.declines + 1; ++payment) {
      const auto outcome = asks ? shop.pay_or_ask() : shop.pay();
      if (outcome.status() == Status::refused) break;  // it is being refunded since the last time
      if (outcome.status() != Status::completed) return false;
      if (outcome.succeeded()) break;
      if (!outcome.declined()) return false;
      static_cast<void>(pay_again(shop.orders, "o", shop.order().payment));
    }
    const auto first = asks ? shop.refund_or_ask("r1", "3.00") : shop.refund("r1", "3.00");
    if (first.status() != Status::completed) return false;
    const auto rest = asks ? shop.refund_or_ask("r2", "7.00") : shop.refund("r2", "7.00");
    if (rest.status() != Status::completed) return false;
    return shop.refund("r3", "0.01").status() == Status::refused;
  } catch (const Error&) {
    return false;
  }
}

template <class S>
void check_money(S& shop) {
  for (const auto& [key, entry] : shop.ledger.entries) CHECK(entry.times == 1);
  CHECK(shop.ledger.count("paid") <= 1);
  CHECK(shop.moved_unbegun == 0);
  const Order order = shop.order();
  if (order.state == OrderState::unpaid) CHECK(shop.ledger.count("paid") == 0);
  if (order.state == OrderState::paid) CHECK(shop.ledger.count("paid") == 1);
  for (const Refund& refund : order.refunds)
    if (refund.state == RefundState::done) CHECK(shop.ledger.count("back " + refund.amount.text()) == 1);
}

/// What recovery does; the store of `Together` cannot be scanned, so its keys are told.
template <class S>
void settle_doubts(S& shop) {
  if constexpr (ScannableStore<decltype(shop.store)>) {
    const RecoveryReport report = recover(shop.guard(), order_first(shop.orders, shop.ask_ledger()));
    CHECK(report.failed == 0);
    CHECK(report.in_doubt == 0);
  } else {
    for (const OrderKey& of : {OrderKey::of_payment("o", 1), OrderKey::of_payment("o", 2),
                               OrderKey::of_refund("o", "r1"), OrderKey::of_refund("o", "r2")}) {
      const IdempotencyKey key = of.key();
      if (!shop.record(of)) continue;
      const auto outcome = shop.guard().template reconcile<std::string>(
          key, [&](const Record& record) { return shop.ledger.ask(provider_key(key, record.created_at)); });
      CHECK(outcome.status() != Status::in_doubt);
    }
  }
}

template <class Build>
void fail_at_every_step(std::uint32_t declines, Repair repair) {
  std::size_t failed = 0;
  for (const Steps::Fails how : {Steps::Fails::before, Steps::Fails::after})
    for (const Steps::Then then : {Steps::Then::goes_on, Steps::Then::dies})
      for (std::size_t at = 1;; ++at) {
        Shop<Build> shop;
        shop.ledger.declines = declines;
        REQUIRE(shop.rows.insert(make_order("o", Money::parse("10.00", "EUR"))));
        shop.steps.arm(at, how, then);
        const bool came_through = run_client(shop, repair);
        if (!shop.steps.tripped()) {
          REQUIRE(came_through);
          break;
        }
        ++failed;
        CAPTURE(at, static_cast<int>(how), static_cast<int>(then), static_cast<int>(repair), declines);
        if (Build::one_database) CHECK(disagreement(shop) == "");
        check_money(shop);

        shop.restart();
        if (repair == Repair::recovery) {
          settle_doubts(shop);
          if (!Build::one_database) {
            const SettleOrdersReport settled = settle_orders(shop.guard(), shop.orders);
            CHECK(settled.missing + settled.failed + settled.contradictions + settled.under_way == 0);
            CHECK(settle_orders(shop.guard(), shop.orders).seen == 0);
          }
          CHECK(disagreement(shop) == "");
          check_money(shop);
        }
        for (int again = 0; again < 4 && !run_client(shop, repair); ++again) shop.restart();
        CHECK(shop.order().state == OrderState::refunded);
        CHECK(disagreement(shop) == "");
        check_money(shop);
        CHECK(shop.ledger.count("paid") == 1);
        CHECK(shop.ledger.count("back") == 2);
        CHECK(shop.ledger.count("declined") == static_cast<int>(declines));
        for (const std::string& alert : shop.alerts) CHECK(alert == "order_not_settled");
      }
  CHECK(failed > 60);
}

}  // namespace

TEST_CASE("orders apart from their payments agree with them after recovery", "[fault][orders]") {
  fail_at_every_step<Apart>(0, Repair::recovery);
  fail_at_every_step<Apart>(1, Repair::recovery);
}
TEST_CASE("orders apart from their payments are set right by the next call", "[fault][orders]") {
  fail_at_every_step<Apart>(0, Repair::next_call);
  fail_at_every_step<Apart>(1, Repair::next_call);
}
TEST_CASE("orders beside their payments always agree with them", "[fault][orders]") {
  fail_at_every_step<Together>(0, Repair::recovery);
  fail_at_every_step<Together>(1, Repair::recovery);
  fail_at_every_step<Together>(0, Repair::next_call);
}
TEST_CASE("orders that a store moves unseen agree with their payments", "[fault][orders]") {
  fail_at_every_step<Hidden>(0, Repair::recovery);
  fail_at_every_step<Hidden>(1, Repair::next_call);
}
