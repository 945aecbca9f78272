#pragma once
// Between the payments and the thread that writes: entries in memory, bounded, in the order in which they
// came. What finds no room is counted, and the count becomes an entry itself.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <paidonce/audit/entry.hpp>
#include <paidonce/audit/options.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Bodies of entries, one behind the other.
struct AuditBatch {
  const char* data = nullptr;
  std::size_t size = 0;
  std::size_t written = 0;  ///< bytes of it that are known to be on the disk
  std::uint64_t entries = 0;
};

/// Thread-safe; one thread takes.
class AuditQueue {
 public:
  /// What a payment cannot be told by from what can be left out first.
  enum class Weight : std::uint8_t {
    heavy,  ///< waits for room
    light,  ///< does not wait, and leaves half of the room to the others
  };

  explicit AuditQueue(const AuditLogOptions& options)
      : capacity_(options.queue_bytes),
        longest_wait_(options.longest_wait),
        gather_(options.gather),
        filling_(room_for(capacity_)),
        taken_(room_for(capacity_)) {}

  // ---- the payments' side -------------------------------------------------------------------------------

  /// Adds an entry. Its place in the order, from 1, or 0: there was no room, and it is counted as lost.
  std::uint64_t add(const AuditEntry& entry, Weight weight) noexcept {
    const std::size_t size = audit_format::body_size(entry);
    std::unique_lock hold(mutex_);
    if (!has_room(size, weight) && !(weight == Weight::heavy && wait_for_room(hold, size))) {
      lose(entry.at);
      return 0;
    }
    audit_format::encode_body(entry, filling_.get() + used_);
    used_ += size;
    const std::uint64_t place = ++added_;
    const bool wake = asleep_ && (used_ == size || used_ >= capacity_ / 2);
    hold.unlock();
    if (wake) work_.notify_one();
    return place;
  }

  /// Until the entry at this place is on the disk, as long as that seems possible.
  void await(std::uint64_t place) noexcept {
    const NotCancellable whole;
    std::unique_lock hold(mutex_);
    if (durable_ >= place || failing_ || stalled_) return;
    ++waits_;
    hurry();
    settled_.wait_for(hold, longest_wait_, [&] { return durable_ >= place || failing_; });
    if (durable_ < place && !failing_) stalled_ = true;
  }

  /// Until all that was added before is on the disk: true; or a try to write it has failed.
  bool flush() noexcept {
    const NotCancellable whole;
    std::unique_lock hold(mutex_);
    const std::uint64_t failures = failures_;
    const bool loss = lost_ > 0;
    const std::uint64_t place = added_ + (loss ? 1 : 0);  // what is lost becomes one more
    retry_ = true;
    hurry();
    settled_.wait(hold, [&] { return durable_ >= place || failures_ != failures; });
    return durable_ >= place;
  }

  AuditStatus status() const {
    const std::lock_guard hold(mutex_);
    AuditStatus status;
    status.written = durable_ + own_;
    status.waiting = added_ - durable_;
    status.lost = lost_in_all_;
    status.waits = waits_;
    status.failures = failures_;
    status.failing = failing_;
    if (failing_) status.failure = failure_;
    return status;
  }
  AuditHead head() const noexcept {
    const std::lock_guard hold(mutex_);
    return head_;
  }

