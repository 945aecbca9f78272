#pragma once
// The hand-written logs, as ideals: what a store would reach that did nothing else. "Bare" ones know no keys.
// Those with an index refuse a key that is there and know where each record stands, and they fill their next
// file beside the payments.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "benchmarks/file/log_commit.hpp"
#include "benchmarks/file/log_file.hpp"
#include "benchmarks/file/log_frame.hpp"
#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"

namespace file_benchmark {

/// Threads over a log without keys.
template <class Commit>
class BareLogPeer final : public Peer {
 public:
  BareLogPeer(const Setup& setup, Sync sync) : log_(setup.directory, sync) {}
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) {
      const KeyText key(id);
      log_.append(Frame(key.view(), begun_bytes()).view());
      log_.append(Frame(key.view(), completed_bytes()).view());
    });
  }

 private:
  Commit log_;
};

/// 64 mutexes, 64 maps from key to what a reader would need: the version, and where the record stands.
class KeyIndex {
 public:
  bool insert(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::scoped_lock hold(shard.mutex);
    return shard.places.try_emplace(std::string(key), Place{.version = 1}).second;
  }
  bool replace(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::scoped_lock hold(shard.mutex);
    const auto at = shard.places.find(std::string(key));
    if (at == shard.places.end() || at->second.version != 1) return false;
    at->second.version = 2;
    return true;
  }

 private:
  struct Place {
    std::uint64_t version = 0;
    std::uint64_t offset = 0;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Place> places;
  };
  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>{}(key) % shards_.size()];
  }

  std::vector<Shard> shards_{64};
};

template <class Commit>
class IndexedLogPeer final : public Peer {
 public:
  IndexedLogPeer(const Setup& setup, Sync sync) : log_(setup.directory, sync) {}
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) {
      const KeyText key(id);
      if (!index_.insert(key.view())) throw std::logic_error("the key is there");
      log_.append(Frame(key.view(), begun_bytes()).view());
      if (!index_.replace(key.view())) throw std::logic_error("the key is not there");
      log_.append(Frame(key.view(), completed_bytes()).view());
    });
  }

 private:
  KeyIndex index_;
  Commit log_;
};

/// One thread, many payments in flight, nobody to wake: a group is what the payments of the last one go on
/// with.
class CallbackLogPeer final : public Peer {
 public:
  CallbackLogPeer(const Setup& setup, Sync sync)
      : writer_(setup.directory, sync), in_flight_(setup.width.in_flight) {}
  void pay(Lane& lane) override {
    struct Payment {
      std::uint64_t id;
      Clock::time_point began;
      bool completes;
    };
    std::vector<Payment> waiting, group;
    const auto begin = [&](Clock::time_point now) {
      waiting.push_back({lane.next_id(), now, false});
      writer_.add(Frame(KeyText(waiting.back().id).view(), begun_bytes()).view());
    };
    for (std::size_t i = 0; i < in_flight_; ++i) begin(lane.begin());
    while (!waiting.empty()) {
      writer_.commit();
      group.swap(waiting);
      waiting.clear();
      for (Payment& payment : group) {
        if (!payment.completes) {
          writer_.add(Frame(KeyText(payment.id).view(), completed_bytes()).view());
          payment.completes = true;
          waiting.push_back(payment);
          continue;
        }
        const auto now = Clock::now();
        lane.done(payment.began, now);
        if (lane.goes_on(now)) begin(now);
      }
    }
  }

 private:
  GroupWriter<BareFiles> writer_;
  const std::size_t in_flight_;
};

inline std::vector<Entry> log_entries() {
  using Bare = GroupWriter<BareFiles>;
  using Prepared = GroupWriter<PreparedFiles>;
  std::vector<Entry> entries;
  const auto add = [&]<class P>(std::type_identity<P>, std::string name, std::string what,
                                bool callbacks = false) {
    for (const Sync sync : {Sync::data, Sync::direct})
      entries.push_back({name + (sync == Sync::data ? ".fdatasync" : ".direct"), what, callbacks,
                         [sync](const Setup& setup) { return std::make_unique<P>(setup, sync); }});
  };
  add(std::type_identity<BareLogPeer<LeaderCommit<Bare>>>{}, "bare.leader",
      "bare log, a leader that lingers");
  add(std::type_identity<BareLogPeer<ThreadCommit<Bare>>>{}, "bare.thread", "bare log, a commit thread");
  add(std::type_identity<IndexedLogPeer<LeaderCommit<Prepared>>>{}, "log.leader",
      "log with index and zeroing, a leader that lingers");
  add(std::type_identity<IndexedLogPeer<ThreadCommit<Prepared>>>{}, "log.thread",
      "log with index and zeroing, a commit thread");
  add(std::type_identity<CallbackLogPeer>{}, "bare.callbacks", "bare log, callbacks on one thread", true);
  return entries;
}

}  // namespace file_benchmark
