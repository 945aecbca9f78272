#pragma once
// What is simulated: who calls what, over which lock, store and provider, and how many faults may happen.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <paidonce/fingerprint.hpp>
#include <paidonce/flow.hpp>

namespace model {

using namespace paidonce;

/// One unit of model time is one millisecond of the records.
inline constexpr Duration lease{10};
inline constexpr Duration retention{30};
inline constexpr Duration provider_remembers{40};

/// What happens only so often in one run.
enum class Fault : std::uint8_t {
  crash,       ///< a client vanishes; its next call comes from a fresh process
  throws,      ///< the store throws; a write that threw may land now, later or never
  tick,        ///< the clock moves on to the next lease end, end of retention or end of the provider's memory
  beat,        ///< a heartbeat starts
  checkpoint,  ///< the callable saves a checkpoint
  timeout,     ///< the provider's reply, or the request itself, does not come in time
  decline,     ///< the provider declines
  not_executed,  ///< the callable proves that it did nothing
  poll,          ///< a waiting duplicate looks again
  unsure,        ///< the provider that is asked does not know
  refuse,        ///< the caller's `refuse_if` has a reason
  sweep,         ///< records whose retention is over are erased
  commit_fails,  ///< a group commit fails
  store_crash,   ///< the store loses what it has not committed
  lock_lost,     ///< a lock ends under its holder
  count,
};
using Budget = std::array<std::uint8_t, static_cast<std::size_t>(Fault::count)>;

enum class LockKind : std::uint8_t { none, keyed, may_be_lost };

struct Call {
  flow::Purpose purpose = flow::Purpose::pay;
  std::uint8_t request = 0;  ///< which fingerprint
};

struct Scenario {
  std::string name;
  std::vector<std::vector<Call>> clients;
  std::vector<std::pair<Fault, std::uint8_t>> faults = {};
  LockKind lock = LockKind::none;
  flow::FirstLook first_look = flow::FirstLook::under_lock;
  flow::Admission admission = flow::Admission::free;
  protocol::DoubtRule::Means means = protocol::DoubtRule::Means::none;
  Duration wait{0};
  bool holder_aware = false;  ///< the store knows which processes are dead
  bool group_commit = false;  ///< writes are visible to the store before they are durable
  bool late_clock = false;    ///< time may pass between a reply of the store and its use
  bool hasty_person = false;  ///< who resolves does not wait until nothing can be under way any more

  bool deduplicates() const { return means == protocol::DoubtRule::Means::provider_deduplicates; }
  Budget budget() const {
    Budget budget{};
    for (const auto& [fault, times] : faults) budget[static_cast<std::size_t>(fault)] = times;
    return budget;
  }
};

/// The requests that may come under the key. Those after the first are other payments.
inline const Fingerprint& fingerprint_of(std::uint8_t request) {
  static const std::array<Fingerprint, 2> fingerprints{fingerprint("order", "4.50"),
                                                       fingerprint("order", "5.40")};
  return fingerprints[request];
}

}  // namespace model
