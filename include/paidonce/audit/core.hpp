#pragma once
// An audit log while it is open: the queue, and the thread that writes. audit/audit_log.hpp is the handle.

#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <paidonce/audit/chain.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/audit/options.hpp>
#include <paidonce/audit/queue.hpp>
#include <paidonce/audit/writer.hpp>
#include <paidonce/clock.hpp>
#include <paidonce/detail/background_thread.hpp>
#include <paidonce/detail/own_process.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace paidonce::inline v1::detail {

template <FilePolicy Files, Clock C>
class AuditCore {
 public:
  AuditCore(const std::filesystem::path& path, AuditLogOptions options, Files files, C clock)
      : options_((check(options), std::move(options))),
        chain_(options_.secret),
        clock_(std::forward<C>(clock)),
        queue_(options_),
        writer_(path, options_, std::move(files), clock_.now()) {
    wipe(options_.secret.data(), options_.secret.size());  // the chains keep what follows from it
    options_.secret.clear();
    queue_.written(writer_.head(), writer_.own_entries());
    thread_ = start_store_thread([this] { run(); });
  }

  /// In the process that opened it only.
  ~AuditCore() {
    queue_.stop();
    thread_.join();
  }
  AuditCore(const AuditCore&) = delete;
  AuditCore& operator=(const AuditCore&) = delete;

  bool is_own_process() const noexcept { return process_.is_this_one(); }
  AuditQueue& queue() noexcept { return queue_; }

  /// Adds an event of this key; its time, name and cut texts are filled in.
  void add(AuditEntry entry, const IdempotencyKey& key, AuditQueue::Weight weight) noexcept {
    if (!process_.is_this_one()) return;  // its parent's log
    entry.name = chain_.name(key, options_.keys);
    entry.name_keyed = options_.keys == AuditKeys::keyed;
    entry.amount = audit_format::shortened(entry.amount, audit_format::most_amount, entry.text_cut);
    entry.text = audit_format::end_of(entry.text, audit_format::most_text, entry.text_cut);
    entry.at = clock_.now();
    const std::uint64_t place = queue_.add(entry, weight);
    if (weight == AuditQueue::Weight::heavy && place != 0 &&
        options_.audit_durability == AuditDurability::before_returning)
      queue_.await(place);
  }

  static AuditEntry entry_of(AuditKind kind, const Record& record) noexcept {
    AuditEntry entry;
    entry.kind = kind;
    entry.state = record.state;
    entry.attempts = record.attempts;
    entry.version = record.version;
    entry.attempt_id = record.attempt_id;
    entry.amount = record.amount;
    entry.text = record.note;
    return entry;
  }

 private:
  static constexpr Duration longest_pause = Duration(60'000);

  void run() noexcept {
    AuditBatch batch;
    while (queue_.take(batch)) {
      tell_losses();
      if (!write(batch)) return;
      queue_.written(writer_.head(), writer_.own_entries());
      tell_right_again();
    }
    try {
      writer_.close(clock_.now());
    } catch (const std::exception&) {  // the next opening says that it was not closed
    }
  }

  /// Tries until it is written. False: it is not, and this is the end.
  bool write(AuditBatch& batch) noexcept {
    std::string why;
    for (Duration length = options_.retry_after;;
         length = length * 2 < longest_pause ? length * 2 : longest_pause) {
      try {
        writer_.write(batch, clock_.now(), why);
        return true;
      } catch (const std::exception& failure) {
        queue_.failed(failure.what());
        why = told(failure.what());
      }
      raise(failing_told_, "audit_failing", why);
      tell_losses();
      if (!queue_.pause(length)) return false;
    }
  }

  static std::string told(const char* what) noexcept {
    try {
      return what;
    } catch (const std::exception&) {
      return {};
    }
  }

  // ---- alerts ----

  void tell_losses() noexcept {
    const AuditQueue::Losses losses = queue_.losses();
    if (losses.in_all == losses_told_) return;
    losses_told_ = losses.in_all;
    raise(losing_told_, "audit_events_lost",
          "there was no room for events; how many, the log says itself as soon as it can be written");
  }
  void tell_right_again() noexcept {
    if (std::exchange(failing_told_, false))
      tell("audit_failing", Alert::Edge::cleared, "entries are written again");
    if (losing_told_ && queue_.losses().untold == 0) {
      losing_told_ = false;
      tell("audit_events_lost", Alert::Edge::cleared, "the audit log says how many events it lost");
    }
  }
  void raise(bool& is_told, const char* rule, std::string_view text) noexcept {
    if (!std::exchange(is_told, true)) tell(rule, Alert::Edge::raised, text);
  }
  void tell(const char* rule, Alert::Edge edge, std::string_view text) noexcept {
    if (!options_.alert) return;
    try {
      options_.alert({.rule = rule, .edge = edge, .text = std::string(text), .at = clock_.now()});
    } catch (...) {
    }
  }

  const OwnProcess process_;
  AuditLogOptions options_;
  const AuditChain chain_;
  C clock_;
  AuditQueue queue_;
  AuditWriter<Files> writer_;
  bool failing_told_ = false, losing_told_ = false;
  std::uint64_t losses_told_ = 0;
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
