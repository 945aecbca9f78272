#pragma once
// A file store while it is open: its parts, in the order in which data goes through them, and the threads
// that keep house. stores/file.hpp is the handle on it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/file/compaction.hpp>
#include <paidonce/stores/file/directory.hpp>
#include <paidonce/stores/file/durable_index.hpp>
#include <paidonce/stores/file/files.hpp>
#include <paidonce/stores/file/group_commit.hpp>
#include <paidonce/stores/file/housekeeper.hpp>
#include <paidonce/stores/file/log.hpp>
#include <paidonce/stores/file/options.hpp>
#include <paidonce/stores/file/process_id.hpp>
#include <paidonce/stores/file/recovery.hpp>

namespace paidonce::inline v1::detail {

template <FilePolicy Files, class Hash>
class FileStoreCore {
 public:
  using Sequence = file_format::Sequence;
  using Log = FileLog<Files>;
  using Commit = GroupCommit<Log>;
  using Index = DurableIndex<Hash, Commit>;
  using Met = typename Index::Met;
  using Packed = typename Index::Packed;

  FileStoreCore(const std::filesystem::path& path, FileStoreOptions options, Files files, Hash hash)
      : options_(std::move(options)),
        longest_frame_(longest_frame(options_)),
        kept_free_(options_.segment_bytes / 8 < most_kept_free ? options_.segment_bytes / 8 : most_kept_free),
        files_(std::move(files)),
        directory_(files_, path, options_.network_directory),
        index_(options_.shards, std::move(hash), commit_),
        opener_(this_process()),
        recovered_(recover()),
        log_(files_, directory_.fd(), recovered_,
             {options_.durability, largest_segment(), longest_frame_, opener_}) {
    commit_.begin_behind(recovered_.last_sequence);
    recovered_.tail.clear();
    recovered_.tail.shrink_to_fit();
    if (options_.housekeeping == Housekeeping::background) housekeeper_.start([this] { keep_house(); });
  }

  /// In the process that opened it only; see `abandon`.
  ~FileStoreCore() {
    housekeeper_.stop();
    try {
      const auto [used, size] = log_.fill();
      if (!commit_.failed() && used + file_format::frame_head_size < size) {
        PendingFrame closed(PendingFrame::Tells::waiter);
        closed.carry(file_format::Kind::closed, {});
        commit_.submit(closed);
        commit_.settle(closed);
      }
    } catch (...) {  // it only tells the next opening more
    }
    commit_.stop();
  }
  FileStoreCore(const FileStoreCore&) = delete;
  FileStoreCore& operator=(const FileStoreCore&) = delete;

  // ---- what each call begins with ----

  bool is_own_process() const noexcept { return process_.is_this_one(); }

  /// Throws `store_forked` and `store_poisoned`.
  void check_usable() const {
    if (!process_.is_this_one()) throw_forked();
    if (commit_.failed()) commit_.throw_failure();
  }

  /// Room for one frame, given back unless it is used. A begin counts as unfinished at once, so that the room
  /// for its end is kept too.
  enum class Purpose : std::uint8_t { begin, end, erase_or_copy };

  class Room {
   public:
    /// For a begin, throws `store_replaced` too.
    Room(FileStoreCore& core, std::size_t size, Purpose purpose)
        : core_(core), size_(size), beginning_(core.beginning_, purpose == Purpose::begin ? 1 : 0) {
      if (purpose == Purpose::begin) group_ = core_.check_directory();  // before there is room to give back
      core_.take_room(size, purpose);
    }
    ~Room() {
      if (size_ > 0) core_.log_.supply().give_room(static_cast<std::int64_t>(size_));
    }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    void use() noexcept {
      size_ = 0;
      if (group_ > 0) core_.looked_at_group_.store(group_, std::memory_order_relaxed);
    }

