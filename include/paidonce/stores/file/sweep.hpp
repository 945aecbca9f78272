#pragma once
// Erases what has expired, some records to a commit.

#include <cstddef>
#include <deque>
#include <optional>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/pending_frame.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// One call of `erase_expired`.
template <class Core>
class Sweep {
 public:
  Sweep(Core& core, Timestamp now) noexcept : core_(core), now_(now) {}

  /// Throws `store_full` where nothing could be erased for lack of room.
  std::size_t erase(std::size_t limit) {
    std::size_t erased = 0;
    for (Step last; erased < limit && last.goes_on; erased += last.erased) {
      try {
        const std::size_t left = limit - erased;
        last = erase_some(left < erased_at_once ? left : erased_at_once);
      } catch (const Error& error) {
        if (erased == 0 || error.code() != errc::store_full) throw;
        break;  // what was erased is
      }
    }
    return erased;
  }

 private:
  static constexpr std::size_t erased_at_once = 256;

  struct Step {
    std::size_t erased = 0;
    bool goes_on = true;
  };
  struct Erased {
    PendingFrame frame{PendingFrame::Tells::nobody};
    std::optional<IdempotencyKey> key = {};
  };

  Step erase_some(std::size_t limit) {
    std::deque<Erased> all;
    std::size_t margin = 0;
    std::size_t too_large = 0;  // for the room that there is
    Step step;
    try {
      step.erased = core_.index().erase_expired(now_, limit, [&](const PackedRecord& block) -> PendingFrame* {
        const std::size_t size = file_format::frame_head_size + block.key().size();
        if (too_large > 0 || !core_.try_take_room(size, Core::Purpose::erase_or_copy)) {
          too_large = size;
          return nullptr;
        }
        margin += core_.margin_of(size);
        Erased& one = all.emplace_back();
        one.key.emplace(IdempotencyKey::from_bytes(block.key()));
        one.frame.carry(file_format::Kind::erase, block.key());
        return &one.frame;
      });
    } catch (...) {
      if (!all.empty()) core_.commit().settle_all();  // they are queued, and may not go before
      core_.give_room(margin);
      throw;
    }
    step.goes_on = step.erased == limit || too_large > 0;
    if (step.erased > 0) {
      core_.commit().settle_all();
      core_.give_room(margin);
      core_.wrote();
      for (const Erased& one : all) core_.index().take_out(*one.key, one.frame.sequence);
    } else if (too_large > 0) {
      const typename Core::Room more(core_, too_large, Core::Purpose::erase_or_copy);  // for the next step
    }
    return step;
  }

  Core& core_;
  const Timestamp now_;
};

}  // namespace paidonce::inline v1::detail
