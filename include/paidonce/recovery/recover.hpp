#pragma once
// Settles what was left unfinished: finds payments that are in doubt or abandoned, asks the provider what
// became of them, and has the guard complete them, release them or leave them in doubt.
//
//   scan what is unfinished → due? → guard.reconcile (lock, check, ask, update) → report
//
// It never runs a payment. All that it writes goes through the guard's own flow, by compare-and-swap and
// under the key's lock: so it may run beside payments and beside other recoverers, and a crash in its middle
// changes nothing that the next round would not find.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/key_digest.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/recovery/crew.hpp>
#include <paidonce/recovery/doubt.hpp>
#include <paidonce/recovery/open_doubts.hpp>
#include <paidonce/recovery/recovery_options.hpp>
#include <paidonce/recovery/recovery_report.hpp>
#include <paidonce/store.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// A recoverer. `ask` is `PaymentResult<R>(const Doubt&)`, with the R that the payments were made with; it is
/// called from several threads at a time and says `in_doubt` unless it has proof. Whatever it throws leaves
/// its payment in doubt; when it hangs, it delays that payment alone. The guard outlives the recoverer.
/// Neither copyable nor movable.
///
/// What it remembers between rounds (how often it asked, since when it has known a doubt) is in memory, and
/// begins anew with the process.
template <class Guard, class Ask, Timer T = SteadyTimer>
class Recovery {
  using Store = std::remove_reference_t<decltype(std::declval<Guard&>().store())>;
  static_assert(ScannableStore<Store>, "paidonce: recovery needs a store with scan(ScanFilter, visitor)");

 public:
  using R = typename detail::Asks<Ask>::R;

  /// Throws `Error{invalid_options}`.
  Recovery(Guard& guard, Ask ask, RecoveryOptions options = {}, T timer = T())
      : guard_(guard),
        ask_(std::move(ask)),
        options_(detail::checked(options)),
        timer_(std::move(timer)),
        doubts_(options_.backoff, options_.rounds),
        random_(static_cast<std::minstd_rand::result_type>(detail::random_u64())),
        crew_({options_.concurrency, options_.most_hanging, options_.answer_within}, timer_) {}
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  /// Waits for all calls of `ask`, hanging ones too: give them timeouts of their own.
  ~Recovery() { stop(); }

  /// One round, until all that was due has been asked about, the deadline, or a stop. One at a time. What the
  /// store throws is in the report.
  RecoveryReport run() { return run(stop_); }
  /// The same, which this `stop` ends, and none but this.
  RecoveryReport run(Stop& stop);

  /// Ends a `run()` that runs, and all to come, at once; what is being asked about goes on. Any thread may
  /// call it.
  void stop() noexcept { stop_.request(); }

 private:
  using Due = detail::OpenDoubts::Due;

  enum class Counts : std::uint8_t { no, yes };
  bool look(Counts counts, std::string after, Duration until, Stop& stop);
  bool ask_about(const IdempotencyKey& key, Duration until, Stop& stop);
  void meet(const IdempotencyKey& key, const Record& record, Counts counts, std::vector<IdempotencyKey>& due);
  bool holder_is_gone(const IdempotencyKey& key, const Record& record);
  void settle(const IdempotencyKey& key) noexcept;
  enum class Provider : std::uint8_t { not_asked, is_unsure, is_sure };
  void tell(const IdempotencyKey& key, const Outcome<R>& outcome, Provider provider);
  void fail(const IdempotencyKey& key, const std::exception& failure);
  void put_off(const IdempotencyKey& key, Counts a_round);
  void left_in_doubt(Alert::Edge edge, const IdempotencyKey& key);
  RecoveryReport end_round(Duration began, bool all_met, bool all_answered);
  void tell_progress();
  void send_alerts();

  Guard& guard_;
  const Ask ask_;
  const RecoveryOptions options_;
  T timer_;
  Stop stop_;
  std::string reached_ = {};  // where the last round was cut short: behind this key; the round's own
  std::mutex mutex_;          // over what follows, up to the crew
  detail::OpenDoubts doubts_;
  std::minstd_rand random_;
  RecoveryReport report_ = {};
  std::vector<IdempotencyKey> unanswered_;  // since the last round ended
  std::vector<Alert> alerts_;               // not sent yet
  bool answered_ = false;                   // some call, since then
  bool does_not_answer_ = false;            // an alert says so
  bool hopeless_ = false;                   // the store, or the guard, takes nothing any more
  detail::Crew<T> crew_;                    // last: its threads use all of the above
};

/// One round of a recoverer that remembers nothing: what it cannot settle stays for the next one.
template <class Guard, class Ask>
RecoveryReport recover(Guard& guard, Ask ask, RecoveryOptions options = {}) {
  return Recovery<Guard, Ask>(guard, std::move(ask), std::move(options)).run();
}

