#pragma once
// One server of a store: whether it is safe, what it remembers, and batches of operations on it.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/nodes.hpp>
#include <paidonce/redis/pool.hpp>
#include <paidonce/stores/combine/combiner.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/stores/redis/operation.hpp>
#include <paidonce/stores/redis/options.hpp>
#include <paidonce/stores/redis/scripts.hpp>
#include <paidonce/stores/redis/server_checks.hpp>
#include <paidonce/stores/redis/witnesses.hpp>

namespace paidonce::inline v1::detail {

/// What the nodes of a store share.
struct RedisStoreShared {
  explicit RedisStoreShared(const RedisStoreOptions& the_options)
      : options(the_options),
        tags(options.prefix),
        witnesses(options.expiry_grace),
        replicas(std::to_string(options.wait_replicas)),
        replicas_timeout(std::to_string(options.wait_timeout.count())) {}

  const RedisStoreOptions& options;
  const RedisTags tags;
  RedisWitnesses witnesses;
  /// A server does not know what it must.
  void note_forgotten(const RedisWitness& witness) {
    witnesses.dismiss(witness);
    lost_writes.fetch_add(1, std::memory_order_relaxed);
    forgetful.store(true, std::memory_order_relaxed);
  }

  const std::string replicas, replicas_timeout;
  std::atomic<std::uint64_t> lost_writes{0};
  std::atomic<bool> forgetful{false};  // a server has forgotten a write: nothing may begin any more
};

/// Thread-safe.
class RedisStoreNode : public RedisNode {
 public:
  RedisStoreNode(RedisEndpoint endpoint, const RedisAddress& address, RedisStoreShared& shared)
      : RedisNode(std::move(endpoint), address, shared.options.connection,
                  [this](RedisConnection& connection) { inspect(connection); }),
        shared_(shared),
        combiner_(shared.options.lanes, shared.options.max_batch, LaneSharing::evenly),
        lanes_(shared.options.lanes) {}

  /// Has an operation done, together with others. It has an answer then, or is `unsent`, where the server is
  /// part of a cluster and out of reach; throws where neither can be told.
  void run(RedisOperation& operation, bool in_cluster) {
    combiner_.run(operation, [&](std::span<RedisOperation* const> batch, std::size_t lane) {
      execute(batch, lanes_[lane], in_cluster);
    });
  }

  /// The same for one, on a connection of somebody's.
  RedisReply run_alone(RedisConnection& connection, RedisOperation& operation, RedisNodes::Asking asking) {
    const RedisDeadline deadline = redis_deadline(shared_.options.connection.reply_timeout);
    for (bool loaded = false;; loaded = true) {
      if (asking == RedisNodes::Asking::yes) connection.add({"ASKING"});
      operation.add_to(connection, names(), begins_refused());
      add_wait(connection);
      if (asking == RedisNodes::Asking::yes) connection.read(deadline).expect_done("ASKING");
      RedisReply answer = connection.read(deadline);
      read_wait(connection, deadline);
      if (loaded || answer.error_word() != "NOSCRIPT") return answer;
      load(connection, deadline);
    }
  }

  /// Opens the first connection, before anybody calls. Throws where that cannot be, and `unsafe_config`.
  void open_first() {
    connector.ready(lanes_[0]);
    if (const char* const problem = problem_.load()) throw Error(errc::unsafe_config, problem);
  }

  RedisScriptNames names() const {
    const std::lock_guard lock(names_mutex_);
    return names_;
  }

  /// Throws why nothing may begin.
  [[noreturn]] void refuse_begin() const {
    if (shared_.forgetful.load(std::memory_order_relaxed))
      throw Error(
          errc::store_replaced,
          "a server has forgotten a write that it had acknowledged, as after a restart without its log "
          "or a failover: find out what it lacks, then open the store anew");
    const char* const problem = problem_.load(std::memory_order_relaxed);
    throw Error(errc::unsafe_config, problem ? problem : "the server was not safe a moment ago: try again");
  }

