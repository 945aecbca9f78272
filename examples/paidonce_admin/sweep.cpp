#include <algorithm>
#include <string>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/recovery/sweep.hpp>

#include "changes.hpp"
#include "confirm.hpp"
#include "open_store.hpp"
#include "text.hpp"

namespace paidonce_admin {

Exit sweep(const Plan& plan) {
  const paidonce::Timestamp now = paidonce::SystemClock{}.now();
  std::size_t expired = 0;
  paidonce::Timestamp last{};
  plan.snapshot.each([&](const Entry& entry) {
    if (paidonce::protocol::expired(entry.record, now)) ++expired;
    last = std::max(last, entry.record.updated_at);
  });
  if (plan.options.dry_run || expired == 0) {
    plan.print.swept(plan.out, {expired, now, {}, plan.options.dry_run});
    return Exit::done;
  }
  confirm(plan.options.yes ? Agreed::yes : Agreed::no,
          "This erases " + std::to_string(expired) + " of " + std::to_string(plan.snapshot.size()) +
              " records. A payment whose record is erased is charged again when its key comes again.\nThe "
              "clock of this "
              "machine says " +
              text_of(now) + "; the last record changed at " + text_of(last) + ".");
  paidonce::FileStore store = open_store(plan.options.store);
  paidonce::SystemClock clock;
  paidonce::SteadyTimer timer;
  paidonce::ClockWatch watch;
  paidonce::Stop never;
  // Nobody else waits for the store, so there is no pause, and an end only for what hangs.
  const paidonce::SweepOptions all = {.batch = 10'000, .pause = {}, .deadline = std::chrono::hours(1)};
  const paidonce::SweepReport report = paidonce::sweep(store, clock, timer, watch, all, never);
  plan.print.swept(plan.out, {expired, now, report, false});
  if (report.failure) throw *report.failure;
  if (!report.finished)
    throw Refusal(Exit::failed, "the sweep ended early: the clock was set while it ran, or it took too long");
  return Exit::done;
}

}  // namespace paidonce_admin