template <class Guard, class Ask, Timer T>
RecoveryReport Recovery<Guard, Ask, T>::run(Stop& stop) {
  const Duration began = timer_.elapsed();
  const Duration until = saturating_add(Timestamp(began), options_.deadline).time_since_epoch();
  {
    std::lock_guard lock(mutex_);
    doubts_.begin_round();
    hopeless_ = false;
  }
  bool all_met = false;
  try {
    // Those that the last round did not come to are first: slow answers about some delay the others by a
    // round.
    all_met =
        (reached_.empty() || look(Counts::no, reached_, until, stop)) && look(Counts::yes, {}, until, stop);
    if (all_met) reached_.clear();
  } catch (const detail::ForcedUnwind&) {
    throw;
  } catch (const std::exception& failure) {
    std::lock_guard lock(mutex_);
    report_.failure = failure.what();
  } catch (...) {
    std::lock_guard lock(mutex_);
    report_.failure = "the scan threw something that is no std::exception";
  }
  const bool all_answered = crew_.settle(until, stop);
  return end_round(began, all_met, all_answered);
}

/// Goes through what is unfinished behind a key, page by page, and has what is due asked about. False: the
/// round ended before all was met.
template <class Guard, class Ask, Timer T>
bool Recovery<Guard, Ask, T>::look(Counts counts, std::string after, Duration until, Stop& stop) {
  ScanFilter filter{{State::in_progress, State::in_doubt}, {}, options_.batch, std::move(after)};
  std::vector<IdempotencyKey> due;
  for (std::size_t met = options_.batch; met == options_.batch;) {
    if (stop.requested() || timer_.elapsed() >= until) return false;
    met = 0;
    due.clear();
    std::string last;
    guard_.store().scan(filter, [&](const IdempotencyKey& key, const Record& record) {
      ++met;
      last = key.bytes();
      meet(key, record, counts, due);
      return true;
    });
    filter.after = std::move(last);
    for (const IdempotencyKey& key : due) {
      if (!ask_about(key, until, stop)) return false;
      reached_ = key.bytes();
      tell_progress();
    }
  }
  return true;
}

/// Hands a payment to whoever is free. False: there was nobody before the round ended.
template <class Guard, class Ask, Timer T>
bool Recovery<Guard, Ask, T>::ask_about(const IdempotencyKey& key, Duration until, Stop& stop) {
  {
    std::lock_guard lock(mutex_);
    if (hopeless_) return false;
    doubts_.begin_asking(key);
  }
  bool given = false;
  try {
    given = crew_.give([this, key] { settle(key); }, until, stop);
  } catch (...) {  // no thread, or no memory: another round comes to it
    std::lock_guard lock(mutex_);
    doubts_.free(key);
    throw;
  }
  std::lock_guard lock(mutex_);
  if (given)
    ++report_.asked;
  else
    doubts_.free(key);
  return given;
}

template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::meet(const IdempotencyKey& key, const Record& record, Counts counts,
                                   std::vector<IdempotencyKey>& due) {
  if (options_.only && !options_.only(key, record)) return;
  const bool running = record.state == State::in_progress && guard_.clock().now() < record.lease_until &&
                       !holder_is_gone(key, record);
  const std::size_t one = counts == Counts::yes ? 1 : 0;
  std::lock_guard lock(mutex_);
  report_.seen += one;
  if (running) {
    report_.running += one;
    return doubts_.meet_running(key);
  }
  switch (doubts_.meet(key, record, timer_.elapsed())) {
    case Due::now: due.push_back(key); break;
    case Due::later: report_.not_due += one; break;
    case Due::left_to_person: report_.left_to_person += one; break;
    case Due::being_asked: break;  // counted where the round ends
  }
}

