#pragma once
// Follows an audit log from its first entry on, whoever reads it: the log itself when it is opened, and
// whoever verifies it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/audit/chain.hpp>
#include <paidonce/audit/entry.hpp>
#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

/// What an audit log is held against.
struct AuditVerification {
  std::string secret = {};              ///< of the log; empty: seals are not checked
  std::vector<AuditHead> anchors = {};  ///< heads that were published: the log must still hold all of them
  /// Told of each entry in order, once it has verified. What it throws ends the reading.
  std::function<void(const AuditEntry&)> on_entry = {};
};

/// What an audit log says, up to its end or to the damage.
struct AuditReport {
  enum class Seals : std::uint8_t {
    none,       ///< who can write to the directory can have made it
    unchecked,  ///< there are some, and no secret to check them by
    right,      ///< all entries were made with the secret
  };

  std::string damage = {};  ///< empty: nothing is wrong with it. Otherwise what and where, one line
  std::uint64_t entries = 0;
  AuditHead head = {};
  Timestamp first = {}, last = {};  ///< wall times of the first and the last entry
  Seals seals = Seals::none;
  std::uint64_t openings = 0;
  std::uint64_t unclean_ends = 0;           ///< openings before which the log had not been closed
  std::uint64_t interruptions = 0;          ///< failures to write that were overcome
  std::uint64_t lost = 0;                   ///< events that the log itself says are missing
  bool closed = false;                      ///< the last entry says so
  std::optional<AuditHead> continues = {};  ///< the end of the log before it, where it was told of one
  std::uint64_t cut_bytes = 0;  ///< behind the end, of what was being written when the process died

  bool whole() const noexcept { return damage.empty(); }
};

namespace detail {

inline constexpr std::string_view continues_text = "continues ";

/// Takes entries in order. Throws `store_corrupt` at the first that cannot be there.
class AuditCheck {
 public:
  /// `chain` has the secret. Both outlive it.
  AuditCheck(const AuditVerification& against, const AuditChain& chain) noexcept
      : against_(against), chain_(chain) {}

  const AuditReport& report() const noexcept { return report_; }
  const AuditName& log() const noexcept { return log_; }

  void take(std::uint64_t sequence, std::string_view bytes) {
    const auto parts = audit_format::decode(bytes);
    if (!parts) damaged(sequence, "its bytes are no entry");
    const AuditEntry& entry = parts->entry;
    if (entry.number != sequence || entry.number != report_.entries + 1)
      damaged(sequence, "it was entry " + std::to_string(entry.number) + ", and stands in another place");
    const Digest digest = AuditChain::next(report_.head.digest, parts->body);
    if (AuditChain::view(digest) != parts->digest)
      damaged(sequence,
              "it does not follow from the one before: one of them was changed, or some between "
              "them are gone");
    check_seal(entry, digest, parts->seal);
    if (entry.number == 1) check_first(entry);
    report_.head = {entry.number, digest};
    check_anchors();
    count(entry);
    if (against_.on_entry) against_.on_entry(entry);
  }

  /// Behind the last entry. `log` is the identity that the files say it has.
  void end(const AuditName& log) {
    if (report_.entries > 0 && log != log_)
      throw Error(errc::store_corrupt, "the entries of the audit log belong to other files than these");
    for (const AuditHead& anchor : against_.anchors)
      if (anchor.number > report_.entries)
        throw Error(errc::store_corrupt, "the audit log ends with entry " + std::to_string(report_.entries) +
                                             ", and it had entry " + std::to_string(anchor.number) +
                                             ": it was cut at its end, or is an older copy");
  }

 private:
  [[noreturn, gnu::cold]] static void damaged(std::uint64_t number, const std::string& why) {
    throw Error(errc::store_corrupt, "entry " + std::to_string(number) + " of the audit log: " + why);
  }

  void check_seal(const AuditEntry& entry, const Digest& digest, std::string_view seal) {
    const bool was_sealed = report_.seals != AuditReport::Seals::none;
    if (entry.number > 1 && entry.sealed != was_sealed)
      damaged(entry.number, was_sealed ? "it is not sealed, and those before it are"
                                       : "it is sealed, and those before it are not");
    if (!chain_.seals()) {
      if (entry.sealed) report_.seals = AuditReport::Seals::unchecked;
      return;
    }
    if (!entry.sealed)
      damaged(entry.number, "it is not sealed: the log was made without the secret, or made again");
    if (AuditChain::view(chain_.seal(digest)).substr(0, seal.size()) != seal)
      damaged(entry.number,
              "its seal was not made with this secret: the secret is another one, or somebody without it has "
              "changed the log");
    report_.seals = AuditReport::Seals::right;
  }

  void check_first(const AuditEntry& entry) {
    if (entry.kind != AuditKind::opened) damaged(1, "a log begins with its opening");
    log_ = entry.name;
    if (!entry.text.starts_with(continues_text)) return;
    try {
      report_.continues = audit_head_from(entry.text.substr(continues_text.size()));
    } catch (const Error&) {
      damaged(1, "it does not say what it continues");
    }
  }

  void check_anchors() const {
    for (const AuditHead& anchor : against_.anchors)
      if (anchor.number == report_.head.number && anchor != report_.head)
        damaged(anchor.number,
                "another entry had been here when its head was published: the log was made "
                "again from here or before");
  }

  void count(const AuditEntry& entry) {
    ++report_.entries;
    if (entry.number == 1) report_.first = entry.at;
    report_.last = entry.at;
    const bool was_closed = report_.closed;
    report_.closed = entry.kind == AuditKind::closed;
    if (entry.kind == AuditKind::lost) report_.lost += entry.version;
    if (entry.kind == AuditKind::resumed) ++report_.interruptions;
    if (entry.kind != AuditKind::opened) return;
    ++report_.openings;
    if (entry.number > 1 && !was_closed) ++report_.unclean_ends;
  }

  const AuditVerification& against_;
  const AuditChain& chain_;
  AuditReport report_;
  AuditName log_ = {};
};

}  // namespace detail
}  // namespace paidonce::inline v1
