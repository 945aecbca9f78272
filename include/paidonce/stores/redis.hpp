#pragma once
// Records in Redis: many hosts, many processes, the fastest of the stores that they can share, and the one
// that forgets most.
//
// The parts are in stores/redis/: an operation becomes a command (operation, scripts, keys) and goes out
// with those of other callers to the server that has its key (node; redis/nodes), which was checked when the
// connection was opened (server_checks, witnesses). The page docs/stores/redis.md says how to set a server
// up, what it cannot promise, and what each error wants.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/nodes.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/redis/node.hpp>
#include <paidonce/stores/redis/operation.hpp>
#include <paidonce/stores/redis/options.hpp>
#include <paidonce/stores/redis/scanning.hpp>

namespace paidonce::inline v1 {

/// What a store has done since it was opened.
struct RedisStoreStats {
  std::uint64_t operations = 0;          ///< find, insert and replace
  std::uint64_t batches = 0;             ///< that they made: a round trip each
  std::uint64_t redirects = 0;           ///< commands that a cluster sent elsewhere
  std::uint64_t connections_opened = 0;  ///< more than there are: some were lost
  std::uint64_t waiting = 0;             ///< operations that wait for a lane, at the moment
  std::uint32_t failed_tries = 0;        ///< to connect, of the server where there are most; 0: all are there
  std::uint64_t lost_writes = 0;  ///< records that a server had acknowledged and does not have any more
};

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads.
///
/// What every call may throw: `store_unavailable` where a server is out of reach or did not answer in time,
/// or fewer replicas than wanted have a record: a write may have happened then; `store_busy` where a script
/// of somebody else blocks the server, or all connections are in use; `store_full` for records that are too
/// long and a server that has reached maxmemory: nothing was written; `store_forked` in a child that was
/// forked while it was open; `invalid_options` where the user may not do what the store does;
/// `store_corrupt` where somebody else writes to its keys. A write that would begin a payment throws
/// `unsafe_config` on a server whose settings would forget it, and `store_replaced` once a server has
/// forgotten a write that it had acknowledged, until the store is opened anew; nothing was written.
class RedisStore {
 public:
  /// Connects, and looks whether the server, or each master of the cluster, can be trusted.
  ///
  /// `uri` is `redis://[[user][:password]@]host[:port][,host[:port]...][/database]`, several hosts being
  /// those of one cluster, `rediss://…` with `RedisOptions::connect`, or `redis+unix:///path`. Throws
  /// `store_unavailable`, also for a replica; `unsafe_config`; `unsupported_format` for a server older than
  /// Redis 6; `invalid_options`.
  explicit RedisStore(std::string_view uri, RedisStoreOptions options = {})
      : core_(new Core(uri, std::move(options))) {
    core_->open();
  }

  /// One round trip.
  std::optional<Record> find(const IdempotencyKey& key) {
    detail::RedisOperation operation(core_->checked().shared.tags, key);
    core_->run(operation);
    return operation.found();
  }

  /// One round trip, whether the record is stored or one is there.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    Core& core = core_->checked();
    detail::check_size(core.options, record);
    std::optional<detail::RedisWitness> witness = core.shared.witnesses.of(detail::redis_tag(key.bytes()));
    for (;;) {
      detail::RedisOperation operation(detail::RedisOperation::Kind::insert, core.shared.tags, key, &record,
                                       0, core.options.expiry_grace, std::move(witness));
      core.run(operation);
      if (!operation.unknown_to_server()) return operation.found();
      witness.reset();  // it was over before the server was asked, and proves nothing
    }
  }

