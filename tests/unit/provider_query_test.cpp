// What a provider's answer comes to: the rule for "not found", and the query as a function that settles
// doubts.

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/recovery/provider_query.hpp>

#include "support/catch.hpp"
#include "unit/guard_support.hpp"

using namespace guard_tests;
using protocol::Holder;
using Answer = ProviderAnswer<std::string>;
using Verdict = NotFound::Verdict;

namespace {

const IdempotencyKey order("shop", "order-1001");

Record in_doubt_record() {
  Record record;
  record.state = State::in_doubt;
  record.attempts = 1;
  record.created_at = Timestamp(Duration(1'700'000'000'000));
  return record;
}
const Record doubtful = in_doubt_record();

Doubt doubt(Duration seen_for, Holder holder) { return {order, doubtful, seen_for, holder, 1}; }

}  // namespace

TEST_CASE("not found proves that nothing happened only by rule, by time and with a dead holder",
          "[recovery][not_found]") {
  struct Row {
    NotFound rule;
    Duration seen_for;
    Holder holder;
    Verdict verdict;
  };
  const NotFound never = NotFound::means_in_doubt();
  const NotFound minute = NotFound::proves_not_executed_after(1min);
  const NotFound longest = NotFound::proves_not_executed_after(Duration::max());
  const NotFound shortest = NotFound::proves_not_executed_after(1ms);
  const std::vector<Row> rows = {
      {never, 0ms, Holder::may_live, Verdict::proves_nothing},
      {never, 0ms, Holder::gone, Verdict::proves_nothing},
      {never, Duration::max(), Holder::may_live, Verdict::proves_nothing},
      {never, Duration::max(), Holder::gone, Verdict::proves_nothing},
      {minute, 0ms, Holder::may_live, Verdict::needs_dead_holder},
      {minute, 60000ms, Holder::may_live, Verdict::needs_dead_holder},
      {minute, Duration::max(), Holder::may_live, Verdict::needs_dead_holder},
      {minute, Duration::min(), Holder::gone, Verdict::needs_time},
      {minute, -1ms, Holder::gone, Verdict::needs_time},
      {minute, 0ms, Holder::gone, Verdict::needs_time},
      {minute, 59999ms, Holder::gone, Verdict::needs_time},
      {minute, 60000ms, Holder::gone, Verdict::not_executed},
      {minute, 60001ms, Holder::gone, Verdict::not_executed},
      {minute, Duration::max(), Holder::gone, Verdict::not_executed},
      {shortest, 0ms, Holder::gone, Verdict::needs_time},
      {shortest, 1ms, Holder::gone, Verdict::not_executed},
      {longest, Duration::max() - 1ms, Holder::gone, Verdict::needs_time},
      {longest, Duration::max(), Holder::gone, Verdict::not_executed},
  };
  for (const Row& row : rows) {
    CAPTURE(row.seen_for.count(), row.holder == Holder::gone, row.verdict);
    const Doubt about = doubt(row.seen_for, row.holder);
    CHECK(row.rule.verdict(about) == row.verdict);
    const Text report = Answer::not_found().report(row.rule, about);
    CHECK((report.report() == Report::not_executed) == (row.verdict == Verdict::not_executed));
    CHECK((report.report() == Report::in_doubt) == (row.verdict != Verdict::not_executed));
    CHECK(report.reason() == row.rule.explain(about));
    // Nothing else that a provider says depends on the rule.
    CHECK(*Answer::succeeded("paid").report(row.rule, about).response_if() == "paid");
    CHECK(Answer::unknown("pending").report(row.rule, about).report() == Report::in_doubt);
  }
}

