#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "as_shown.hpp"
#include "changes.hpp"
#include "confirm.hpp"
#include "escape.hpp"
#include "response.hpp"
#include "text.hpp"

namespace paidonce_admin {
namespace {

using paidonce::Duration;
using paidonce::Record;
using paidonce::State;

void require_state(const Verdict& verdict, const Record& record, Agreed agreed) {
  if (verdict.if_version && record.version != *verdict.if_version)
    throw Refusal(Exit::wrong_state, "the record has changed since: it has version " +
                                         std::to_string(record.version) + " and not " +
                                         std::to_string(*verdict.if_version) + "; look at it again");
  if (!is_unfinished(record.state))
    throw Refusal(Exit::wrong_state, "the payment is " + std::string(to_string(record.state)) +
                                         " already; only one in doubt or in progress is resolved");
  if (record.state == State::in_progress && agreed == Agreed::yes && !verdict.holder_is_dead)
    throw Refusal(
        Exit::wrong_state,
        "the payment is in progress: to resolve it is to declare that nobody runs it any more and that no "
        "request of it is under way; with --yes, --holder-is-dead says so");
}

/// What the person is to read before they say yes.
std::string question_about(const Verdict& verdict, const Shown& shown, const Response& response) {
  const Entry& entry = shown.entry;
  std::ostringstream text;
  text << '\n';
  TablePrinter().show(text, shown);
  text << '\n';
  if (entry.record.state == State::in_progress)
    text
        << "!!! THIS PAYMENT IS IN PROGRESS. Going on DECLARES ITS HOLDER DEAD: that no process runs it any\n"
           "!!! more, here or on another machine, and that none of its requests is still under way to the\n"
           "!!! provider. If that is not so, what you say now can turn out wrong, and money can move "
           "twice.\n";
  if (entry.record.state == State::in_progress && shown.stuck.empty())
    text << "!!! ITS LEASE IS NOT OVER: as far as anybody can tell, a process runs it at this moment.\n";
  switch (verdict.as) {
    case State::released:
      text << "!!! RELEASED MEANS THAT NOTHING WAS CHARGED. The next call with this key CHARGES. Be sure "
              "that the\n"
              "!!! provider knows no charge for it, and that none can come any more.\n";
      break;
    case State::declined: text << "Declined means that it is never charged under this key.\n"; break;
    default: text << "Succeeded means that the money has moved: what was bought is handed out.\n";
  }
  if (verdict.as != State::released) {
    text << "The next call with this key gets this response, in the format " << escaped(response.format)
         << ":\n  " << escaped(std::string_view(response.bytes).substr(0, 2000)) << '\n';
    if (!response.warning.empty()) text << response.warning << '\n';
  }
  text << "This cannot be taken back. " << escaped(verdict.actor) << " says: " << to_string(verdict.as)
       << ", because: " << escaped(verdict.reason);
  return text.str();
}

}  // namespace

Duration retention_of(const StoreReader& store, const std::string* scope) {
  constexpr Duration ten_years = std::chrono::hours(24) * 3652, a_day = std::chrono::hours(24);
  Duration longest{0};
  Wanted results = {.states = {State::succeeded, State::declined}, .parts = Wanted::Parts::no_response};
  if (scope) results.key_begins_with = key_beginning_of(*scope);
  store.each(results, [&](const Entry& entry) {
    const Record& record = entry.record;
    if ((scope && entry.key.scope() != *scope) || record.expires_at <= record.updated_at) return;
    if (record.state != State::succeeded && record.state != State::declined) return;
    std::int64_t kept = 0;
    if (__builtin_sub_overflow(record.expires_at.time_since_epoch().count(),
                               record.updated_at.time_since_epoch().count(), &kept))
      kept = Duration::max().count();
    longest = std::max(longest, Duration(kept));
  });
  return longest.count() == 0 ? ten_years : std::max(longest, a_day);
}

Exit resolve(const Plan& plan, const Shown& shown) {
  const Entry& entry = shown.entry;
  const Verdict& verdict = plan.options.verdict;
  const Agreed agreed = plan.options.yes ? Agreed::yes : Agreed::no;
  require_state(verdict, entry.record, agreed);
  Response response;
  if (verdict.as != State::released) response = response_of(plan.options, entry, plan.store);
  const std::string scope(entry.key.scope());
  paidonce::GuardOptions guarded;
  guarded.retention = verdict.retention.value_or(retention_of(plan.store, &scope));
  guarded.heartbeat = false;
  if (guarded.retention < Duration(60'000))
    throw Refusal(Exit::bad_usage,
                  "--retention: a result that is forgotten is charged again; a minute at least");
  confirm(agreed, question_about(verdict, shown, response));

  const std::unique_ptr<OpenStore> open = plan.store.open_for_changes();
  common::AsShown store(*open, entry.record);
  Guard guard(store, paidonce::KeyedMutex(), plan.store.clock(), guarded);
  try {
    try {
      guard.resolve(entry.key, verdict.as, response.bytes, response.format, verdict.actor, verdict.reason,
                    entry.record.attempt_id);
    } catch (const paidonce::Error&) {
      store.tell_why();
      throw;
    }
  } catch (const common::RecordChanged& changed) {
    throw Refusal(Exit::wrong_state, std::string(changed.what()) + ": look at it again");
  }
  const auto after = guard.find(entry.key);
  if (!after) throw Refusal(Exit::failed, "the record is gone");
  plan.print.resolved(plan.out, {entry.key, *after}, entry.record.state);
  return Exit::done;
}

}  // namespace paidonce_admin
