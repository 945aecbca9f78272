#pragma once
// The guard's way through a transaction of the store: the same flow, its writes made in the transaction. Part
// of guard.hpp.

#include <paidonce/guard.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// Thrown through a store's `transact` to roll it back: the callable said, or its throw means, that it did
/// not execute.
struct RollBack {};
/// Thrown through a store's `transact` that runs its body a second time.
struct RunAgain {};

/// An attempt in a transaction, which nobody else can see, needs no lease and may save nothing.
class TransactionAttempt final : public Attempt, private AttemptPort {
 public:
  TransactionAttempt(const IdempotencyKey& key, Record& record, Duration lease) noexcept
      : Attempt(Kind::in_transaction, key, record, lease, 0, *this) {}

 private:
  std::optional<Record> find() override { return std::nullopt; }
  bool replace(Version, const Record&) override { return false; }
  Timestamp now() override { return {}; }
  bool is_over(Timestamp) override { return false; }
  void store_failed(events::StoreCall) noexcept override {}
};

}  // namespace detail

template <Store S, Lock L, Clock C, Observer O>
detail::Answer IdempotencyGuard<S, L, C, O>::run_in_transaction(const Call& call) {
  if constexpr (TransactionalStore<S>) {
    using Transaction = typename std::remove_reference_t<S>::Transaction;
    refuse_when_shutting_down();
    const detail::CallChain chain(this, call.key);
    detail::Timing timing = timing_;
    timing.wait = Duration(0);  // a transaction that waits would hold the store's rows meanwhile
    flow::Terms terms = terms_of(call, timing);
    terms.first_look = flow::FirstLook::under_lock;
    terms.doubt_rule.means =
        protocol::DoubtRule::Means::none;  // a provider's memory says nothing of a transaction
    flow::Payment payment(terms);
    flow::Said& said = payment.to_be_said();
    Record begun;               // this attempt's begin record, which the transaction alone can see
    bool over_another = false;  // whether it was written over a record, and of which version
    Version over = 0;
    bool entered = false;
    bool started = false;
    events::Times times;  // these only where the observer measures time
    [[maybe_unused]] detail::BootTime began_writing = 0;
    detail::BootTime began_recording = 0;
    if constexpr (detail::measures_time<O>()) began_writing = detail::boot_now();
    const auto body = [&](Transaction& transaction) {
      // The callable is run once. A store that would run it again has undone all of it, or lost the commit's
      // reply.
      if (started) throw detail::RunAgain{};
      if (entered) payment = flow::Payment(terms);
      entered = true;
      for (;;) {
        switch (payment.ask()) {
          case flow::Ask::find: {
            std::optional<Record> there = transaction.find(call.key);
            payment.found(std::move(there), clock_.now(), protocol::Holder::may_live);
            break;
          }
          case flow::Ask::lock: payment.locked(flow::Obtained::yes, clock_.now()); break;
          case flow::Ask::insert:
            over_another = false;
            payment.inserted(transaction.insert(call.key, payment.record()), clock_.now(),
                             protocol::Holder::may_live);
            break;
          case flow::Ask::replace:
            if (!payment.began()) {
              over_another = true;
              over = payment.expected();
            }
            payment.replaced(transaction.replace(call.key, payment.expected(), payment.record()),
                             clock_.now());
            break;
          case flow::Ask::pay: {
            begun = payment.record();
            observer_.on(events::Began{call.key, begun});
            detail::TransactionAttempt attempt(call.key, payment.running(), timing.lease);
            detail::AboutTransaction<Transaction> about{attempt, transaction};
            started = true;
            if constexpr (detail::measures_time<O>()) {
              const detail::BootTime paying = detail::boot_now();
              times.beginning = std::chrono::nanoseconds(paying - began_writing);
              began_writing = paying;
            }
            detail::ask_to_pay(call.inquiry, attempt, &about, said);
            if constexpr (detail::measures_time<O>()) {
              began_recording = detail::boot_now();
              times.paying = std::chrono::nanoseconds(began_recording - began_writing);
            }
            if (said.report == Report::not_executed || said.cause) throw detail::RollBack{};
            payment.paid(clock_.now());
            break;
          }
          case flow::Ask::admit:
          case flow::Ask::wait:
          case flow::Ask::reconcile:
          case flow::Ask::done: return;
        }
      }
    };
    const auto rolled_back = [&](std::exception_ptr cause) {
      if (begun.state == State::in_progress) {
        protocol::release(begun, flow::copy_of(said.reason), begun.updated_at, timing.retention);
        observer_.on(events::Completed{call.key, begun, times});  // as it would have been recorded
      }
      flow::Ending ending;
      ending.status = Status::not_executed;
      ending.reason =
          said.reason.empty() ? flow::copy_of("the transaction was rolled back") : std::move(said.reason);
      ending.cause = cause;
      ending.retry_after = Duration(1000) < timing.lease ? Duration(1000) : timing.lease;
      return detail::Answer{std::move(ending), {}};
    };
    try {
      store_.transact(body);
    } catch (const detail::RollBack&) {
      return rolled_back(said.cause);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      if (!started) throw;
      const std::exception_ptr cause = std::current_exception();
      if (payment.ask() != flow::Ask::done) return rolled_back(cause);
      // The commit's fate is unknown. A write that would conflict with it tells, and reading alone would not:
      // once it went in, the transaction cannot come after it any more.
      try {
        Record never = begun;
        protocol::release(never, "its transaction did not commit", clock_.now(), timing.retention);
        flow::Write write;
        over_another ? write.start_replace(over) : write.start_insert();
        while (write.need() != flow::Write::Need::nothing) {
          try {
            switch (write.need()) {
              case flow::Write::Need::insert: write.inserted(store_.insert(call.key, never), never); break;
              case flow::Write::Need::replace: write.replaced(store_.replace(call.key, over, never)); break;
              case flow::Write::Need::read_back: write.read_back(store_.find(call.key), never); break;
              case flow::Write::Need::nothing: break;
            }
          } catch (const Error& error) {
            if (error.code() == errc::store_busy)
              throw;  // the transaction holds its record, still on its way
            write.failed(std::current_exception());
          }
        }
        if (write.fate() == flow::Write::Fate::stored) return rolled_back(cause);
        const bool committed =
            write.fate() == flow::Write::Fate::conflict && write.there() == payment.record();
        if (!committed) payment.broke_off();
      } catch (const detail::ForcedUnwind&) {
        throw;
      } catch (...) {
        payment.broke_off();
      }
    }
    return OneCall(*this, call, terms, std::move(payment), times, began_recording).end();
  } else {
    static_cast<void>(call);
    throw Error(errc::invalid_options, "this store has no transactions");
  }
}

}  // namespace paidonce::inline v1
