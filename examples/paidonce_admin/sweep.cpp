#include <algorithm>
#include <memory>
#include <string>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/recovery/sweep.hpp>

#include "changes.hpp"
#include "confirm.hpp"
#include "text.hpp"

namespace paidonce_admin {

Exit sweep(const Plan& plan) {
  StoreClock clock = plan.store.clock();
  const paidonce::Timestamp now = clock.now();
  std::size_t expired = 0, records = 0;
  paidonce::Timestamp last{};
  plan.store.each({.parts = Wanted::Parts::no_response}, [&](const Entry& entry) {
    if (paidonce::protocol::expired(entry.record, now)) ++expired;
    ++records;
    last = std::max(last, entry.record.updated_at);
  });
  if (plan.options.dry_run || expired == 0) {
    plan.print.swept(plan.out, {expired, now, {}, plan.options.dry_run});
    return Exit::done;
  }
  confirm(plan.options.yes ? Agreed::yes : Agreed::no,
          "This erases " + std::to_string(expired) + " of " + std::to_string(records) +
              " records. A payment whose record is erased is charged again when its key comes again.\nThe " +
              std::string(plan.store.kind().clock) + " says " + text_of(now) +
              "; the last record changed at " + text_of(last) + ".");
  const std::unique_ptr<OpenStore> store = plan.store.open_for_changes();
  paidonce::SteadyTimer timer;
  paidonce::ClockWatch watch;
  paidonce::Stop never;
  paidonce::SweepOptions all;
  all.deadline = std::chrono::hours(1);  // an end only for what hangs
  if (!plan.store.is_shared()) {         // nobody waits for the store meanwhile
    all.batch = 10'000;
    all.pause = {};
  }
  const paidonce::SweepReport report = paidonce::sweep(*store, clock, timer, watch, all, never);
  plan.print.swept(plan.out, {expired, now, report, false});
  if (report.failure) throw *report.failure;
  if (!report.finished)
    throw Refusal(Exit::failed, "the sweep ended early: the clock was set while it ran, or it took too long");
  return Exit::done;
}

}  // namespace paidonce_admin