   private:
    /// Counts a begin as unfinished before the index does, so that begins of one moment see each other.
    struct Counted {
      Counted(std::atomic<std::uint64_t>& all, std::uint64_t own) noexcept : count(all), by(own) {
        count.fetch_add(by, std::memory_order_relaxed);
      }
      ~Counted() { count.fetch_sub(by, std::memory_order_relaxed); }
      Counted(const Counted&) = delete;
      Counted& operator=(const Counted&) = delete;
      std::atomic<std::uint64_t>& count;
      const std::uint64_t by;
    };

    FileStoreCore& core_;
    std::size_t size_;
    const Counted beginning_;
    std::uint64_t group_ = 0;  // that was being gathered when the directory was looked at
  };

  static Purpose purpose_of(const Record& record) noexcept {
    return record.state == State::in_progress ? Purpose::begin : Purpose::end;
  }

  /// Throws `store_full` for what is longer than the options allow.
  Packed pack(const typename Index::Place& place, const IdempotencyKey& key, const Record& record) const {
    const std::size_t most = options_.max_record_bytes;
    if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
      PackedRecord::refuse(
          "the response and checkpoint of a record are longer than FileStoreOptions::max_record_bytes");
    if (record.amount.size() + record.description.size() + record.response_format.size() +
            record.note.size() >
        most_other_record_bytes)
      PackedRecord::refuse(
          "the amount, description, format and note of a record are longer than 16 KiB together");
    return Index::pack(place, key, record);
  }

  /// Behind each write: lets the housekeeper know when enough has been written.
  void wrote() noexcept {
    if (log_.written() - poked_at_.load(std::memory_order_relaxed) < poke_each) return;
    poked_at_.store(log_.written(), std::memory_order_relaxed);
    if (options_.housekeeping == Housekeeping::background)
      housekeeper_.poke();
    else
      log_.cut_left_segment();
  }

  void await(Sequence sequence) {
    if (!commit_.is_durable(sequence)) commit_.settle_all();
  }

  Index& index() noexcept { return index_; }
  Commit& commit() noexcept { return commit_; }

  // ---- the refinements ----

  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    check_usable();
    std::size_t erased = 0;
    for (Swept last; erased < limit && last.goes_on; erased += last.erased) {
      try {
        const std::size_t left = limit - erased;
        last = erase_some(now, left < erased_at_once ? left : erased_at_once);
      } catch (const Error& error) {
        if (erased == 0 || error.code() != errc::store_full) throw;
        break;  // what was erased is
      }
    }
    if (erased > 0) housekeeper_.poke();
    return erased;
  }

  bool holder_gone(const Record& record) const {
    return record.state == State::in_progress && gone_.contains(record.attempt_id);
  }

  std::size_t compact() {
    check_usable();
    std::size_t dropped = 0;
    const std::size_t segments = log_.segment_count();  // those that the copies go to are not among them
    while (dropped + 1 < segments && drop_oldest([this](std::uint64_t done, std::uint64_t all) {
             tell_progress(done, all);
             return true;
           }))
      ++dropped;
    return dropped;
  }

  FileStoreStats stats() const {
    FileStoreStats stats;
    stats.records = index_.records();
    stats.unfinished = index_.unfinished();
    stats.live_bytes = index_.live_bytes();
    stats.log_bytes = log_.log_bytes();
    const auto segments = log_.segments();
    stats.segments = segments.size();
    for (const LogSegment& segment : segments) stats.disk_bytes += segment.end;
    stats.disk_bytes += segments.back().size - segments.back().end + log_.ready_bytes();
    stats.writes = commit_.writes();
    stats.groups = commit_.group();
    stats.compacted = compacted_.load(std::memory_order_relaxed);
    stats.compaction_failures = compaction_failures_.load(std::memory_order_relaxed);
    stats.recovered = recovered_.frames;
    stats.cut_bytes = recovered_.cut_bytes;
    return stats;
  }

 private:
  static constexpr std::size_t erased_at_once = 256;
  static constexpr std::uint64_t poke_each = std::uint64_t{128} << 10;
  static constexpr std::uint64_t most_kept_free = std::uint64_t{256} << 10;
  static constexpr std::size_t most_segments = 64;  // of stores that are opened often, and so have small ones

