#pragma once
// A payment provider for a simulated day: what it carried out, what it says when it is asked, and what
// becomes of requests that were held up on their way.

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/time.hpp>

namespace fault {

using namespace paidonce;

/// The whole truth about one request for money.
struct MoneyRequest {
  std::string provider_key = {};
  int order = 0, generation = 0;
  std::int64_t amount = 0;
  std::uint64_t attempt_began = 0;  ///< at this moment of the simulation
  Duration sent{0};
};

class ShopProvider {
 public:
  struct Manners {
    Duration refuses_after = Duration::max();  ///< requests that are older than this on arrival
    bool knows_repeats = false;                ///< charges once per provider key
    Duration list_lags{0};                     ///< until what was carried out can be found
  };
  struct Entry {
    MoneyRequest request = {};
    std::string receipt = {};
    bool declined = false;
    Duration at{0};
  };
  enum class Said : std::uint8_t { charged, declined, refused };
  struct Reply {
    Said said;
    std::string text;
  };

  explicit ShopProvider(Manners manners) : manners_(manners) {}

  bool down = false;  ///< nobody can connect

  /// A request has arrived.
  Reply carry_out(const MoneyRequest& request, Duration now) {
    if (now - request.sent > manners_.refuses_after) return {Said::refused, "too late"};
    if (cancelled_.count(request.provider_key) != 0) return {Said::refused, "cancelled"};
    std::vector<Entry>& known = entries_[request.provider_key];
    if (manners_.knows_repeats && !known.empty()) return reply_of(known.front());
    known.push_back({request, std::to_string(++serial_) + " for " + std::to_string(request.amount),
                     request.order % 17 == 3, now});
    return reply_of(known.back());
  }

  ProviderAnswer<std::string> answer(const std::string& provider_key, Duration now) const {
    using Answer = ProviderAnswer<std::string>;
    if (cancelled_.count(provider_key) != 0) return Answer::declined("cancelled");
    const Entry* charged = nullptr;
    const Entry* declined = nullptr;
    if (const auto found = entries_.find(provider_key); found != entries_.end())
      for (const Entry& entry : found->second) {
        if (now - entry.at < manners_.list_lags) continue;
        if (!entry.declined && charged) return Answer::unknown("charged more than once");
        (entry.declined ? declined : charged) = &entry;
      }
    if (charged) return Answer::succeeded(charged->receipt);
    if (declined) return Answer::declined("no funds");
    return Answer::not_found();
  }

  /// From now on nothing is carried out under this key. False: something was already.
  bool cancel(const std::string& provider_key) {
    if (entries_.count(provider_key) != 0) return false;
    cancelled_.insert(provider_key);
    return true;
  }

  bool was_cancelled(const std::string& provider_key) const { return cancelled_.count(provider_key) != 0; }
  bool knows(const std::string& provider_key) const {
    return entries_.count(provider_key) != 0 || was_cancelled(provider_key);
  }

  /// All charges, in the order in which they were made.
  std::vector<Entry> charges() const {
    std::vector<Entry> all;
    for (const auto& known : entries_)
      for (const Entry& entry : known.second)
        if (!entry.declined) all.push_back(entry);
    std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.at < b.at; });
    return all;
  }
  /// Null: nothing was charged with this receipt.
  const Entry* charge(const std::string& receipt) const {
    for (const auto& known : entries_)
      for (const Entry& entry : known.second)
        if (!entry.declined && entry.receipt == receipt) return &entry;
    return nullptr;
  }
  const Entry* charge_under(const std::string& provider_key) const {
    const auto found = entries_.find(provider_key);
    if (found == entries_.end()) return nullptr;
    for (const Entry& entry : found->second)
      if (!entry.declined) return &entry;
    return nullptr;
  }

 private:
  static Reply reply_of(const Entry& entry) {
    return entry.declined ? Reply{Said::declined, "no funds"} : Reply{Said::charged, entry.receipt};
  }

  Manners manners_;
  int serial_ = 0;
  std::map<std::string, std::vector<Entry>> entries_ = {};
  std::set<std::string> cancelled_ = {};
};

}  // namespace fault
