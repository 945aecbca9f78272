#pragma once
// Writes an audit log: numbers entries, ties them to each other, and has the file log make them durable,
// group by group. After a failure it reads the log again, finds out what of it is on the disk, and goes on
// behind that, so that no entry is there twice or missing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/audit/chain.hpp>
#include <paidonce/audit/check.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/audit/options.hpp>
#include <paidonce/audit/queue.hpp>
#include <paidonce/audit/read.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/directory.hpp>
#include <paidonce/stores/file/files.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/log.hpp>
#include <paidonce/stores/file/pending_frame.hpp>
#include <paidonce/stores/file/process_id.hpp>
#include <paidonce/stores/file/recovered_log.hpp>

namespace paidonce::inline v1::detail {

/// For one thread at a time.
template <FilePolicy Files>
class AuditWriter {
 public:
  /// Opens the log or makes one, and says so in an entry that is durable. Throws as `BasicAuditLog`.
  AuditWriter(const std::filesystem::path& path, const AuditLogOptions& options, Files files, Timestamp now)
      : options_(options),
        chain_(options.secret),
        files_(std::move(files)),
        directory_(files_, path, options.network_directory),
        frames_(std::make_unique<Frames>()),
        out_(std::make_unique<char[]>(out_size)) {
    Reading reading = read();
    own_ = own_entry(AuditKind::opened, now, what_it_continues(reading));
    begin(reading);
    write_own();
  }

  const AuditHead& head() const noexcept { return head_; }
  /// Entries of the log's own that were made durable.
  std::uint64_t own_entries() const noexcept { return own_entries_; }

  /// Makes all of the batch durable. Throws where that fails; may be called again with the same batch, and
  /// then writes what is not on the disk. `why` is what failed before; empty: nothing did.
  void write(AuditBatch& batch, Timestamp now, const std::string& why) {
    if (!log_) {
      if (own_.empty()) {
        bool cut = false;
        own_ = own_entry(AuditKind::resumed, now, audit_format::shortened(why, 512, cut));
        own_is_behind_ = true;
      }
      resume(batch);
    }
    if (!own_.empty()) write_own();
    while (batch.written < batch.size) write_group(batch);
  }

  /// The last entry. Throws where it does not become durable.
  void close(Timestamp now) {
    if (!log_ || !own_.empty()) return;
    own_ = own_entry(AuditKind::closed, now, {});
    write_own();
  }

 private:
  static constexpr std::size_t most_frames = 512;
  static constexpr std::size_t out_size = std::size_t{256} << 10;

  struct Frame : PendingFrame {
    Frame() noexcept : PendingFrame(Tells::nobody) {}
  };
  using Frames = std::array<Frame, most_frames>;

  struct Reading {
    AuditHead head = {};
    RecoveredLog log = {};
  };

  /// Reads and verifies all of it.
  Reading read() {
    const AuditVerification against;
    AuditCheck check(against, chain_);
    Reading reading;
    reading.log = read_audit_log(files_, directory_.fd(), check);
    if (reading.log.segments.empty()) {
      if (head_.number > 0) throw_gone();
      directory_.check_fit_for_new_store(reading.log.others);
      directory_.sync_parent();
      random_fill(reading.log.store.data(), reading.log.store.size());
    } else {
      check.end(reading.log.store);
      if (check.report().seals == AuditReport::Seals::unchecked)
        throw Error(
            errc::invalid_options,
            "the audit log is sealed: open it with its AuditLogOptions::secret, or begin a new one in "
            "another directory that continues it");
    }
    identity_ = reading.log.store;
    reading.head = check.report().head;
    if (options_.continues && check.report().entries > 0 && check.report().continues != options_.continues)
      throw Error(
          errc::invalid_options,
          "AuditLogOptions::continues: this audit log has begun already, behind another one or behind "
          "none");
    return reading;
  }

  std::string what_it_continues(const Reading& reading) const {
    if (!options_.continues || reading.head.number > 0) return {};
    return std::string(continues_text) + to_string(*options_.continues);
  }

