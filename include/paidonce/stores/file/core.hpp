#pragma once
// A file store while it is open: its parts, in the order in which data goes through them, and the threads
// that keep house. stores/file.hpp is the handle on it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
    if (options_.housekeeping == Housekeeping::by_hand) return;
    drop_some_of_many();
    housekeeper_.start([this] { keep_house(); });
  }

  /// In the process that opened it only.
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

  enum class Purpose : std::uint8_t { begin, end, erase_or_copy };

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
      left = (unfinished + supply.ready_count() + 1) * reserve + kept_free_;  // it is among these
    else if (purpose == Purpose::erase_or_copy)
      left = (unfinished + supply.ready_count() + 1) * reserve;
    else if (size > reserve)
      left = (unfinished > 0 ? unfinished - 1 : 0) * reserve;
    return supply.take_room(static_cast<std::int64_t>(size + margin_of(size)),
                            static_cast<std::int64_t>(left));
  }

  /// What a frame may waste of a segment's end that it does not fit into: taken along until it is written,
  /// unless what is reserved covers it.
  std::size_t margin_of(std::size_t size) const noexcept { return size > options_.reserve_bytes ? size : 0; }
  void give_room(std::size_t size) noexcept { log_.supply().give_room(static_cast<std::int64_t>(size)); }

  /// Room for one frame, given back unless it is used. A begin counts as unfinished at once, so that the room
  /// for its end is kept too.
  class Room {
   public:
    /// For a begin, throws `store_replaced` too.
    Room(FileStoreCore& core, std::size_t size, Purpose purpose)
        : core_(core),
          size_(size),
          margin_(core.margin_of(size)),
          beginning_(core.beginning_, purpose == Purpose::begin ? 1 : 0) {
      if (purpose == Purpose::begin) group_ = core_.check_directory();  // before there is room to give back
      core_.take_room(size, purpose);
    }
    /// When the frame is written, or will not be.
    ~Room() {
      if (size_ + margin_ > 0) core_.give_room(size_ + margin_);
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
    const std::size_t margin_;
    const Counted beginning_;
    std::uint64_t group_ = 0;  // that was being gathered when the directory was looked at
  };

  static Purpose purpose_of(const Record& record) noexcept {
    return record.state == State::in_progress ? Purpose::begin : Purpose::end;
  }

  /// Throws `store_full` for what is longer than the options allow, `invalid_options` where the texts that a
  /// caller passes along are.
  Packed pack(const typename Index::Place& place, const IdempotencyKey& key, const Record& record) const {
    check_lengths(record, options_);
    return Index::pack(place, key, record);
  }

  /// Behind each write: lets the housekeeper know when enough has been written.
  void wrote() noexcept {
    if (log_.written() - poked_at_.load(std::memory_order_relaxed) < poke_each) return;
    poked_at_.store(log_.written(), std::memory_order_relaxed);
    if (options_.housekeeping == Housekeeping::background)
      poke();
    else
      log_.cut_left_segment();
  }

  void await(Sequence sequence) {
    if (!commit_.is_durable(sequence)) commit_.settle_all();
  }

  /// Something to do for the housekeeper.
  void poke() noexcept { housekeeper_.poke(); }

  Index& index() noexcept { return index_; }
  Commit& commit() noexcept { return commit_; }

  // ---- the refinements ----

  bool holder_gone(const Record& record) const {
    return is_unfinished(record.state) && gone_.contains(record.attempt_id);
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
    failures_.tell(stats);
    stats.recovered = recovered_.frames;
    stats.cut_bytes = recovered_.cut_bytes;
    return stats;
  }

 private:
  static constexpr std::uint64_t poke_each = std::uint64_t{128} << 10;
  static constexpr std::uint64_t most_kept_free = std::uint64_t{256} << 10;
  static constexpr std::size_t most_segments = 64;  // of stores that are opened often, and so have small ones

  [[noreturn, gnu::cold]] static void throw_forked() {
    throw Error(errc::store_forked,
                "the store was opened before this process was forked, and is its parent's: open stores after "
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
    const bool reopened = opened_before(recovered.store);
    if (!reopened && is_of_others(recovered)) find_gone();
    return recovered;
  }

  /// Whether all of a log was written by processes that are not this one. A compaction writes again what it
  /// copies, so that a record may be older than the segment that it is in: nothing is proven by its segment
  /// alone, and nothing at all once this process has had the store open.
  bool is_of_others(const RecoveredLog& log) const noexcept {
    const file_format::ProcessId nobody{};
    for (const LogSegment& segment : log.segments)
      if (segment.opener == opener_ || segment.opener == nobody) return false;
    return opener_ != nobody;
  }

  /// The attempts that other processes had begun and not ended: they cannot be at work, or they would hold
  /// the directory.
  void find_gone() {
    index_.for_each_unfinished([this](const PackedRecord& block) { gone_.insert(block.attempt_id()); });
  }

  /// Looks for the first begin of each group; the others of the group rely on it. Which group that is.
  std::uint64_t check_directory() {
    const std::uint64_t group = commit_.group() + 1;
    if (looked_at_group_.load(std::memory_order_relaxed) != group) directory_.check_same();
    return group;
  }

  // ---- housekeeping ----

  struct CompactionRoom {
    FileStoreCore& core;
    std::size_t margin = 0;

    void take(std::size_t size) {
      core.take_room(size, Purpose::erase_or_copy);
      margin += core.margin_of(size);
    }
    void take_for_trim(std::size_t size) { core.take_room(size, Purpose::end); }
    void give(std::size_t size) {
      core.give_room(size + core.margin_of(size));
      margin -= core.margin_of(size);
    }
    void written() { core.give_room(std::exchange(margin, 0)); }
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
    compact_while([this] { return !housekeeper_.stopping() && compaction_is_due(); });
  }

  /// Stores of programs that run briefly have many small segments, and no time to compact.
  void drop_some_of_many() noexcept {
    std::size_t most = 4;
    compact_while([&] { return log_.segment_count() > most_segments && most-- > 0; });
  }

  template <class Wanted>
  void compact_while(Wanted&& wanted) noexcept {
    try {
      while (!commit_.failed() && !failures_.damaged() && wanted())
        if (!drop_oldest([this](std::uint64_t done, std::uint64_t all) {
              tell_progress(done, all);
              return !housekeeper_.stopping();
            }))
          return;
    } catch (const std::exception& error) {
      failures_.note(error);
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
  std::unordered_set<std::uint64_t> gone_;  // unfinished attempts whose holder is dead
  RecoveredLog recovered_;
  Log log_;

  std::atomic<std::uint64_t> looked_at_group_{0};
  std::atomic<std::uint64_t> beginning_{0};  // begins on their way into the index
  alignas(64) std::atomic<std::uint64_t> poked_at_{0};
  std::atomic<std::uint64_t> compacted_{0};
  std::mutex compacting_;
  CompactionFailures failures_;
  Housekeeper housekeeper_;
};

}  // namespace paidonce::inline v1::detail
