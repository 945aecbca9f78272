// A cluster of Redis servers whose slots move and whose nodes die while payments are made: none is charged
// twice, and no error stays.

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/clocks/system_clock.hpp>

#include "fault/redis_world.hpp"

using namespace fault;

namespace {

/// Payments of threads of its own, all of one tag, until it is told to stop.
class Load {
 public:
  Load(RedisCluster& cluster, RedisStoreOptions options, std::size_t tag)
      : store_(cluster.uri(), options), tag_(tag) {
    GuardOptions guard;
    guard.lease = Duration(300);  // whoever lost a connection asks again by himself
    guard.heartbeat = false;
    guard_.emplace(store_, NoLock(), SystemClock(), guard);
    for (int thread = 0; thread < 3; ++thread)
      threads_.emplace_back([this, thread] { work(std::to_string(thread)); });
  }
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Waits until so many more payments have come to their end.
  bool await(std::size_t more) {
    const std::size_t until = completed + more;
    return eventually([&] { return completed >= until; });
  }
  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  /// Once it has stopped: nothing is open, and everybody is told the same again.
  void check() {
    stop();
    CHECK_FALSE(till.charged_twice());
    CHECK(unfinished == 0);
    CHECK(static_cast<std::size_t>(till.charges()) == completed);
    CHECK(answers.size() == completed);
    for (const auto& [order, response] : answers) {
      const Told again = pay(order);
      CHECK(again.replayed);
      CHECK(again.response == response);
    }
    CHECK(static_cast<std::size_t>(till.charges()) == completed);
    CHECK(store_.stats().lost_writes == 0);
  }

  Till till;
  std::map<std::string, std::string> answers;
  std::atomic<std::size_t> completed{0}, errors{0}, unfinished{0};
  RedisStoreStats stats() const { return store_.stats(); }

 private:
  void work(const std::string& thread) {
    for (int number = 0; !stopping_; ++number) {
      const std::string order = thread + '-' + std::to_string(number);
      if (detail::redis_tag(Payments::key_of(order).bytes()) != tag_) continue;
      Told told;
      if (eventually([&] { return (told = pay(order)).how == "completed"; })) {
        const std::lock_guard lock(mutex_);
        answers[order] = told.response;
        ++completed;
      } else {
        ++unfinished;
      }
    }
  }
  Told pay(const std::string& order) {
    const IdempotencyKey key = Payments::key_of(order);
    Told told = Payments::tell([&] {
      return guard_->execute(
          key, fingerprint(order),
          [&]() -> PaymentResult<std::string> { return succeeded(till.charge(key)); },
          [&](const Record&) -> PaymentResult<std::string> {
            if (const auto found = till.look_up(key)) return succeeded(*found);
            return not_executed("there is no such charge");  // nobody else pays this one
          });
    });
    if (told.thrown()) ++errors;
    return told;
  }

  RedisStore store_;
  const std::size_t tag_;
  std::optional<IdempotencyGuard<RedisStore&, NoLock, SystemClock>> guard_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

/// A tag whose slot one of the nodes but the first has: that one answers the test's own questions.
std::size_t tag_elsewhere(RedisCluster& cluster, const std::string& prefix) {
  const detail::RedisTags tags(prefix);
  std::size_t tag = 0;
  while (cluster.node_of_slot(tags[tag].slot) == 0) ++tag;
  return tag;
}

}  // namespace

TEST_CASE("a slot that moves and a node that dies cost no payment, and none is charged twice",
          "[redis][cluster]") {
  RedisCluster cluster(3, 0, {{"cluster-require-full-coverage", "no"}});
  const RedisStoreOptions options = short_redis_timeouts();
  const std::size_t tag = tag_elsewhere(cluster, options.prefix);
  const int slot = detail::RedisTags(options.prefix)[tag].slot;
  Load load(cluster, options, tag);
  CHECK(load.await(20));
  const std::size_t from = cluster.node_of_slot(slot), to = 3 - from;
  // In one go, as an operator has it: callers wait for a moment.
  cluster.move_slot(slot, from, to);
  CHECK(load.await(20));
  CHECK(load.errors == 0);
  CHECK(load.stats().redirects > 0);
  // Slowly, and back. What is asked for by a script is at both places meanwhile, and the cluster says to try
  // again: for longer than anybody does here, which is told as an error, of nothing that has happened.
  cluster.begin_move(slot, to, from);
  CHECK(eventually([&] { return load.errors > 0; }));
  for (int key = 0; key < 20; ++key) CHECK(cluster.move_keys(slot, to, from, 1) == 1);
  CHECK(eventually([&, before = load.errors.load()] { return load.errors > before; }));
  while (cluster.move_keys(slot, to, from) != 0) {
  }
  cluster.finish_move(slot, to, from);
  CHECK(load.await(20));
  // And the node that has it now dies, and comes back.
  {
    cluster.node(from).kill();
    CHECK(eventually([&, before = load.errors.load()] { return load.errors > before; }));
    cluster.node(from).start();
    CHECK(load.await(20));
  }
  load.check();
}

TEST_CASE("a replica takes over from a node of a cluster that dies, and no payment is charged twice",
          "[redis][cluster][replica]") {
  RedisCluster cluster(3, 1);
  RedisStoreOptions options = short_redis_timeouts();
  options.wait_replicas = 1;  // or else what it acknowledged last might be lost
  const std::size_t tag = tag_elsewhere(cluster, options.prefix);
  const int slot = detail::RedisTags(options.prefix)[tag].slot;
  const std::size_t master = cluster.node_of_slot(slot);
  Load load(cluster, options, tag);
  CHECK(load.await(20));
  cluster.node(master).kill();
  CHECK(eventually([&] { return cluster.node_of_slot(slot) != master; }));
  cluster.node(master).start();  // the other's replica from now on
  CHECK(load.await(20));
  load.check();
}
