#pragma once
// What a round of recovery came to.

#include <cstddef>
#include <string>

namespace paidonce::inline v1 {

/// Each unfinished payment that was met is counted under `running`, `not_due`, `left_to_person` or `asked`,
/// but for those that somebody still asks about since an earlier round. Each that was asked about is counted
/// once more when that call has ended: in the next report, where it hung.
struct RecoveryReport {
  std::size_t seen = 0;            ///< unfinished payments
  std::size_t running = 0;         ///< in progress, within their lease
  std::size_t not_due = 0;         ///< asked about not long ago
  std::size_t left_to_person = 0;  ///< asked about often enough; `resolve` them
  std::size_t hanging = 0;         ///< still being asked about when the round ended
  std::size_t asked = 0;           ///< taken on in this round
  std::size_t succeeded = 0;
  std::size_t declined = 0;
  std::size_t released = 0;           ///< proven not executed: their keys are free
  std::size_t in_doubt = 0;           ///< the provider's answer settled nothing
  std::size_t unanswered = 0;         ///< the function threw: they stay in doubt
  std::size_t settled_elsewhere = 0;  ///< somebody else was faster
  std::size_t failed = 0;             ///< the store or the lock threw; nothing was changed, or nobody knows
  std::string failure = {};           ///< what the last of those, or the scan, said
  /// Why the last payment that stays in doubt does: the words of the function that asks, or of what it threw.
  std::string reason = {};
  bool finished = false;  ///< all were met, and all that were due were asked about
};

}  // namespace paidonce::inline v1
