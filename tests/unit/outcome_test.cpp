// The guard's answer: what each status offers, and visiting it.

#include <paidonce/outcome.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

template <class R>
using Parts = detail::OutcomeParts<R>;

Outcome<std::string> completed(State state = State::succeeded, bool replayed = false) {
  Parts<std::string> parts;
  parts.status = Status::completed;
  parts.final_state = state;
  parts.replayed = replayed;
  parts.value = "paid";
  return Outcome<std::string>(std::move(parts));
}

Outcome<std::string> with(Status status) {
  Parts<std::string> parts;
  parts.status = status;
  if (status == Status::in_progress || status == Status::not_executed) parts.retry_after = 250ms;
  if (status == Status::in_doubt || status == Status::not_executed) {
    parts.cause = std::make_exception_ptr(std::runtime_error("thrown"));
  }
  if (status != Status::in_progress && status != Status::key_reused) parts.reason = "why";
  return Outcome<std::string>(std::move(parts));
}

Outcome<std::string> doubt_with_evidence(State state) {
  Parts<std::string> parts;
  parts.status = Status::in_doubt;
  parts.final_state = state;
  parts.value = "paid";
  parts.reason = "why";
  return Outcome<std::string>(std::move(parts));
}

constexpr Status not_completed[] = {Status::in_progress, Status::key_reused, Status::in_doubt,
                                    Status::not_executed, Status::refused};

/// Names the alternative, and what it carries.
std::string told(const Outcome<std::string>& outcome) {
  return outcome.visit(
      [](outcome::Completed<std::string> done) {
        return "completed " + done.response + (done.succeeded ? " succeeded" : " declined") +
               (done.replayed ? " replayed" : "");
      },
      [](outcome::InProgress running) {
        return "in_progress " + std::to_string(running.retry_after.count());
      },
      [](outcome::KeyReused) { return std::string("key_reused"); },
      [](const outcome::InDoubt<std::string>& doubt) {
        return "in_doubt " + doubt.reason + (doubt.evidence ? " " + *doubt.evidence : "") +
               (doubt.cause ? " thrown" : "");
      },
      [](outcome::NotExecuted nothing) { return "not_executed " + nothing.reason; },
      [](outcome::Refused refused) { return "refused " + refused.reason; });
}

std::string free_in_progress(outcome::InProgress) noexcept { return "a function"; }
std::string free_key_reused(const outcome::KeyReused&) { return "a function by reference"; }

struct FinalHandler final {
  std::string operator()(outcome::Refused refused) const { return "final " + refused.reason; }
};

/// A result that can only be moved.
struct Ticket {
  std::unique_ptr<int> number;
};

}  // namespace

TEST_CASE("a completed outcome has a response, and says whether it was stored before", "[outcome]") {
  for (const bool replayed : {false, true}) {
    const auto paid = completed(State::succeeded, replayed);
    CHECK(paid.status() == Status::completed);
    CHECK(paid.succeeded());
    CHECK_FALSE(paid.declined());
    CHECK(paid.replayed() == replayed);
    CHECK(paid.response() == "paid");

    const auto refused = completed(State::declined, replayed);
    CHECK_FALSE(refused.succeeded());
    CHECK(refused.declined());
    CHECK(refused.replayed() == replayed);
    CHECK(refused.response() == "paid");
  }
}

TEST_CASE("a completed outcome has no reason, no cause, no evidence and no time to wait", "[outcome]") {
  for (const State state : {State::succeeded, State::declined}) {
    const auto outcome = completed(state);
    CHECK(outcome.reason().empty());
    CHECK_FALSE(outcome.cause());
    CHECK(outcome.evidence() == nullptr);
    CHECK_FALSE(outcome.evidence_state());
    CHECK(outcome.retry_after() == 0ms);
  }
}

TEST_CASE("an outcome that is not completed neither succeeded nor was declined nor replayed", "[outcome]") {
  for (const Status status : not_completed) {
    const auto outcome = with(status);
    INFO(to_string(status));
    CHECK(outcome.status() == status);
    CHECK_FALSE(outcome.succeeded());
    CHECK_FALSE(outcome.declined());
    CHECK_FALSE(outcome.replayed());
    CHECK(outcome.evidence() == nullptr);
    CHECK_FALSE(outcome.evidence_state());
  }
}

