#pragma once
// What is shown: tables for people, JSON for programs. Keys and texts are opaque bytes and are shown as
// common/escaped.hpp says, in both.

#include <array>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

#include <paidonce/recovery/recovery_report.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/recovery/sweep.hpp>

#include "selection.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {

/// What a store holds.
struct Contents {
  paidonce::Survey survey = {};
  std::array<std::size_t, all_states.size()> expired = {};  ///< in the order of `all_states`
};

/// What a sweep found, and erased.
struct Swept {
  std::size_t expired = 0;
  paidonce::Timestamp now = {};
  paidonce::SweepReport report = {};
  bool dry_run = false;
};

/// What a recovery found, and did.
struct Recovered {
  bool dry_run = false;
  bool asked_provider = false;
  std::string_view whose = {};              ///< of `StoreKind::abandoned`: those in progress that were left
  std::size_t abandoned = 0, in_doubt = 0;  ///< before
  paidonce::RecoveryReport report = {};
  Selection left = {};  ///< that does not go on by itself afterwards
};

/// One of each for every command. All return after the last byte was handed to `out`.
class Printer {
 public:
  virtual ~Printer() = default;
  virtual void survey(std::ostream& out, const About& about, const Contents& contents) const = 0;
  virtual void list(std::ostream& out, const Selection& selection) const = 0;
  virtual void show(std::ostream& out, const Shown& shown) const = 0;
  virtual void verified(std::ostream& out, const std::string& verified, const About& about) const = 0;
  virtual void damaged(std::ostream& out, const StoreDamaged& damage) const = 0;
  virtual void swept(std::ostream& out, const Swept& swept) const = 0;
  virtual void recovered(std::ostream& out, const Recovered& recovered) const = 0;
  virtual void resolved(std::ostream& out, const Entry& after, paidonce::State was) const = 0;
};

class TablePrinter final : public Printer {
 public:
  void survey(std::ostream& out, const About& about, const Contents& contents) const override;
  void list(std::ostream& out, const Selection& selection) const override;
  void show(std::ostream& out, const Shown& shown) const override;
  void verified(std::ostream& out, const std::string& verified, const About& about) const override;
  void damaged(std::ostream& out, const StoreDamaged& damage) const override;
  void swept(std::ostream& out, const Swept& swept) const override;
  void recovered(std::ostream& out, const Recovered& recovered) const override;
  void resolved(std::ostream& out, const Entry& after, paidonce::State was) const override;
};

/// The fields stay; docs/admin.md lists them.
class JsonPrinter final : public Printer {
 public:
  void survey(std::ostream& out, const About& about, const Contents& contents) const override;
  void list(std::ostream& out, const Selection& selection) const override;
  void show(std::ostream& out, const Shown& shown) const override;
  void verified(std::ostream& out, const std::string& verified, const About& about) const override;
  void damaged(std::ostream& out, const StoreDamaged& damage) const override;
  void swept(std::ostream& out, const Swept& swept) const override;
  void recovered(std::ostream& out, const Recovered& recovered) const override;
  void resolved(std::ostream& out, const Entry& after, paidonce::State was) const override;
};

}  // namespace paidonce_admin
