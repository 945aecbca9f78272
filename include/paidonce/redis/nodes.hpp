#pragma once
// The servers behind a URI: one, or the masters of a cluster. Who has which slot is learnt from them, and
// followed when it changes.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connecting.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/redis/pool.hpp>
#include <paidonce/redis/redirect.hpp>
#include <paidonce/redis/slot.hpp>
#include <paidonce/retry/reconnect_gate.hpp>

namespace paidonce::inline v1::detail {

/// One server, and connections to it. Lives as long as the nodes do, whatever becomes of the server.
struct RedisNode {
  RedisNode(RedisEndpoint endpoint, const RedisAddress& address, const RedisOptions& options,
            RedisConnector::Check check = {})
      : connector(std::move(endpoint), address, options, std::move(check)), pool(connector, options) {}
  virtual ~RedisNode() = default;

  RedisConnector connector;
  RedisPool pool;
};

/// What a server told of where a command belongs, instead of executing it.
struct RedisRedirect {
  RedisVerdict verdict = RedisVerdict::refuse;  ///< moved, ask, repeat; refuse: none
  RedisEndpoint to = {};                        ///< of the first two
};

/// Thread-safe. The address and options outlive it.
class RedisNodes {
 public:
  using MakeNode = std::function<std::unique_ptr<RedisNode>(RedisEndpoint)>;

  RedisNodes(const RedisAddress& address, const RedisOptions& options, MakeNode make = {})
      : address_(address),
        options_(options),
        make_(std::move(make)),
        gate_(options.reconnect, options.connect_timeout) {}

  /// Who has the slot, as far as is known. Connects where nothing is known yet: throws `store_unavailable`,
  /// `invalid_options`.
  RedisNode& of(std::uint16_t slot) {
    if (!known_.load(std::memory_order_acquire)) discover();
    if (RedisNode* const single = single_.load(std::memory_order_acquire)) return *single;
    if (RedisNode* const owner = (*owners_)[slot].load(std::memory_order_acquire)) return *owner;
    refresh();
    if (RedisNode* const owner = (*owners_)[slot].load(std::memory_order_acquire)) return *owner;
    throw RedisOutage("no node of the cluster has the slot of this key at the moment");
  }

  RedisNode& at(const RedisEndpoint& endpoint) {
    const std::lock_guard lock(mutex_);
    for (const auto& node : nodes_)
      if (node->connector.endpoint() == endpoint) return *node;
    nodes_.push_back(make_ ? make_(endpoint) : std::make_unique<RedisNode>(endpoint, address_, options_));
    return *nodes_.back();
  }

  bool is_cluster() const noexcept {
    return known_.load(std::memory_order_acquire) && !single_.load(std::memory_order_acquire);
  }

  /// Calls `visit(RedisNode&)` for each that was ever met.
  template <class Visit>
  void each(Visit&& visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& node : nodes_) visit(*node);
  }

  /// Asks the cluster who has what. Many who ask at the same time ask once.
  void refresh() {
    if (!is_cluster()) return;
    const std::uint64_t seen = refreshed_.load(std::memory_order_acquire);
    const std::lock_guard one(refreshing_);
    if (refreshed_.load(std::memory_order_acquire) != seen) return;
    std::vector<RedisEndpoint> candidates;
    each([&](const RedisNode& node) {
      if (node.connector.failures() == 0) candidates.push_back(node.connector.endpoint());
    });
    candidates.insert(candidates.end(), address_.endpoints.begin(), address_.endpoints.end());
    each([&](const RedisNode& node) { candidates.push_back(node.connector.endpoint()); });
    std::vector<RedisEndpoint> asked;
    for (const RedisEndpoint& candidate : candidates) {
      if (std::find(asked.begin(), asked.end(), candidate) != asked.end()) continue;
      asked.push_back(candidate);
      try {
        if (const auto ranges = ask_for_slots(candidate); ranges && !ranges->empty()) {
          take_over(*ranges);
          break;
        }
      } catch (const RedisOutage&) {
      }
    }
    refreshed_.fetch_add(1, std::memory_order_release);
  }

  /// What an answer tells of where its command belongs; a slot that moved is taken note of.
  RedisRedirect redirect(std::uint16_t slot, const RedisValue& answer, const RedisEndpoint& asked) {
    RedisRedirect told;
    if (!answer.is_error() || !is_cluster()) return told;
    const RedisVerdict verdict = redis_verdict(answer.error_word());
    if (verdict == RedisVerdict::repeat) {
      told.verdict = verdict;
    } else if (verdict == RedisVerdict::moved || verdict == RedisVerdict::ask) {
      if (auto to = redirected_to(answer.error(), asked)) {
        told = {verdict, *std::move(to)};
        if (verdict == RedisVerdict::moved) moved(slot, told.to);
      }
    }
    if (told.verdict != RedisVerdict::refuse) redirects_.fetch_add(1, std::memory_order_relaxed);
    return told;
  }