TEST_CASE("evidence of a success is not a success", "[outcome]") {
  for (const State state : {State::succeeded, State::declined}) {
    const auto outcome = doubt_with_evidence(state);
    CHECK_FALSE(outcome.succeeded());
    CHECK_FALSE(outcome.declined());
    CHECK_FALSE(outcome.replayed());
    REQUIRE(outcome.evidence());
    CHECK(*outcome.evidence() == "paid");
    CHECK(outcome.evidence_state() == state);
    CHECK_THROWS_AS(outcome.response(), std::logic_error);
  }
}

TEST_CASE("the response of anything else throws, and names the status", "[outcome]") {
  for (const Status status : not_completed) {
    auto outcome = with(status);
    const std::string name(to_string(status));
    CHECK_THROWS_MATCHES(std::as_const(outcome).response(), std::logic_error,
                         support::says<std::logic_error>(name));
    CHECK_THROWS_MATCHES(std::move(outcome).response(), std::logic_error,
                         support::says<std::logic_error>(name));
  }
}

TEST_CASE("reason, cause and time to wait belong to their statuses", "[outcome]") {
  CHECK(with(Status::in_progress).retry_after() == 250ms);
  CHECK(with(Status::not_executed).retry_after() == 250ms);
  CHECK(with(Status::key_reused).retry_after() == 0ms);
  CHECK(with(Status::in_doubt).retry_after() == 0ms);
  CHECK(with(Status::in_doubt).reason() == "why");
  CHECK(with(Status::not_executed).reason() == "why");
  CHECK(with(Status::refused).reason() == "why");
  CHECK(with(Status::in_progress).reason().empty());
  CHECK_THROWS_WITH(std::rethrow_exception(with(Status::in_doubt).cause()), "thrown");
  CHECK_THROWS_WITH(std::rethrow_exception(with(Status::not_executed).cause()), "thrown");
  CHECK_FALSE(with(Status::refused).cause());
}

TEST_CASE("a temporary outcome gives its response away", "[outcome]") {
  static_assert(std::same_as<decltype(completed().response()), std::string>);
  static_assert(
      std::same_as<decltype(std::declval<const Outcome<std::string>&>().response()), const std::string&>);
  const std::string& kept = completed().response();  // a value, so that this does not dangle
  CHECK(kept == "paid");

  Parts<Ticket> parts;
  parts.status = Status::completed;
  parts.final_state = State::succeeded;
  parts.value.emplace(Ticket{std::make_unique<int>(41)});
  Outcome<Ticket> outcome(std::move(parts));
  CHECK(*outcome.response().number == 41);
  Outcome<Ticket> moved = std::move(outcome);
  const Ticket ticket = std::move(moved).response();
  CHECK(*ticket.number == 41);
}

TEST_CASE("outcomes are values: copies are independent", "[outcome]") {
  auto outcome = completed();
  const auto copy = outcome;
  outcome = with(Status::refused);
  CHECK(outcome.status() == Status::refused);
  CHECK(copy.response() == "paid");
  auto moved = std::move(outcome);
  CHECK(moved.reason() == "why");
  moved = copy;
  CHECK(moved.succeeded());
}

TEST_CASE("visit calls the handler of the status, with what belongs to it", "[outcome][visit]") {
  CHECK(told(completed()) == "completed paid succeeded");
  CHECK(told(completed(State::declined, true)) == "completed paid declined replayed");
  CHECK(told(with(Status::in_progress)) == "in_progress 250");
  CHECK(told(with(Status::key_reused)) == "key_reused");
  CHECK(told(with(Status::in_doubt)) == "in_doubt why thrown");
  CHECK(told(doubt_with_evidence(State::succeeded)) == "in_doubt why paid");
  CHECK(told(with(Status::not_executed)) == "not_executed why");
  CHECK(told(with(Status::refused)) == "refused why");
}

TEST_CASE("handlers come in any order, and plain functions among them", "[outcome][visit]") {
  const auto visited = [](const Outcome<std::string>& outcome) {
    return outcome.visit([](outcome::Refused) { return std::string("refused"); }, free_in_progress,
                         &free_key_reused, [](outcome::NotExecuted) { return std::string("not executed"); },
                         [](const outcome::Completed<std::string>& done) { return done.response; },
                         [](const outcome::InDoubt<std::string>&) { return std::string("in doubt"); });
  };
  CHECK(visited(with(Status::in_progress)) == "a function");
  CHECK(visited(with(Status::key_reused)) == "a function by reference");
  CHECK(visited(with(Status::refused)) == "refused");
  CHECK(visited(with(Status::not_executed)) == "not executed");
  CHECK(visited(with(Status::in_doubt)) == "in doubt");
  CHECK(visited(completed()) == "paid");
}

