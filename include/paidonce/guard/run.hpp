#pragma once
// The guard's loop: it does what the flow asks for and tells it how that went. Part of guard.hpp; its
// functions are neither inline nor per callable, so that a program can compile them once by `extern
// template`.

#include <paidonce/guard.hpp>

namespace paidonce::inline v1 {

/// One call on its way through the flow.
template <Store S, Lock L, Clock C, Observer O>
class IdempotencyGuard<S, L, C, O>::OneCall {
 public:
  OneCall(IdempotencyGuard& guard, const Call& call, const detail::Timing& timing)
      : guard_(guard), call_(call), terms_(guard.terms_of(call, timing)), payment_(terms_) {
    if (timing.wait.count() > 0) deadline_ = after(timing.wait);
  }

  /// For a flow that was driven elsewhere and only has to be answered.
  OneCall(IdempotencyGuard& guard, const Call& call, const flow::Terms& terms, flow::Payment&& payment,
          const events::Times& times, detail::BootTime began_recording)
      : guard_(guard),
        call_(call),
        terms_(terms),
        payment_(std::move(payment)),
        began_recording_(began_recording),
        times_(times) {}

  detail::Answer run();
  detail::Answer end();

 private:
  using Hold = typename std::remove_reference_t<L>::Hold;
  using Steady = std::chrono::steady_clock;
  /// Where the lock's hold is; nothing of a lock that knows of no loss.
  struct Nowhere {};
  using Held = std::conditional_t<LossAwareLock<L>, const std::optional<Hold>*, Nowhere>;
  class RunningAttempt;

  void find();
  std::optional<Record> look();
  std::optional<Hold> lock();
  [[gnu::cold]] std::optional<Hold> wait_for_lock();
  void insert();
  void replace();
  [[gnu::cold]] void wait();
  void pay();

  [[gnu::cold]] void store_failed(events::StoreCall what) {
    const std::exception_ptr failure = std::current_exception();
    guard_.observer_.on(events::StoreFailed{call_.key, what});
    payment_.failed(failure, now());
  }

  Timestamp now() { return guard_.clock_.now(); }
  /// After a payment even a clock that throws must not lose the result.
  Timestamp now_after_payment() noexcept {
    try {
      return now();
    } catch (...) {
      return payment_.record().updated_at;
    }
  }
  Timestamp now_if_needed(bool needed) { return needed || payment_.minds_time() ? now() : Timestamp{}; }

  static Steady::time_point after(Duration wait) {
    constexpr Duration longest = std::chrono::hours(24 * 365);
    return Steady::now() + (wait < longest ? wait : longest);
  }

  /// Only proof counts: a store that has none, or throws, says that the holder may live. Nobody asks of an
  /// attempt of their own.
  protocol::Holder holder_of(const std::optional<Record>& record) {
    if constexpr (HolderAwareStore<std::remove_reference_t<S>>) {
      if (payment_.began() || !record || record->state != State::in_progress)
        return protocol::Holder::may_live;
      try {
        if (guard_.store_.holder_gone(call_.key, *record)) return protocol::Holder::gone;
      } catch (const detail::ForcedUnwind&) {
        throw;
      } catch (...) {
        guard_.observer_.on(events::StoreFailed{call_.key, events::StoreCall::find});
      }
    }
    return protocol::Holder::may_live;
  }

