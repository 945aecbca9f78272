#pragma once
// One conditional write, followed until its fate is known. A store that throws has told nothing: the write
// may have happened. So it is read back, and counts as stored only where the whole record is there; where
// nothing has changed it is repeated, which its condition makes harmless; anything else is a conflict. No
// I/O: it says what it needs.

#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include <paidonce/record.hpp>

namespace paidonce::inline v1::flow {

class Write {
 public:
  enum class Need : std::uint8_t { insert, replace, read_back, nothing };
  enum class Fate : std::uint8_t { open, stored, conflict, unknown };

  /// Calls to the store that may throw before the write is given up as unknown.
  static constexpr int most_failures = 4;

  void start_insert() noexcept { start(Need::insert, 0); }
  void start_replace(Version expected) noexcept { start(Need::replace, expected); }

  Need need() const noexcept { return need_; }
  Fate fate() const noexcept { return fate_; }
  Version expected() const noexcept { return expected_; }

  /// Answers `Need::insert`: null when stored, otherwise what is there.
  void inserted(std::optional<Record>&& existing, const Record& mine) {
    if (!existing) return end(Fate::stored);
    compare(std::move(existing), mine);
  }

  /// Answers `Need::replace`. A refusal is read back too: a first try, its reply lost, may have been what
  /// moved it on.
  void replaced(bool stored) noexcept {
    if (stored) return end(Fate::stored);
    refused_ = true;
    need_ = Need::read_back;
  }

  /// Answers `Need::read_back`.
  [[gnu::cold]] void read_back(std::optional<Record>&& there, const Record& mine) {
    if (refused_ || there_is_something_else(there)) return compare(std::move(there), mine);
    need_ = kind_;
  }

  /// Answers any of them: the store threw.
  [[gnu::cold]] void failed(std::exception_ptr failure) noexcept {
    failure_ = std::move(failure);
    if (++failures_ >= most_failures) return end(Fate::unknown);
    need_ = Need::read_back;
  }

  /// On conflict: what the store has; null for nothing.
  std::optional<Record>& there() noexcept { return there_; }
  /// The last failure of the store; null where none failed.
  const std::exception_ptr& failure() const noexcept { return failure_; }

 private:
  void start(Need kind, Version expected) noexcept {
    kind_ = need_ = kind;
    fate_ = Fate::open;
    expected_ = expected;
    failures_ = 0;
    refused_ = false;
    there_.reset();
    failure_ = nullptr;
  }

  void end(Fate fate) noexcept {
    fate_ = fate;
    need_ = Need::nothing;
  }

  bool there_is_something_else(const std::optional<Record>& there) const noexcept {
    return there && (kind_ == Need::insert || there->version != expected_);
  }

  [[gnu::cold]] void compare(std::optional<Record>&& there, const Record& mine) {
    if (there && *there == mine) return end(Fate::stored);
    there_ = std::move(there);
    end(Fate::conflict);
  }

  Need kind_ = Need::nothing;
  Need need_ = Need::nothing;
  Fate fate_ = Fate::open;
  bool refused_ = false;
  int failures_ = 0;
  Version expected_ = 0;
  std::optional<Record> there_ = {};
  std::exception_ptr failure_ = {};
};

}  // namespace paidonce::inline v1::flow