TEST_CASE("handlers are whatever can be called and names what it takes", "[outcome][visit]") {
  const std::function<std::string(outcome::NotExecuted)> stored = [](outcome::NotExecuted nothing) {
    return "stored " + nothing.reason;
  };
  const auto visited = [&](const Outcome<std::string>& outcome) {
    int calls = 0;
    return outcome.visit(
        FinalHandler{}, stored, free_in_progress, free_key_reused,
        [&calls](const outcome::Completed<std::string>&) mutable noexcept { return std::to_string(++calls); },
        +[](const outcome::InDoubt<std::string>& doubt) { return "pointer " + doubt.reason; });
  };
  CHECK(visited(with(Status::refused)) == "final why");
  CHECK(visited(with(Status::not_executed)) == "stored why");
  CHECK(visited(with(Status::in_progress)) == "a function");
  CHECK(visited(with(Status::in_doubt)) == "pointer why");
  CHECK(visited(completed()) == "1");
}

TEST_CASE("visit returns nothing where its handlers return nothing", "[outcome][visit]") {
  std::string seen;
  static_assert(std::is_void_v<decltype(completed().visit(
                    [](outcome::Completed<std::string>) {}, [](outcome::InProgress) {},
                    [](outcome::KeyReused) {}, [](const outcome::InDoubt<std::string>&) {},
                    [](outcome::NotExecuted) {}, [](outcome::Refused) {}))>);
  const auto look = [&](const Outcome<std::string>& outcome) {
    outcome.visit([&](outcome::Completed<std::string>) { seen += 'c'; },
                  [&](outcome::InProgress) { seen += 'p'; }, [&](outcome::KeyReused) { seen += 'k'; },
                  [&](const outcome::InDoubt<std::string>&) { seen += 'd'; },
                  [&](outcome::NotExecuted) { seen += 'n'; }, [&](outcome::Refused) { seen += 'r'; });
  };
  look(completed());
  for (const Status status : not_completed) look(with(status));
  CHECK(seen == "cpkdnr");
}

TEST_CASE("visit returns references as references", "[outcome][visit]") {
  int counters[6] = {};
  const auto counter = [&](const Outcome<std::string>& outcome) -> int& {
    return outcome.visit([&](outcome::Completed<std::string>) -> int& { return counters[0]; },
                         [&](outcome::InProgress) -> int& { return counters[1]; },
                         [&](outcome::KeyReused) -> int& { return counters[2]; },
                         [&](const outcome::InDoubt<std::string>&) -> int& { return counters[3]; },
                         [&](outcome::NotExecuted) -> int& { return counters[4]; },
                         [&](outcome::Refused) -> int& { return counters[5]; });
  };
  ++counter(completed());
  ++counter(completed());
  for (const Status status : not_completed) ++counter(with(status));
  CHECK(counters[0] == 2);
  for (int other = 1; other < 6; ++other) CHECK(counters[other] == 1);
}

TEST_CASE("visit returns and takes what can only be moved", "[outcome][visit]") {
  auto box = std::make_unique<int>(7);
  const auto number = [](int value) { return std::make_unique<int>(value); };
  const auto result = completed().visit(
      [box = std::move(box)](outcome::Completed<std::string>) mutable { return std::move(box); },
      [&](outcome::InProgress) { return number(1); }, [&](outcome::KeyReused) { return number(2); },
      [&](const outcome::InDoubt<std::string>&) { return number(3); },
      [&](outcome::NotExecuted) { return number(4); }, [&](outcome::Refused) { return number(5); });
  REQUIRE(result);
  CHECK(*result == 7);
}

TEST_CASE("what a handler throws comes out of visit", "[outcome][visit]") {
  const auto outcome = with(Status::in_doubt);
  CHECK_THROWS_WITH(outcome.visit([](outcome::Completed<std::string>) {}, [](outcome::InProgress) {},
                                  [](outcome::KeyReused) {},
                                  [](const outcome::InDoubt<std::string>& doubt) {
                                    if (doubt.cause) std::rethrow_exception(doubt.cause);
                                  },
                                  [](outcome::NotExecuted) {}, [](outcome::Refused) {}),
                    "thrown");
}

TEST_CASE("statuses have names", "[outcome]") {
  CHECK(to_string(Status::completed) == "completed");
  CHECK(to_string(Status::in_progress) == "in_progress");
  CHECK(to_string(Status::key_reused) == "key_reused");
  CHECK(to_string(Status::in_doubt) == "in_doubt");
  CHECK(to_string(Status::not_executed) == "not_executed");
  CHECK(to_string(Status::refused) == "refused");
  CHECK(to_string(static_cast<Status>(99)) == "unknown");
}
