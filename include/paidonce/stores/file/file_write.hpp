#pragma once
// One write of a file store on its way through the parts.

#include <optional>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/pending_frame.hpp>

namespace paidonce::inline v1::detail {

/// A record, packed and with room for it, that may be queued. The key outlives it.
template <class Core>
class FileWrite {
 public:
  using Finding = typename Core::Index::Finding;

  /// Throws what keeps the write from being tried.
  FileWrite(Core& core, const IdempotencyKey& key, const Record& record)
      : core_((core.check_usable(), core)),
        key_(key),
        place_(core.index().place_of(key)),
        packed_(core.pack(place_, key, record)),
        room_(core, file_format::frame_head_size + packed_->bytes().size(), Core::purpose_of(record)) {}

  /// See DurableIndex: where it is queued with a callback, this may be gone when it returns.
  Finding insert(PendingFrame& frame, std::optional<Record>& there) {
    frame.carry(file_format::Kind::put, packed_->bytes());
    return core_.index().insert(place_, key_, packed_, frame, room_, there);
  }
  Finding replace(PendingFrame& frame, Version expected) {
    frame.carry(file_format::Kind::put, packed_->bytes());
    return core_.index().replace(place_, key_, expected, packed_, frame, room_);
  }

 private:
  Core& core_;
  const IdempotencyKey& key_;
  const typename Core::Index::Place place_;
  typename Core::Packed packed_;
  typename Core::Room room_;
};

}  // namespace paidonce::inline v1::detail
