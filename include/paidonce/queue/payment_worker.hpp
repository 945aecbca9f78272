#pragma once
// Makes the payments that a queue asks for: takes a message, pays through the guard, and lets the broker
// forget the message once the payment is completed, no earlier.
//
// A broker delivers at least once: after a crash, a lost acknowledgement, a slow consumer. The guard makes of
// that one payment for each key; a message that comes again is answered from the record, and acknowledged.
// What becomes of a message: payment_worker/decide.hpp.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/attempt.hpp>
#include <paidonce/clock.hpp>
#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/no_reconcile.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/execute_many/batch_threads.hpp>
#include <paidonce/key.hpp>
#include <paidonce/options.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/queue/message_source.hpp>
#include <paidonce/queue/payment_worker/decide.hpp>
#include <paidonce/queue/payment_worker/options.hpp>
#include <paidonce/queue/payment_worker/parts.hpp>
#include <paidonce/queue/payment_worker/standing_alert.hpp>
#include <paidonce/queue/payment_worker/tally.hpp>
#include <paidonce/record.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// Pays what `source` asks for, on several threads, until it is stopped.
///
/// | callable                      | called as                                         | returns                |
/// | ----------------------------- | ------------------------------------------------- | ---------------------- |
/// | `read`                        | `(const Message&)`                                | `PaymentRequest<T>`    |
/// | `pay`                         | `(Attempt&, const T&)`                            | as a guard's callable  |
/// | `reconcile`, which may be left| `(const Record&, const PaymentRequest<T>&)`       | `PaymentResult<R>`     |
/// | out                           |                                                   |                        |
///
/// All three are called by several threads at once. What `read` throws makes the message a dead letter,
/// unless it is a `retryable` Error; `pay` and `reconcile` are the guard's.
///
/// Guard and source are referred to and outlive the worker; timer and clock are moved in, and the clock only
/// dates alerts. A consumer of a source that holds messages back for their retry (in doubt, for one) has room
/// for that many and more: its bound is above the payments that may be in doubt at a time.
template <class Guard, class Source, class Read, class Pay, class Reconcile = detail::NoReconcile,
          Timer T = SteadyTimer, Clock C = SystemClock>
class PaymentWorker {
  using Fits = detail::WorkerParts<Source, Read, Pay, Reconcile>;
  static_assert(Fits::fit || true);  // says what does not

 public:
  using Request = typename Fits::Request;

  /// Throws `Error{invalid_options}`.
  PaymentWorker(Guard& guard, Source& source, Read read, Pay pay, PaymentWorkerOptions options = {},
                T timer = T(), C clock = C()) requires std::is_same_v<Reconcile, detail::NoReconcile>
      : PaymentWorker(Parts{}, guard, source, std::move(read), std::move(pay), {}, options, std::move(timer),
                      std::move(clock)) {}
  PaymentWorker(Guard& guard, Source& source, Read read, Pay pay, Reconcile reconcile,
                PaymentWorkerOptions options = {}, T timer = T(),
                C clock = C()) requires(!std::is_same_v<Reconcile, detail::NoReconcile> &&
                                        !std::is_convertible_v<Reconcile, PaymentWorkerOptions>)
      : PaymentWorker(Parts{}, guard, source, std::move(read), std::move(pay), std::move(reconcile), options,
                      std::move(timer), std::move(clock)) {}
  // Guard and source outlive the worker: give them names.
  PaymentWorker(const Guard&& temporary_guard, const Source&, Read, Pay, PaymentWorkerOptions = {}) = delete;
  PaymentWorker(Guard&, const Source&& temporary_source, Read, Pay, PaymentWorkerOptions = {}) = delete;
  PaymentWorker(const PaymentWorker&) = delete;
  PaymentWorker& operator=(const PaymentWorker&) = delete;

  /// Works on this thread and `threads - 1` others until `stop` is requested, or the guard was shut down.
  /// Then nothing is begun; callables that run are finished and their messages settled; what was handed out
  /// and not begun is given back. A callable that hangs holds this up: give the provider's client a timeout.
  /// Throws nothing.
  void run(Stop& stop) {
    if constexpr (Fits::fit) run_until(stop);  // else the reason was told
  }

  /// Any thread, any time.
  PaymentWorkerStats stats() const noexcept { return tally_.stats(); }

 private:
  using Stats = PaymentWorkerStats;
  using Happened = detail::Happened;
  using Settle = detail::Settle;
  struct Parts {};
  struct Shift {
    PaymentWorker& worker;
    Stop& stop;
  };
  /// A thread's own: what pauses are drawn from, and the failures in a row that it has met, of each kind.
  struct Mine {
    std::minstd_rand random;
    std::uint32_t receiving = 0, settling = 0, outages = 0;
  };

