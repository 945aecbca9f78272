#pragma once
// The ways a call can take through the guard, and what must hold after one in which something failed.

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fault/world.hpp"

namespace fault {

/// What the payment callable does.
enum class Pay {
  succeeds,
  declines,
  says_not_executed,
  throws_not_executed,
  throws_before_charge,
  throws_after_charge,
  throws_integer_after_charge,
  says_in_doubt_after_charge,
  saves_and_extends,             ///< checkpoint, more lease, charge
  saves_each_step,               ///< checkpoint, charge, checkpoint
  throws_not_executed_too_late,  ///< after a checkpoint that says that it charged
  says_not_executed_after_checkpoint,
  saves_in_vain,  ///< charges even though its checkpoint could not be saved
};

/// What is there before the call.
enum class Before {
  nothing,
  succeeded,
  declined,
  released,
  in_doubt_charged,
  in_doubt_not_charged,
  abandoned_charged,  ///< in progress, its lease over
  abandoned_not_charged,
  running_not_charged,  ///< in progress, its lease not over
  expired,              ///< succeeded, its retention over
};

enum class Call { execute, execute_and_reconcile, reconcile, resolve, resolve_raw };

struct Path {
  std::string_view name;
  Before before;
  Call call;
  Pay pay;
  Status without_faults;
  bool provider_deduplicates = false;
};

inline constexpr std::array paths = {
    Path{"new, succeeds", Before::nothing, Call::execute, Pay::succeeds, Status::completed},
    Path{"new, declines", Before::nothing, Call::execute, Pay::declines, Status::completed},
    Path{"new, says not executed", Before::nothing, Call::execute, Pay::says_not_executed,
         Status::not_executed},
    Path{"new, throws NotExecuted", Before::nothing, Call::execute, Pay::throws_not_executed,
         Status::not_executed},
    Path{"new, throws uncharged", Before::nothing, Call::execute, Pay::throws_before_charge,
         Status::in_doubt},
    Path{"new, throws charged", Before::nothing, Call::execute, Pay::throws_after_charge, Status::in_doubt},
    Path{"new, throws an integer", Before::nothing, Call::execute, Pay::throws_integer_after_charge,
         Status::in_doubt},
    Path{"new, says in doubt", Before::nothing, Call::execute, Pay::says_in_doubt_after_charge,
         Status::in_doubt},
    Path{"new, saves and extends", Before::nothing, Call::execute, Pay::saves_and_extends, Status::completed},
    Path{"new, saves each step", Before::nothing, Call::execute, Pay::saves_each_step, Status::completed},
    Path{"new, NotExecuted after a checkpoint", Before::nothing, Call::execute,
         Pay::throws_not_executed_too_late, Status::in_doubt},
    Path{"new, says not executed after a checkpoint", Before::nothing, Call::execute,
         Pay::says_not_executed_after_checkpoint, Status::not_executed},
    Path{"new, a save in vain", Before::nothing, Call::execute, Pay::saves_in_vain, Status::completed},
    Path{"replay of a success", Before::succeeded, Call::execute, Pay::succeeds, Status::completed},
    Path{"replay of a decline", Before::declined, Call::execute, Pay::succeeds, Status::completed},
    Path{"released, runs again", Before::released, Call::execute, Pay::succeeds, Status::completed},
    Path{"released, saves each step", Before::released, Call::execute, Pay::saves_each_step,
         Status::completed},
    Path{"in doubt, stays", Before::in_doubt_charged, Call::execute, Pay::succeeds, Status::in_doubt},
    Path{"in doubt, asks, charged", Before::in_doubt_charged, Call::execute_and_reconcile, Pay::succeeds,
         Status::completed},
    Path{"in doubt, asks, not charged", Before::in_doubt_not_charged, Call::execute_and_reconcile,
         Pay::succeeds, Status::completed},
    Path{"in doubt, asks, not charged, declines", Before::in_doubt_not_charged, Call::execute_and_reconcile,
         Pay::declines, Status::completed},
    Path{"in doubt, asks, not charged, throws", Before::in_doubt_not_charged, Call::execute_and_reconcile,
         Pay::throws_after_charge, Status::in_doubt},
    Path{"abandoned, charged", Before::abandoned_charged, Call::execute, Pay::succeeds, Status::in_doubt},
    Path{"abandoned, asks, charged", Before::abandoned_charged, Call::execute_and_reconcile, Pay::succeeds,
         Status::completed},
    Path{"abandoned, asks, not charged", Before::abandoned_not_charged, Call::execute_and_reconcile,
         Pay::saves_and_extends, Status::completed},
    Path{"running", Before::running_not_charged, Call::execute, Pay::succeeds, Status::in_progress},
    Path{"begin anew", Before::expired, Call::execute, Pay::succeeds, Status::completed},
    Path{"begin anew, throws", Before::expired, Call::execute, Pay::throws_after_charge, Status::in_doubt},
    Path{"the provider deduplicates, charged", Before::in_doubt_charged, Call::execute, Pay::succeeds,
         Status::completed, true},
    Path{"the provider deduplicates, abandoned", Before::abandoned_not_charged, Call::execute, Pay::succeeds,
         Status::completed, true},
    Path{"the provider deduplicates, not executed", Before::in_doubt_charged, Call::execute,
         Pay::says_not_executed, Status::in_doubt, true},
    Path{"reconcile, charged", Before::in_doubt_charged, Call::reconcile, Pay::succeeds, Status::completed},
    Path{"reconcile, not charged", Before::in_doubt_not_charged, Call::reconcile, Pay::succeeds,
         Status::not_executed},
    Path{"reconcile, abandoned", Before::abandoned_charged, Call::reconcile, Pay::succeeds,
         Status::completed},
    Path{"reconcile, succeeded", Before::succeeded, Call::reconcile, Pay::succeeds, Status::completed},
    Path{"resolve, charged", Before::in_doubt_charged, Call::resolve, Pay::succeeds, Status::completed},
    Path{"resolve, not charged", Before::in_doubt_not_charged, Call::resolve, Pay::succeeds,
         Status::not_executed},
    Path{"resolve, running", Before::running_not_charged, Call::resolve, Pay::succeeds, Status::not_executed},
    Path{"resolve raw, abandoned", Before::abandoned_charged, Call::resolve_raw, Pay::succeeds,
         Status::completed},
    Path{"resolve raw, not charged", Before::in_doubt_not_charged, Call::resolve_raw, Pay::succeeds,
         Status::not_executed},
};

/// When writes that are still under way arrive.
enum class LateWrites { before_the_next_call, after_it };

/// One call under faults, and the calls after it. What is wrong is collected, as text.
template <class L = KeyedMutex, class S = TestedStore>
class Trial {
 public:
  explicit Trial(const Path& path) : path_(path), world(options(path)) {
    world.ledger.deduplicates = path.provider_deduplicates;
    prepare();
  }