  auto counts() const noexcept { return combiner_.counts(); }
  std::size_t queued() const noexcept { return combiner_.queued(); }

  /// Its scripts, on a connection that does not know them.
  void load(RedisConnection& connection, RedisDeadline deadline) {
    add_scripts(connection);
    read_scripts(connection, deadline);
  }

 private:
  using Steady = std::chrono::steady_clock;

  /// Asked of each new connection.
  void inspect(RedisConnection& connection) {
    const RedisDeadline deadline = redis_deadline(shared_.options.connection.connect_timeout);
    add_check(connection);
    read_check(connection, deadline);
    hear(shared_.witnesses.recall(), connection, deadline);
    load(connection, deadline);
  }

  /// Whether the server knows what they do.
  void hear(std::vector<RedisWitness> witnesses, RedisConnection& connection, RedisDeadline deadline) {
    for (const RedisWitness& each : witnesses) connection.add({"GETRANGE", each.key, "35", "42"});
    std::vector<std::string> versions;
    std::erase_if(witnesses, [&](const RedisWitness& each) {
      const RedisReply version = connection.read(deadline);
      if (version.is_error() || !is_forgotten(each.version, version.text(), {}))
        return true;  // an error: another node has that slot
      versions.emplace_back(version.text());
      return false;
    });
    for (const RedisWitness& each : witnesses) connection.add({"GET", shared_.tags[each.tag].swept});
    for (std::size_t at = 0; at < witnesses.size(); ++at) {
      const RedisReply swept = connection.read(deadline);
      if (swept.is_error()) continue;
      if (!is_forgotten(witnesses[at].version, versions[at],
                        swept.is_nil() ? std::string_view() : swept.text()))
        continue;
      shared_.note_forgotten(witnesses[at]);
    }
  }

  void add_check(RedisConnection& connection) {
    next_check_.store((Steady::now() + shared_.options.check_interval).time_since_epoch().count(),
                      std::memory_order_relaxed);
    connection.add({"INFO"});
    connection.add({"CONFIG", "GET", "*appendfsync*"});
  }

  void read_check(RedisConnection& connection, RedisDeadline deadline) {
    const RedisReply info = connection.read(deadline);
    const RedisReply config = connection.read(deadline);
    expect_told(info);
    const RedisServerFacts facts = facts_of(info, config);
    try {
      check_serving(facts);
    } catch (...) {
      connection.close();  // so that the next one looks for another server
      connector.distrust();
      throw;
    }
    if (facts.history) look_at_history(*facts.history);
    if (shared_.options.unsafe == UnsafeConfig::accept) return;
    problem_.store(reason_to_refuse(facts, shared_.options.fsync), std::memory_order_relaxed);
  }

  /// A master that was a replica in between has the memory of another, and the connections of before: they
  /// are opened anew, which asks for what it must still know.
  void look_at_history(const std::string& history) {
    const std::lock_guard lock(names_mutex_);
    if (history == history_) return;
    if (!history_.empty()) connector.distrust();
    history_ = history;
  }

  /// INFO that is forbidden or renamed tells nothing; other errors are not about INFO.
  static void expect_told(const RedisReply& info) {
    const std::string_view word = info.error_word();
    if (!info.is_error() || word == "NOPERM" || word == "ERR") return;
    expect_serving(info.error());
    throw redis_error(info.error(), "INFO");
  }

  bool check_is_due() const noexcept {
    return Steady::now().time_since_epoch().count() >= next_check_.load(std::memory_order_relaxed);
  }

  void add_scripts(RedisConnection& connection) const {
    connection.add({"SCRIPT", "LOAD", redis_insert_script});
    connection.add({"SCRIPT", "LOAD", redis_replace_script});
    const std::string replace = std::string(redis_beyond_maxmemory).append(redis_replace_script);
    connection.add({"SCRIPT", "LOAD", replace});
  }