  /// One round trip.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    Core& core = core_->checked();
    detail::check_size(core.options, record);
    detail::RedisOperation operation(detail::RedisOperation::Kind::replace, core.shared.tags, key, &record,
                                     expected, core.options.expiry_grace);
    core.run(operation);
    return operation.replaced();
  }

  /// In an order of its own: by tag, then by the keys' bytes. What is written meanwhile is visited or not.
  /// No connection is held while the visitor runs; it may call the store. A scan of what is in progress or in
  /// doubt alone costs what there is of that.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    Core& core = core_->checked();
    std::size_t left = filter.limit;
    if (left == 0) return;
    detail::RedisScan walk(core.nodes, core.shared, filter);
    while (const auto page = walk.next())
      for (const auto& [key, record] : *page)
        if (!visitor(key, record) || --left == 0) return;
  }

  /// Erases completed records, and released ones without a checkpoint, whose `expires_at` has come by `now`.
  /// Servers forget them by themselves, at about the same time.
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    Core& core = core_->checked();
    return detail::erase_expired(core.nodes, core.shared, now, limit);
  }

  RedisStoreStats stats() const {
    RedisStoreStats stats;
    core_->nodes.each([&](detail::RedisNode& each) {
      const auto& node = static_cast<const detail::RedisStoreNode&>(each);
      const auto counts = node.counts();
      stats.operations += counts.operations;
      stats.batches += counts.batches;
      stats.waiting += node.queued();
      stats.connections_opened += node.connector.opened();
      stats.failed_tries = std::max(stats.failed_tries, node.connector.failures());
    });
    stats.redirects = core_->nodes.redirects();
    stats.lost_writes = core_->shared.lost_writes.load(std::memory_order_relaxed);
    return stats;
  }

 private:
  struct Core {
    Core(std::string_view uri, RedisStoreOptions given)
        : options(std::move(given)),
          address(detail::redis_address(uri, detail::checked(options).connection)),
          shared(options),
          nodes(address, options.connection, [this](RedisEndpoint endpoint) {
            return std::make_unique<detail::RedisStoreNode>(std::move(endpoint), address, shared);
          }) {}

    void open() {
      std::set<detail::RedisNode*> all;
      for (std::size_t tag = 0; tag < detail::redis_tags; ++tag) all.insert(&nodes.of(shared.tags[tag].slot));
      for (detail::RedisNode* const node : all) static_cast<detail::RedisStoreNode*>(node)->open_first();
    }

    /// A child shares its parent's sockets: one byte of it would be taken for the parent's.
    Core& checked() {
      if (!process.is_this_one())
        throw Error(errc::store_forked,
                    "the store was opened by the process that forked this one: open it again after the fork");
      return *this;
    }

    /// With others' on a lane of its node; or, where that node says that it is another's, by itself.
    void run(detail::RedisOperation& operation) {
      const std::uint16_t slot = operation.tag.slot;
      const detail::BootTime asked = detail::boot_now();
      auto* node = &static_cast<detail::RedisStoreNode&>(nodes.of(slot));
      node->run(operation, nodes.is_cluster());
      detail::RedisRedirect from;
      if (operation.answer) from = nodes.redirect(slot, *operation.answer, node->connector.endpoint());
      if (operation.unsent || from.verdict != detail::RedisVerdict::refuse)
        operation.answer = nodes.route(
            slot, detail::redis_deadline(options.connection.reply_timeout),
            [&](detail::RedisNode& other, detail::RedisConnection& connection,
                detail::RedisNodes::Asking asking) {
              node = &static_cast<detail::RedisStoreNode&>(other);
              return node->run_alone(connection, operation, asking);
            },
            std::move(from));
      if (operation.unknown_to_server() && detail::boot_now() < operation.witness->until) {
        shared.note_forgotten(*operation.witness);
        node->refuse_begin();
      }
      if (operation.begin_refused()) node->refuse_begin();
      if (operation.wrote())
        shared.witnesses.note(operation.tag_number, operation.name(), operation.record->version,
                              operation.record->state == State::released ? std::nullopt : operation.ttl,
                              asked);
    }

    const RedisStoreOptions options;
    const detail::OwnProcess process = {};
    const detail::RedisAddress address;
    detail::RedisStoreShared shared;
    detail::RedisNodes nodes;
  };

  /// A child of a fork leaves everything as it is: closing would end the parent's connections.
  struct Close {
    void operator()(Core* core) const noexcept {
      if (core->process.is_this_one()) delete core;
    }
  };

  std::unique_ptr<Core, Close> core_;
};

static_assert(ScannableStore<RedisStore> && SweepableStore<RedisStore>);

}  // namespace paidonce::inline v1