  IdempotencyGuard& guard_;
  const Call& call_;
  const flow::Terms terms_;
  flow::Payment payment_;
  Steady::time_point deadline_{};
  Duration waited_{0};
  detail::BootTime began_writing_ = 0, began_recording_ = 0;
  events::Times times_ = {};  // these, and what began recording, only where the observer measures time
  Version fence_ = 0;         // of the attempt that this call ran
  [[no_unique_address]] Held hold_ = {};
};

template <Store S, Lock L, Clock C, Observer O>
detail::Answer IdempotencyGuard<S, L, C, O>::run(const Call& call) {
  const CallOptions* own = call.options;
  const bool own_timing = own && (own->lease || own->retention || own->wait);
  const detail::Timing timing = own_timing ? detail::Timing::of(options_, *own) : timing_;
  refuse_when_shutting_down();
  const detail::CallChain chain(this, call.key);
  if (options_.heartbeat && call.purpose == flow::Purpose::pay) heartbeats_.start();
  return OneCall(*this, call, timing).run();
}

template <Store S, Lock L, Clock C, Observer O>
detail::Answer IdempotencyGuard<S, L, C, O>::OneCall::run() {
  std::optional<Hold> hold;
  if constexpr (LossAwareLock<L>) hold_ = &hold;
  for (;;) {
    try {
      switch (payment_.ask()) {
        case flow::Ask::find: find(); break;
        case flow::Ask::lock:
          hold = lock();
          payment_.locked(hold ? flow::Obtained::yes : flow::Obtained::no, now());
          break;
        case flow::Ask::insert: insert(); break;
        case flow::Ask::replace: replace(); break;
        case flow::Ask::admit: {
          std::optional<std::string> refusal = call_.options->refuse_if();
          payment_.admitted(std::move(refusal), now());
          break;
        }
        case flow::Ask::wait: wait(); break;
        case flow::Ask::pay: pay(); break;
        case flow::Ask::reconcile:
          detail::ask_provider(call_.inquiry, payment_.record(), payment_.to_be_said());
          payment_.reconciled(now());
          break;
        case flow::Ask::done: return end();
      }
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      if (!payment_.began()) throw;
      payment_.broke_off();
    }
  }
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::OneCall::find() {
  std::optional<Record> there;
  try {
    there = look();
  } catch (const detail::ForcedUnwind&) {
    throw;
  } catch (...) {
    return store_failed(events::StoreCall::find);
  }
  const protocol::Holder holder = holder_of(there);
  const Timestamp time = now_if_needed(there.has_value());
  payment_.found(std::move(there), time, holder);
}

/// What a store knows by itself is asked once, before the lock; what it does not know, the insert tells.
template <Store S, Lock L, Clock C, Observer O>
std::optional<Record> IdempotencyGuard<S, L, C, O>::OneCall::look() {
  if constexpr (detail::asks_nobody_first<S>())
    if (payment_.looks_before_lock()) return guard_.store_.find_here(call_.key, *terms_.fingerprint);
  return guard_.store_.find(call_.key);
}

template <Store S, Lock L, Clock C, Observer O>
auto IdempotencyGuard<S, L, C, O>::OneCall::lock() -> std::optional<Hold> {
  std::optional<Hold> hold = guard_.lock_.acquire(call_.key, Duration(0));
  if (hold || terms_.wait.count() == 0) return hold;
  return wait_for_lock();
}

template <Store S, Lock L, Clock C, Observer O>
auto IdempotencyGuard<S, L, C, O>::OneCall::wait_for_lock() -> std::optional<Hold> {
  std::optional<Hold> hold;
  const auto since = Steady::now();
  for (auto left = deadline_ - since; !hold && left.count() > 0; left = deadline_ - Steady::now()) {
    guard_.refuse_when_shutting_down();
    auto wait = std::chrono::ceil<Duration>(left);
    if constexpr (InterruptibleLock<std::remove_reference_t<L>>) {
      hold = guard_.lock_.acquire(call_.key, wait);
      break;  // where it is still held, time is up or the waits were ended
    } else {
      constexpr Duration look_up(50);  // whether a shutdown has come meanwhile
      hold = guard_.lock_.acquire(call_.key, wait < look_up ? wait : look_up);
    }
  }
  waited_ += std::chrono::duration_cast<Duration>(Steady::now() - since);
  if (!hold) guard_.refuse_when_shutting_down();
  return hold;
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::OneCall::insert() {
  if (!payment_.repeating()) began_writing_ = detail::boot_now();
  std::optional<Record> existing;
  try {
    existing = guard_.store_.insert(call_.key, payment_.record());
  } catch (const detail::ForcedUnwind&) {
    throw;
  } catch (...) {
    return store_failed(events::StoreCall::insert);
  }
  const protocol::Holder holder = holder_of(existing);
  const Timestamp time = now_if_needed(existing.has_value());
  payment_.inserted(std::move(existing), time, holder);
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::OneCall::replace() {
  if (!payment_.began() && !payment_.repeating()) began_writing_ = detail::boot_now();
  bool stored = false;
  try {
    stored = guard_.store_.replace(call_.key, payment_.expected(), payment_.record());
  } catch (const detail::ForcedUnwind&) {
    throw;
  } catch (...) {
    return store_failed(events::StoreCall::replace);
  }
  payment_.replaced(stored, now_if_needed(false));
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::OneCall::wait() {
  const auto since = Steady::now();
  const auto until = since + payment_.pause() < deadline_ ? since + payment_.pause() : deadline_;
  {
    std::unique_lock lock(guard_.waiting_);
    guard_.no_more_waiting_.wait_until(lock, until, [&] { return guard_.shutting_down_.load(); });
  }
  guard_.refuse_when_shutting_down();
  const auto now = Steady::now();
  waited_ += std::chrono::duration_cast<Duration>(now - since);
  payment_.waited(now < deadline_ ? flow::TimeLeft::yes : flow::TimeLeft::no);
}

/// The attempt whose callable runs: registered for heartbeats from its construction to its destruction.
template <Store S, Lock L, Clock C, Observer O>
class IdempotencyGuard<S, L, C, O>::OneCall::RunningAttempt final : public Attempt,
                                                                    private detail::AttemptPort,
                                                                    private detail::Heartbeats::Beat {
 public:
  explicit RunningAttempt(OneCall& call)
      : Attempt(Kind::alone, call.call_.key, call.payment_.running(), call.terms_.lease, call.began_writing_,
                *this),
        guard_(call.guard_),
        hold_(call.hold_) {
    if (guard_.options_.heartbeat)
      guard_.heartbeats_.add(*this, detail::boot_after(call.began_writing_, part_of_lease(3)));
  }
  ~RunningAttempt() {
    if (guard_.options_.heartbeat) guard_.heartbeats_.remove(*this);
  }

 private:
  std::optional<Record> find() override { return guard_.store_.find(key()); }
  bool replace(Version expected, const Record& record) override {
    return guard_.store_.replace(key(), expected, record);
  }
  Timestamp now() override { return guard_.clock_.now(); }
  bool is_over(Timestamp lease_until) override {
    if constexpr (LossAwareLock<L>)
      if (*hold_ && (*hold_)->lost()) return true;
    return now() >= lease_until;
  }
  void store_failed(events::StoreCall call) noexcept override {
    guard_.observer_.on(events::StoreFailed{key(), call});
  }

  Duration part_of_lease(int parts) const noexcept {
    return lease() / parts > Duration(1) ? lease() / parts : Duration(1);
  }

  [[gnu::cold]] detail::BootTime beat() noexcept override {
    const detail::BootTime started = detail::boot_now();
    const detail::BootTime soon = detail::boot_after(started, part_of_lease(12));
    try {
      return try_to_extend_lease() ? detail::boot_after(started, part_of_lease(3)) : soon;
    } catch (const Error& error) {
      if (error.code() != errc::lease_lost && started < lease_ends()) return soon;
    } catch (...) {
      if (started < lease_ends()) return soon;
    }
    guard_.observer_.on(events::LeaseLost{key(), fence()});
    return detail::Heartbeats::never;
  }

  IdempotencyGuard& guard_;
  [[no_unique_address]] const Held hold_;
};

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::OneCall::pay() {
  const detail::BootTime begun = detail::boot_now();
  if (begun >= detail::boot_after(began_writing_, terms_.lease)) {
    // Storing the begin took so long that others may call it abandoned already.
    payment_.to_be_said().report = Report::not_executed;
    payment_.to_be_said().reason = flow::copy_of("the lease ran out before the payment could start");
    return payment_.paid(now_after_payment());
  }
  fence_ = payment_.record().version;
  guard_.observer_.on(events::Began{call_.key, payment_.record()});
  {
    RunningAttempt attempt(*this);
    detail::ask_to_pay(call_.inquiry, attempt, static_cast<Attempt*>(&attempt), payment_.to_be_said());
  }
  if constexpr (detail::measures_time<O>()) {
    began_recording_ = detail::boot_now();
    times_.beginning = std::chrono::nanoseconds(begun - began_writing_);
    times_.paying = std::chrono::nanoseconds(began_recording_ - begun);
  }
  payment_.paid(now_after_payment());
}

template <Store S, Lock L, Clock C, Observer O>
detail::Answer IdempotencyGuard<S, L, C, O>::OneCall::end() {
  if (payment_.error()) std::rethrow_exception(payment_.error());
  flow::Ending& ending = payment_.ending();
  const Record& record = payment_.record();
  O& observer = guard_.observer_;
  const bool replayed = ending.response_in == flow::ResponseIn::record;
  if (replayed && record.response_format != call_.format)
    throw Error(errc::unsupported_format,
                "the stored response is in another format than this call's result type: call it with the "
                "type that it was paid with");
  if constexpr (detail::measures_time<O>())
    if (began_recording_ != 0)
      times_.recording = std::chrono::nanoseconds(detail::boot_now() - began_recording_);
  if (waited_.count() > 0) observer.on(events::Waited{call_.key, waited_});
  if (ending.moved_on) observer.on(events::LeaseLost{call_.key, fence_});
  switch (ending.status) {
    case Status::completed:
      if (replayed)
        observer.on(events::Replayed{call_.key, record});
      else
        observer.on(events::Completed{call_.key, record, times_});
      break;
    case Status::not_executed:
      if (ending.recorded) observer.on(events::Completed{call_.key, record, times_});
      break;
    case Status::in_doubt: observer.on(events::InDoubt{call_.key, ending.reason, times_}); break;
    case Status::in_progress: observer.on(events::Refused{call_.key, events::Refusal::in_progress}); break;
    case Status::key_reused: observer.on(events::Refused{call_.key, events::Refusal::key_reused}); break;
    case Status::refused: observer.on(events::Refused{call_.key, events::Refusal::refuse_if}); break;
  }
  detail::Answer answer{std::move(ending), {}};
  if (replayed) answer.response = std::move(payment_.running().response);
  return answer;
}

template <Store S, Lock L, Clock C, Observer O>
flow::Terms IdempotencyGuard<S, L, C, O>::terms_of(const Call& call, const detail::Timing& timing) const {
  flow::Terms terms;
  terms.purpose = call.purpose;
  terms.fingerprint = call.fingerprint;
  terms.lease = timing.lease;
  terms.retention = timing.retention;
  terms.wait = timing.wait;
  terms.doubt_rule = {call.means, options_.provider_remembers};
  const bool looks_first =
      detail::has_local_find<S>() || (detail::asks_nobody_first<S>() && call.purpose == flow::Purpose::pay);
  terms.first_look = looks_first ? flow::FirstLook::before_lock : flow::FirstLook::under_lock;
  if (call.purpose == flow::Purpose::pay) terms.attempt_id = detail::random_u64();
  terms.only_attempt = call.attempt_id;
  if (const CallOptions* own = call.options) {
    if (own->refuse_if) terms.admission = flow::Admission::asked;
    terms.amount = own->amount;
    terms.description = own->description;
  }
  terms.annotation = call.annotation;
  return terms;
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::refuse_when_shutting_down() const {
  if (shutting_down_.load(std::memory_order_relaxed))
    throw Error(
        errc::shutting_down,
        "this guard takes no new calls and ends its waits: repeat the call, with the same key, later");
}

}  // namespace paidonce::inline v1