  /// Has `exchange(RedisNode&, RedisConnection&, Asking)` done on the node that has the slot, on a connection
  /// of its pool, wherever it is redirected to until the deadline. It returns the answer to its command, and
  /// is called again only after one that says that nothing was executed. `from`: what an answer has already
  /// told. Throws what the exchange does, and as RedisConnector::ready.
  enum class Asking : std::uint8_t { no, yes };
  template <class Exchange>
  RedisReply route(std::uint16_t slot, RedisDeadline deadline, Exchange&& exchange, RedisRedirect from = {}) {
    Duration pause(1);
    for (;;) {
      RedisNode& node = from.verdict == RedisVerdict::ask ? at(from.to) : of(slot);
      const Asking asking = from.verdict == RedisVerdict::ask ? Asking::yes : Asking::no;
      std::optional<RedisPool::Lease> lease(std::in_place, node.pool);
      RedisConnection* connection = nullptr;
      if (single_.load(std::memory_order_relaxed)) {
        connection = &lease->ready();
      } else {
        try {
          connection = &lease->ready_or_out();
        } catch (const RedisOutage&) {
          refresh();  // somebody may have taken over
          from = {};
          if (std::chrono::steady_clock::now() >= deadline) throw;
          if (&of(slot) == &node && !node.connector.has_patience()) throw;
          continue;
        }
      }
      RedisReply answer = exchange(node, *connection, asking);
      from = redirect(slot, answer, node.connector.endpoint());
      if (from.verdict == RedisVerdict::refuse || std::chrono::steady_clock::now() + pause >= deadline)
        return answer;
      lease.reset();  // others need it meanwhile
      if (from.verdict == RedisVerdict::repeat || pause > Duration(8)) std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, Duration(100));
    }
  }

  /// One command, announced where the server was named by ASK.
  static RedisReply exchange(RedisConnection& connection, Asking asking, RedisWords words,
                             RedisDeadline deadline) {
    if (asking == Asking::yes) connection.run({"ASKING"}, deadline).expect_done("ASKING");
    return connection.run(words, deadline);
  }

  std::uint64_t redirects() const noexcept { return redirects_.load(std::memory_order_relaxed); }

 private:
  using Owners = std::array<std::atomic<RedisNode*>, redis_slots>;

  /// Null where the server is no part of a cluster.
  std::optional<std::vector<RedisSlotRange>> ask_for_slots(const RedisEndpoint& endpoint) const {
    RedisConnection connection = connect(endpoint, address_, options_);
    const RedisReply answer = connection.run({"CLUSTER", "SLOTS"}, redis_deadline(options_.connect_timeout));
    if (answer.is_error()) {
      expect_serving(answer.error());
      if (answer.error_word() == "NOAUTH") answer.expect_done();
      return std::nullopt;  // disabled, or forbidden as it is where there is none
    }
    return slot_ranges(answer, endpoint);
  }

  /// A URI with one host is asked whether there is more behind it; while it is out of reach it is waited for.
  void discover() {
    const std::lock_guard one(refreshing_);
    if (known_.load(std::memory_order_acquire)) return;
    for (;;) {
      gate_.enter();
      try {
        ask_in_turn();
        return gate_.succeeded();
      } catch (const RedisOutage& outage) {
        gate_.failed(redis_text_of(outage));
        if (!gate_.has_patience()) throw;
      } catch (...) {
        gate_.failed();
        throw;
      }
    }
  }

  void ask_in_turn() {
    for (const RedisEndpoint& endpoint : address_.endpoints) {
      try {
        return settle(endpoint, ask_for_slots(endpoint));
      } catch (const RedisOutage&) {
        if (&endpoint == &address_.endpoints.back()) throw;
      }
    }
  }

  void settle(const RedisEndpoint& endpoint, const std::optional<std::vector<RedisSlotRange>>& ranges) {
    if (!ranges) {
      if (address_.endpoints.size() > 1)
        throw Error(errc::invalid_options,
                    "several hosts in a URI of Redis are those of one cluster, and this server is in none");
      single_.store(&at(endpoint), std::memory_order_release);
    } else {
      if (ranges->empty()) throw RedisOutage("the cluster has given its slots to nobody yet");
      if (address_.database != 0)
        throw Error(errc::invalid_options, "a cluster of Redis has database 0 alone: check the URI");
      owners_ = std::make_unique<Owners>();
      take_over(*ranges);
    }
    known_.store(true, std::memory_order_release);
  }

  void take_over(const std::vector<RedisSlotRange>& ranges) {
    for (const RedisSlotRange& range : ranges) {
      RedisNode& node = at(range.master);
      bool takes_over = false;
      for (std::size_t slot = range.first; slot <= range.last; ++slot) {
        const RedisNode* const before = (*owners_)[slot].load(std::memory_order_acquire);
        takes_over |= before && before != &node;
      }
      if (takes_over) node.connector.distrust();  // before anybody is sent there
      for (std::size_t slot = range.first; slot <= range.last; ++slot)
        (*owners_)[slot].store(&node, std::memory_order_release);
    }
  }

  void moved(std::uint16_t slot, const RedisEndpoint& to) {
    RedisNode& node = at(to);
    if ((*owners_)[slot].load(std::memory_order_acquire) == &node) return;
    node.connector.distrust();  // before anybody is sent there
    if ((*owners_)[slot].exchange(&node, std::memory_order_acq_rel) != &node) refresh();
  }

  const RedisAddress& address_;
  const RedisOptions& options_;
  const MakeNode make_;
  ReconnectGate gate_;  // until something is known
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<RedisNode>> nodes_;  // under the mutex; the nodes themselves stay
  std::mutex refreshing_;
  std::atomic<std::uint64_t> refreshed_{0}, redirects_{0};
  std::unique_ptr<Owners> owners_;
  std::atomic<RedisNode*> single_{nullptr};
  std::atomic<bool> known_{false};
};

}  // namespace paidonce::inline v1::detail