  /// No more is added. What is there is still written, if it can be.
  void stop() noexcept {
    {
      const std::lock_guard hold(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
  }

  // ---- the writer's side --------------------------------------------------------------------------------

  /// Waits for entries, and for more of them, and hands them over; the bytes stay until the next call. False:
  /// there are none, and no more come.
  bool take(AuditBatch& batch) noexcept {
    std::unique_lock hold(mutex_);
    asleep_ = true;
    work_.wait(hold, [&] { return used_ > 0 || lost_ > 0 || stopping_; });
    if (gather_.count() > 0)
      work_.wait_for(hold, gather_, [&] { return hurry_ || used_ >= capacity_ / 2 || stopping_; });
    asleep_ = hurry_ = false;
    if (used_ == 0 && lost_ == 0) return false;
    if (lost_ > 0) {
      AuditEntry entry;
      entry.kind = AuditKind::lost;
      entry.at = lost_last_;
      entry.version = std::exchange(lost_, 0);
      entry.attempt_id = static_cast<std::uint64_t>(lost_first_.time_since_epoch().count());
      audit_format::encode_body(entry, filling_.get() + used_);
      used_ += audit_format::body_size(entry);
      ++added_;
    }
    std::swap(filling_, taken_);
    batch = {taken_.get(), std::exchange(used_, 0), 0, added_ - std::exchange(handed_over_, added_)};
    hold.unlock();
    room_.notify_all();
    return true;
  }

  /// All of what was taken is on the disk, and so many entries of the log's own.
  void written(const AuditHead& head, std::uint64_t own) noexcept {
    {
      const std::lock_guard hold(mutex_);
      durable_ = handed_over_;
      own_ += own;
      head_ = head;
      failing_ = stalled_ = false;
    }
    settled_.notify_all();
  }

  void failed(const char* why) noexcept {
    {
      const std::lock_guard hold(mutex_);
      failing_ = true;
      ++failures_;
      retry_ = false;
      try {
        failure_ = why;
      } catch (const std::exception&) {
        failure_.clear();
      }
    }
    settled_.notify_all();
    room_.notify_all();
  }

  /// Before the next try. False: do not try again.
  bool pause(Duration length) noexcept {
    std::unique_lock hold(mutex_);
    if (std::exchange(tried_last_, stopping_)) return false;
    work_.wait_for(hold, length, [&] { return retry_ || stopping_; });
    if (stopping_) tried_last_ = true;
    return true;
  }

  struct Losses {
    std::uint64_t in_all = 0;
    std::uint64_t untold = 0;  ///< that no entry tells of yet
  };
  Losses losses() const noexcept {
    const std::lock_guard hold(mutex_);
    return {lost_in_all_, lost_};
  }

 private:
  /// And for the entry that tells of what is lost.
  static std::unique_ptr<char[]> room_for(std::size_t capacity) {
    return std::make_unique<char[]>(capacity + audit_format::fixed_size);
  }

  bool has_room(std::size_t size, Weight weight) const noexcept {
    return used_ + size <= (weight == Weight::heavy ? capacity_ : capacity_ / 2);
  }

  bool wait_for_room(std::unique_lock<std::mutex>& hold, std::size_t size) noexcept {
    if (failing_ || stalled_ || longest_wait_.count() == 0) return false;
    const NotCancellable whole;
    ++waits_;
    hurry();
    room_.wait_for(hold, longest_wait_, [&] { return has_room(size, Weight::heavy) || failing_; });
    if (has_room(size, Weight::heavy)) return true;
    stalled_ = true;
    return false;
  }

  void lose(Timestamp at) noexcept {
    if (lost_ == 0) lost_first_ = at;
    lost_last_ = at;
    ++lost_;
    ++lost_in_all_;
  }

  void hurry() noexcept {
    hurry_ = true;
    work_.notify_one();
  }

  const std::size_t capacity_;
  const Duration longest_wait_, gather_;
  mutable std::mutex mutex_;
  std::condition_variable work_, room_, settled_;
  std::unique_ptr<char[]> filling_, taken_;
  std::size_t used_ = 0;
  std::uint64_t added_ = 0, handed_over_ = 0, durable_ = 0, own_ = 0;
  std::uint64_t lost_ = 0, lost_in_all_ = 0, waits_ = 0, failures_ = 0;
  Timestamp lost_first_ = {}, lost_last_ = {};
  AuditHead head_;
  std::string failure_;
  bool asleep_ = false, hurry_ = false, retry_ = false, failing_ = false, stopping_ = false;
  bool stalled_ = false;     // nobody waits again until something was written
  bool tried_last_ = false;  // after the end
};

}  // namespace paidonce::inline v1::detail
