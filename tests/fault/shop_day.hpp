#pragma once
// A day of a busy shop, simulated: customers who pay, repeat themselves, lose patience and come back; hosts
// that die at any call to their store; a provider whose replies get lost, whose requests are held up, and
// which is away now and then; wall clocks that jump; holders that pause and wake up; recovery and sweeps on
// every host; and an operator who settles what is left by looking at the provider's books. One thread, one
// clock that the events move, and chance from a seed: the same seed is the same day.
//
// What must hold, and what each part does wrong when it is told to, is in shop_world.hpp.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/recovery/sweep.hpp>
#include <paidonce/testing/instant_timer.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/shop_stores.hpp"
#include "fault/shop_world.hpp"

namespace fault {

using namespace std::chrono_literals;

template <class Backend>
class ShopDay : private ShopWorld {
  using Store = HostStore<typename Backend::Inner>;
  using Guard = IdempotencyGuard<Store&, KeyedMutex, ManualClock>;
  using Ask = std::function<Text(const Doubt&)>;
  using Recoverer = Recovery<Guard, Ask, ManualClock>;

 public:
  explicit ShopDay(const DayOptions& options) : ShopWorld(options) {
    if constexpr (requires { backend_.durability; })
      if (options.wrong == Wrong::trusts_page_cache) backend_.durability = Durability::process_crash;
  }

  DayReport run() {
    try {
      live_through();
      settle_up();
      judge();
    } catch (const Error& error) {  // of a store that refuses to open, for one
      report_.accusations.push_back(error.what());
    }
    return report_;
  }

 private:
  // ---- what there is ----

  /// One life of one host. Frames of the simulation that run on it keep it while it is dead.
  struct Host {
    Host(ShopDay& day, int number_of_it, std::unique_ptr<typename Backend::Opened> opened_store)
        : number(number_of_it),
          opened(std::move(opened_store)),
          store(
              opened->inner(), day.watch_, [plan = opened->plan] { return plan.dead(); },
              [&day](const Record& record, const typename Store::Death& death) {
                day.holders_[record.attempt_id] = death;
              }),
          guard(store, KeyedMutex(), day.clock_, day.guard_options()),
          recoverer(
              guard, [&day](const Doubt& doubt) { return day.ask(doubt); }, day.recovery_options(),
              day.clock_) {
      watch.agree(day.clock_.now(), day.clock_.elapsed());  // right, as its first look must be
    }

    bool dead() const { return store.dead(); }

    int number;
    std::unique_ptr<typename Backend::Opened> opened;
    Store store;
    Guard guard;
    Recoverer recoverer;
    ClockWatch watch = ClockWatch(1min, 1h);
    std::map<int, int> running = {};  // orders whose callables are under way here
  };
  using HostPtr = std::shared_ptr<Host>;

  GuardOptions guard_options() const {
    GuardOptions options;
    options.lease = 1min;
    options.retention = 6h;
    options.heartbeat = false;  // lost, all of them: nothing here runs on the machine's clock
    options.provider_deduplicates = options_.provider == DayOptions::Provider::knows_repeats;
    options.provider_remembers = 20h;
    return options;
  }
  RecoveryOptions recovery_options() {
    RecoveryOptions options;
    options.concurrency = 1;
    options.backoff = {1min, 20min, Jitter::none};
    options.rounds = 40;
    options.deadline = 1h;
    options.holder_dead = [this](const IdempotencyKey&, const Record& record) {
      const auto holder = holders_.find(record.attempt_id);
      return holder != holders_.end() && *holder->second;
    };
    return options;
  }

  // ---- the day ----

  void live_through() {
    for (int number = 0; number < Backend::hosts; ++number) open_host(number);
    plan_the_day();
    run_until(options_.length);
    quiet_ = true;  // nothing new goes wrong, and nobody comes any more
    run_until(options_.length + 8h);
  }