  /// The call; faults are armed by now.
  void call() {
    const int before = started_;
    try {
      make_call();
    } catch (const std::exception& thrown) {
      exception_ = thrown.what();
    } catch (...) {
      exception_ = "something that is no std::exception";
    }
    started_by_call_ = started_ - before;
    world.heal();
    check_answer();
  }

  /// The same customer comes back, and nothing fails any more.
  void aftermath(LateWrites late) {
    if (late == LateWrites::before_the_next_call) world.store.land();
    world.clock.time.advance(lease + Duration(1000));
    const Receipt truth = settle();
    world.store.land();
    for (int replay = 0; replay < 2; ++replay) {
      const int before = started_;
      const Outcome<Receipt> again = world.guard.execute(world.key, world.request, payment(Pay::succeeds));
      require(again.status() == Status::completed && again.replayed() && again.response() == truth,
              "a replay is not what was paid");
      require(started_ == before, "a replay called the callable");
    }
  }

  void expect_without_faults() {
    require(exception_.empty(), "threw without a fault: " + exception_);
    require(status_ == path_.without_faults, "the answer without faults is another");
  }

  bool started() const { return started_by_call_ > 0; }
  const std::string& exception() const { return exception_; }
  std::optional<Status> status() const { return status_; }
  const std::string& wrong() const { return wrong_; }

 private:
  static constexpr Duration lease = std::chrono::seconds(30);
  static constexpr Duration retention = std::chrono::hours(24);

  static GuardOptions options(const Path& path) {
    GuardOptions options;
    options.lease = lease;
    options.retention = retention;
    options.heartbeat = false;  // nothing but the calls counted here touches the store
    options.provider_deduplicates = path.provider_deduplicates;
    return options;
  }

  const Path path_;

 public:
  World<L, S> world;

 private:
  void require(bool holds, std::string_view otherwise) {
    if (holds) return;
    wrong_.append(wrong_.empty() ? "" : "; ").append(otherwise);
  }

