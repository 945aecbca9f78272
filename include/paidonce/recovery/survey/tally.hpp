#pragma once
// What a survey adds up, record by record.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/record.hpp>
#include <paidonce/recovery/survey/amount_sum.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What the records of one state come to in one currency.
struct CurrencyTotal {
  std::string currency = {};  ///< as "EUR"
  std::size_t records = 0;
  std::string amount = {};  ///< exact, as "1204.50"; empty where it needs more than 38 digits
};

/// The records of one state.
struct StateSurvey {
  std::size_t records = 0;
  std::size_t without_amount = 0;          ///< nobody gave one
  std::size_t unreadable = 0;              ///< not a number and a currency, as "4.50 EUR": in no total
  std::vector<CurrencyTotal> totals = {};  ///< by currency, in alphabetical order
};

namespace detail {

/// The sums of one state.
class StateTally {
 public:
  static constexpr std::size_t most_currencies = 512;  // a store's amounts are its clients' words

  void add(std::string_view amount) {
    ++records_;
    if (amount.empty()) {
      ++without_amount_;
      return;
    }
    const std::optional<AmountText> read = read_amount(amount);
    Entry* const entry = read ? entry_of(read->currency) : nullptr;
    if (!entry) {
      ++unreadable_;
      return;
    }
    ++entry->records;
    entry->sum.add(read->number);
  }

  StateSurvey result() const {
    StateSurvey result{.records = records_, .without_amount = without_amount_, .unreadable = unreadable_};
    for (const Entry& entry : entries_)
      result.totals.push_back({entry.currency, entry.records, entry.sum.text()});
    return result;
  }

 private:
  struct Entry {
    std::string currency;
    std::size_t records = 0;
    AmountSum sum = {};
  };

  /// Most records are in the currency of the one before.
  Entry* entry_of(std::string_view currency) {
    if (last_ < entries_.size() && entries_[last_].currency == currency) return &entries_[last_];
    auto at =
        std::lower_bound(entries_.begin(), entries_.end(), currency,
                         [](const Entry& entry, std::string_view code) { return entry.currency < code; });
    if (at == entries_.end() || at->currency != currency) {
      if (entries_.size() == most_currencies) return nullptr;
      at = entries_.insert(at, Entry{std::string(currency)});
    }
    last_ = static_cast<std::size_t>(at - entries_.begin());
    return &*at;
  }

  std::size_t records_ = 0, without_amount_ = 0, unreadable_ = 0;
  std::vector<Entry> entries_;  // in the order of their currencies
  std::size_t last_ = 0;
};

}  // namespace detail
}  // namespace paidonce::inline v1