  void plan_the_day() {
    orders_.resize(static_cast<std::size_t>(options_.orders));
    for (int order = 0; order < options_.orders; ++order) {
      orders_[static_cast<std::size_t>(order)].key = IdempotencyKey("shop", "order-" + std::to_string(order));
      Duration when = between(0s, options_.length - 1h);
      if (one_in(2)) when = when / 4 + options_.length / 2;  // the evening is busier
      come(order, 1, when);
      if (one_in(20) && when + 12h < options_.length)
        come(order, 2, when + 10h);  // the same key, for another payment
    }
    every(5min, [this] { each_host([this](const HostPtr& host) { recover(host); }); });
    every(10min, [this] { each_host([this](const HostPtr& host) { sweep_at(host); }); });
    every(1h, [this] { operator_looks(); });
    every(2h, [this] { each_host([](const HostPtr& host) { Backend::compact(host->opened->inner()); }); });
    misfortunes();
  }

  void come(int order, int generation, Duration when) {
    const Request request{order, generation, 100 + order};
    at(when, [this, request] {
      order_of(request.order).gives_up = now() + 2h;
      serve(request);
    });
    if (one_in(4)) at(when + between(0s, 3s), [this, request] { serve(request); });        // a double click
    if (one_in(6)) at(when + between(1min, 110min), [this, request] { serve(request); });  // a look back
    if (one_in(12)) {
      Request other = request;
      other.amount += 5000;
      at(when + between(0s, 110min), [this, other] { serve(other); });
    }
  }

  void misfortunes() {
    const auto often = [this](Duration mean, const std::function<void()>& event) {
      for (Duration when = between(0s, 2 * mean); when < options_.length; when += between(1s, 2 * mean))
        at(when, event);
    };
    often(12min, [this] {  // a host will die in the middle of something
      const HostPtr host = hosts_[below(hosts_.size())];
      if (!host || host->dead()) return;
      const std::size_t calls = 1 + below(60);
      if (one_in(2))
        host->store.die_at(1 + calls / 2, one_in(2) ? Store::When::before : Store::When::after);
      else
        host->opened->plan.inject({.at = calls, .does = deaths_[below(4)]});
    });
    often(90min, [this] {
      provider_.down = true;
      in(between(1min, 25min), [this] { provider_.down = false; });
    });
    often(2h, [this] {
      const Duration by = between(-90min, 90min);
      jump(by, between(5min, 50min));
    });
    often(8h, [this] {  // a clock so wrong that the host is taken out of service; what runs behind it goes on
      if (wrong_clock_ != 0 || !hosts_are_up()) return;
      out_of_service_ = true;
      jump(8h, between(11min, 25min));
    });
  }

  void jump(Duration by, Duration length) {
    if (wrong_clock_ != 0) return;
    ++wrong_clock_;
    clock_.set(clock_.now() + by);
    in(length, [this, by] {
      clock_.set(clock_.now() - by);
      --wrong_clock_;
      out_of_service_ = false;
    });
  }

  // ---- the hosts ----

  void open_host(int number) {
    if (static_cast<std::size_t>(number) >= hosts_.size())
      hosts_.resize(static_cast<std::size_t>(number) + 1);
    hosts_[static_cast<std::size_t>(number)] = std::make_shared<Host>(*this, number, backend_.open());
  }
  bool hosts_are_up() const {
    for (const HostPtr& host : hosts_)
      if (!host || host->dead()) return false;
    return true;
  }
  template <class Does>
  void each_host(const Does& does) {
    for (std::size_t number = 0; number < hosts_.size(); ++number)
      if (const HostPtr host = hosts_[number]; host && !host->dead()) {
        try {
          does(host);
        } catch (const Error&) {  // it died
        }
        bury(host);
      }
  }

  /// A host that has died is started again later, as another process. Not while the clock is far off: a
  /// process that never saw the right time cannot know.
  void bury(const HostPtr& host) {
    HostPtr& slot = hosts_[static_cast<std::size_t>(host->number)];
    if (!host->dead() || slot != host) return;
    ++report_.crashes;
    backend_.crash(draw());
    slot = nullptr;
    revive(host->number, between(5s, 4min));
  }
  void revive(int number, Duration later) {
    in(later, [this, number] { out_of_service_ ? revive(number, 1min) : open_host(number); });
  }

  // ---- customers ----

  void serve(const Request& request) {
    Order& order = order_of(request.order);
    const HostPtr host = hosts_[below(hosts_.size())];
    if (!host || host->dead() || out_of_service_) return come_back(request, order);
    std::optional<Outcome<std::string>> outcome;
    const auto call = [&] {
      try {
        outcome.emplace(execute(host, request));
      } catch (const Error&) {
      }
    };
    if (host->running.count(request.order) != 0)
      std::thread(call).join();  // it is the same thread that pauses in it
    else
      call();
    const bool answered = outcome && !host->dead();
    bury(host);
    if (answered) tell(host, request, order, *outcome);
    if (!answered || outcome->status() == Status::in_progress || outcome->status() == Status::in_doubt ||
        outcome->status() == Status::not_executed)
      come_back(request, order);
  }

