#pragma once
// A payment provider for programs of several processes: somebody else's system, which here is a file.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace common {

/// A line of the provider's ledger.
struct Entry {
  enum class Kind { charged, declined, given_back, barred };
  Kind kind = Kind::charged;
  std::string provider_key = {};  ///< Attempt::provider_key()
  std::uint32_t attempt = 0;      ///< Attempt::number()
  std::string order = {};
  std::int64_t cents = 0;
};

/// It does not deduplicate: who asks twice is charged twice, and the ledger shows it. What it does promise is
/// that an attempt which it was asked about, and did not know, is barred: a request that comes late is not
/// carried out. Only so is "not found" proof that nothing happened. Throws std::system_error.
class Provider {
 public:
  explicit Provider(std::filesystem::path ledger) : ledger_(std::move(ledger)) {}

  /// Carries the request out, and returns what was written down: it as it is, or that it is barred.
  Entry carry_out(const Entry& request) const;
  /// What became of an attempt, or an earlier one at the same payment; it is barred now where nothing had.
  Entry look_up(const std::string& provider_key, std::uint32_t attempt) const;

  std::vector<Entry> ledger() const;

 private:
  std::filesystem::path ledger_;
};

}  // namespace common