  void run_until(Stop& stop) {
    Shift shift{*this, stop};
    const BatchOptions options{.concurrency = options_.threads, .progress = {}, .stop = &stop};
    detail::BatchThreads threads(options, options_.threads, {&shift, [](void* context, std::size_t) {
                                                               Shift& mine = *static_cast<Shift*>(context);
                                                               mine.worker.live(mine.stop);
                                                             }});
    threads.run();
  }

  PaymentWorker(Parts, Guard& guard, Source& source, Read&& read, Pay&& pay, Reconcile&& reconcile,
                const PaymentWorkerOptions& options, T&& timer, C&& clock)
      : guard_(guard),
        source_(source),
        read_(std::move(read)),
        pay_(std::move(pay)),
        reconcile_(std::move(reconcile)),
        options_(detail::checked(options)),
        timer_(std::move(timer)),
        clock_(std::move(clock)) {}

  void live(Stop& stop) {
    Mine mine{random_for(threads_.fetch_add(1))};
    while (!stop.requested() && !ended_.load(std::memory_order_relaxed)) {
      if (dead_letters_.stands()) clear_old_dead_letters();
      std::optional<Message> message = receive(stop, mine);
      if (!message) continue;
      tally_.add(&Stats::received);
      const detail::Decision decision = handle(*message, stop, mine);
      settle(*message, decision, stop, mine);
      if (decision.then == detail::Then::ends) ended_.store(true, std::memory_order_relaxed);
      if (decision.then == detail::Then::pauses) pause(timer_, decision.pause, stop);
    }
  }

  std::optional<Message> receive(Stop& stop, Mine& mine) {
    std::optional<Message> message;
    if (!ask_broker(mine.receiving, mine, stop, [&] { message = source_.receive(options_.poll, stop); }))
      return std::nullopt;
    // Nothing else tells that it was reached: settling may be sent later, a stop ends a receive at once.
    if (!stop.requested()) broker_.clear(clock_, "the queue's broker answers again");
    return message;
  }

  void settle(Message& message, const detail::Decision& decision, Stop& stop, Mine& mine) {
    if (decision.counts == detail::Counts::no && message.deliveries > 0) --message.deliveries;
    const bool told = ask_broker(mine.settling, mine, stop, [&] {
      switch (decision.settle) {
        case Settle::run:
        case Settle::ack: return source_.ack(message);
        case Settle::retry: return source_.retry_later(message, decision.pause);
        case Settle::give_back: return source_.retry_later(message, Duration(0));
        case Settle::dead_letter: return source_.dead_letter(message, decision.reason);
      }
    });
    if (!told) return tally_.add(&Stats::unsettled);
    if (decision.settle == Settle::give_back) tally_.add(&Stats::given_back);
    if (decision.settle == Settle::dead_letter) tell_dead_letter(message, decision.reason);
  }

