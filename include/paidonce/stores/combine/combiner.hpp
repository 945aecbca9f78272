#pragma once
// Operations of many callers, made in few round trips or commits. Callers queue what they want done; one of
// them takes all that is queued, up to a batch, has it done, and tells the others. Batches of several lanes,
// a connection each, run beside one another where one batch is not enough. One caller alone does its own
// operation at once: nobody lingers for others who may not come.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include <sched.h>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/stores/combine/told.hpp>

namespace paidonce::inline v1::detail {

/// What a caller wants done, base of the stores' own. It lives on the caller's stack until it is done.
class CombinedOperation {
 public:
  explicit CombinedOperation(std::string_view the_key) noexcept : key(the_key) {}
  CombinedOperation(const CombinedOperation&) = delete;
  CombinedOperation& operator=(const CombinedOperation&) = delete;

  const std::string_view key;  ///< no two operations of a batch have the same
  /// Set by whoever executes the batch where this operation alone failed; thrown to its caller.
  std::exception_ptr failure = {};

 private:
  template <class>
  friend class Combiner;
  CombinedOperation* next_ = nullptr;  // in the queue, later in its batch
  std::size_t lane_ = 0;               // where it leads
  bool leads_ = false;                 // rather than done, once it is told
  Told told_;                          // of its own: nobody is woken for others
};

/// Which callers a further lane is for, beside one that is busy.
enum class LaneSharing : std::uint8_t {
  full_batches,  ///< those who do not fit into a batch: where a batch is a commit, a second one costs another
  evenly,        ///< its part of all: while the server works for one lane, the others send and are answered
};

/// `Operation` derives from `CombinedOperation`. Thread-safe; outlives all calls.
template <class Operation>
class Combiner {
 public:
  /// Up to `lanes` batches at once, of at most `most` operations each; both at least 1. Nothing is allocated
  /// after this. A lane that hangs keeps nobody waiting, however lanes are shared; it does from `hanging` on:
  /// batches take a tenth of the default, and commits on a slow disk a half.
  Combiner(std::size_t lanes, std::size_t most, LaneSharing sharing = LaneSharing::full_batches,
           std::chrono::milliseconds hanging = std::chrono::milliseconds(20))
      : most_(most), sharing_(sharing), hanging_(hanging), lanes_(lanes) {
    free_lanes_.reserve(lanes);
    for (std::size_t lane = lanes; lane-- > 0;) {
      free_lanes_.push_back(lane);
      lanes_[lane].batch.reserve(most);
    }
  }
  Combiner(const Combiner&) = delete;
  Combiner& operator=(const Combiner&) = delete;

  /// Returns once the operation was done, in a batch of this caller or another's; throws its failure.
  /// `execute(batch, lane)` does a `std::span<Operation* const>` in the order of its keys, which all differ,
  /// and is called by one thread for each lane at a time. What it throws is the failure of all of the batch.
  /// The caller cannot be cancelled meanwhile: others wait for what it does.
  template <class Execute>
  void run(Operation& operation, const Execute& execute) {
    const NotCancellable whole;
    if (!leads_at_once(operation)) await(operation);
    if (operation.leads_) lead(operation, execute);
    if (operation.failure) std::rethrow_exception(operation.failure);
  }

  /// How many batches were done, and operations in them: what combining gains.
  struct Counts {
    std::uint64_t batches = 0, operations = 0;
  };
  Counts counts() const noexcept {
    return {batches_.load(std::memory_order_relaxed), operations_.load(std::memory_order_relaxed)};
  }

  /// How many wait for a lane at the moment.
  std::size_t queued() const noexcept { return queued_.load(std::memory_order_relaxed); }

 private:
  /// How often a leader lets others run, so that those whom the last batch answered can queue again.
  static constexpr int most_yields = 16;

  using Steady = std::chrono::steady_clock;

  struct Lane {
    std::vector<Operation*> batch = {};
    std::size_t last = 0;           // size of its last batch
    bool busy = false;              // under the mutex, as the next
    Steady::time_point since = {};  // when it was given to the one who leads
  };

  /// Queues it otherwise.
  bool leads_at_once(Operation& operation) noexcept {
    const std::lock_guard hold(mutex_);
    ++callers_;
    if (worth_a_lane(queued() + 1)) {
      give_lane(operation);
      return true;
    }
    (first_ ? newest_->next_ : first_) = &operation;
    newest_ = &operation;
    queued_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }

  /// Until it is told. One that waits for a lane that hangs, while another is free, helps itself: it may be
  /// that nobody comes any more who would see to it.
  void await(Operation& operation) noexcept {
    if (lanes_.size() == 1) return operation.told_.await();
    while (!operation.told_.await_for(hanging_))
      if (takes_lane(operation)) return;
  }