/// Only proof counts: a store that throws has none.
template <class Guard, class Ask, Timer T>
bool Recovery<Guard, Ask, T>::holder_is_gone(const IdempotencyKey& key, const Record& record) {
  if constexpr (HolderAwareStore<Store>) {
    try {
      if (guard_.store().holder_gone(key, record)) return true;
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }
  return false;
}

/// One payment, on a thread of the crew.
template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::settle(const IdempotencyKey& key) noexcept {
  Provider provider = Provider::not_asked;
  const auto ask = [&](const Record& record) -> PaymentResult<R> {
    const bool dead =
        holder_is_gone(key, record) || (options_.holder_dead && options_.holder_dead(key, record));
    const protocol::Holder holder = dead ? protocol::Holder::gone : protocol::Holder::may_live;
    std::unique_lock lock(mutex_);
    const detail::OpenDoubts::Sight sight = doubts_.sight(key, record, holder, timer_.elapsed());
    lock.unlock();
    const Doubt doubt{key, record, sight.seen_for, holder, sight.round};
    provider = Provider::not_asked;  // it may be asked again, where somebody else wrote meanwhile
    PaymentResult<R> said = ask_(doubt);
    provider = said.report() == Report::in_doubt ? Provider::is_unsure : Provider::is_sure;
    return said;
  };
  try {
    try {
      const Outcome<R> outcome = guard_.template reconcile<R>(key, ask);
      tell(key, outcome, provider);
    } catch (const std::exception& failure) {
      fail(key, failure);
    } catch (...) {
      fail(key, std::runtime_error("the store, the lock or the clock threw what is no std::exception"));
    }
  } catch (...) {  // there is no memory even to say so
    std::lock_guard lock(mutex_);
    ++report_.failed;
    doubts_.free(key);
  }
}

template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::tell(const IdempotencyKey& key, const Outcome<R>& outcome, Provider provider) {
  std::lock_guard lock(mutex_);
  if (provider != Provider::not_asked) answered_ = true;
  if (outcome.status() == Status::in_doubt) {
    if (provider == Provider::not_asked) {
      ++report_.unanswered;
      put_off(key, Counts::no);
      unanswered_.push_back(key);
    } else if (provider == Provider::is_sure) {  // and that could not be recorded
      ++report_.failed;
      report_.failure = outcome.reason();
      put_off(key, Counts::no);
    } else {
      ++report_.in_doubt;
      put_off(key, Counts::yes);
    }
    report_.reason = outcome.reason();
    return;
  }
  if (outcome.status() == Status::completed && !outcome.replayed()) {
    ++(outcome.succeeded() ? report_.succeeded : report_.declined);
  } else if (outcome.status() == Status::not_executed && provider == Provider::is_sure) {
    ++report_.released;
  } else {
    ++report_.settled_elsewhere;
  }
  doubts_.free(key);
}

/// The guard threw: nothing was settled by this call.
template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::fail(const IdempotencyKey& key, const std::exception& failure) {
  std::lock_guard lock(mutex_);
  const auto* error = dynamic_cast<const Error*>(&failure);
  const std::error_code code = error ? error->code() : std::error_code();
  if (code == errc::wrong_state || code == errc::unsupported_format) {  // it is gone, or completed
    ++report_.settled_elsewhere;
    return doubts_.free(key);
  }
  hopeless_ = hopeless_ || code == errc::shutting_down || code == errc::store_poisoned ||
              code == errc::store_forked || code == errc::store_replaced || code == errc::store_corrupt;
  ++report_.failed;
  report_.failure = failure.what();
  put_off(key, Counts::no);
}

/// Under the lock.
template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::put_off(const IdempotencyKey& key, Counts a_round) {
  doubts_.put_off(key, timer_.elapsed(), random_);
  if (a_round == Counts::yes && doubts_.count_round(key)) left_in_doubt(Alert::Edge::raised, key);
}

template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::left_in_doubt(Alert::Edge edge, const IdempotencyKey& key) {
  const std::string text = edge == Alert::Edge::raised
                               ? "a payment is still in doubt after " + std::to_string(options_.rounds) +
                                     " answers of its provider: a person has to resolve it"
                               : "a payment that had been left to a person is settled";
  alerts_.push_back({"left_in_doubt", edge, text, key_digest(key), guard_.clock().now()});
}

template <class Guard, class Ask, Timer T>
RecoveryReport Recovery<Guard, Ask, T>::end_round(Duration began, bool all_met, bool all_answered) {
  std::unique_lock lock(mutex_);
  if (answered_)  // the provider is there, and these calls in particular fail
    for (const IdempotencyKey& key : unanswered_)
      if (doubts_.count_round(key)) left_in_doubt(Alert::Edge::raised, key);
  if (all_met)
    for (const std::string& bytes : doubts_.end_round())
      left_in_doubt(Alert::Edge::cleared, IdempotencyKey::from_bytes(bytes));
  const bool silent = !answered_ && (!unanswered_.empty() || crew_.any_late_since(began));
  if (does_not_answer_ ? answered_ : silent) {
    does_not_answer_ = !does_not_answer_;
    alerts_.push_back({"provider_does_not_answer",
                       does_not_answer_ ? Alert::Edge::raised : Alert::Edge::cleared,
                       does_not_answer_
                           ? "no call that asks the provider about payments in doubt was answered"
                           : "the provider answers again about payments in doubt",
                       {},
                       guard_.clock().now()});
  }
  unanswered_.clear();
  answered_ = false;
  RecoveryReport report = std::exchange(report_, {});
  report.hanging = crew_.unfinished();
  report.finished = all_met && all_answered;
  lock.unlock();
  send_alerts();
  if (options_.progress) options_.progress(report);
  return report;
}

template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::tell_progress() {
  send_alerts();
  if (!options_.progress) return;
  std::unique_lock lock(mutex_);
  const RecoveryReport report = report_;
  lock.unlock();
  options_.progress(report);
}

template <class Guard, class Ask, Timer T>
void Recovery<Guard, Ask, T>::send_alerts() {
  std::unique_lock lock(mutex_);
  const std::vector<Alert> alerts = std::exchange(alerts_, {});
  lock.unlock();
  if (!options_.alert) return;
  for (const Alert& alert : alerts) {
    try {
      options_.alert(alert);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }
}

}  // namespace paidonce::inline v1
