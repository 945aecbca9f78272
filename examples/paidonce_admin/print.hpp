#pragma once
// What is shown: tables for people, JSON for programs. Keys and texts are opaque bytes and are shown as
// escape.hpp says, in both.

#include <iosfwd>

#include "snapshot.hpp"
#include "survey.hpp"

namespace paidonce_admin {

/// One of each for every command. All return after the last byte was handed to `out`.
class Printer {
 public:
  virtual ~Printer() = default;
  virtual void summary(std::ostream& out, const Snapshot::Log& log, const Counts& counts) const = 0;
  virtual void list(std::ostream& out, const Selection& selection) const = 0;
  virtual void show(std::ostream& out, const Entry& entry) const = 0;
  virtual void verified(std::ostream& out, const Snapshot::Log& log) const = 0;
  virtual void damaged(std::ostream& out, const StoreDamaged& damage) const = 0;
};

class TablePrinter final : public Printer {
 public:
  void summary(std::ostream& out, const Snapshot::Log& log, const Counts& counts) const override;
  void list(std::ostream& out, const Selection& selection) const override;
  void show(std::ostream& out, const Entry& entry) const override;
  void verified(std::ostream& out, const Snapshot::Log& log) const override;
  void damaged(std::ostream& out, const StoreDamaged& damage) const override;
};

/// summary: `{"store", "log": {…}, "records": {"all", "live", "expired", "unfinished", "oldest_unfinished",
///   "states": {"succeeded": {"records", "live", "expired"}, …}}}`
/// list:    `{"records": [{…}, …], "matching"}`, of which `matching` counts those beyond the limit too
/// show:    `{"scope", "key", "state", "attempts", "amount", "description", "note", "created_at",
///   "updated_at", "lease_until", "expires_at", "provider_key", "fingerprint", "version", "attempt_id",
///   "checkpoint", "response", "response_format"}`, as each record of a list
/// verify:  `{"damage": null, "store", "log": {…}}`
/// damage, of every command: `{"damage": {"problem", "file", "offset"}}`
///
/// `log` is `{"segments", "frames", "bytes", "live_bytes", "disk_bytes", "cut_bytes", "closed", "leftovers",
/// "others"}`. Times are texts as in 2026-05-03T12:00:00.000Z, null where there is none; versions are texts,
/// so that no reader rounds them.
class JsonPrinter final : public Printer {
 public:
  void summary(std::ostream& out, const Snapshot::Log& log, const Counts& counts) const override;
  void list(std::ostream& out, const Selection& selection) const override;
  void show(std::ostream& out, const Entry& entry) const override;
  void verified(std::ostream& out, const Snapshot::Log& log) const override;
  void damaged(std::ostream& out, const StoreDamaged& damage) const override;
};

}  // namespace paidonce_admin