  /// Lays the records that the path begins with, by the protocol's own functions.
  void prepare() {
    const Before before = path_.before;
    if (before == Before::nothing) return;
    const Timestamp now = world.clock.time.now();
    Record record;
    protocol::begin_first(record, {world.request, now, lease, 77, "4.50 EUR", "coffee"});
    const std::string payment = world.provider_key_of(record);
    const auto finish = [&](State state, const Receipt& receipt) {
      protocol::complete(record, {state, receipt.text, "receipt", now, retention});
    };
    switch (before) {
      case Before::succeeded:
      case Before::expired: finish(State::succeeded, world.ledger.charge(payment)); break;
      case Before::declined: finish(State::declined, world.ledger.decline(payment)); break;
      case Before::released: protocol::release(record, "nothing was sent", now, retention); break;
      case Before::in_doubt_charged: world.ledger.charge(payment); [[fallthrough]];
      case Before::in_doubt_not_charged: protocol::doubt(record, "no reply", now); break;
      case Before::abandoned_charged: world.ledger.charge(payment); break;
      case Before::abandoned_not_charged:
      case Before::running_not_charged:
      case Before::nothing: break;
    }
    world.store.inner().insert(world.key, record);
    if (before == Before::abandoned_charged || before == Before::abandoned_not_charged)
      world.clock.time.advance(lease);
    else if (before == Before::expired)
      world.clock.time.advance(retention);
    else
      world.clock.time.advance(Duration(5000));
  }

  /// The callable. Notes what it returned, and whether money moved.
  auto payment(Pay pay) {
    return [this, pay](Attempt& attempt) -> PaymentResult<Receipt> {
      ++started_;
      Ledger& ledger = world.ledger;
      const std::string id(attempt.provider_key());
      switch (pay) {
        case Pay::saves_and_extends:
          attempt.save_checkpoint("about to charge");
          attempt.extend_lease();
          [[fallthrough]];
        case Pay::succeeds: return returns(State::succeeded, ledger.charge(id));
        case Pay::declines: return returns(State::declined, ledger.decline(id));
        case Pay::says_not_executed: return not_executed("not sent");
        case Pay::throws_not_executed: throw NotExecuted("not sent");
        case Pay::throws_before_charge: throw std::runtime_error("lost before");
        case Pay::throws_after_charge: ledger.charge(id); throw std::runtime_error("lost after");
        case Pay::throws_integer_after_charge: ledger.charge(id); throw 42;
        case Pay::says_in_doubt_after_charge: ledger.charge(id); return in_doubt("no reply");
        case Pay::saves_each_step: {
          attempt.save_checkpoint("about to charge");
          Receipt receipt = ledger.charge(id);
          attempt.save_checkpoint("charged");
          return returns(State::succeeded, std::move(receipt));
        }
        case Pay::throws_not_executed_too_late:
          attempt.save_checkpoint("about to charge");
          ledger.charge(id);
          throw NotExecuted("says so, and errs");
        case Pay::saves_in_vain: {
          try {
            attempt.save_checkpoint("about to charge");
          } catch (...) {
          }
          return returns(State::succeeded, ledger.charge(id));
        }
        case Pay::says_not_executed_after_checkpoint:
          attempt.save_checkpoint("about to charge");
          return not_executed("refused");
      }
      throw std::logic_error("no such payment");
    };
  }

  PaymentResult<Receipt> returns(State state, Receipt receipt) {
    returned_ = receipt;
    returned_state_ = state;
    if (state == State::succeeded) return succeeded(std::move(receipt));
    return declined(std::move(receipt));
  }

  /// The provider is asked, as a real one would be, by the provider key.
  auto asking() {
    return [this](const Record& record) -> PaymentResult<Receipt> {
      PaymentResult<Receipt> answer = world.ledger.ask(world.provider_key_of(record));
      if (const Receipt* receipt = answer.response_if()) told_ = *receipt;
      return answer;
    };
  }

