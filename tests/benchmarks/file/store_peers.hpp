#pragma once
// The file store: under the guard as an application uses it, alone, and by its callbacks from one thread.

#include <atomic>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"

namespace file_benchmark {

template <class Guard>
void pay(Guard& guard, const paidonce::Fingerprint& request, const paidonce::IdempotencyKey& key) {
  const auto outcome = guard.execute(key, request, [] { return response(); });
  if (!outcome.succeeded() || outcome.response().size() != response_size)
    throw std::runtime_error("a payment did not succeed");
}

class GuardPeer final : public Peer {
 public:
  explicit GuardPeer(const Setup& setup) : guard_(paidonce::FileStore(setup.directory / "store")) {}
  void pay(Lane& lane) override {
    const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
    lane.pay_one_by_one([&](std::uint64_t id) { file_benchmark::pay(guard_, request, key_of(id)); });
  }

 private:
  paidonce::IdempotencyGuard<paidonce::FileStore> guard_;
};

class StorePeer final : public Peer {
 public:
  explicit StorePeer(const Setup& setup) : store_(setup.directory / "store") {}
  void pay(Lane& lane) override {
    const paidonce::Record first = begun(), second = completed();
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(id);
      if (store_.insert(key, first) || !store_.replace(key, first.version, second))
        throw std::runtime_error("the store refused a payment");
    });
  }

 private:
  paidonce::FileStore store_;
};

/// Payments in flight: each goes on where the store says that a step is durable.
class PaymentsInFlight {
 public:
  /// `next` gives the record to begin with, the one to end with and the key, or nothing where no more are to
  /// begin; it is called by one thread at a time.
  struct Step {
    paidonce::IdempotencyKey key;
    const paidonce::Record* first;
    const paidonce::Record* second;
  };

  PaymentsInFlight(paidonce::FileStore& store, std::size_t in_flight) : store_(store), slots_(in_flight) {}

  /// Returns when the last one has ended. `begins()` gives the next step, or nothing; `ended(began)` hears of
  /// each.
  template <class Begins, class Ended>
  void run(Begins begins, Ended ended) {
    std::latch over(static_cast<std::ptrdiff_t>(slots_.size()));
    Pump<Begins, Ended> pump{*this, begins, ended, over};
    for (Slot& slot : slots_) pump.begin(slot);
    over.wait();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Slot {
    std::optional<Step> step;
    Clock::time_point began;
  };

  template <class Begins, class Ended>
  struct Pump {
    PaymentsInFlight& all;
    Begins& begins;
    Ended& ended;
    std::latch& over;

    void begin(Slot& slot) {
      {
        const std::scoped_lock hold(all.mutex_);  // the first ones begin while others end
        slot.step = all.failure_ ? std::nullopt : begins();
      }
      if (!slot.step) {
        over.count_down();
        return;
      }
      slot.began = Clock::now();
      all.store_.async_insert(slot.step->key, *slot.step->first,
                              [this, &slot](std::exception_ptr why, std::optional<paidonce::Record> there) {
                                if (why || there) return fail(slot, why);
                                complete(slot);
                              });
    }
    void complete(Slot& slot) {
      all.store_.async_replace(slot.step->key, slot.step->first->version, *slot.step->second,
                               [this, &slot](std::exception_ptr why, bool replaced) {
                                 if (why || !replaced) return fail(slot, why);
                                 {
                                   const std::scoped_lock hold(all.mutex_);
                                   ended(slot.began);
                                 }
                                 begin(slot);
                               });
    }
    void fail(Slot& slot, std::exception_ptr why) {
      const std::scoped_lock hold(all.mutex_);
      all.failure_ = why ? why : std::make_exception_ptr(std::runtime_error("the store refused a payment"));
      slot.step.reset();
      over.count_down();
    }
  };

  paidonce::FileStore& store_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

class StoreCallbackPeer final : public Peer {
 public:
  explicit StoreCallbackPeer(const Setup& setup)
      : store_(setup.directory / "store"), in_flight_(setup.width.in_flight) {}
  void pay(Lane& lane) override {
    const paidonce::Record first = begun(), second = completed();
    PaymentsInFlight payments(store_, in_flight_);
    payments.run(
        [&]() -> std::optional<PaymentsInFlight::Step> {
          if (!lane.goes_on(Clock::now())) return std::nullopt;
          return PaymentsInFlight::Step{key_of(lane.next_id()), &first, &second};
        },
        [&](Clock::time_point began) { lane.done(began, Clock::now()); });
  }

 private:
  paidonce::FileStore store_;
  const std::size_t in_flight_;
};

inline std::vector<Entry> store_entries() {
  return {
      {"guard", "the guard over a file store", false,
       [](const Setup& setup) { return std::make_unique<GuardPeer>(setup); }},
      {"store", "the file store alone: insert, replace", false,
       [](const Setup& setup) { return std::make_unique<StorePeer>(setup); }},
      {"callbacks", "the file store alone, by callbacks", true,
       [](const Setup& setup) { return std::make_unique<StoreCallbackPeer>(setup); }},
  };
}

}  // namespace file_benchmark
