#pragma once
// The sequence of one payment as a machine without I/O: it says what to do next (`ask()`), is told how that
// went, and ends with an `Ending`. Guards are loops around it; the simulator and recovery are others. It
// belongs to one call and is not thread-safe. One header, longer than others, because a sequence that decides
// about money is read in one piece; its words are in flow/terms.hpp, the fate of a single write in
// flow/write.hpp.
//
//   look → lock → look again → admit → begin → pay → record → end
//                          ↘ mark abandoned → ask the provider → settle ↗

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/flow/terms.hpp>
#include <paidonce/flow/write.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::flow {

class Payment {
 public:
  explicit Payment(const Terms& terms) noexcept : terms_(terms) {
    if (terms.purpose == Purpose::resolve) {
      step_ = Step::look_again;  // a person does not queue behind a holder that may be dead
      locked_ = Obtained::yes;
    } else if (terms.first_look == FirstLook::before_lock) {
      step_ = Step::look;
    }
  }

  Ask ask() const noexcept {
    switch (step_) {
      case Step::look:
      case Step::look_again: return Ask::find;
      case Step::lock: return Ask::lock;
      case Step::admit: return Ask::admit;
      case Step::wait: return Ask::wait;
      case Step::pay: return Ask::pay;
      case Step::ask_provider: return Ask::reconcile;
      case Step::end: return Ask::done;
      case Step::begin:
      case Step::record:
      case Step::mark:
      case Step::settle: break;
    }
    if (write_.need() == Write::Need::insert) return Ask::insert;
    return write_.need() == Write::Need::replace ? Ask::replace : Ask::find;
  }

  /// The record as it was found, is to be written, or runs.
  const Record& record() const noexcept { return record_; }
  /// While the callable runs: its attempt's own record, which heartbeats and checkpoints keep up to date.
  Record& running() noexcept { return record_; }
  Version expected() const noexcept { return write_.expected(); }
  /// Whether the write that is asked for was tried before, and its reply lost.
  bool repeating() const noexcept { return write_.failure() != nullptr; }
  Duration pause() const noexcept { return Duration(1LL << (polls_ < 7 ? polls_ : 7)); }
  const Ending& ending() const noexcept { return ending_; }
  Ending& ending() noexcept { return ending_; }
  const std::exception_ptr& error() const noexcept { return error_; }
  /// Whether an attempt of this call has begun: from here on the call ends with an `Ending`, never with an
  /// error.
  bool began() const noexcept { return began_; }

  /// Whether `Ask::find` is the look that comes before the lock.
  bool looks_before_lock() const noexcept { return step_ == Step::look; }

  /// Whether the answer to what it asks needs the time, although there is no record in it.
  bool minds_time() const noexcept {
    switch (step_) {
      case Step::mark:
      case Step::settle: return true;
      case Step::begin: return write_.expected() != 0;  // what it is written over may be swept meanwhile
      case Step::look_again: return !lock_is_out_of_reach();
      default: return false;
    }
  }

  /// Answers `Ask::find`. `now` matters where there is a record, or where `minds_time()` said so.
  void found(std::optional<Record>&& there, Timestamp now, protocol::Holder holder) {
    if (step_ == Step::look || step_ == Step::look_again) return decide(std::move(there), now, holder);
    write_.read_back(std::move(there), record_);
    after_write(now, holder);
  }

  /// Answers `Ask::lock`; `now` is read after the wait.
  void locked(Obtained obtained, Timestamp now) {
    lock_asked_ = true;
    locked_ = obtained;
    time_up_ = obtained == Obtained::no;
    // An insert tells what is there, so a first read would be one round trip too many.
    const bool insert_at_once = terms_.purpose == Purpose::pay && !must_look_first() && !seen_;
    if (obtained == Obtained::yes && insert_at_once) return begin(protocol::Decision::begin_first, now);
    step_ = Step::look_again;
  }

  /// Answers `Ask::insert`: null when it was stored, otherwise what is there.
  void inserted(std::optional<Record>&& existing, Timestamp now, protocol::Holder holder) {
    write_.inserted(std::move(existing), record_);
    after_write(now, holder);
  }

  /// Answers `Ask::replace`; `now` where `minds_time()` said so.
  void replaced(bool stored, Timestamp now) {
    write_.replaced(stored);
    after_write(now, protocol::Holder::may_live);
  }

  /// Answers `Ask::find`, `insert` and `replace`: the store threw.
  [[gnu::cold]] void failed(std::exception_ptr failure, Timestamp now) {
    if (step_ == Step::look || step_ == Step::look_again) return fail(std::move(failure));
    write_.failed(std::move(failure));
    after_write(now, protocol::Holder::may_live);
  }