  bool takes_lane(Operation& operation) noexcept {
    const std::lock_guard hold(mutex_);
    if (!worth_a_lane(queued())) return false;
    CombinedOperation* before = nullptr;
    CombinedOperation* each = first_;
    for (; each && each != &operation; each = each->next_) before = each;
    if (!each) return false;  // it is in a batch
    (before ? before->next_ : first_) = operation.next_;
    if (newest_ == &operation) newest_ = before;
    queued_.fetch_sub(1, std::memory_order_relaxed);
    give_lane(operation);
    return true;
  }

  /// Under the mutex. Two commits for what would fit into one were measured to be two thirds as fast; two
  /// batches in flight to a server that commits for all, up to twice as fast as one.
  bool worth_a_lane(std::size_t waiting) const noexcept {
    if (free_lanes_.empty()) return false;
    if (free_lanes_.size() == lanes_.size() || waiting >= fair_batch()) return true;
    const Steady::time_point long_ago = Steady::now() - hanging_;
    for (const Lane& lane : lanes_)
      if (lane.busy && lane.since > long_ago) return false;
    return true;
  }

  /// Likewise. How many operations a lane should take, where there are so many.
  std::size_t fair_batch() const noexcept {
    if (sharing_ == LaneSharing::full_batches) return most_;
    return std::min(most_, (callers_ + lanes_.size() - 1) / lanes_.size());
  }

  /// Likewise.
  void give_lane(CombinedOperation& leader) noexcept {
    leader.leads_ = true;
    leader.lane_ = free_lanes_.back();
    free_lanes_.pop_back();
    Lane& lane = lanes_[leader.lane_];
    lane.busy = true;
    lane.since = Steady::now();
  }

  template <class Execute>
  void lead(Operation& own, const Execute& execute) noexcept {
    Lane& lane = lanes_[own.lane_];
    gather(lane);
    {
      const std::lock_guard hold(mutex_);
      take(lane.batch, own);
    }
    lane.last = lane.batch.size();
    batches_.fetch_add(1, std::memory_order_relaxed);
    operations_.fetch_add(lane.last, std::memory_order_relaxed);
    try {
      execute(std::span<Operation* const>(lane.batch), own.lane_);
    } catch (...) {
      for (Operation* const each : lane.batch) each->failure = std::current_exception();
    }
    end(lane.batch, own);
  }

  void gather(const Lane& lane) const noexcept {
    for (int yields = 0; yields < most_yields; ++yields) {
      if (queued_.load(std::memory_order_relaxed) + 1 >= lane.last) return;
      ::sched_yield();
    }
  }

  /// Under the mutex. The leader's own operation, and of those queued the first whose keys differ.
  void take(std::vector<Operation*>& batch, Operation& own) noexcept {
    batch.assign(1, &own);
    CombinedOperation** at = &first_;
    CombinedOperation* stays = nullptr;  // the last one that does
    const std::size_t most = fair_batch();
    while (*at && batch.size() < most) {
      Operation* const each = static_cast<Operation*>(*at);
      const auto place = std::lower_bound(batch.begin(), batch.end(), each,
                                          [](const auto* a, const auto* b) { return a->key < b->key; });
      if (place != batch.end() && (*place)->key == each->key) {
        stays = each;
        at = &each->next_;
        continue;
      }
      *at = each->next_;
      batch.insert(place, each);
      queued_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (!*at) newest_ = stays;
  }

  /// Hands the lane on, then tells the others of the batch, which are gone once told; the lane's memory
  /// belongs to the next leader by then.
  void end(const std::vector<Operation*>& batch, Operation& own) noexcept {
    CombinedOperation* told = nullptr;
    for (Operation* const each : batch) {
      if (each == &own) continue;
      each->next_ = told;
      told = each;
    }
    CombinedOperation* next_leader = nullptr;
    {
      const std::lock_guard hold(mutex_);
      lanes_[own.lane_].busy = false;
      free_lanes_.push_back(own.lane_);
      callers_ -= batch.size();
      if (first_ && worth_a_lane(queued())) {
        next_leader = first_;
        first_ = first_->next_;
        give_lane(*next_leader);
        queued_.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    if (next_leader) next_leader->told_.tell();
    while (told) {
      CombinedOperation* const next = told->next_;
      told->told_.tell();
      told = next;
    }
  }

  const std::size_t most_;
  const LaneSharing sharing_;
  const std::chrono::milliseconds hanging_;
  std::mutex mutex_;
  CombinedOperation* first_ = nullptr;   // queued
  CombinedOperation* newest_ = nullptr;  // of these, where there are any
  std::size_t callers_ = 0;              // that wait, queued or in a batch
  std::vector<std::size_t> free_lanes_;
  std::vector<Lane> lanes_;
  std::atomic<std::size_t> queued_{0};
  std::atomic<std::uint64_t> batches_{0}, operations_{0};
};

}  // namespace paidonce::inline v1::detail
