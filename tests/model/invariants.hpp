#pragma once
// The invariants, each a predicate with its number, written without the protocol's own functions. What they
// need to know beyond the world as it stands, `World::payments` and `World::last_version` remember.
//
//  1 the callable starts only after a durable begin record of this attempt
//  2 at most one charge per payment; another run only where nothing was done, or the owner's promise covers
//  it 3 an acknowledged result is durable, and a result that the callable returned reaches the caller 4 a
//  replay is byte-identical and never calls the callable; `refuse_if` is asked only when a begin is decided
//  5 states move only along the table; a completed record does not change until its retention is over
//  6 a result is recorded only under the attempt's own version, heartbeats joined; versions rise strictly
//  7 a different fingerprint never sees a stored response, nor any answer but `key_reused`
//  8 in doubt is never reported as success or failure
//  9 after a durability error nothing is acknowledged any more
// 10 nobody waits past their deadline, nor past one lease for a holder that is gone
// 11 recovery is idempotent
// 12 unfinished records are never erased

#include <stdexcept>
#include <string>

#include "world.hpp"

namespace model {

struct Violation : std::runtime_error {
  Violation(int broken, const std::string& what) : std::runtime_error(what), invariant(broken) {}
  int invariant;
};

inline void require(bool holds, int invariant, const char* what) {
  if (!holds) throw Violation(invariant, what);
}

namespace invariant {

inline bool completed(State state) { return state == State::succeeded || state == State::declined; }

inline bool retention_over(const Record& record, Timestamp now) {
  const bool may_end =
      completed(record.state) || (record.state == State::released && record.checkpoint.empty());
  return may_end && record.expires_at <= now;
}

/// The reach of the promise that the provider charges once per provider key.
inline bool promise_covers(const Scenario& scenario, Timestamp payment, Timestamp when) {
  return scenario.deduplicates() && when - payment < provider_remembers;
}

inline void begins(const Scenario& scenario, const World& world, const Record* old, const Record& now) {
  require(now.response.empty() && now.response_format.empty(), 4, "a begin record carries a response");
  require(now.lease_until == now.updated_at + lease, 10,
          "a begin record holds others back for longer than a lease");
  if (!old) {
    require(now.attempts == 1, 5, "a first begin is not attempt 1");
    return;
  }
  require(now.attempt_id != old->attempt_id, 5, "another attempt took over the attempt id");
  if (now.created_at != old->created_at) {
    require(now.attempts == 1, 5, "a payment begun anew is not at attempt 1");
    require(now.created_at > old->created_at, 5, "begun anew, yet created_at does not rise");
    require(retention_over(*old, now.updated_at), 5, "begun anew before the retention was over");
    require(now.checkpoint.empty(), 5, "begun anew with the checkpoint of another payment");
    return;
  }
  require(now.attempts == old->attempts + 1, 5, "another attempt does not count one more");
  require(now.fingerprint == old->fingerprint, 7, "another attempt rewrote the fingerprint");
  require(now.checkpoint == old->checkpoint, 5, "another attempt lost the checkpoint");
  require(old->state == State::released || old->state == State::in_doubt, 5,
          "an attempt began over a live record");
  require(old->state == State::released || promise_covers(scenario, now.created_at, now.updated_at), 2,
          "a payment in doubt is run again without evidence, and no promise of the provider covers it");
  (void)world;
}

inline bool holder_is_dead(const World& world, const Record& record) {
  const auto client = static_cast<std::size_t>(record.attempt_id / 1000 - 1);
  const auto call = record.attempt_id % 1000 / 100;
  return world.clients[client].crashed_calls >> call & 1;
}

inline void progresses(const Scenario& scenario, const World& world, const Record& old, const Record& now,
                       const Writer& writer) {
  if (now.state == State::in_progress) {
    Record same = old;
    same.lease_until = now.lease_until;
    same.checkpoint = now.checkpoint;
    same.version = now.version;
    same.updated_at = now.updated_at;
    require(same == now, 5, "a heartbeat or checkpoint changed more than lease and checkpoint");
    require(writer.owns(old), 6, "somebody else extended an attempt");
  } else if (now.state == State::in_doubt) {
    const bool by_person = writer.purpose == flow::Purpose::resolve;
    const bool gone = scenario.holder_aware && holder_is_dead(world, old);
    require(writer.owns(old) || by_person || gone || now.updated_at >= old.lease_until, 5,
            "a running attempt was declared abandoned");
  } else {
    require(writer.owns(old), 6, "the result of an attempt was recorded by somebody else");
  }
}

inline void moves(const Scenario& scenario, const World& world, const Record& old, const Record& now,
                  const Writer& writer) {
  require(now.version > old.version, 6, "a version did not rise");
  if (completed(old.state)) {
    require(now.state == State::in_progress && now.created_at != old.created_at, 5,
            "a completed record was changed");
    require(retention_over(old, now.updated_at), 5,
            "a completed record was replaced before its retention was over");
  }
  if (now.state == State::in_progress && now.attempt_id != old.attempt_id)
    return begins(scenario, world, &old, now);
  require(now.created_at == old.created_at && now.attempts == old.attempts &&
              now.attempt_id == old.attempt_id && now.fingerprint == old.fingerprint &&
              now.amount == old.amount,
          5, "a change of state changed what the payment is");
  if (old.state == State::in_progress) return progresses(scenario, world, old, now, writer);
  require(old.state == State::in_doubt || old.state == State::released, 5,
          "a move that the table does not list");
  if (now.state == State::released)
    require(old.state == State::in_doubt && !writer.after_begin, 5,
            "released by whom the table does not list");
  else
    require(completed(now.state), 5, "a move that the table does not list");
  if (writer.after_begin) require(writer.owns(old), 6, "an attempt recorded its result in another's record");
  if (old.state == State::released)
    require(writer.owns(old), 5, "a released record was completed by somebody else");
}

/// 2 and 8: what a record says of the provider must be so.
inline void tells_the_truth(const World& world, const Payment& payment, const Record& record) {
  if (payment.proof_is_wrong) return;
  const Entry entry = entry_of(world, record.created_at);
  if (record.state == State::succeeded) require(entry.charges > 0, 8, "recorded as succeeded, never charged");
  if (record.state == State::declined) require(entry.charges == 0, 8, "recorded as declined, yet charged");
  if (record.state == State::released)
    require(entry.charges == 0 && !may_yet_charge(world, record.created_at), 2,
            "released without proof: it was charged, or still may be");
}

/// Called with every record that becomes durable, before it does. Keeps `payments` up to date.
inline void durable_write(const Scenario& scenario, World& world, const Record& now, const Writer& writer) {
  const std::optional<Record>& old = world.store.durable;
  require(now.version > world.last_version, 6, "versions do not rise across the sweep of a record");
  world.last_version = now.version;
  if (old)
    moves(scenario, world, *old, now, writer);
  else
    require(now.state == State::in_progress, 5, "a record came into being in another state than in_progress"),
        begins(scenario, world, nullptr, now);
  Payment* payment = find_payment(world.payments, now.created_at);
  if (!payment) payment = &world.payments.emplace_back(Payment{now.created_at, now.fingerprint});
  require(payment->fingerprint == now.fingerprint, 7, "the fingerprint of a payment changed");
  tells_the_truth(world, *payment, now);
  if (now.state != State::in_progress && now.state != State::in_doubt)
    require(now.expires_at == now.updated_at + retention, 5, "a result is not kept for its retention");
  if (now.state == State::released) payment->released = now.attempts;
  if (completed(now.state)) {
    require(!payment->result || (*payment->result == now.state && payment->response == now.response), 4,
            "a payment has two results");
    payment->result = now.state;
    payment->response = now.response;
  }
  const bool begun_already =
      std::find(payment->begun.begin(), payment->begun.end(), now.attempt_id) != payment->begun.end();
  if (now.state != State::in_progress || begun_already) return;
  payment->begun.push_back(now.attempt_id);
  Client& client = world.clients[static_cast<std::size_t>(now.attempt_id / 1000 - 1)];
  if (client.payment && now.attempt_id % 1000 / 100 == client.call) client.begun = now.created_at;
}

inline void erased(const World& world, const Record& record) {
  require(completed(record.state) || (record.state == State::released && record.checkpoint.empty()), 12,
          "an unfinished record was erased");
  require(record.expires_at <= world.now, 12, "a record was erased before its retention was over");
}

inline void charged(const World& world, const Entry& entry) {
  const Payment* payment = find_payment(world.payments, entry.payment);
  require(entry.charges < 2 || (payment && payment->proof_is_wrong), 2, "charged twice");
}

/// The callable starts.
inline void pay_starts(const World& world, const Client& client) {
  const Record& running = client.payment->record();
  const Payment* payment = find_payment(world.payments, running.created_at);
  const bool durable = payment && std::find(payment->begun.begin(), payment->begun.end(),
                                            running.attempt_id) != payment->begun.end();
  require(durable, 1, "the callable starts without a durable begin record of its attempt");
  require(!client.reported, 4, "the callable is called twice in one call");
}

/// Order 3 and 4: the first try at recording what the callable reported.
inline void completing(const Client& client) {
  require(client.beat.phase == Beat::Phase::idle, 6, "the completing write does not wait for the heartbeat");
}
inline void completing_first(const Client& client) {
  require(client.payment->expected() == client.own_version, 6,
          "the result is not recorded over the last version that the attempt wrote");
}

/// Order 5: the last look, under the lock, must have found that a begin is to be decided.
inline void refusal_is_asked(const Scenario& scenario, const Client& client) {
  require(client.looked, 4, "the caller is asked to refuse before anybody looked under the lock");
  if (!client.seen) return;
  const Record& seen = *client.seen;
  const bool begins = retention_over(seen, client.seen_at) || seen.state == State::released ||
                      seen.state == State::in_progress ||  // abandoned, or settled since
                      (seen.state == State::in_doubt && scenario.means != protocol::DoubtRule::Means::none);
  require(begins, 4, "the caller is asked to refuse although no begin is to be decided");
}

/// 9.
inline void store_answers(const World& world) {
  require(!world.store.poisoned, 9, "the store answered after a durability error");
}

/// 10.
inline void waits_for_lock(const Client& client) {
  require(!client.no_time_left, 10, "the lock is asked for although the call has no time left");
}
inline void waits(const Scenario& scenario, const Client& client) {
  require(!client.no_time_left && scenario.wait.count() > 0, 10,
          "a duplicate waits although its time is over");
}

inline void answer_fits_fingerprint(const Call& call, const Client& client, const flow::Ending& ending) {
  if (call.purpose != flow::Purpose::pay || client.begun || !client.seen) return;
  const Record& seen = *client.seen;
  if (retention_over(seen, client.seen_at)) return;
  const bool same = seen.fingerprint == fingerprint_of(call.request);
  if (!same && seen.state == State::in_progress && ending.status == Status::in_progress &&
      client.payment->began())
    return;
  require(same || ending.status == Status::key_reused, 7,
          "another request was told of a payment that is not its own");
  require(!same || ending.status != Status::key_reused, 7,
          "the same request was told that its key is reused");
}

/// A call ends with an answer.
inline void answers(const World& world, const Call& call, const Client& client) {
  const flow::Ending& ending = client.payment->ending();
  const Record& record = client.payment->record();
  const Payment* payment = find_payment(world.payments, record.created_at);
  answer_fits_fingerprint(call, client, ending);
  const bool has_result = client.report == Report::succeeded || client.report == Report::declined;
  if (client.reported && has_result) {
    const bool recorded = ending.status == Status::completed;
    const bool evidence = ending.status == Status::in_doubt && ending.response_in == flow::ResponseIn::report;
    require(recorded || evidence, 3, "a result that the callable returned did not reach the caller");
    const State said = client.report == Report::succeeded ? State::succeeded : State::declined;
    require(ending.final_state == said, 3, "the caller is told another result than the callable's");
  }
  switch (ending.status) {
    case Status::completed:
      require(payment && payment->result, 3, "acknowledged, yet not durable");
      require(*payment->result == ending.final_state && payment->response == record.response, 4,
              "a replay is not byte-identical");
      require(call.purpose != flow::Purpose::pay || payment->fingerprint == fingerprint_of(call.request), 7,
              "another request was given a stored response");
      require(ending.response_in != flow::ResponseIn::record || !client.reported, 4,
              "a replay called the callable");
      if (!payment->proof_is_wrong) {
        const Entry entry = entry_of(world, record.created_at);
        require((ending.final_state == State::succeeded) == (entry.charges > 0), 8,
                "what is reported is not what the provider did");
      }
      break;
    case Status::not_executed:
      require(payment && payment->released >= record.attempts, 8, "not executed is reported without proof");
      break;
    case Status::in_progress:
      require(!client.reported, 8, "in_progress is said by whom has paid");
      require(ending.retry_after.count() > 0 && ending.retry_after <= lease, 10,
              "told to come back after a lease");
      break;
    case Status::in_doubt:
      require(ending.response_in != flow::ResponseIn::record, 8, "a stored response is shown as in doubt");
      break;
    case Status::refused:
    case Status::key_reused: require(!client.reported, 8, "refused after the callable ran"); break;
  }
}

/// A call ends with an exception.
inline void fails(const Client& client) {
  require(!client.payment->began(), 3, "an exception leaves the call although its callable had started");
}

}  // namespace invariant
}  // namespace model