  /// False: it threw; then the thread has paused.
  template <class Ask>
  bool ask_broker(std::uint32_t& in_row, Mine& mine, Stop& stop, Ask&& ask) {
    try {
      ask();
      in_row = 0;
      return true;
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (const Error& failure) {
      broker_failed(++in_row, failure.what());
    } catch (...) {
      broker_failed(++in_row, unknown);
    }
    pause(timer_, pause_after(options_.outage, in_row, Duration(0), mine.random), stop);
    return false;
  }

  [[gnu::cold]] void broker_failed(std::uint32_t in_row, const char* why) {
    tally_.add(&Stats::broker_errors);
    if (in_row >= options_.alert_after) broker_.raise(clock_, {"calls to the queue fail: ", why});
  }

  detail::Decision handle(Message& message, Stop& stop, Mine& mine) {
    Duration retry_after{0};
    const auto decide = [&](Happened what) {
      return detail::decide(what, {message.deliveries, retry_after, mine.outages}, options_, mine.random);
    };
    if (stop.requested()) return decide(Happened::stopped);
    if (const detail::Decision first = decide(Happened::handed_out); first.settle != Settle::run)
      return first;
    Happened what = Happened::undecodable;
    try {
      const Request request = read_(std::as_const(message));
      what = Happened::wrong_options;
      guard_.check(request.options);
      what = Happened::store_broken;
      const auto outcome = execute(request);
      what = detail::happened(outcome.status());
      retry_after = outcome.retry_after();
      mine.outages = 0;
      store_.clear(clock_, "the store of the payments works again");
      count(request.key, outcome);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (const Error& error) {
      if (what == Happened::store_broken || retryable(error)) what = detail::happened(error);
      store_failed(what, mine, error.what());
    } catch (const std::bad_alloc&) {
      store_failed(what = Happened::store_down, mine, "there is no memory");
    } catch (...) {
      store_failed(what, mine, unknown);
    }
    const detail::Decision decision = decide(what);
    if (decision.settle == Settle::retry && what != Happened::in_doubt) tally_.add(&Stats::retried);
    return decision;
  }

  [[gnu::cold]] void store_failed(Happened what, Mine& mine, const char* why) {
    if (what != Happened::store_down && what != Happened::store_broken) return;
    tally_.add(&Stats::store_errors);
    if (++mine.outages >= options_.alert_after || what == Happened::store_broken)
      store_.raise(clock_, {"the store of the payments fails: ", why});
  }

  auto execute(const Request& request) {
    const auto pay = [&](Attempt& attempt) -> decltype(auto) { return pay_(attempt, request.value); };
    if constexpr (std::is_same_v<Reconcile, detail::NoReconcile>) {
      return guard_.execute(request.key, request.fingerprint, pay, request.options);
    } else {
      const auto ask = [&](const Record& record) { return reconcile_(record, request); };
      return guard_.execute(request.key, request.fingerprint, pay, ask, request.options);
    }
  }

  template <class R>
  void count(const IdempotencyKey& key, const Outcome<R>& outcome) {
    if (outcome.status() == Status::in_doubt) {
      tally_.add(&Stats::in_doubt);
      return tell_doubt(key, outcome.reason());
    }
    if (doubts_told_.load(std::memory_order_relaxed) > 0) forget_doubt(key);
    if (outcome.status() != Status::completed) return;
    tally_.add(&Stats::completed);
    if (outcome.declined()) tally_.add(&Stats::declined);
    if (outcome.replayed()) tally_.add(&Stats::replayed);
  }

  [[gnu::cold]] void tell_doubt(const IdempotencyKey& key, const std::string& reason) {
    if (!options_.on_doubt) return;
    {
      const std::lock_guard lock(doubts_mutex_);
      if (doubts_.size() >= most_doubts) doubts_.clear();
      if (!doubts_.emplace(key.bytes()).second) return;
      doubts_told_.store(doubts_.size(), std::memory_order_relaxed);
    }
    try {
      options_.on_doubt(key, reason);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }

  [[gnu::cold]] void forget_doubt(const IdempotencyKey& key) {
    const std::lock_guard lock(doubts_mutex_);
    doubts_.erase(std::string(key.bytes()));  // without memory: the message comes again, and is replayed
    doubts_told_.store(doubts_.size(), std::memory_order_relaxed);
  }

  [[gnu::cold]] void tell_dead_letter(const Message& message, std::string_view reason) {
    tally_.add(&Stats::dead_letters);
    last_dead_letter_.store(timer_.elapsed().count(), std::memory_order_relaxed);
    const bool unknown_fate = reason == "too_many_deliveries";
    dead_letters_.raise(clock_,
                        {"message ", message.id, " was set aside: ", reason,
                         unknown_fate ? "; if its payment was begun, recovery settles its record" : ""});
  }

  [[gnu::cold]] void clear_old_dead_letters() {
    const Duration last(last_dead_letter_.load(std::memory_order_relaxed));
    if (timer_.elapsed() - last >= options_.dead_letters_stand)
      dead_letters_.clear(clock_, "no message was set aside for a while");
  }

  std::minstd_rand random_for(std::uint32_t thread) const { return std::minstd_rand(seed_ + thread); }

  /// Words of the library's own errors carry nothing of anybody's; what else is thrown may.
  static constexpr const char* unknown = "what was thrown is no Error of the library";
  static constexpr std::size_t most_doubts = 4096;

  Guard& guard_;
  Source& source_;
  Read read_;
  Pay pay_;
  [[no_unique_address]] Reconcile reconcile_;
  const PaymentWorkerOptions options_;
  T timer_;
  C clock_;
  detail::WorkerTally tally_;
  const std::uint32_t seed_ =
      options_.seed ? *options_.seed : static_cast<std::uint32_t>(detail::random_u64());
  std::atomic<std::uint32_t> threads_{0};  // that were started so far
  std::atomic<bool> ended_{false};
  std::mutex sinks_;
  detail::StandingAlert broker_{options_.alert, sinks_, "queue_out_of_reach"};
  detail::StandingAlert store_{options_.alert, sinks_, "queue_store_failing"};
  detail::StandingAlert dead_letters_{options_.alert, sinks_, "queue_dead_letter"};
  std::atomic<Duration::rep> last_dead_letter_{0};
  std::mutex doubts_mutex_;
  std::set<std::string> doubts_;  // that were told
  std::atomic<std::size_t> doubts_told_{0};
};

}  // namespace paidonce::inline v1
