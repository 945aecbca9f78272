// The sequence of a payment, driven by hand along each of its paths.

#include <paidonce/flow.hpp>

#include <optional>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;
using flow::Admission;
using flow::Ask;
using flow::FirstLook;
using flow::Obtained;
using flow::Payment;
using flow::Purpose;
using flow::TimeLeft;
using protocol::Holder;
using Means = protocol::DoubtRule::Means;

namespace {

constexpr Duration lease{30'000};
constexpr Duration retention{86'400'000};
const Fingerprint request = fingerprint("order", "4.50");
const Fingerprint another_request = fingerprint("order", "5.40");

flow::Terms terms(Means means = Means::none) {
  flow::Terms terms;
  terms.fingerprint = &request;
  terms.lease = lease;
  terms.retention = retention;
  terms.doubt_rule = {means, Duration(3'600'000)};
  terms.attempt_id = 100;
  terms.amount = "4.50 EUR";
  return terms;
}

std::exception_ptr failure() { return std::make_exception_ptr(Error(errc::store_unavailable)); }

/// A store with one key, a clock, and the answers that a guard would give.
struct Table {
  std::optional<Record> record = {};
  Timestamp now{Duration(1'000'000)};

  void find(Payment& payment, Holder holder = Holder::may_live) {
    REQUIRE(payment.ask() == Ask::find);
    payment.found(std::optional<Record>(record), now, holder);
  }
  void lock(Payment& payment, Obtained obtained = Obtained::yes) {
    REQUIRE(payment.ask() == Ask::lock);
    payment.locked(obtained, now);
  }
  /// Applies the write that is asked for; the reply is told, or lost.
  void write(Payment& payment, bool reply = true) {
    REQUIRE((payment.ask() == Ask::insert || payment.ask() == Ask::replace));
    if (payment.ask() == Ask::insert) {
      std::optional<Record> existing = record;
      if (!existing) record = payment.record();
      if (reply) payment.inserted(std::move(existing), now, Holder::may_live);
    } else {
      const bool stored = record && record->version == payment.expected();
      if (stored) record = payment.record();
      if (reply) payment.replaced(stored, now);
    }
    if (!reply) payment.failed(failure(), now);
  }
  void fail(Payment& payment) { payment.failed(failure(), now); }
  void pay(Payment& payment, Report report) {
    REQUIRE(payment.ask() == Ask::pay);
    payment.paid(said(report), now);
  }
  void ask_provider(Payment& payment, Report report) {
    REQUIRE(payment.ask() == Ask::reconcile);
    payment.reconciled(said(report), now);
  }
  static flow::Said said(Report report) {
    flow::Said said;
    said.report = report;
    said.reason = "reason";
    if (report == Report::succeeded || report == Report::declined) {
      said.response = "response";
      said.response_format = "text";
      said.state_of_response = report == Report::succeeded ? State::succeeded : State::declined;
    }
    return said;
  }
  /// Runs a payment up to its callable.
  Payment begun(const flow::Terms& with = terms()) {
    Payment payment(with);
    lock(payment);
    if (payment.ask() == Ask::find) find(payment);
    if (payment.ask() == Ask::admit) payment.admitted(std::nullopt, now);
    while (payment.ask() == Ask::insert || payment.ask() == Ask::replace || payment.ask() == Ask::find)
      payment.ask() == Ask::find ? find(payment) : write(payment);
    REQUIRE(payment.ask() == Ask::pay);
    REQUIRE(payment.began());
    return payment;
  }
  void leave_in(State state) {
    Payment payment = begun();
    const Report reports[] = {Report::in_doubt, Report::succeeded, Report::declined, Report::in_doubt,
                              Report::not_executed};
    if (state == State::in_progress) return;
    pay(payment, reports[static_cast<int>(state) - 1]);
    write(payment);
    REQUIRE(record->state == state);
  }
  void mark_in_doubt() { protocol::doubt(*record, "abandoned", now); }
};

Status status_of(const Payment& payment) {
  REQUIRE(payment.ask() == Ask::done);
  REQUIRE(payment.error() == nullptr);
  return payment.ending().status;
}

errc error_of(const Payment& payment) {
  REQUIRE(payment.ask() == Ask::done);
  REQUIRE(payment.error() != nullptr);
  try {
    std::rethrow_exception(payment.error());
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
}

}  // namespace

TEST_CASE("a new payment takes one lock, two writes and no read", "[flow]") {
  Table table;
  Payment payment{terms()};
  table.lock(payment);
  CHECK(payment.ask() == Ask::insert);
  CHECK_FALSE(payment.began());
  table.write(payment);
  CHECK(payment.ask() == Ask::pay);
  CHECK(payment.began());
  CHECK(table.record == payment.record());
  CHECK(payment.record().attempt_id == 100);
  CHECK(payment.record().amount == "4.50 EUR");
  table.pay(payment, Report::succeeded);
  CHECK(payment.ask() == Ask::replace);
  table.write(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(payment.ending().final_state == State::succeeded);
  CHECK(payment.ending().response_in == flow::ResponseIn::report);
  CHECK(table.record->response == "response");
  CHECK(table.record->expires_at == table.now + retention);
}

TEST_CASE("a replay needs no lock where the store is read first, and no callable", "[flow]") {
  for (const State state : {State::succeeded, State::declined}) {
    Table table;
    table.leave_in(state);
    const Record before = *table.record;
    flow::Terms with = terms();
    with.first_look = FirstLook::before_lock;
    Payment payment(with);
    table.find(payment);
    CHECK(status_of(payment) == Status::completed);
    CHECK(payment.ending().final_state == state);
    CHECK(payment.ending().response_in == flow::ResponseIn::record);
    CHECK(payment.record().response == "response");
    CHECK_FALSE(payment.began());
    CHECK(table.record == before);
  }
}

TEST_CASE("where the store is remote the insert itself tells of the replay", "[flow]") {
  Table table;
  table.leave_in(State::succeeded);
  Payment payment{terms()};
  table.lock(payment);
  table.write(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(payment.ending().response_in == flow::ResponseIn::record);
}

TEST_CASE("another request under the key is told so, whatever the state", "[flow]") {
  for (const State state :
       {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released}) {
    Table table;
    table.leave_in(state);
    flow::Terms with = terms(Means::provider_deduplicates);
    with.fingerprint = &another_request;
    for (const FirstLook first : {FirstLook::before_lock, FirstLook::under_lock}) {
      with.first_look = first;
      Payment payment(with);
      if (first == FirstLook::before_lock) {
        table.find(payment);
      } else {
        table.lock(payment);
        table.write(payment);
      }
      CHECK(status_of(payment) == Status::key_reused);
      CHECK(payment.ending().response_in == flow::ResponseIn::nowhere);
    }
  }
}

TEST_CASE("where the lock is not obtained the record decides", "[flow][lock]") {
  const auto answer = [](Table& table, Means means = Means::none) {
    Payment payment(terms(means));
    table.lock(payment, Obtained::no);
    table.find(payment);
    return status_of(payment);
  };
  Table empty;
  CHECK(answer(empty) == Status::in_progress);
  Table table;
  table.leave_in(State::in_progress);
  CHECK(answer(table) == Status::in_progress);
  table = Table();
  table.leave_in(State::succeeded);
  CHECK(answer(table) == Status::completed);
  table = Table();
  table.leave_in(State::in_doubt);
  CHECK(answer(table) == Status::in_doubt);
  CHECK(answer(table, Means::provider_deduplicates) == Status::in_progress);
  table = Table();
  table.leave_in(State::released);
  CHECK(answer(table) == Status::in_progress);
}

TEST_CASE("a begin whose reply was lost is found again, and the callable runs once", "[flow][faults]") {
  Table table;
  Payment payment{terms()};
  table.lock(payment);
  table.write(payment, false);
  CHECK(payment.ask() == Ask::find);
  table.find(payment);
  CHECK(payment.ask() == Ask::pay);
  table.pay(payment, Report::succeeded);
  table.write(payment, false);
  table.find(payment);
  CHECK(status_of(payment) == Status::completed);
}

TEST_CASE("a begin that fails four times ends the call with the store's error, before any payment",
          "[flow][faults]") {
  Table table;
  Payment payment{terms()};
  table.lock(payment);
  for (int i = 0; i < flow::Write::most_failures; ++i) table.fail(payment);
  CHECK(error_of(payment) == errc::store_unavailable);
  CHECK_FALSE(payment.began());
}

TEST_CASE("a completion that fails four times is in doubt with evidence", "[flow][faults]") {
  for (const Report report : {Report::succeeded, Report::declined}) {
    Table table;
    Payment payment = table.begun();
    table.pay(payment, report);
    for (int i = 0; i < flow::Write::most_failures; ++i) table.fail(payment);
    CHECK(status_of(payment) == Status::in_doubt);
    CHECK(payment.ending().response_in == flow::ResponseIn::report);
    CHECK(payment.ending().final_state == (report == Report::succeeded ? State::succeeded : State::declined));
  }
}

TEST_CASE("a first look that fails ends the call", "[flow][faults]") {
  flow::Terms with = terms();
  with.first_look = FirstLook::before_lock;
  Payment payment(with);
  payment.failed(failure(), Timestamp());
  CHECK(error_of(payment) == errc::store_unavailable);
}

TEST_CASE("not executed frees the key, and the next call is attempt 2", "[flow]") {
  Table table;
  Payment payment = table.begun();
  table.pay(payment, Report::not_executed);
  table.write(payment);
  CHECK(status_of(payment) == Status::not_executed);
  CHECK(payment.ending().reason == "reason");
  CHECK(payment.ending().retry_after.count() > 0);
  CHECK(table.record->state == State::released);
  Payment again = table.begun();
  CHECK(again.record().attempts == 2);
  CHECK(again.record().created_at == payment.record().created_at);
}

TEST_CASE("what the callable does not know leaves the key in doubt, and nobody runs it again", "[flow]") {
  Table table;
  table.leave_in(State::in_doubt);
  Payment again{terms()};
  table.lock(again);
  table.write(again);
  CHECK(status_of(again) == Status::in_doubt);
  CHECK(again.ending().reason == "reason");
  CHECK_FALSE(again.began());
}

TEST_CASE("an attempt over a doubt that was not executed leaves the doubt", "[flow]") {
  Table table;
  table.leave_in(State::in_doubt);
  Payment again = table.begun(terms(Means::provider_deduplicates));
  CHECK(again.record().attempts == 2);
  table.pay(again, Report::not_executed);
  table.write(again);
  CHECK(status_of(again) == Status::in_doubt);
  CHECK(table.record->state == State::in_doubt);
  CHECK_THAT(table.record->note, support::contains("earlier attempt is in doubt"));
}

TEST_CASE("the provider's promise covers another attempt only as long as it remembers", "[flow]") {
  Table table;
  table.leave_in(State::in_doubt);
  table.now = table.record->created_at + Duration(3'600'000);
  Payment again{terms(Means::provider_deduplicates)};
  table.lock(again);
  table.write(again);
  CHECK(status_of(again) == Status::in_doubt);
}

TEST_CASE("an attempt whose lease ran out, or whose holder is dead, is marked in doubt first", "[flow]") {
  for (const bool dead : {true, false}) {
    Table table;
    table.leave_in(State::in_progress);
    if (!dead) table.now += lease;
    flow::Terms with = terms(Means::ask_provider);
    with.first_look = FirstLook::before_lock;
    Payment payment(with);
    const Holder holder = dead ? Holder::gone : Holder::may_live;
    table.find(payment, holder);
    table.lock(payment);
    table.find(payment, holder);
    CHECK(payment.ask() == Ask::replace);
    table.write(payment);
    CHECK(table.record->state == State::in_doubt);
    CHECK_THAT(table.record->note, support::contains(dead ? "dead" : "lease"));
    table.ask_provider(payment, Report::succeeded);
    table.write(payment);
    CHECK(status_of(payment) == Status::completed);
    CHECK(payment.ending().response_in == flow::ResponseIn::report);
    CHECK_FALSE(payment.began());
  }
}

TEST_CASE("what the provider proves settles a doubt, and what it does not know does not",
          "[flow][reconcile]") {
  const auto settle = [](Table& table, Report report) {
    table.leave_in(State::in_doubt);
    Payment payment{terms(Means::ask_provider)};
    table.lock(payment);
    table.write(payment);
    table.ask_provider(payment, report);
    return payment;
  };
  Table unsure;
  CHECK(status_of(settle(unsure, Report::in_doubt)) == Status::in_doubt);
  CHECK(unsure.record->state == State::in_doubt);

  Table declined;
  Payment payment = settle(declined, Report::declined);
  declined.write(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(declined.record->state == State::declined);

  Table nothing;
  Payment again = settle(nothing, Report::not_executed);
  nothing.write(again);
  CHECK(nothing.record->state == State::released);
  nothing.write(again);
  CHECK(again.ask() == Ask::pay);
  CHECK(again.record().attempts == 2);
  nothing.pay(again, Report::not_executed);
  nothing.write(again);
  CHECK(status_of(again) == Status::not_executed);

  Table lost;
  Payment unknown = settle(lost, Report::succeeded);
  for (int i = 0; i < flow::Write::most_failures; ++i) lost.fail(unknown);
  CHECK(status_of(unknown) == Status::in_doubt);
  CHECK(unknown.ending().response_in == flow::ResponseIn::report);
}

TEST_CASE("a late result completes its own attempt, given up or released, and no other", "[flow][late]") {
  Table table;
  Payment late = table.begun();
  SECTION("given up") { table.mark_in_doubt(); }
  SECTION("released") {
    table.mark_in_doubt();
    protocol::release(*table.record, "a person said so", table.now, retention);
  }
  table.pay(late, Report::succeeded);
  table.write(late);
  table.find(late);
  CHECK(late.ask() == Ask::replace);
  table.write(late);
  CHECK(status_of(late) == Status::completed);
  CHECK(table.record->state == State::succeeded);
  CHECK(table.record->note.empty());
}

TEST_CASE("a late result of a record that has moved on is evidence", "[flow][late]") {
  Table table;
  Payment late = table.begun();
  table.mark_in_doubt();
  SECTION("another attempt runs") {
    Payment next = table.begun(terms(Means::provider_deduplicates));
    CHECK(next.record().attempts == 2);
  }
  SECTION("a person completed it") {
    protocol::complete(*table.record, {State::declined, "no", "text", table.now, retention});
  }
  SECTION("it was swept") { table.record.reset(); }
  const std::optional<Record> before = table.record;
  table.pay(late, Report::succeeded);
  table.write(late);
  table.find(late);
  CHECK(status_of(late) == Status::in_doubt);
  CHECK(late.ending().moved_on);
  CHECK(late.ending().response_in == flow::ResponseIn::report);
  CHECK(late.ending().final_state == State::succeeded);
  CHECK(table.record == before);
}

TEST_CASE("a late report of nothing done does not settle a doubt", "[flow][late]") {
  Table table;
  Payment late = table.begun();
  table.mark_in_doubt();
  table.pay(late, Report::not_executed);
  table.write(late);
  table.find(late);
  CHECK(status_of(late) == Status::in_doubt);
  CHECK(late.ending().moved_on);
  CHECK(table.record->state == State::in_doubt);
}

TEST_CASE("a heartbeat of unknown fate that had landed does not cost the result", "[flow][late]") {
  for (const Report report : {Report::succeeded, Report::declined, Report::not_executed, Report::in_doubt}) {
    Table table;
    Payment payment = table.begun();
    table.now += Duration(5);
    protocol::extend(*table.record, table.now, lease);  // the attempt does not know that it landed
    table.pay(payment, report);
    table.write(payment);
    table.find(payment);
    CHECK(payment.ask() == Ask::replace);
    CHECK(payment.expected() == table.record->version);
    table.write(payment);
    const Status wanted = report == Report::not_executed ? Status::not_executed
                          : report == Report::in_doubt   ? Status::in_doubt
                                                         : Status::completed;
    CHECK(status_of(payment) == wanted);
    CHECK_FALSE(payment.ending().moved_on);
  }
}

TEST_CASE("a heartbeat that landed with the completion's own version is not taken for the completion",
          "[flow][late]") {
  Table table;
  Payment payment = table.begun();
  protocol::extend(*table.record, table.now, lease);
  table.pay(payment, Report::succeeded);
  REQUIRE(payment.record().version == table.record->version);
  table.fail(payment);
  table.find(payment);
  CHECK(payment.ask() == Ask::replace);
  table.write(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(table.record->state == State::succeeded);
}

TEST_CASE("a late write whose reply is lost is followed like the first", "[flow][late]") {
  Table table;
  Payment late = table.begun();
  table.mark_in_doubt();
  table.pay(late, Report::succeeded);
  table.write(late);
  table.find(late);
  table.write(late, false);
  table.find(late);
  CHECK(status_of(late) == Status::completed);
}

TEST_CASE("refuse_if is asked last, only when a begin is decided", "[flow][admit]") {
  for (const FirstLook first : {FirstLook::under_lock, FirstLook::before_lock}) {
    flow::Terms with = terms();
    with.admission = Admission::asked;
    with.first_look = first;
    Table table;
    Payment payment(with);
    if (first == FirstLook::before_lock) table.find(payment);
    table.lock(payment);
    table.find(payment);
    CHECK(payment.ask() == Ask::admit);
    SECTION(first == FirstLook::under_lock ? "refused" : "refused after a first look") {
      payment.admitted("limit reached", table.now);
      CHECK(status_of(payment) == Status::refused);
      CHECK(payment.ending().reason == "limit reached");
      CHECK_FALSE(table.record.has_value());
    }
    SECTION(first == FirstLook::under_lock ? "admitted" : "admitted after a first look") {
      payment.admitted(std::nullopt, table.now);
      table.write(payment);
      CHECK(payment.ask() == Ask::pay);
    }
  }
}

TEST_CASE("a duplicate whose holder finished while it waited for the lock is replayed, not refused",
          "[flow][admit]") {
  flow::Terms with = terms();
  with.admission = Admission::asked;
  with.first_look = FirstLook::before_lock;
  Table table;
  Payment duplicate(with);
  table.find(duplicate);
  table.leave_in(State::succeeded);
  table.lock(duplicate);
  table.find(duplicate);
  CHECK(status_of(duplicate) == Status::completed);
}

TEST_CASE("a duplicate waits as long as it may, then is told when to come back", "[flow][wait]") {
  Table table;
  table.leave_in(State::in_progress);
  flow::Terms with = terms();
  with.wait = Duration(500);
  with.first_look = FirstLook::before_lock;
  Payment payment(with);
  table.find(payment);
  table.lock(payment);
  table.find(payment);
  Duration before{0};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(payment.ask() == Ask::wait);
    CHECK(payment.pause() >= before);
    CHECK(payment.pause() <= Duration(128));
    before = payment.pause();
    payment.waited(TimeLeft::yes);
    table.find(payment);
  }
  payment.waited(TimeLeft::no);
  table.now += Duration(400);
  table.find(payment);
  CHECK(status_of(payment) == Status::in_progress);
  CHECK(payment.ending().retry_after == lease - Duration(400));
}

TEST_CASE("a duplicate that waited is given the result", "[flow][wait]") {
  Table table;
  Payment holder = table.begun();
  flow::Terms with = terms();
  with.wait = Duration(500);
  with.attempt_id = 200;
  Payment payment(with);
  table.lock(payment);
  table.write(payment);
  REQUIRE(payment.ask() == Ask::wait);
  table.pay(holder, Report::succeeded);
  table.write(holder);
  payment.waited(TimeLeft::no);
  table.find(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(payment.ending().response_in == flow::ResponseIn::record);
}

TEST_CASE("a begin that meets another's write decides again", "[flow][conflict]") {
  Table table;
  table.leave_in(State::released);
  flow::Terms others = terms();
  others.attempt_id = 200;
  Payment first{terms()}, second{others};
  for (Payment* payment : {&first, &second}) {
    table.lock(*payment);
    table.write(*payment);  // the insert meets the released record
    REQUIRE(payment->ask() == Ask::replace);
  }
  table.write(first);
  CHECK(first.ask() == Ask::pay);
  table.write(second);
  table.find(second);
  CHECK(status_of(second) == Status::in_progress);
}

TEST_CASE("a begin over a record that was swept meanwhile is a first begin and minds the time",
          "[flow][conflict]") {
  Table table;
  table.leave_in(State::succeeded);
  const Record old = *table.record;
  table.now = old.expires_at;
  Payment payment{terms()};
  table.lock(payment);
  table.write(payment);
  REQUIRE(payment.ask() == Ask::replace);
  table.record.reset();
  table.write(payment);
  REQUIRE(payment.ask() == Ask::find);
  CHECK(payment.minds_time());
  table.find(payment);
  REQUIRE(payment.ask() == Ask::insert);
  CHECK(payment.record().created_at == table.now);
  CHECK(payment.record().version > old.version);
  CHECK(payment.record().attempts == 1);
}

TEST_CASE("a key that others keep moving is answered as in progress", "[flow][conflict]") {
  Table table;
  table.leave_in(State::released);
  Payment payment{terms()};
  table.lock(payment);
  table.write(payment);
  int rounds = 0;
  while (payment.ask() != Ask::done) {
    REQUIRE(++rounds < 100);
    REQUIRE(payment.ask() == Ask::replace);
    protocol::begin_next(*table.record, {request, table.now, lease, 500, "", ""});
    protocol::release(*table.record, "", table.now, retention);
    table.write(payment);
    table.find(payment);
  }
  CHECK(status_of(payment) == Status::in_progress);
  CHECK_FALSE(payment.began());
}

TEST_CASE("after the retention another request may have the key", "[flow]") {
  Table table;
  table.leave_in(State::succeeded);
  const Record old = *table.record;
  table.now = old.expires_at;
  flow::Terms with = terms();
  with.fingerprint = &another_request;
  Payment payment(with);
  table.lock(payment);
  table.write(payment);
  table.write(payment);
  CHECK(payment.ask() == Ask::pay);
  CHECK(payment.record().created_at > old.created_at);
  CHECK(payment.record().version > old.version);
}

TEST_CASE("reconcile settles what is in doubt and never pays", "[flow][reconcile]") {
  flow::Terms with = terms();
  with.purpose = Purpose::reconcile;
  with.annotation = "by recovery";
  const auto run = [&](Table& table) {
    Payment payment(with);
    table.lock(payment);
    table.find(payment);
    return payment;
  };
  Table nothing;
  CHECK(error_of(run(nothing)) == errc::wrong_state);

  Table running;
  running.leave_in(State::in_progress);
  CHECK(status_of(run(running)) == Status::in_progress);
  running.now += lease;
  Payment abandoned = run(running);
  running.write(abandoned);
  running.ask_provider(abandoned, Report::not_executed);
  running.write(abandoned);
  CHECK(status_of(abandoned) == Status::not_executed);
  CHECK(running.record->state == State::released);
  CHECK_THAT(running.record->note, support::contains("by recovery"));

  Table completed;
  completed.leave_in(State::declined);
  Payment replayed = run(completed);
  CHECK(status_of(replayed) == Status::completed);
  CHECK(replayed.ending().response_in == flow::ResponseIn::record);

  Table released;
  released.leave_in(State::released);
  CHECK(status_of(run(released)) == Status::not_executed);
}

TEST_CASE("a settlement that meets another's write decides again", "[flow][reconcile]") {
  Table table;
  table.leave_in(State::in_doubt);
  flow::Terms with = terms();
  with.purpose = Purpose::reconcile;
  Payment payment(with);
  table.lock(payment);
  table.find(payment);
  table.ask_provider(payment, Report::not_executed);
  protocol::complete(*table.record, {State::succeeded, "by another", "text", table.now, retention});
  table.write(payment);
  table.find(payment);
  CHECK(status_of(payment) == Status::completed);
  CHECK(payment.ending().response_in == flow::ResponseIn::record);
  CHECK(payment.record().response == "by another");
}

TEST_CASE("a person resolves what is in doubt or in progress, without the lock, and nothing else",
          "[flow][resolve]") {
  flow::Terms with = terms();
  with.purpose = Purpose::resolve;
  with.annotation = "ann: seen in the provider's list";
  for (const State state : {State::in_progress, State::in_doubt}) {
    Table table;
    table.leave_in(state);
    Payment payment(with);
    table.find(payment);
    if (state == State::in_progress) table.write(payment);
    CHECK(table.record->state == State::in_doubt);
    table.ask_provider(payment, Report::succeeded);
    table.write(payment);
    CHECK(status_of(payment) == Status::completed);
    CHECK_THAT(table.record->note, support::contains("ann: seen"));
  }
  for (const State state : {State::succeeded, State::declined, State::released}) {
    Table table;
    table.leave_in(state);
    const Record before = *table.record;
    Payment payment(with);
    table.find(payment);
    CHECK(error_of(payment) == errc::wrong_state);
    CHECK(table.record == before);
  }
  Table nothing;
  Payment payment(with);
  nothing.find(payment);
  CHECK(error_of(payment) == errc::wrong_state);
}

TEST_CASE("a payment that broke off is in doubt, with its evidence", "[flow]") {
  Table table;
  Payment payment = table.begun();
  table.pay(payment, Report::succeeded);
  payment.broke_off();
  CHECK(status_of(payment) == Status::in_doubt);
  CHECK(payment.ending().response_in == flow::ResponseIn::report);
}