TEST_CASE("a release after no time, or after a negative one, is no rule", "[recovery][not_found]") {
  for (const Duration after : {Duration(0), Duration(-1), Duration::min()})
    CHECK_THROWS_MATCHES(NotFound::proves_not_executed_after(after), Error,
                         support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("the reason says what is missing for a release", "[recovery][not_found]") {
  const NotFound rule = NotFound::proves_not_executed_after(90s);
  CHECK(NotFound::means_in_doubt().explain(doubt(1h, Holder::gone)) ==
        "not found at the provider, which proves nothing: a request may still be under way");
  CHECK(rule.explain(doubt(1h, Holder::may_live)) ==
        "not found at the provider; a release needs proof that the holder is dead");
  CHECK(rule.explain(doubt(12s, Holder::gone)) ==
        "not found at the provider; a release needs it to be in doubt for 90000 ms, seen so far: 12000 ms");
  CHECK(rule.explain(doubt(91s, Holder::gone)) ==
        "not found at the provider; its holder is dead, and it was seen in doubt for 91000 ms");
}

TEST_CASE("each answer of a provider is one report", "[recovery][provider_query]") {
  const Doubt about = doubt(1h, Holder::gone);
  const NotFound rule = NotFound::proves_not_executed_after(1min);
  const auto report = [&](const Answer& answer) {
    return provider_query<std::string>(rule, [&](const Doubt&) { return answer; })(about);
  };
  CHECK(report(Answer::succeeded("receipt 17")).report() == Report::succeeded);
  CHECK(*report(Answer::succeeded("receipt 17")).response_if() == "receipt 17");
  CHECK(report(Answer::declined("no funds")).report() == Report::declined);
  CHECK(*report(Answer::declined("no funds")).response_if() == "no funds");
  CHECK(report(Answer::not_found()).report() == Report::not_executed);
  CHECK(report(Answer::unknown("pending")).report() == Report::in_doubt);
  CHECK(report(Answer::unknown("pending")).reason() == "pending");
  CHECK(report(Answer::unknown("")).reason() == "the provider does not know what became of it");
}

TEST_CASE("a query is told of the doubt that it is asked about", "[recovery][provider_query]") {
  const Doubt about{order, doubtful, 7s, Holder::gone, 3};
  const auto ask = provider_query<std::string>(NotFound::means_in_doubt(), [&](const Doubt& asked) {
    CHECK(&asked == &about);
    return Answer::succeeded(asked.provider_key());
  });
  CHECK(*ask(about).response_if() == provider_key(order, doubtful.created_at));
}

TEST_CASE("at a request a payment that is found is completed, and not paid again",
          "[recovery][provider_query]") {
  World world;
  world.put_in_doubt();
  std::string asked_for;
  const auto ask = provider_query<std::string>(NotFound::means_in_doubt(), [&](const Doubt& about) {
    asked_for = about.provider_key();
    CHECK(about.key == key());
    CHECK(about.record.state == State::in_doubt);
    CHECK(about.holder == Holder::may_live);
    CHECK(about.seen_for == 0ms);
    CHECK(about.round == 1);
    return Answer::succeeded("receipt 17");
  });
  const auto outcome = world.guard.execute(key(), request, never, ask.at_request(key()));
  CHECK(outcome.succeeded());
  CHECK(outcome.response() == "receipt 17");
  CHECK(asked_for == provider_key(key(), world.record().created_at));
  CHECK(world.state() == State::succeeded);
}

TEST_CASE("at a request what is not found stays in doubt, whatever the rule for recovery",
          "[recovery][provider_query]") {
  for (const NotFound rule : {NotFound::means_in_doubt(), NotFound::proves_not_executed_after(1ms)}) {
    World world;
    world.put_in_doubt();
    world.clock.advance(48h);
    const auto ask = provider_query<std::string>(rule, [](const Doubt&) { return Answer::not_found(); });
    const auto executed = world.guard.execute(key(), request, never, ask.at_request(key()));
    CHECK(executed.status() == Status::in_doubt);
    CHECK(executed.reason() == NotFound::means_in_doubt().explain(doubt(0ms, Holder::may_live)));
    CHECK(world.guard.reconcile<std::string>(key(), ask.at_request(key())).status() == Status::in_doubt);
    CHECK(world.state() == State::in_doubt);
  }
}

TEST_CASE("a query that throws leaves the payment in doubt, NotExecuted included",
          "[recovery][provider_query]") {
  World world;
  world.put_in_doubt();
  const auto fails = provider_query<std::string>(NotFound::means_in_doubt(), [](const Doubt&) -> Answer {
    throw NotExecuted("the provider's page is missing");
  });
  const auto outcome = world.guard.execute(key(), request, never, fails.at_request(key()));
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(outcome.reason() == "the provider's page is missing");
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("a release by rule frees the key, and the record says why", "[recovery][provider_query]") {
  World world;
  world.put_in_doubt();
  const auto ask = provider_query<std::string>(NotFound::proves_not_executed_after(1min),
                                               [](const Doubt&) { return Answer::not_found(); });
  // As recovery asks.
  const auto recover = [&](Duration seen_for, Holder holder) {
    return world.guard.reconcile<std::string>(key(), [&](const Record& record) {
      return ask(Doubt{key(), record, seen_for, holder, 1});
    });
  };
  CHECK(recover(1h, Holder::may_live).status() == Status::in_doubt);
  CHECK(recover(59s, Holder::gone).status() == Status::in_doubt);
  CHECK(world.state() == State::in_doubt);
  CHECK(recover(61s, Holder::gone).status() == Status::not_executed);
  CHECK(world.state() == State::released);
  CHECK_THAT(world.record().note,
             support::contains("not found at the provider; its holder is dead, and it was seen in doubt for "
                               "61000 ms"));
  Counting pay;
  CHECK(world.guard.execute(key(), request, pay).succeeded());
  CHECK(pay.runs == 1);
}