  void come_back(const Request& request, const Order& order) {
    if (quiet_ || now() > order.gives_up || one_in(12)) return;
    in(between(20s, 12min), [this, request] { serve(request); });
  }

  Outcome<std::string> execute(const HostPtr& host, const Request& request) {
    const IdempotencyKey& key = order_of(request.order).key;
    const Fingerprint what = fingerprint(request.order, request.amount);
    const auto pay = [&](Attempt& attempt) { return this->pay(host, request, attempt); };
    if (options_.provider == DayOptions::Provider::knows_repeats || one_in(2))
      return host->guard.execute(key, what, pay);
    const auto query =
        provider_query<std::string>(rule(), [this](const Doubt& doubt) { return look_up(doubt); });
    return host->guard.execute(key, what, pay, query.at_request(key));
  }

  void tell(const HostPtr& host, const Request& request, Order& order, const Outcome<std::string>& outcome) {
    const std::uint64_t moment = ++moment_;
    Status status = outcome.status();
    if (status == Status::in_doubt && options_.wrong == Wrong::tells_doubt_as_failure)
      status = Status::not_executed;
    std::string payment;
    if (const auto record = host->opened->inner().find(order.key))
      payment = paidonce::provider_key(order.key, record->created_at);
    order.told.push_back({moment, status, outcome.succeeded(), payment});
    relate(request.order, "told " + std::string(to_string(status)) + " (" + outcome.reason() + ")");
    note(static_cast<std::uint64_t>(status) * 2 + (outcome.succeeded() ? 1 : 0));
    note(static_cast<std::uint64_t>(request.order));
    if (status == Status::in_doubt) ++report_.told_in_doubt;
    if (status == Status::not_executed) ++report_.told_not_executed;
    if (status != Status::completed) return;
    if (outcome.declined()) {
      ++report_.told_declined;
      return;
    }
    ++report_.told_paid;
    const ShopProvider::Entry* charge = provider_.charge(outcome.response());
    if (!charge || charge->request.order != request.order)
      accuse(request.order, "was told that it is paid, and was not charged");
    else if (charge->request.amount != request.amount)
      accuse(request.order, "was shown the answer to another request");
  }

  // ---- the payment ----

  Text pay(const HostPtr& host, const Request& about, Attempt& attempt) {
    const std::uint64_t began = ++moment_;
    if (const auto record = host->opened->inner().find(attempt.key());
        !record || record->state != State::in_progress)
      accuse(about.order, "was run without a begin record");
    ++host->running[about.order];
    relate(about.order,
           "attempt " + std::to_string(attempt.number()) + " begins on host " + std::to_string(host->number));
    const struct Leave {
      Host& host;
      int order;
      ~Leave() {
        if (--host.running[order] == 0) host.running.erase(order);
      }
    } leave{*host, about.order};
    if (quiet_) return send(host, about, attempt, began, 0);
    bool woken = false;
    switch (below(50)) {
      case 0:  // the machine is suspended, or the scheduler has other things to do; nobody extends the lease
      case 1:
        if (depth_ >= 3) break;
        ++depth_;
        run_until(now() + between(1min, 50min));
        --depth_;
        relate(about.order, host->dead() ? "died while it was paused" : "wakes up");
        woken = !host->dead();
        if (woken) ++report_.woken_late;
        break;
      case 2: host->store.die(); break;
      case 3: clock_.advance(between(1s, 20s)); break;
      default: break;
    }
    if (host->dead()) throw std::runtime_error("nobody runs this any more");
    return send(host, about, attempt, began,
                woken ? 6 : 40);  // whoever wakes up late finds the network as it is
  }

