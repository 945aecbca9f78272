#pragma once
// One lock, two check, three update: the guard around a payment callable.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/attempt.hpp>
#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/flow.hpp>
#include <paidonce/guard/call_chain.hpp>
#include <paidonce/guard/heartbeats.hpp>
#include <paidonce/guard/inquiry.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/options.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/result.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

/// Runs payments at most once per key. Thread-safe; neither copyable nor movable; one per process for a store
/// is enough. A store, lock, clock or observer given as an lvalue is referred to and must outlive the guard;
/// an rvalue is moved in.
///
/// Everything that can fail without a payment happens before the callable starts, and is thrown: `Error` from
/// the guard, whatever the store or the lock throws as they threw it. Once the callable has started, the
/// answer is always an `Outcome`.
template <Store S, Lock L = KeyedMutex, Clock C = SystemClock, Observer O = NoObserver>
class IdempotencyGuard {
 public:
  /// Throws `Error{invalid_options}`.
  explicit IdempotencyGuard(std::type_identity_t<S> store, L lock = L(), C clock = C(),
                            GuardOptions options = {}, O observer = O())
      : store_(std::forward<S>(store)),
        lock_(std::forward<L>(lock)),
        clock_(std::forward<C>(clock)),
        observer_(std::forward<O>(observer)),
        options_(detail::checked(options)) {}
  // Templates, so that an explicit instantiation asks nothing of locks and clocks that have no default.
  template <class DefaultLock = L, class DefaultClock = C>
  explicit IdempotencyGuard(std::type_identity_t<S> store, GuardOptions options)
      : IdempotencyGuard(std::forward<S>(store), DefaultLock(), DefaultClock(), options) {}
  template <class DefaultClock = C>
  explicit IdempotencyGuard(std::type_identity_t<S> store, L lock, GuardOptions options)
      : IdempotencyGuard(std::forward<S>(store), std::forward<L>(lock), DefaultClock(), options) {}
  IdempotencyGuard(const IdempotencyGuard&) = delete;
  IdempotencyGuard& operator=(const IdempotencyGuard&) = delete;

  /// Pays, or says why not. `pay` takes `Attempt&` or nothing and returns `R` or `PaymentResult<R>`; it is
  /// called at most once, on this thread. `reconcile` is `PaymentResult<R>(const Record&)`: it asks the
  /// provider what became of a payment in doubt, and says `in_doubt` itself unless it has proof.
  template <class Pay>
  [[nodiscard]] Outcome<detail::paid_t<Pay>> execute(const IdempotencyKey& key,
                                                     const Fingerprint& fingerprint, Pay&& pay) {
    using R = detail::paid_t<Pay>;
    return execute_as<R>(key, fingerprint, nullptr, detail::asked_to_pay<R>(pay), {});
  }
  template <class Pay>
  [[nodiscard]] Outcome<detail::paid_t<Pay>> execute(const IdempotencyKey& key,
                                                     const Fingerprint& fingerprint, Pay&& pay,
                                                     const CallOptions& options) {
    using R = detail::paid_t<Pay>;
    return execute_as<R>(key, fingerprint, &options, detail::asked_to_pay<R>(pay), {});
  }
  template <class Pay, class Reconcile>
  requires(!std::is_convertible_v<Reconcile&&, const CallOptions&>)
      [[nodiscard]] Outcome<detail::paid_t<Pay>> execute(const IdempotencyKey& key,
                                                         const Fingerprint& fingerprint, Pay&& pay,
                                                         Reconcile&& reconcile) {
    using R = detail::paid_t<Pay>;
    return execute_as<R>(key, fingerprint, nullptr, detail::asked_to_pay<R>(pay),
                         detail::asked_to_reconcile<R>(reconcile));
  }
  template <class Pay, class Reconcile>
  [[nodiscard]] Outcome<detail::paid_t<Pay>> execute(const IdempotencyKey& key,
                                                     const Fingerprint& fingerprint, Pay&& pay,
                                                     Reconcile&& reconcile, const CallOptions& options) {
    using R = detail::paid_t<Pay>;
    return execute_as<R>(key, fingerprint, &options, detail::asked_to_pay<R>(pay),
                         detail::asked_to_reconcile<R>(reconcile));
  }

  /// `pay(Attempt&, Transaction&)` in a transaction of the store: what it does there and the record become
  /// durable together, or not at all. It must do only what the transaction undoes, and never call a provider.
  template <class Pay>
  requires TransactionalStore<S>
  [[nodiscard]] auto execute_in_transaction(const IdempotencyKey& key, const Fingerprint& fingerprint,
                                            Pay&& pay) {
    using Transaction = typename std::remove_reference_t<S>::Transaction;
    using R = typename detail::Paid<std::remove_reference_t<Pay>, Attempt&, Transaction&>::R;
    detail::TypedInquiry<R> inquiry(detail::asked_in_transaction<R, Transaction>(pay), {});
    return detail::make_outcome(run_in_transaction({key, &fingerprint, nullptr, Codec<R>::format, inquiry}),
                                inquiry);
  }

  /// Settles what is in doubt by asking the provider; never pays. A record that is completed is replayed, one
  /// that runs is `in_progress`. Throws `Error{wrong_state}` where there is no record.
  template <class R, class Reconcile>
  [[nodiscard]] Outcome<R> reconcile(const IdempotencyKey& key, Reconcile&& reconcile) {
    detail::TypedInquiry<R> inquiry({}, detail::asked_to_reconcile<R>(reconcile));
    Call call{key, nullptr, nullptr, Codec<R>::format, inquiry};
    call.purpose = flow::Purpose::reconcile;
    return detail::make_outcome(run(call), inquiry);
  }