  [[noreturn, gnu::cold]] static void throw_forked() {
    throw Error(
        errc::store_forked,
        "the store was opened before this process was forked, and is its parent's: open stores behind "
        "the fork");
  }

  /// A segment holds the longest frame wherever that falls, also one that compaction copies.
  std::uint64_t largest_segment() const noexcept {
    const std::uint64_t needed = 3 * std::uint64_t{longest_frame_};
    return options_.segment_bytes > needed ? options_.segment_bytes : needed;
  }

  RecoveredLog recover() {
    const auto take_over = [this](LogChunk& chunk, std::uint64_t done, std::uint64_t all) {
      for (const LogFrame& frame : chunk.frames)
        if (file_format::frame_head_size + frame.payload.size() > longest_frame_)
          longest_frame_ = file_format::frame_head_size + frame.payload.size();
      index_.recover(chunk, done, all);
    };
    RecoveredLog recovered = recover_chunks(
        files_, directory_.fd(), FramesWanted::lasting, [this](LogChunk& chunk) { index_.prepare(chunk); },
        take_over,
        [this](std::uint64_t done, std::uint64_t all) {
          if (options_.progress) options_.progress({FileStoreProgress::Phase::opening, done, all});
        });
    if (recovered.segments.empty()) {
      directory_.check_fit_for_new_store(recovered.others);
      directory_.sync_parent();
      random_fill(recovered.store.data(), recovered.store.size());
    }
    const file_format::ProcessId nobody{};
    if (recovered.opener != opener_ && recovered.opener != nobody && opener_ != nobody &&
        index_.unfinished() > 0)
      find_gone();
    return recovered;
  }

  /// The attempts that another process had in progress: it cannot be at work, or it would hold the directory.
  void find_gone() {
    index_.for_each([this](const PackedRecord& block) {
      if (block.state() == State::in_progress) gone_.insert(block.attempt_id());
    });
  }

  /// Looks for the first begin of each group; the others of the group rely on it. Which group that is.
  std::uint64_t check_directory() {
    const std::uint64_t group = commit_.group() + 1;
    if (looked_at_group_.load(std::memory_order_relaxed) != group) directory_.check_same();
    return group;
  }

  /// What is left behind it: what is reserved for the ends of other payments, as much again for each
  /// segment's end, which a frame that does not fit wastes, and behind a begin enough for sweeps and
  /// compaction to make room. The end of a payment may take its own reserve; a larger one leaves the others
  /// theirs.
  void take_room(std::size_t size, Purpose purpose) {
    while (!try_take_room(size, purpose)) log_.supply().step();
  }

  bool try_take_room(std::size_t size, Purpose purpose) noexcept {
    const std::uint64_t unfinished = index_.unfinished() + beginning_.load(std::memory_order_relaxed);
    const std::uint64_t reserve = options_.reserve_bytes;
    auto& supply = log_.supply();
    std::uint64_t left = 0;
    if (purpose == Purpose::begin)
      left = (unfinished + supply.ready_count() + 1) * reserve + kept_free_ + size;  // it is among these
    else if (purpose == Purpose::erase_or_copy)
      left = (unfinished + supply.ready_count() + 1) * reserve + (size > reserve ? size : 0);
    else if (size > reserve)
      left = (unfinished > 0 ? unfinished - 1 : 0) * reserve + size;
    return supply.take_room(static_cast<std::int64_t>(size), static_cast<std::int64_t>(left));
  }

  struct Swept {
    std::size_t erased = 0;
    bool goes_on = true;
  };