  /// Goes on behind what was read.
  void begin(Reading& reading) {
    using Log = FileLog<Files>;
    const typename Log::Terms terms{options_.durability, options_.segment_bytes, longest_frame,
                                    this_process(), file_format::Content::audit};
    log_ = std::make_unique<Log>(files_, directory_.fd(), reading.log, terms);
    head_ = reading.head;
  }

  /// After a failure: finds what of the batch, and of the log's own entry before it, is on the disk.
  void resume(AuditBatch& batch) {
    Reading reading = read();
    AuditHead head = head_;
    std::size_t written = batch.written;
    bool own = own_is_behind_;  // is behind us
    while (head.number < reading.head.number) {
      std::string_view body = own_;
      if (own) body = next_body(batch, written);
      if (body.empty()) throw_gone();
      chain_.append(head, body, out_.get());
      if (own)
        written += body.size();
      else
        own = true;
    }
    if (head != reading.head) throw_gone();
    begin(reading);
    if (own && !own_is_behind_) {
      own_.clear();
      ++own_entries_;
    }
    own_is_behind_ = false;
    batch.written = written;
  }

  [[noreturn, gnu::cold]] static void throw_gone() {
    throw Error(errc::store_corrupt,
                "what was on the disk of the audit log is not there any more: something else writes to its "
                "directory");
  }

  static std::string_view next_body(const AuditBatch& batch, std::size_t at) noexcept {
    if (at == batch.size) return {};
    return {batch.data + at, audit_format::encoded_body_size(batch.data + at)};
  }

  std::string own_entry(AuditKind kind, Timestamp now, std::string_view text) const {
    AuditEntry entry;
    entry.kind = kind;
    entry.at = now;
    entry.name = identity_;
    entry.text = text;
    std::string body(audit_format::body_size(entry), '\0');
    audit_format::encode_body(entry, body.data());
    return body;
  }

  void write_own() {
    AuditBatch one{own_.data(), own_.size(), 0, 1};
    write_group(one);
    own_.clear();
    ++own_entries_;
  }

  void write_group(AuditBatch& batch) {
    AuditHead head = head_;
    std::size_t at = batch.written, used = 0, count = 0;
    Frames& frames = *frames_;
    while (count < most_frames && out_size - used >= audit_format::longest_entry) {
      const std::string_view body = next_body(batch, at);
      if (body.empty()) break;
      const std::size_t size = chain_.append(head, body, out_.get() + used);
      Frame& frame = frames[count];
      frame.carry(file_format::Kind::entry, {out_.get() + used, size});
      frame.sequence = head.number;
      frame.next = nullptr;
      if (count > 0) frames[count - 1].next = &frame;
      ++count;
      used += size;
      at += body.size();
    }
    try {
      directory_.check_same();
      log_->commit(&frames[0]);
    } catch (...) {
      log_.reset();  // nothing may be written to it any more
      throw;
    }
    head_ = head;
    batch.written = at;
    prepare_room();
  }

  /// What fails here is tried again when there is reason to.
  void prepare_room() noexcept {
    try {
      log_->cut_left_segment();
      for (;;) {
        const auto [used, size] = log_->fill();
        if (!log_->supply().due(used, size)) return;
        log_->supply().step();
      }
    } catch (const std::exception&) {
    }
  }

  static constexpr std::uint64_t longest_frame = file_format::frame_head_size + audit_format::longest_entry;

  const AuditLogOptions& options_;
  const AuditChain chain_;
  Files files_;
  StoreDirectory<Files> directory_;
  std::unique_ptr<Frames> frames_;
  std::unique_ptr<char[]> out_;
  AuditName identity_ = {};
  AuditHead head_;              // known to be on the disk
  std::string own_;             // body of an entry of the log's own that may not be
  bool own_is_behind_ = false;  // it is new, and goes behind what is found
  std::uint64_t own_entries_ = 0;
  std::unique_ptr<FileLog<Files>> log_;
};

}  // namespace paidonce::inline v1::detail