  /// Settles by a person's word what is in doubt, or in progress with a holder that the person thereby
  /// declares dead: look at the record right before, and give its `attempt_id`, so that an attempt which
  /// began meanwhile is not touched (zero: any). `result` is `succeeded`, `declined` or `not_executed`;
  /// `actor` and `why` go into the record's note. Throws `Error{wrong_state}` in any other state, for another
  /// attempt and where there is no record, and `Error{invalid_options}` for `in_doubt`.
  template <class R>
  Outcome<R> resolve(const IdempotencyKey& key, PaymentResult<R> result, std::string_view actor,
                     std::string_view why, std::uint64_t attempt_id = 0) {
    const Report report = result.report();
    detail::TypedInquiry<R> inquiry(std::move(result));
    return detail::make_outcome(resolve_as({key, attempt_id}, report, inquiry, Codec<R>::format, actor, why),
                                inquiry);
  }
  /// The same for a tool that does not know `R`: the encoded response and its format. `State::released` frees
  /// the key.
  void resolve(const IdempotencyKey& key, State state, std::string_view bytes, std::string_view format,
               std::string_view actor, std::string_view why, std::uint64_t attempt_id = 0);

  /// Ends all waits at once, with `Error{shutting_down}`; refuses new calls likewise. Running callables
  /// finish.
  void shut_down() noexcept {
    shutting_down_.store(true);
    if constexpr (InterruptibleLock<std::remove_reference_t<L>>) lock_.interrupt();
    { std::lock_guard lock(waiting_); }
    no_more_waiting_.notify_all();
  }

  /// Throws `Error{invalid_options}` where a call with these would, whatever the state of store and lock.
  void check(const CallOptions& options) const { detail::Timing::of(options_, options); }

  std::optional<Record> find(const IdempotencyKey& key) { return store_.find(key); }
  std::remove_reference_t<S>& store() noexcept { return store_; }
  std::remove_reference_t<C>& clock() noexcept { return clock_; }

 private:
  struct Call;
  class OneCall;

  template <class R>
  Outcome<R> execute_as(const IdempotencyKey& key, const Fingerprint& fingerprint, const CallOptions* options,
                        detail::Asked<R> pay, detail::Asked<R> reconcile);
  detail::Answer run(const Call& call);
  detail::Answer run_in_transaction(const Call& call);
  struct Resolved {
    const IdempotencyKey& key;
    std::uint64_t attempt_id;
  };
  detail::Answer resolve_as(const Resolved& what, Report report, detail::Inquiry& said,
                            std::string_view format, std::string_view actor, std::string_view why);
  flow::Terms terms_of(const Call& call, const detail::Timing& timing) const;
  void refuse_when_shutting_down() const;

  S store_;
  L lock_;
  C clock_;
  O observer_;
  const GuardOptions options_;
  const detail::Timing timing_ = {options_.lease, options_.retention, options_.wait};
  std::atomic<bool> shutting_down_{false};
  std::mutex waiting_;
  std::condition_variable no_more_waiting_;
  detail::Heartbeats heartbeats_;
};

// Lvalues are referred to, rvalues moved in; nothing else deduces.
template <Store S>
IdempotencyGuard(S&&) -> IdempotencyGuard<S>;
template <Store S>
IdempotencyGuard(S&&, GuardOptions) -> IdempotencyGuard<S>;
template <Store S, Lock L>
IdempotencyGuard(S&&, L&&) -> IdempotencyGuard<S, L>;
template <Store S, Lock L>
IdempotencyGuard(S&&, L&&, GuardOptions) -> IdempotencyGuard<S, L>;
template <Store S, Lock L, Clock C>
IdempotencyGuard(S&&, L&&, C&&) -> IdempotencyGuard<S, L, C>;
template <Store S, Lock L, Clock C>
IdempotencyGuard(S&&, L&&, C&&, GuardOptions) -> IdempotencyGuard<S, L, C>;
template <Store S, Lock L, Clock C, Observer O>
IdempotencyGuard(S&&, L&&, C&&, GuardOptions, O&&) -> IdempotencyGuard<S, L, C, O>;

/// What one call to the guard is about; lives as long as the call.
template <Store S, Lock L, Clock C, Observer O>
struct IdempotencyGuard<S, L, C, O>::Call {
  const IdempotencyKey& key;
  const Fingerprint* fingerprint;
  const CallOptions* options;  // null: as the guard's
  std::string_view format;     // of the responses that the caller can decode
  detail::Inquiry& inquiry;
  flow::Purpose purpose = flow::Purpose::pay;
  protocol::DoubtRule::Means means = protocol::DoubtRule::Means::none;
  std::string_view annotation = {};
  std::uint64_t attempt_id = 0;  // of a resolution
};

/// One for each result type, whatever the callables.
template <Store S, Lock L, Clock C, Observer O>
template <class R>
Outcome<R> IdempotencyGuard<S, L, C, O>::execute_as(const IdempotencyKey& key, const Fingerprint& fingerprint,
                                                    const CallOptions* options, detail::Asked<R> pay,
                                                    detail::Asked<R> reconcile) {
  using Means = protocol::DoubtRule::Means;
  detail::TypedInquiry<R> inquiry(pay, reconcile);
  Call call{key, &fingerprint, options, Codec<R>::format, inquiry};
  if (reconcile.call)
    call.means = Means::ask_provider;
  else if (options_.provider_deduplicates)
    call.means = Means::provider_deduplicates;
  return detail::make_outcome(run(call), inquiry);
}

}  // namespace paidonce::inline v1

#include <paidonce/guard/resolve.hpp>
#include <paidonce/guard/run.hpp>
#include <paidonce/guard/transaction.hpp>
