#pragma once
// What is there on a simulated day of a shop whatever its hosts are: time, chance, the provider, what
// customers were told, and the judgement at the end. shop_day.hpp has what happens.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/not_found.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/record_watch.hpp"
#include "fault/shop_provider.hpp"

namespace fault {

using namespace std::chrono_literals;

/// One part of the day that does its work wrongly, so that it is seen that the day would notice.
enum class Wrong : std::uint8_t {
  nothing,
  releases_without_proof,          ///< "not found" is taken for "not executed"
  releases_while_holder_may_live,  ///< time alone is taken for proof
  releases_without_time,           ///< a dead holder alone is taken for proof
  counts_time_of_living_holders,   ///< so is one that died only now
  outage_is_not_found,             ///< no answer is taken for "not found"
  pending_is_paid,                 ///< whatever the provider does not know is told as paid
  recovers_running_attempts,       ///< leases are not looked at
  sweeps_by_wall_clock,            ///< whatever the clock says
  operator_guesses,                ///< releases what is stuck without looking
  tells_doubt_as_failure,          ///< the shop's front end does
  trusts_page_cache,               ///< acknowledges what is not synced, and the power goes
};

struct DayOptions {
  std::uint64_t seed = 1;
  Duration length = 24h;
  int orders = 2400;
  enum class Provider : std::uint8_t { refuses_late_requests, takes_any_request, knows_repeats };
  Provider provider = Provider::refuses_late_requests;
  Wrong wrong = Wrong::nothing;
};

/// What came of a day.
struct DayReport {
  std::vector<std::string> accusations = {};  ///< empty: all that must hold did
  std::size_t charges = 0, told_paid = 0, told_declined = 0, told_not_executed = 0, told_in_doubt = 0;
  std::size_t crashes = 0, woken_late = 0, held_up = 0, lost_replies = 0, refused_late = 0;
  std::size_t recovered = 0, released = 0, swept = 0, sweeps_put_off = 0, resolved = 0;
  std::uint64_t history = 0;  ///< a digest of what everybody was told, in order

  DayReport& operator+=(const DayReport& other) {
    for (const auto figure : {&DayReport::charges, &DayReport::told_paid, &DayReport::told_declined,
                              &DayReport::told_not_executed, &DayReport::told_in_doubt, &DayReport::crashes,
                              &DayReport::woken_late, &DayReport::held_up, &DayReport::lost_replies,
                              &DayReport::refused_late, &DayReport::recovered, &DayReport::released,
                              &DayReport::swept, &DayReport::sweeps_put_off, &DayReport::resolved})
      this->*figure += other.*figure;
    return *this;
  }
};

/// For one day, and for one thread.
class ShopWorld {
 protected:
  using Text = PaymentResult<std::string>;

  explicit ShopWorld(const DayOptions& options)
      : options_(options), provider_(manners(options.provider)), chance_(options.seed) {}
  ~ShopWorld() = default;

  struct Told {
    std::uint64_t moment;
    Status status;
    bool succeeded;
    std::string payment;  ///< which one under this key: what the provider knows it by
  };
  struct Order {
    IdempotencyKey key{"shop", "?"};
    std::vector<Told> told = {};
    Duration gives_up{0};
    std::string story = {};  ///< for whoever has to understand an accusation
  };
  /// What one customer's request is about.
  struct Request {
    int order = 0, generation = 0;
    std::int64_t amount = 0;
  };

  static constexpr Duration late = 10min, lag = 5s;

  static ShopProvider::Manners manners(DayOptions::Provider which) {
    switch (which) {
      case DayOptions::Provider::refuses_late_requests: return {late, false, lag};
      case DayOptions::Provider::takes_any_request: return {Duration::max(), false, lag};
      case DayOptions::Provider::knows_repeats: break;
    }
    return {Duration::max(), true, 0s};
  }
  bool refuses_late() const { return options_.provider == DayOptions::Provider::refuses_late_requests; }
  NotFound rule() const {
    return refuses_late() ? NotFound::proves_not_executed_after(late + lag) : NotFound::means_in_doubt();
  }
  // ---- time ----