  /// Answers `Ask::admit`: a reason refuses. `now` is read after it was asked.
  void admitted(std::optional<std::string>&& refusal, Timestamp now) {
    if (refusal) {
      ending_.reason = std::move(*refusal);
      return end(Status::refused);
    }
    if (begin_as_ != Decision::begin_first) {  // asking took its time, and the clock moved on, or back
      begin_as_ =
          protocol::check(&record_, *terms_.fingerprint, now, protocol::Holder::may_live, terms_.doubt_rule);
      const bool begins = begin_as_ == Decision::begin_anew || begin_as_ == Decision::begin_next;
      if (!begins) return decide_present(now, protocol::Holder::may_live);
    }
    write_begin(now);
  }

  /// Answers `Ask::wait`.
  void waited(TimeLeft left) noexcept {
    ++polls_;
    time_up_ = left == TimeLeft::no;
    step_ = Step::look_again;
  }

  /// Where the answer to `Ask::pay` and `Ask::reconcile` is put, before `paid` or `reconciled`.
  Said& to_be_said() noexcept { return said_; }

  /// Answers `Ask::pay`.
  void paid(Said&& said, Timestamp now) {
    said_ = std::move(said);
    paid(now);
  }
  void paid(Timestamp now) {
    write_.start_replace(record_.version);
    step_ = Step::record;
    if (has_result())
      protocol::complete(record_, completion(said_.response, said_.response_format, now));
    else if (said_.report == Report::not_executed && !over_doubt_)
      protocol::release(record_, copy_of(said_.reason), now, terms_.retention);
    else
      protocol::doubt(record_, doubt_note(), now);
  }

  /// Instead of `paid`, or after it: memory ran out, or the clock threw. The answer is in doubt, and never
  /// fails.
  [[gnu::cold]] void broke_off() noexcept { end_in_doubt(copy_of("not recorded")); }

  /// Answers `Ask::reconcile`.
  void reconciled(Said&& said, Timestamp now) {
    said_ = std::move(said);
    reconciled(now);
  }
  [[gnu::cold]] void reconciled(Timestamp now) {
    if (said_.report == Report::in_doubt) return end_in_doubt(std::move(said_.reason));
    write_.start_replace(record_.version);
    step_ = Step::settle;
    if (said_.report == Report::not_executed)
      protocol::release(record_, annotated(said_.reason), now, terms_.retention);
    else {
      record_.note = annotated({});
      protocol::complete(record_, completion(said_.response, said_.response_format, now));
    }
  }

 private:
  enum class Step : std::uint8_t {
    look,          ///< before the lock
    lock,          ///
    look_again,    ///< under the lock; or it was not obtained; or after a wait
    admit,         ///
    begin,         ///< writing it
    pay,           ///
    record,        ///< writing what the callable reported
    mark,          ///< writing that an abandoned attempt is in doubt
    ask_provider,  ///
    settle,        ///< writing what the provider said
    wait,          ///
    end,
  };
  using Decision = protocol::Decision;

  /// Others moved the record so often under this call that they must be at work on it.
  static constexpr int most_conflicts = 16;

  bool has_result() const noexcept {
    return said_.report == Report::succeeded || said_.report == Report::declined;
  }
  bool lock_is_out_of_reach() const noexcept { return lock_asked_ && locked_ == Obtained::no; }
  bool must_look_first() const noexcept { return terms_.admission == Admission::asked; }

  void decide(std::optional<Record>&& there, Timestamp now, protocol::Holder holder) {
    if (!there) return decide_absent(now);
    record_ = std::move(*there);
    decide_present(now, holder);
  }

  void decide_absent(Timestamp now) {
    if (terms_.purpose != Purpose::pay) return fail_wrong_state("there is no payment under this key");
    if (seen_) record_ = Record{};
    begin(Decision::begin_first, now);
  }

  void decide_present(Timestamp now, protocol::Holder holder) {
    if (terms_.purpose != Purpose::pay) return decide_without_payment(now, holder);
    const Decision decision = protocol::check(&record_, *terms_.fingerprint, now, holder, terms_.doubt_rule);
    seen_ = true;
    switch (decision) {
      case Decision::key_reused: return end(Status::key_reused);
      case Decision::replay: return replay();
      case Decision::stay_in_doubt: return end_in_doubt(copy_of(record_.note));
      case Decision::hold_back: return hold_back(now);
      case Decision::abandon: return lock_asked_ ? mark(now, holder) : take_lock();
      case Decision::ask_provider: return lock_asked_ ? ask_provider() : take_lock();
      case Decision::begin_first:
      case Decision::begin_anew:
      case Decision::begin_next: return begin(decision, now);
    }
  }

