#pragma once
// What a conformance suite was asked to do, and what it found. No test framework is needed to read it.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct ConformanceOptions {
  std::size_t threads = 4;    ///< in the clauses with races; at least 2
  std::size_t rounds = 100;   ///< how often each race is run; fewer for a store that is slow
  Duration patience{10'000};  ///< after this long a call that should have returned counts as hanging
  std::string only = {};      ///< runs the clauses whose names begin with this, e.g. "race."
};

/// A clause that was broken: what was expected, and what was seen.
struct ConformanceFailure {
  std::string clause;
  std::string text;
};

/// What could not be tested, since the store or the fixture does not offer it.
struct ConformanceSkip {
  std::string clauses;
  std::string why;
};

/// A value. `report.passed()`, or a comparison of `report.text()` with "", is all that a test needs.
class ConformanceReport {
 public:
  bool passed() const noexcept { return failures_.empty() && !clauses_.empty(); }

  /// The names of the clauses that were run, in their order.
  const std::vector<std::string>& clauses() const noexcept { return clauses_; }
  const std::vector<ConformanceFailure>& failures() const noexcept { return failures_; }
  const std::vector<ConformanceSkip>& skips() const noexcept { return skips_; }

  bool ran(std::string_view clause) const noexcept {
    for (const std::string& name : clauses_)
      if (name == clause) return true;
    return false;
  }
  bool failed(std::string_view clause) const noexcept {
    for (const ConformanceFailure& failure : failures_)
      if (failure.clause == clause) return true;
    return false;
  }

  /// One line for each clause that failed; empty when all passed.
  std::string text() const {
    if (clauses_.empty()) return "no clause was run\n";
    std::string text;
    for (const ConformanceFailure& failure : failures_) text += failure.clause + ": " + failure.text + "\n";
    return text;
  }

  void add_clause(std::string name) { clauses_.push_back(std::move(name)); }
  void add_failure(std::string clause, std::string text) {
    failures_.push_back({std::move(clause), std::move(text)});
  }
  void add_skip(std::string clauses, std::string why) {
    skips_.push_back({std::move(clauses), std::move(why)});
  }

 private:
  std::vector<std::string> clauses_ = {};
  std::vector<ConformanceFailure> failures_ = {};
  std::vector<ConformanceSkip> skips_ = {};
};

}  // namespace paidonce::inline v1