  /// `odds`: of so many requests one is lost; 0: none.
  Text send(const HostPtr& host, const Request& about, Attempt& attempt, std::uint64_t began,
            std::uint64_t odds) {
    const MoneyRequest request{
        std::string(attempt.provider_key()), about.order, about.generation, about.amount, began, now()};
    if (provider_.down) return not_executed("connection refused");
    const std::uint64_t fate = odds == 0 ? 99 : below(odds);
    if (fate == 0) throw std::runtime_error("the request was lost");
    if (fate == 1 || fate == 2) {
      ++report_.held_up;
      const Duration longest = refuses_late() ? 2 * late : Duration(3h);
      in(between(1s, longest), [this, request] { arrive(request); });
      if (fate == 2) host->store.die();
      relate(about.order, fate == 2 ? "the request is held up, the host dies" : "the request is held up");
      throw std::runtime_error("timeout");
    }
    const ShopProvider::Reply reply = arrive(request);
    if (fate == 3 || fate == 4) {
      ++report_.lost_replies;
      throw std::runtime_error("the reply was lost");
    }
    if (fate == 5) {
      host->store.die();
      throw std::runtime_error("nobody runs this any more");
    }
    switch (reply.said) {
      case ShopProvider::Said::charged: return succeeded(reply.text);
      case ShopProvider::Said::declined: return declined(reply.text);
      case ShopProvider::Said::refused: break;
    }
    return declined(reply.text);
  }

  ShopProvider::Reply arrive(const MoneyRequest& request) {
    ShopProvider::Reply reply = provider_.carry_out(request, now());
    relate(request.order, "at the provider: " + reply.text);
    if (reply.said == ShopProvider::Said::refused) ++report_.refused_late;
    return reply;
  }

  // ---- recovery ----

  ProviderAnswer<std::string> look_up(const Doubt& doubt) {
    if (provider_.down) {
      if (options_.wrong == Wrong::outage_is_not_found) return ProviderAnswer<std::string>::not_found();
      throw std::runtime_error("the provider does not answer");
    }
    return provider_.answer(doubt.provider_key(), now());
  }

  /// On the recoverer's thread, while the simulation waits for it.
  Text ask(const Doubt& doubt) {
    Text said = ask_by_rule(doubt);
    relate(order_number(doubt.key),
           "recovery hears " + std::string(said.response_if() ? *said.response_if() : said.reason()));
    return said;
  }
  Text ask_by_rule(const Doubt& doubt) {
    const auto query =
        provider_query<std::string>(rule(), [this](const Doubt& about) { return look_up(about); });
    const Duration for_ever = Duration::max();
    using protocol::Holder;
    const auto as_if = [&](Duration seen_for, Holder holder) {
      return query(Doubt{doubt.key, doubt.record, seen_for, holder, doubt.round});
    };
    switch (options_.wrong) {
      case Wrong::releases_without_proof: {
        const auto all = provider_query<std::string>(NotFound::proves_not_executed_after(1ms),
                                                     [this](const Doubt& about) { return look_up(about); });
        return all(Doubt{doubt.key, doubt.record, for_ever, Holder::gone, doubt.round});
      }
      case Wrong::releases_while_holder_may_live: return as_if(doubt.seen_for, Holder::gone);
      case Wrong::releases_without_time: return as_if(for_ever, doubt.holder);
      case Wrong::counts_time_of_living_holders: {
        const auto first = first_seen_.emplace(doubt.record.attempt_id, now()).first->second;
        return as_if(now() - first, doubt.holder);
      }
      case Wrong::pending_is_paid: {
        Text said = query(doubt);
        return said.report() == Report::in_doubt ? Text(succeeded("pending")) : std::move(said);
      }
      default: return query(doubt);
    }
  }

  void recover(const HostPtr& host) {
    if (options_.wrong == Wrong::recovers_running_attempts) run_over_leases(host);
    const RecoveryReport round = host->recoverer.run();
    report_.recovered += round.succeeded + round.declined;
    report_.released += round.released;
    if (round.asked > 0) note(round.asked * 100 + round.in_doubt);
  }

  void run_over_leases(const HostPtr& host) {
    std::vector<IdempotencyKey> running;
    host->store.scan(ScanFilter{{State::in_progress}, {}, 1000, {}},
                     [&](const IdempotencyKey& key, const Record& record) {
                       if (!provider_.knows(provider_key(key, record.created_at))) running.push_back(key);
                       return true;
                     });
    for (const IdempotencyKey& key : running)
      host->guard.resolve(key, State::released, {}, {}, "recovery", "the provider does not know it");
  }