  [[gnu::cold]] void decide_without_payment(Timestamp now, protocol::Holder holder) {
    const bool by_a_person = terms_.purpose == Purpose::resolve;
    if (by_a_person && terms_.only_attempt != 0 && terms_.only_attempt != record_.attempt_id)
      return fail_wrong_state("another attempt has begun since this payment was looked at: look again");
    const bool may_act = by_a_person || lock_asked_;
    switch (record_.state) {
      case State::in_doubt: return may_act ? ask_provider() : take_lock();
      case State::in_progress:
        if (by_a_person || holder == protocol::Holder::gone || now >= record_.lease_until)
          return may_act ? mark(now, holder) : take_lock();
        return end_in_progress(protocol::retry_after(record_, now, terms_.lease));
      case State::succeeded:
      case State::declined:
        if (by_a_person) return fail_wrong_state("this payment is completed already");
        return replay();
      case State::released:
        if (by_a_person) return fail_wrong_state("this payment is released already; its key is free");
        ending_.reason = record_.note;
        return end(Status::not_executed);
    }
  }

  void take_lock() noexcept { step_ = Step::lock; }
  void ask_provider() noexcept {
    said_ = {};
    step_ = Step::ask_provider;
  }

  void begin(Decision decision, Timestamp now) {
    if (!lock_asked_) return take_lock();
    // Whoever holds the lock is about to begin or to settle this.
    if (locked_ == Obtained::no) return end_in_progress(short_pause());
    begin_as_ = decision;
    if (must_look_first())
      step_ = Step::admit;
    else
      write_begin(now);
  }

  void write_begin(Timestamp now) {
    over_doubt_ = begin_as_ == Decision::begin_next && record_.state == State::in_doubt;
    const protocol::Begin terms{*terms_.fingerprint,           now,           terms_.lease,
                                terms_.attempt_id + begins_++, terms_.amount, terms_.description};
    if (begin_as_ == Decision::begin_first) {
      write_.start_insert();
      protocol::begin_first(record_, terms);
    } else {
      write_.start_replace(record_.version);
      if (begin_as_ == Decision::begin_anew)
        protocol::begin_anew(record_, terms);
      else
        protocol::begin_next(record_, terms);
    }
    step_ = Step::begin;
  }

  [[gnu::cold]] void hold_back(Timestamp now) {
    const bool may_wait = terms_.wait.count() > 0 && !time_up_;
    if (!may_wait) return end_in_progress(protocol::retry_after(record_, now, terms_.lease));
    step_ = lock_asked_ ? Step::wait : Step::lock;
  }

  [[gnu::cold]] void mark(Timestamp now, protocol::Holder holder) {
    write_.start_replace(record_.version);
    protocol::doubt(record_,
                    holder == protocol::Holder::gone ? "abandoned: the process that ran this attempt is dead"
                    : now >= record_.lease_until     ? "abandoned: the lease of this attempt ran out"
                                                     : "abandoned: declared so by a person",
                    now);
    step_ = Step::mark;
  }

  void after_write(Timestamp now, protocol::Holder holder) {
    switch (write_.fate()) {
      case Write::Fate::open: return;
      case Write::Fate::stored: return after_stored(now);
      case Write::Fate::unknown: return after_unknown(now);
      case Write::Fate::conflict: break;
    }
    if (step_ == Step::record) return after_record_moved(now);
    if (++conflicts_ > most_conflicts) return end_in_progress(short_pause());
    decide(std::move(write_.there()), now, holder);
  }

  void after_stored(Timestamp now) {
    if (step_ == Step::begin) {
      began_ = true;
      if (seen_) said_ = {};  // what the provider said is not what the callable says
      step_ = Step::pay;
    } else if (step_ == Step::record || (step_ == Step::settle && !runs_again())) {
      end_as_recorded();
    } else {
      decide_present(now, protocol::Holder::may_live);
    }
  }

  bool runs_again() const noexcept {
    return terms_.purpose == Purpose::pay && record_.state == State::released;
  }

  [[gnu::cold]] void after_unknown(Timestamp now) {
    if (step_ == Step::record && has_result() && record_.state != State::in_doubt &&
        is_full(write_.failure()))
      return withdraw_result(now);
    if (step_ == Step::record || step_ == Step::settle) return end_in_doubt(why_unrecorded());
    fail(write_.failure());
  }

  /// The store does not take the result, for its size it may be. That it is in doubt is small, and others
  /// should know.
  [[gnu::cold]] void withdraw_result(Timestamp now) {
    const Version base = write_.expected();
    said_.reason = why_unrecorded();
    protocol::withdraw(record_, copy_of(said_.reason), now);
    write_.start_replace(base);
  }

  std::string why_unrecorded() const noexcept {
    try {
      return "the result could not be recorded: " + text_of(write_.failure());
    } catch (...) {
      return copy_of("not recorded");
    }
  }

