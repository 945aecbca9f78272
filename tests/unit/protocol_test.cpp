// What may happen to a record, against a table written for the test: every state, fingerprint, time, holder
// and doubt rule.

#include <paidonce/protocol.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using protocol::Decision;
using protocol::DoubtRule;
using protocol::Holder;
using Means = DoubtRule::Means;

namespace {

constexpr Timestamp created{Duration(1'000'000)};
constexpr Duration lease{30'000};
constexpr Duration retention{86'400'000};
constexpr Duration remembers{3'600'000};
const std::vector<State> all_states{State::in_progress, State::succeeded, State::declined, State::in_doubt,
                                    State::released};

enum class Same { yes, by_previous_secret, no };

Fingerprint under(std::string_view secret, std::vector<std::string> previous = {}) {
  return Fingerprinter(secret, std::move(previous))("order", "4.50");
}

Fingerprint asked(Same same) {
  switch (same) {
    case Same::yes: return under("old");
    case Same::by_previous_secret: return under("new", {"older", "old"});
    case Same::no: break;
  }
  return under("new", {"older"});
}

Record record_in(State state, std::string checkpoint = "") {
  Record record;
  record.fingerprint = under("old").current_only();
  record.state = state;
  record.version = next_version(created);
  record.attempt_id = 7;
  record.attempts = 2;
  record.created_at = created;
  record.updated_at = created;
  record.lease_until = created + lease;
  record.expires_at = created + retention;
  record.checkpoint = std::move(checkpoint);
  record.note = "an old note";
  if (state == State::succeeded || state == State::declined) record.response = "response";
  return record;
}

/// The table of the design, line by line.
Decision expected(const Record& record, Same same, Timestamp now, Holder holder, Means means) {
  const bool finished = record.state == State::succeeded || record.state == State::declined;
  const bool forgettable = finished || (record.state == State::released && record.checkpoint.empty());
  if (forgettable && now.time_since_epoch() >= record.expires_at.time_since_epoch())
    return Decision::begin_anew;
  if (same == Same::no) return Decision::key_reused;
  if (finished) return Decision::replay;
  if (record.state == State::released) return Decision::begin_next;
  if (record.state == State::in_progress) {
    const bool lease_runs = now < record.lease_until;
    return lease_runs && holder == Holder::may_live ? Decision::hold_back : Decision::abandon;
  }
  if (means == Means::ask_provider) return Decision::ask_provider;
  const bool remembered = now < record.created_at + remembers;
  return means == Means::provider_deduplicates && remembered ? Decision::begin_next : Decision::stay_in_doubt;
}

protocol::Begin begin_at(Timestamp now, const Fingerprint& fingerprint) {
  return {fingerprint, now, lease, 99, "4.50 EUR", "coffee"};
}

protocol::Completion completion_at(Timestamp now, State state = State::succeeded) {
  return {state, "paid", "text", now, retention};
}

/// Whether `move` is refused as the wrong state, and leaves the record as it was.
template <class Move>
bool refused(Record record, Move move) {
  const Record before = record;
  try {
    move(record);
  } catch (const Error& error) {
    return error.code() == errc::wrong_state && record == before;
  }
  return false;
}

constexpr Timestamp later = created + Duration(5);

}  // namespace

TEST_CASE("nothing under the key begins the first attempt", "[protocol][check]") {
  for (const Means means : {Means::none, Means::ask_provider, Means::provider_deduplicates})
    CHECK(protocol::check(nullptr, asked(Same::yes), created, Holder::may_live, {means, remembers}) ==
          Decision::begin_first);
}

TEST_CASE("every state, fingerprint, time, holder and doubt rule decides as the table says",
          "[protocol][check]") {
  std::vector<Timestamp> times{Timestamp::min(), created, Timestamp::max()};
  for (const Duration boundary : {lease, retention, remembers})
    for (const int off : {-1, 0, 1}) times.push_back(created + boundary + Duration(off));
  int decided = 0;
  for (const State state : all_states)
    for (const char* checkpoint : {"", "step 1"})
      for (const Same same : {Same::yes, Same::by_previous_secret, Same::no})
        for (const Timestamp now : times)
          for (const Holder holder : {Holder::may_live, Holder::gone})
            for (const Means means : {Means::none, Means::ask_provider, Means::provider_deduplicates}) {
              const Record record = record_in(state, checkpoint);
              const Decision decision =
                  protocol::check(&record, asked(same), now, holder, {means, remembers});
              CAPTURE(to_string(state), checkpoint, static_cast<int>(same), now.time_since_epoch().count(),
                      static_cast<int>(holder), static_cast<int>(means));
              REQUIRE(decision == expected(record, same, now, holder, means));
              ++decided;
            }
  CHECK(decided == 5 * 2 * 3 * 12 * 2 * 3);
}

TEST_CASE("a record without a fingerprint fits no request", "[protocol][check]") {
  Record record = record_in(State::succeeded);
  record.fingerprint = Fingerprint();
  CHECK(protocol::check(&record, asked(Same::yes), created, Holder::may_live, {}) == Decision::key_reused);
}

TEST_CASE("a retention or memory that reaches past the end of time never ends", "[protocol][check]") {
  Record record = record_in(State::in_doubt);
  const Timestamp now = Timestamp::max() - Duration(1);
  CHECK(protocol::check(&record, asked(Same::yes), now, Holder::may_live,
                        {Means::provider_deduplicates, Duration::max()}) == Decision::begin_next);
  Record running = record_in(State::in_progress);
  auto completion = completion_at(now);
  protocol::complete(running, std::move(completion));
  CHECK(running.expires_at == Timestamp::max());
  CHECK_FALSE(protocol::expired(running, now));
}

TEST_CASE("a move from a state that the table does not list is refused", "[protocol][moves]") {
  const Fingerprint fingerprint = asked(Same::yes);
  for (const State state : all_states) {
    const bool running = state == State::in_progress;
    const bool doubtful = state == State::in_doubt;
    const bool free = state == State::released;
    CAPTURE(to_string(state));
    const Record record = record_in(state);
    CHECK(refused(record, [](Record& r) { protocol::extend(r, later, lease); }) == !running);
    CHECK(refused(record, [](Record& r) { protocol::save_checkpoint(r, later, "x"); }) == !running);
    CHECK(refused(record, [](Record& r) { protocol::doubt(r, "why", later); }) == !running);
    CHECK(refused(record, [](Record& r) { protocol::complete(r, completion_at(later)); }) ==
          !(running || doubtful));
    CHECK(refused(record, [](Record& r) { protocol::release(r, "why", later, retention); }) ==
          !(running || doubtful));
    CHECK(refused(record, [&](Record& r) { protocol::begin_next(r, begin_at(later, fingerprint)); }) ==
          !(doubtful || free));
    CHECK(refused(record, [&](Record& r) { protocol::complete_late(r, record, completion_at(later)); }) ==
          !(running || doubtful || free));
  }
}

TEST_CASE("beginning anew is refused until the retention is over, and for what is unfinished for ever",
          "[protocol][moves]") {
  const Fingerprint fingerprint = asked(Same::no);
  for (const State state : all_states)
    for (const char* checkpoint : {"", "step 1"})
      for (const int off : {-1, 0, 1}) {
        const Timestamp now = created + retention + Duration(off);
        const bool over = off >= 0 && (state == State::succeeded || state == State::declined ||
                                       (state == State::released && std::string(checkpoint).empty()));
        CAPTURE(to_string(state), checkpoint, off);
        CHECK(refused(record_in(state, checkpoint),
                      [&](Record& r) { protocol::begin_anew(r, begin_at(now, fingerprint)); }) == !over);
      }
}

TEST_CASE("a payment completes as succeeded or declined and as nothing else", "[protocol][moves]") {
  for (const State target : all_states) {
    const bool final_state = target == State::succeeded || target == State::declined;
    CHECK(refused(record_in(State::in_progress),
                  [&](Record& r) { protocol::complete(r, completion_at(later, target)); }) == !final_state);
    if (final_state) continue;
    Record late = record_in(State::released);
    CHECK_THROWS_MATCHES(
        protocol::complete_late(late, record_in(State::released), completion_at(later, target)), Error,
        support::has_code<Error>(errc::wrong_state));
  }
}

TEST_CASE("only the same attempt completes a record late", "[protocol][moves]") {
  const Record record = record_in(State::in_doubt);
  Record other_time = record, other_number = record, other_id = record, other_version = record;
  other_time.created_at += Duration(1);
  other_number.attempts += 1;
  other_id.attempt_id += 1;
  other_version.version += 1;
  other_version.state = State::in_progress;
  for (const Record& mine : {other_time, other_number, other_id}) {
    CHECK_FALSE(protocol::same_attempt(record, mine));
    CHECK(refused(record, [&](Record& r) { protocol::complete_late(r, mine, completion_at(later)); }));
  }
  Record late = record;
  protocol::complete_late(late, other_version, completion_at(later));
  CHECK(late.state == State::succeeded);
  CHECK(late.note.empty());
  CHECK(late.response == "paid");
  CHECK(late.expires_at == later + retention);
}

TEST_CASE("a first begin fills the whole record", "[protocol][moves]") {
  Record record;
  const Fingerprint fingerprint = asked(Same::by_previous_secret);
  protocol::begin_first(record, begin_at(later, fingerprint));
  Record wanted;
  wanted.fingerprint = fingerprint.current_only();
  wanted.state = State::in_progress;
  wanted.version = static_cast<Version>(later.time_since_epoch().count()) * 1000;
  wanted.attempt_id = 99;
  wanted.attempts = 1;
  wanted.created_at = wanted.updated_at = later;
  wanted.lease_until = later + lease;
  wanted.amount = "4.50 EUR";
  wanted.description = "coffee";
  CHECK(record == wanted);
}

TEST_CASE("another attempt keeps what the payment is", "[protocol][moves]") {
  for (const State state : {State::in_doubt, State::released}) {
    const Record before = record_in(state, "step 1");
    Record record = before;
    protocol::begin_next(record, begin_at(later, asked(Same::by_previous_secret)));
    CHECK(record.fingerprint == before.fingerprint);
    CHECK(record.created_at == before.created_at);
    CHECK(record.checkpoint == before.checkpoint);
    CHECK(record.attempts == before.attempts + 1);
    CHECK(record.attempt_id == 99);
    CHECK(record.lease_until == later + lease);
    CHECK(record.expires_at == Timestamp());
    CHECK(record.version > before.version);
    CHECK(record.note == (state == State::in_doubt ? "an old note" : ""));
  }
}

TEST_CASE("beginning anew is another payment, and created_at rises even where the clock went back",
          "[protocol][moves]") {
  for (const State state : {State::succeeded, State::declined, State::released}) {
    Record before = record_in(state);
    before.created_at = created + retention + Duration(50);  // by a clock that was ahead
    const Timestamp now = created + retention;
    Record record = before;
    protocol::begin_anew(record, begin_at(now, asked(Same::no)));
    CHECK(record.created_at == before.created_at + Duration(1));
    CHECK(record.fingerprint == asked(Same::no));
    CHECK(record.attempts == 1);
    CHECK(record.checkpoint.empty());
    CHECK(record.note.empty());
    CHECK(record.response.empty());
    CHECK(record.version > before.version);
    Record in_time = record_in(state);
    protocol::begin_anew(in_time, begin_at(now, asked(Same::no)));
    CHECK(in_time.created_at == now);
  }
}

TEST_CASE("a version rises with every move, at whatever time, also past the microseconds of the clock",
          "[protocol][version]") {
  const Fingerprint fingerprint = asked(Same::yes);
  for (const Timestamp now : {Timestamp::min(), Timestamp(), created, later, Timestamp::max()})
    for (const Version last : {Version{1}, next_version(created), next_version(Timestamp::max())}) {
      const auto rises = [&](State state, auto move) {
        Record record = record_in(state);
        record.version = last;
        move(record);
        CHECK(record.version > last);
        CHECK(record.updated_at == now);
      };
      rises(State::in_progress, [&](Record& r) { protocol::extend(r, now, lease); });
      rises(State::in_progress, [&](Record& r) { protocol::save_checkpoint(r, now, "x"); });
      rises(State::in_progress, [&](Record& r) { protocol::doubt(r, "why", now); });
      rises(State::in_progress, [&](Record& r) { protocol::complete(r, completion_at(now)); });
      rises(State::in_doubt, [&](Record& r) { protocol::complete(r, completion_at(now)); });
      rises(State::in_doubt, [&](Record& r) { protocol::release(r, "why", now, retention); });
      rises(State::released, [&](Record& r) { protocol::complete_late(r, Record(r), completion_at(now)); });
      rises(State::released, [&](Record& r) { protocol::begin_next(r, begin_at(now, fingerprint)); });
    }
}

TEST_CASE("a heartbeat changes the lease and a checkpoint the checkpoint, and both nothing else",
          "[protocol][moves]") {
  const Record before = record_in(State::in_progress);
  Record extended = before;
  protocol::extend(extended, later, lease);
  CHECK(extended.lease_until == later + lease);
  Record saved = before;
  protocol::save_checkpoint(saved, later, "step 1");
  CHECK(saved.checkpoint == "step 1");
  CHECK(saved.lease_until == before.lease_until);
  saved.checkpoint = before.checkpoint;
  extended.lease_until = before.lease_until;
  for (Record* record : {&saved, &extended}) {
    record->version = before.version;
    record->updated_at = before.updated_at;
    CHECK(*record == before);
  }
}

TEST_CASE("a duplicate is told to come back when the lease ends, within one lease of its own", "[protocol]") {
  const Record running = record_in(State::in_progress);
  CHECK(protocol::retry_after(running, created, lease) == lease);
  CHECK(protocol::retry_after(running, created + Duration(10), lease) == lease - Duration(10));
  CHECK(protocol::retry_after(running, created, Duration(7)) == Duration(7));
  CHECK(protocol::retry_after(running, created + lease, lease) == Duration(1));
}