  Duration now() const { return clock_.elapsed(); }
  void at(Duration when, std::function<void()> event) { events_.emplace(when, std::move(event)); }
  void in(Duration later, std::function<void()> event) { at(now() + later, std::move(event)); }
  void every(Duration period, const std::function<void()>& event) {
    in(period, [this, period, event] {
      event();
      every(period, event);
    });
  }

  /// Also called while callables are under way: that is how they pause.
  void run_until(Duration end) {
    while (!events_.empty() && events_.begin()->first <= end) {
      const auto next = events_.extract(events_.begin());
      if (next.key() > now()) clock_.advance(next.key() - now());
      next.mapped()();
    }
    if (end > now()) clock_.advance(end - now());
  }

  // ---- chance ----

  std::uint64_t draw() { return chance_(); }
  std::uint64_t below(std::uint64_t bound) { return draw() % bound; }
  bool one_in(std::uint64_t odds) { return below(odds) == 0; }
  Duration between(Duration least, Duration most) {
    return least + Duration(static_cast<Duration::rep>(
                       below(static_cast<std::uint64_t>((most - least).count()) + 1)));
  }

  // ---- what is remembered for the end ----

  Order& order_of(int order) { return orders_[static_cast<std::size_t>(order)]; }
  void relate(int order, const std::string& what) {
    order_of(order).story += "\n      " + std::to_string(now().count()) + ": " + what;
  }
  static int order_number(const IdempotencyKey& key) { return std::stoi(std::string(key.text().substr(6))); }
  void accuse(int order, const std::string& what) {
    report_.accusations.push_back(name(order) + ' ' + what + order_of(order).story);
  }
  static std::string name(int order) { return "order-" + std::to_string(order); }
  void note(std::uint64_t what) { report_.history = (report_.history ^ what) * 1099511628211U + 1; }

  void judge() {
    std::map<std::pair<int, int>, int> charges;
    std::map<std::string, int> charges_of_payment;
    const std::vector<ShopProvider::Entry> all = provider_.charges();
    report_.charges = all.size();
    for (const ShopProvider::Entry& entry : all) {
      const MoneyRequest& request = entry.request;
      note(static_cast<std::uint64_t>(request.order));
      if (++charges[{request.order, request.generation}] == 2 ||
          ++charges_of_payment[request.provider_key] == 2)
        accuse(request.order, "was charged twice");
      for (const Told& told : order_of(request.order).told) {
        // Who is told that a payment did not happen may ask again with the same key: what an attempt that
        // begins after that charges is what they asked for. What an earlier one charges, is not.
        if (told.payment != request.provider_key) continue;
        if (told.status == Status::not_executed && request.attempt_began < told.moment)
          accuse(request.order, "was told that nothing happened, and was charged");
        if (told.status == Status::completed && !told.succeeded)
          accuse(request.order, "was told that it is declined, and was charged");
      }
      // What is not swept yet agrees with the provider's books.
      const auto found = final_.find(name(request.order));
      if (found == final_.end()) continue;
      const Record& record = found->second;
      const IdempotencyKey& key = order_of(request.order).key;
      if (paidonce::provider_key(key, record.created_at) != request.provider_key)
        continue;  // of an earlier payment
      if (record.state != State::succeeded || record.response != entry.receipt)
        accuse(request.order, "was charged, and its record says " + std::string(to_string(record.state)));
    }
    for (const auto& [order, record] : final_)
      if (record.state == State::succeeded && !provider_.charge(record.response))
        accuse(std::stoi(order.substr(6)), "has a record of a charge that was never made");
    for (const auto& [key, what] : watch_.complaints())
      accuse(order_number(key), "has a wrong record: " + what);
  }

  const DayOptions options_;
  ManualClock clock_;
  ShopProvider provider_;
  RecordWatch watch_;
  std::vector<Order> orders_;
  std::map<std::string, Record> final_;  // records, at the end
  DayReport report_;
  std::uint64_t moment_ = 0;

 private:
  std::mt19937_64 chance_;
  std::multimap<Duration, std::function<void()>> events_;
};

}  // namespace fault