  void make_call() {
    returned_.reset();
    told_.reset();
    const CallOptions no_options;
    switch (path_.call) {
      case Call::execute: return keep(world.guard.execute(world.key, world.request, payment(path_.pay)));
      case Call::execute_and_reconcile:
        return keep(world.guard.execute(world.key, world.request, payment(path_.pay), asking()));
      case Call::reconcile: return keep(world.guard.template reconcile<Receipt>(world.key, asking()));
      case Call::resolve:
        return keep(world.guard.resolve(world.key, asking()(*world.record()), "Ada", "seen"));
      case Call::resolve_raw: {
        const PaymentResult<Receipt> said = asking()(*world.record());
        if (const Receipt* receipt = said.response_if())
          world.guard.resolve(world.key, State::succeeded, receipt->text, "receipt", "Ada", "seen");
        else
          world.guard.resolve(world.key, State::released, {}, {}, "Ada", "seen");
        status_ = said.response_if() ? Status::completed : Status::not_executed;
        return;
      }
    }
  }

  void keep(Outcome<Receipt>&& outcome) {
    status_ = outcome.status();
    outcome_.emplace(std::move(outcome));
  }

  void check_answer() {
    require(!world.ledger.charged_twice(), "charged twice");
    require(started_by_call_ <= 1, "the callable ran twice in one call");
    if (!status_) {
      require(started_by_call_ == 0, "started, yet threw: " + exception_);
      return;
    }
    const bool must_begin = path_.before == Before::nothing || path_.before == Before::released ||
                            path_.before == Before::expired;
    require(!must_begin || started_by_call_ == 1, "an answer, although nothing was started");
    const std::optional<Record> record = world.record();
    require(record.has_value(), "an answer without a record");
    if (!record) return;
    const Ledger::Entry entry = world.ledger.at(world.provider_key_of(*record));
    switch (*status_) {
      case Status::completed: return check_completed(*record, entry);
      case Status::not_executed:
        require(entry.charges == 0, "not executed, yet charged");
        require(record->state == State::released, "not executed, yet not released");
        require(!returned_, "not executed, yet it returned a result");
        return;
      case Status::in_doubt: return check_in_doubt();
      case Status::in_progress:
        require(started_by_call_ == 0, "started, yet in progress");
        require(path_.without_faults == Status::in_progress, "in progress, where nobody is");
        return;
      case Status::key_reused:
      case Status::refused: require(false, "turned away"); return;
    }
  }

  void check_completed(const Record& record, const Ledger::Entry& entry) {
    require(record.state == State::succeeded || record.state == State::declined,
            "completed, and the record says otherwise");
    require(entry.charges == (record.state == State::succeeded ? 1 : 0), "completed, and the ledger differs");
    require(record.response == entry.text, "the record has another response than the ledger");
    if (!outcome_) return;
    require(outcome_->response().text == entry.text, "the answer is not the ledger's");
    require(outcome_->succeeded() == (record.state == State::succeeded),
            "succeeded and declined are mixed up");
    require(outcome_->replayed() == (!returned_ && !told_), "replayed, or not, by mistake");
  }

  void check_in_doubt() {
    const Receipt* const evidence = outcome_ ? outcome_->evidence() : nullptr;
    if (returned_) {
      require(evidence && *evidence == *returned_, "a result was lost");
      require(outcome_ && outcome_->evidence_state() == returned_state_, "evidence of the wrong kind");
    } else if (!told_) {
      require(!evidence, "evidence out of nowhere");
    }
  }

  /// The customer tries again, with the ledger at hand, until it is settled: at once.
  Receipt settle() {
    const Pay pay = path_.pay == Pay::declines ? Pay::declines : Pay::succeeds;
    const Outcome<Receipt> settled = world.guard.execute(world.key, world.request, payment(pay), asking());
    require(settled.status() == Status::completed,
            "not settled: " + std::string(to_string(settled.status())) + " " + settled.reason());
    require(!world.ledger.charged_twice(), "charged twice in the end");
    const std::optional<Record> record = world.record();
    if (settled.status() != Status::completed || !record) return {};
    const Ledger::Entry entry = world.ledger.at(world.provider_key_of(*record));
    require(entry.charges == (settled.succeeded() ? 1 : 0), "the truth is not the ledger's");
    require(settled.response().text == entry.text, "the settled response is not the ledger's");
    return settled.response();
  }

  int started_ = 0;
  int started_by_call_ = 0;
  std::optional<Receipt> returned_ = {};  // by the callable, in the call under faults
  State returned_state_ = State::succeeded;
  std::optional<Receipt> told_ = {};  // by the ledger
  std::optional<Outcome<Receipt>> outcome_ = {};
  std::optional<Status> status_ = {};
  std::string exception_ = {};
  std::string wrong_ = {};
};

}  // namespace fault