  void sweep_at(const HostPtr& host) {
    if (options_.wrong == Wrong::sweeps_by_wall_clock) {
      report_.swept += host->store.erase_expired(clock_.now(), 1000);
      return;
    }
    InstantTimer timer(clock_);
    Stop stop;
    const SweepReport swept = sweep(host->store, clock_, timer, host->watch, SweepOptions{}, stop);
    report_.swept += swept.erased;
    if (swept.paused_for_clock) ++report_.sweeps_put_off;
  }

  // ---- the operator ----

  /// Settles what has been in doubt for long, by the provider's books. What is not in them is cancelled there
  /// first, so that no request that comes later is carried out, and is final then.
  void operator_looks() {
    const HostPtr host = hosts_[below(hosts_.size())];
    if (!host || host->dead() || (provider_.down && options_.wrong != Wrong::operator_guesses)) return;
    try {
      settle_stuck(*host);
    } catch (const Error&) {  // the host died
    }
    bury(host);
  }

  void settle_stuck(Host& host) {
    std::vector<std::pair<IdempotencyKey, Record>> stuck;
    host.store.scan(ScanFilter{{State::in_doubt}, {}, 1000, {}},
                    [&](const IdempotencyKey& key, const Record& record) {
                      const auto seen = stuck_since_.emplace(record.attempt_id, now()).first->second;
                      if (now() - seen >= 1h) stuck.emplace_back(key, record);
                      return true;
                    });
    for (const auto& [key, record] : stuck) {
      try {
        resolve(host, key, record);
        ++report_.resolved;
      } catch (const Error&) {  // it was settled meanwhile, or the host died
      }
    }
  }

  void resolve(Host& host, const IdempotencyKey& key, const Record& record) {
    const std::string provider_key = paidonce::provider_key(key, record.created_at);
    const auto by = [&](Text said) {
      static_cast<void>(
          host.guard.resolve(key, std::move(said), "operator", "the provider's books", record.attempt_id));
    };
    if (options_.wrong == Wrong::operator_guesses) return by(not_executed("nobody complained"));
    if (const ShopProvider::Entry* charge = provider_.charge_under(provider_key))
      return by(succeeded(charge->receipt));
    if (provider_.was_cancelled(provider_key) || provider_.cancel(provider_key))
      return by(declined("cancelled"));
    by(declined("no funds"));
  }

  // ---- the end ----

  /// Everybody is restarted, and recovery goes on until it changes nothing any more. What it leaves is then
  /// what only a person can decide: the provider does not know it, and nothing proves that it never will.
  void settle_up() {
    for (HostPtr& host : hosts_) {
      if (host) host->store.die();
      host = nullptr;
    }
    backend_.crash(0);
    for (int number = 0; number < Backend::hosts; ++number) open_host(number);
    for (int round = 0; round < 12; ++round) {
      each_host([this](const HostPtr& host) { recover(host); });
      clock_.advance(20min);
    }
    Host& host = *hosts_.front();
    std::vector<std::pair<IdempotencyKey, Record>> left;
    host.store.scan(ScanFilter{{State::in_progress, State::in_doubt}, {}, 1'000'000, {}},
                    [&](const IdempotencyKey& key, const Record& record) {
                      left.emplace_back(key, record);
                      return true;
                    });
    for (const auto& [key, record] : left) {
      const bool unknown = !provider_.knows(paidonce::provider_key(key, record.created_at));
      if (record.state != State::in_doubt || !unknown || refuses_late())
        accuse(order_number(key), "is left unfinished, though nobody needs to decide on it");
      else
        resolve(host, key, record);
    }
    host.store.scan(ScanFilter{{}, {}, 1'000'000, {}}, [&](const IdempotencyKey& key, const Record& record) {
      final_.emplace(std::string(key.text()), record);
      return true;
    });
  }

  static constexpr FileFault::Does deaths_[] = {FileFault::Does::dies_before, FileFault::Does::dies_halfway,
                                                FileFault::Does::dies_within, FileFault::Does::dies_after};

  Backend backend_;
  std::vector<HostPtr> hosts_;
  std::map<std::uint64_t, typename Store::Death> holders_;  // by attempt
  std::map<std::uint64_t, Duration> first_seen_, stuck_since_;
  int depth_ = 0, wrong_clock_ = 0;
  bool out_of_service_ = false, quiet_ = false;
};

}  // namespace fault