  void read_scripts(RedisConnection& connection, RedisDeadline deadline) {
    RedisScriptNames names;
    for (std::string* const name : {&names.insert, &names.replace}) {
      const RedisReply answer = connection.read(deadline);
      *name = answer.expect_done("SCRIPT LOAD").text();
    }
    // Servers before Redis 7 take the flags for a mistake.
    const RedisReply replace = connection.read(deadline);
    if (!replace.is_error()) names.replace = replace.text();
    const std::lock_guard lock(names_mutex_);
    names_ = std::move(names);
  }

  void execute(std::span<RedisOperation* const> batch, RedisSlot& slot, bool in_cluster) {
    RedisConnection* ready = nullptr;
    if (in_cluster) {
      try {
        ready = &connector.ready_or_out(slot);
      } catch (const RedisOutage&) {
        for (RedisOperation* const each : batch) each->unsent = true;
        return;
      }
    } else {
      ready = &connector.ready(slot);
    }
    RedisConnection& connection = *ready;
    const RedisDeadline deadline = redis_deadline(shared_.options.connection.reply_timeout);
    const bool check = check_is_due();
    const RedisScriptNames scripts = names();
    for (const RedisOperation* const each : batch) each->add_to(connection, scripts, begins_refused());
    add_wait(connection);
    if (check) add_check(connection);
    std::size_t unknown = 0;
    bool leave = false;
    for (std::size_t at = 0; at < batch.size(); ++at) {
      try {
        batch[at]->answer = connection.read(deadline);
      } catch (
          ...) {  // nobody knows what became of this one and those behind it, nor who else has the others
        if (shared_.options.wait_replicas > 0) at = 0;
        for (; at < batch.size(); ++at) batch[at]->failure = std::current_exception();
        return;
      }
      if (!batch[at]->answer->is_error()) continue;
      const std::string_view word = batch[at]->answer->error_word();
      if (word == "NOSCRIPT") ++unknown;
      if (redis_verdict(word) == RedisVerdict::leave) leave = true;
    }
    try {
      read_wait(connection, deadline);
    } catch (...) {
      for (RedisOperation* const each : batch) each->failure = std::current_exception();
      return;
    }
    try {
      if (check) read_check(connection, deadline);
    } catch (const Error&) {  // of the next ones
      connection.close();
    }
    if (leave) connection.close();
    if (unknown > 0 && connection.usable()) repeat_unknown(batch, connection);
  }

  void repeat_unknown(std::span<RedisOperation* const> batch, RedisConnection& connection) {
    for (RedisOperation* const each : batch) {
      if (each->answer->error_word() != "NOSCRIPT") continue;
      try {
        if (!connection.usable()) throw RedisConnection::lost();
        each->answer = run_alone(connection, *each, RedisNodes::Asking::no);
      } catch (...) {
        each->failure = std::current_exception();
      }
    }
  }

  std::string_view begins_refused() const noexcept {
    return problem_.load(std::memory_order_relaxed) || shared_.forgetful.load(std::memory_order_relaxed)
               ? "1"
               : "0";
  }

  /// WAIT counts the replicas that have all that the server had when it answered before, reads included: so
  /// neither is anything acknowledged nor read that they do not have.
  void add_wait(RedisConnection& connection) const {
    if (shared_.options.wait_replicas > 0)
      connection.add({"WAIT", shared_.replicas, shared_.replicas_timeout});
  }
  void read_wait(RedisConnection& connection, RedisDeadline deadline) const {
    if (shared_.options.wait_replicas == 0) return;
    const RedisReply answer = connection.read(deadline);
    if (answer.expect_done("WAIT").integer() < static_cast<long long>(shared_.options.wait_replicas))
      throw Error(
          errc::store_unavailable,
          "fewer than RedisStoreOptions::wait_replicas have it: a write has happened, and may be lost");
  }

  RedisStoreShared& shared_;
  std::atomic<const char*> problem_{nullptr};  // why nothing may begin
  std::atomic<Steady::rep> next_check_{0};
  mutable std::mutex names_mutex_;
  RedisScriptNames names_;  // under it, as the next
  std::string history_;
  Combiner<RedisOperation> combiner_;
  std::vector<RedisSlot> lanes_;
};

}  // namespace paidonce::inline v1::detail