  /// The record is no longer what this attempt wrote last. If it is still this attempt's, the attempt says
  /// how it ended.
  [[gnu::cold]] void after_record_moved(Timestamp now) {
    std::optional<Record>& there = write_.there();
    const bool mine = there && protocol::same_attempt(*there, record_) && ++conflicts_ <= most_conflicts;
    if (!mine || there->state == State::succeeded || there->state == State::declined) {
      ending_.moved_on = true;
      return end_in_doubt(copy_of("the result could not be recorded: the record had moved on"));
    }
    const Version base = there->version;
    if (record_.state == State::succeeded || record_.state == State::declined) {
      Record ended = std::move(record_);
      record_ = std::move(*there);
      protocol::complete_late(record_, ended, completion(ended.response, ended.response_format, now));
    } else if (there->state == State::in_progress) {  // a heartbeat or a checkpoint whose reply was lost
      std::string note = std::move(record_.note);
      const State target = record_.state;
      record_ = std::move(*there);
      if (target == State::released)
        protocol::release(record_, std::move(note), now, terms_.retention);
      else
        protocol::doubt(record_, std::move(note), now);
    } else if (record_.state == there->state && record_.state == State::released) {
      return end_as_recorded();
    } else {
      ending_.moved_on = true;
      return end_in_doubt(std::move(said_.reason));
    }
    write_.start_replace(base);
  }

  void end_as_recorded() {
    ending_.recorded = true;
    switch (record_.state) {
      case State::succeeded:
      case State::declined:
        ending_.response_in = ResponseIn::report;
        ending_.final_state = record_.state;
        return end(Status::completed);
      case State::released:
        ending_.reason = std::move(said_.reason);
        ending_.cause = std::move(said_.cause);
        ending_.retry_after = short_pause();
        return end(Status::not_executed);
      case State::in_doubt:
      case State::in_progress: break;
    }
    end_in_doubt(over_doubt_ ? copy_of(record_.note) : std::move(said_.reason));
  }

  void replay() noexcept {
    ending_.response_in = ResponseIn::record;
    ending_.final_state = record_.state;
    end(Status::completed);
  }

  /// With evidence where the callable, or the provider, did return a response.
  [[gnu::cold]] void end_in_doubt(std::string&& reason) noexcept {
    ending_.reason = std::move(reason);
    ending_.cause = std::move(said_.cause);
    if (said_.state_of_response) {
      ending_.response_in = ResponseIn::report;
      ending_.final_state = *said_.state_of_response;
    }
    end(Status::in_doubt);
  }

  [[gnu::cold]] void end_in_progress(Duration retry_after) noexcept {
    ending_.retry_after = retry_after;
    end(Status::in_progress);
  }

  void end(Status status) noexcept {
    ending_.status = status;
    step_ = Step::end;
  }

  [[gnu::cold]] void fail(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    step_ = Step::end;
  }

  [[gnu::cold]] void fail_wrong_state(const char* why) {
    fail(std::make_exception_ptr(Error(errc::wrong_state, why)));
  }

  Duration short_pause() const noexcept {
    return terms_.lease < Duration(1000) ? terms_.lease : Duration(1000);
  }

  protocol::Completion completion(std::string& response, std::string& format, Timestamp now) const noexcept {
    const State state = said_.report == Report::succeeded ? State::succeeded : State::declined;
    return {state, std::move(response), std::move(format), now, terms_.retention};
  }

  /// Why this attempt leaves the payment in doubt. One that was not executed itself, but followed another in
  /// doubt, proves nothing of that one.
  [[gnu::cold]] std::string doubt_note() const noexcept {
    if (said_.report != Report::not_executed) return copy_of(said_.reason);
    try {
      return "an earlier attempt is in doubt; this one was not executed: " + said_.reason;
    } catch (...) {
      return {};
    }
  }

  /// The record's note with `why` and the call's annotation behind it.
  [[gnu::cold]] std::string annotated(std::string_view why) const {
    std::string note = record_.note;
    for (const std::string_view line : {why, terms_.annotation}) {
      if (line.empty()) continue;
      if (!note.empty()) note += '\n';
      note += line;
    }
    return note;
  }

  Terms terms_;
  Step step_ = Step::lock;
  Decision begin_as_ = Decision::begin_first;
  Obtained locked_ = Obtained::no;
  bool lock_asked_ = false;
  bool seen_ = false;
  bool time_up_ = false;
  bool over_doubt_ = false;
  bool began_ = false;
  int polls_ = 0;
  int conflicts_ = 0;
  unsigned begins_ = 0;
  Record record_ = {};
  Write write_ = {};
  Said said_ = {};
  Ending ending_ = {};
  std::exception_ptr error_ = {};
};

}  // namespace paidonce::inline v1::flow