  /// Throws `store_full` where nothing could be erased for lack of room.
  Swept erase_some(Timestamp now, std::size_t limit) {
    struct Erased {
      PendingFrame frame{PendingFrame::Tells::nobody};
      std::optional<IdempotencyKey> key = {};
    };
    std::deque<Erased> all;
    std::size_t too_large = 0;  // for the room that there is
    Swept swept;
    try {
      swept.erased = index_.erase_expired(now, limit, [&](const PackedRecord& block) -> PendingFrame* {
        const std::size_t size = file_format::frame_head_size + block.key().size();
        if (too_large > 0 || !try_take_room(size, Purpose::erase_or_copy)) {
          too_large = size;
          return nullptr;
        }
        Erased& one = all.emplace_back();
        one.key.emplace(IdempotencyKey::from_bytes(block.key()));
        one.frame.carry(file_format::Kind::erase, block.key());
        return &one.frame;
      });
    } catch (...) {
      if (!all.empty()) commit_.settle_all();  // they are queued, and may not go before
      throw;
    }
    swept.goes_on = swept.erased == limit || too_large > 0;
    if (swept.erased > 0) {
      commit_.settle_all();
      wrote();
      for (const Erased& one : all) index_.take_out(*one.key, one.frame.sequence);
    } else if (too_large > 0) {
      const Room more(*this, too_large, Purpose::erase_or_copy);  // for the next time
    }
    return swept;
  }

  // ---- housekeeping ----

  struct CompactionRoom {
    FileStoreCore& core;
    void take(std::size_t size) { core.take_room(size, Purpose::erase_or_copy); }
    void take_for_trim(std::size_t size) { core.take_room(size, Purpose::end); }
    void give(std::size_t size) { core.log_.supply().give_room(static_cast<std::int64_t>(size)); }
  };

  template <class GoOn>
  bool drop_oldest(GoOn&& go_on) {
    const std::lock_guard one_at_a_time(compacting_);
    Compaction<Files, Log, Commit, Index> compaction(files_, directory_.fd(), log_, commit_, index_);
    if (!compaction.drop_oldest(CompactionRoom{*this}, go_on)) return false;
    compacted_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  void tell_progress(std::uint64_t done, std::uint64_t all) noexcept {
    if (!options_.progress) return;
    try {
      options_.progress({FileStoreProgress::Phase::compacting, done, all});
    } catch (...) {
    }
  }

  bool compaction_is_due() const {
    const std::size_t segments = log_.segment_count();
    if (segments < 2) return false;
    const std::uint64_t all = log_.log_bytes();
    const std::uint64_t live = index_.live_bytes();
    return segments > most_segments + all / options_.segment_bytes ||
           (all > live && (all - live) / 100 >= all / 10000 * options_.compact_at_percent);
  }

  /// What fails here is tried again when there is reason to: the writer that needs a segment makes one, and
  /// says what is wrong.
  void keep_house() noexcept {
    try {
      log_.cut_left_segment();
      for (;;) {
        const auto [used, size] = log_.fill();
        if (housekeeper_.stopping() || commit_.failed() || !log_.supply().due(used, size)) break;
        log_.supply().step();
      }
    } catch (...) {
    }
    try {
      while (!housekeeper_.stopping() && !commit_.failed() && compaction_is_due())
        if (!drop_oldest([this](std::uint64_t done, std::uint64_t all) {
              tell_progress(done, all);
              return !housekeeper_.stopping();
            }))
          break;
    } catch (...) {
      compaction_failures_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  const OwnProcess process_;
  const FileStoreOptions options_;
  std::size_t longest_frame_;      // that the options allow or, opened with larger ones before, the log holds
  const std::uint64_t kept_free_;  // for sweeps and compaction, when the disk is full
  Files files_;
  StoreDirectory<Files> directory_;
  Commit commit_{log_};
  Index index_;
  const file_format::ProcessId opener_;
  std::unordered_set<std::uint64_t> gone_;  // attempts whose holder is dead
  RecoveredLog recovered_;
  Log log_;

  std::atomic<std::uint64_t> looked_at_group_{0};
  std::atomic<std::uint64_t> beginning_{0};  // begins on their way into the index
  alignas(64) std::atomic<std::uint64_t> poked_at_{0};
  std::atomic<std::uint64_t> compacted_{0}, compaction_failures_{0};
  std::mutex compacting_;
  Housekeeper housekeeper_;
};

}  // namespace paidonce::inline v1::detail
