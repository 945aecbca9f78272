#pragma once
// What may happen to a record, decided without I/O, clock or lock. Guards, recovery and the simulator all
// drive these functions and no others, so that whether a payment may run is answered here and nowhere else.
//
// | found                                     | and                                   | decision        |
// | ----------------------------------------- | ------------------------------------- | --------------- |
// | nothing                                   |                                       | `begin_first`   |
// | completed, or released with no checkpoint | its retention is over                 | `begin_anew`    |
// | any other                                 | the fingerprint differs               | `key_reused`    |
// | `succeeded`, `declined`                   |                                       | `replay`        |
// | `released`                                |                                       | `begin_next`    |
// | `in_progress`                             | the lease runs, the holder may live   | `hold_back`     |
// | `in_progress`                             | the lease is over, or the holder gone | `abandon`       |
// | `in_doubt`                                | the provider can be asked             | `ask_provider`  |
// | `in_doubt`                                | it deduplicates, and still remembers  | `begin_next`    |
// | `in_doubt`                                | neither                               | `stay_in_doubt` |

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::protocol {

enum class Decision : std::uint8_t {
  begin_first,
  begin_anew,
  begin_next,
  key_reused,
  replay,
  hold_back,
  abandon,
  ask_provider,
  stay_in_doubt,
};

/// Whether the process that began an attempt may still be alive. `gone` needs proof.
enum class Holder : std::uint8_t { may_live, gone };

/// What may settle a doubt. Asking wins over running again where both are there.
struct DoubtRule {
  enum class Means : std::uint8_t { none, ask_provider, provider_deduplicates };
  Means means = Means::none;
  Duration provider_remembers{0};  ///< after `created_at`; running again is allowed only before its end
};

/// Whether a record has had its time: only completed ones and those released with no step taken ever do.
inline bool expired(const Record& record, Timestamp now) noexcept {
  switch (record.state) {
    case State::succeeded:
    case State::declined: return now >= record.expires_at;
    case State::released: return record.checkpoint.empty() && now >= record.expires_at;
    case State::in_progress:
    case State::in_doubt: break;
  }
  return false;
}

/// The one question before anything runs. `found` is null where the store has no record.
inline Decision check(const Record* found, const Fingerprint& fingerprint, Timestamp now, Holder holder,
                      const DoubtRule& rule) noexcept {
  if (!found) return Decision::begin_first;
  if (expired(*found, now)) return Decision::begin_anew;
  if (!fingerprint.matches(found->fingerprint)) return Decision::key_reused;
  switch (found->state) {
    case State::succeeded:
    case State::declined: return Decision::replay;
    case State::released: return Decision::begin_next;
    case State::in_progress:
      return holder == Holder::gone || now >= found->lease_until ? Decision::abandon : Decision::hold_back;
    case State::in_doubt: break;
  }
  if (rule.means == DoubtRule::Means::ask_provider) return Decision::ask_provider;
  if (rule.means == DoubtRule::Means::provider_deduplicates &&
      now < saturating_add(found->created_at, rule.provider_remembers))
    return Decision::begin_next;
  return Decision::stay_in_doubt;
}

/// Whether both records speak of the same attempt at the same payment.
inline bool same_attempt(const Record& a, const Record& b) noexcept {
  return a.created_at == b.created_at && a.attempts == b.attempts && a.attempt_id == b.attempt_id;
}

namespace detail {

inline void require(const Record& record, std::initializer_list<State> allowed, std::string_view move) {
  for (const State state : allowed)
    if (record.state == state) return;
  throw Error(errc::wrong_state,
              "a record that is " + std::string(to_string(record.state)) + " cannot " + std::string(move));
}

inline void touch(Record& record, State state, Timestamp now) noexcept {
  record.state = state;
  record.version = next_version(now, record.version);
  record.updated_at = now;
}

}  // namespace detail

/// What a begin needs to know. `attempt_id` is fresh and random.
struct Begin {
  const Fingerprint& fingerprint;
  Timestamp now;
  Duration lease;
  std::uint64_t attempt_id;
  std::string_view amount;
  std::string_view description;
};

namespace detail {

inline void start(Record& record, const Begin& begin) {
  record.attempt_id = begin.attempt_id;
  record.lease_until = saturating_add(begin.now, begin.lease);
  record.expires_at = {};
  record.amount = begin.amount;
  record.description = begin.description;
  record.response.clear();
  record.response_format.clear();
  touch(record, State::in_progress, begin.now);
}

}  // namespace detail

/// The first attempt at a payment. `record` is a fresh one.
inline void begin_first(Record& record, const Begin& begin) {
  record.fingerprint = begin.fingerprint.current_only();
  record.attempts = 1;
  record.created_at = begin.now;
  detail::start(record, begin);
}

/// A new payment under a key whose old payment has had its time: any fingerprint, a `created_at` strictly
/// after the old one (so that the provider key differs), and a version that goes on rising.
inline void begin_anew(Record& record, const Begin& begin) {
  if (!expired(record, begin.now))
    throw Error(errc::wrong_state, "a record whose retention is not over cannot begin anew");
  record.fingerprint = begin.fingerprint.current_only();
  record.attempts = 1;
  const Timestamp after_the_old_one = saturating_add(record.created_at, Duration(1));
  record.created_at = begin.now > after_the_old_one ? begin.now : after_the_old_one;
  record.checkpoint.clear();
  record.note.clear();
  detail::start(record, begin);
}

/// Another attempt at the same payment. Fingerprint, `created_at` and checkpoint stay what they were: taking
/// over must not let another amount in, nor change the key that the provider knows.
inline void begin_next(Record& record, const Begin& begin) {
  detail::require(record, {State::in_doubt, State::released}, "begin another attempt");
  record.attempts += 1;
  if (record.state == State::released) record.note.clear();
  detail::start(record, begin);
}

/// The running attempt asks for more time.
inline void extend(Record& record, Timestamp now, Duration lease) {
  detail::require(record, {State::in_progress}, "have its lease extended");
  record.lease_until = saturating_add(now, lease);
  detail::touch(record, State::in_progress, now);
}

/// The running attempt has done a step.
inline void save_checkpoint(Record& record, Timestamp now, std::string_view checkpoint) {
  detail::require(record, {State::in_progress}, "save a checkpoint");
  record.checkpoint = checkpoint;
  detail::touch(record, State::in_progress, now);
}

/// A final result, and how long it is replayed.
struct Completion {
  State state;  ///< `succeeded` or `declined`
  std::string response;
  std::string response_format;
  Timestamp now;
  Duration retention;
};

namespace detail {

inline void finish(Record& record, Completion&& completion) {
  if (completion.state != State::succeeded && completion.state != State::declined)
    throw Error(errc::wrong_state, "a payment completes as succeeded or as declined, as nothing else");
  record.response = std::move(completion.response);
  record.response_format = std::move(completion.response_format);
  record.expires_at = saturating_add(completion.now, completion.retention);
  touch(record, completion.state, completion.now);
}

}  // namespace detail

/// The callable, or the provider that was asked, said how it ended.
inline void complete(Record& record, Completion&& completion) {
  detail::require(record, {State::in_progress, State::in_doubt}, "complete");
  detail::finish(record, std::move(completion));
}

/// The holder of an attempt that others had given up says how it really ended. `mine` is the attempt's own
/// record.
inline void complete_late(Record& record, const Record& mine, Completion&& completion) {
  detail::require(record, {State::in_progress, State::in_doubt, State::released}, "be completed late");
  if (!same_attempt(record, mine))
    throw Error(errc::wrong_state, "only the attempt that was given up may complete its record late");
  record.note.clear();
  detail::finish(record, std::move(completion));
}

/// It is proven that nothing happened: by the callable, by the provider, or by a person.
inline void release(Record& record, std::string note, Timestamp now, Duration retention) {
  detail::require(record, {State::in_progress, State::in_doubt}, "be released");
  record.note = std::move(note);
  record.expires_at = saturating_add(now, retention);
  detail::touch(record, State::released, now);
}

/// Nobody knows any more: the callable threw or said so, the lease ran out, or the holder died.
inline void doubt(Record& record, std::string note, Timestamp now) {
  detail::require(record, {State::in_progress}, "fall into doubt");
  record.note = std::move(note);
  detail::touch(record, State::in_doubt, now);
}

/// A completion that its store did not take, and that was therefore never there: the attempt is in doubt
/// instead.
inline void withdraw(Record& unstored, std::string note, Timestamp now) {
  detail::require(unstored, {State::succeeded, State::declined}, "be withdrawn");
  unstored.response.clear();
  unstored.response_format.clear();
  unstored.expires_at = {};
  unstored.note = std::move(note);
  detail::touch(unstored, State::in_doubt, now);
}

/// When a duplicate should come back: when the running attempt's lease ends, within one lease of the asker's
/// own.
inline Duration retry_after(const Record& running, Timestamp now, Duration lease) noexcept {
  const Duration left = running.lease_until > now ? running.lease_until - now : Duration(1);
  return left < lease ? left : lease;
}

}  // namespace paidonce::inline v1::protocol
