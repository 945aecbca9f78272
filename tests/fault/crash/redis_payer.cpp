// redis_payer <uri> <prefix> <orders> <mode> <threads> <point> <count> <seed>
//
// As postgres_payer, over a Redis store, and without the mode "transaction". "sent <text>" and "done <text>"
// are about the commands with that text.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <paidonce/stores/redis.hpp>

#include "fault/crash/points.hpp"
#include "support/tcp_proxy.hpp"

namespace {

using namespace crash;

using Guard = IdempotencyGuard<RedisStore&, CrashingLock, SystemClock, CrashingObserver>;

/// The server may be down, and is not for long.
RedisStore open(const std::string& uri, const RedisStoreOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (;;) {
    try {
      return RedisStore(uri, options);
    } catch (const Error& error) {
      if (!retryable(error) || std::chrono::steady_clock::now() > deadline) throw;
    }
  }
}

/// What a caller is told where the answer was no outcome.
template <class Call>
std::string or_error(const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    if (!retryable(error)) throw;
    return "error";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "usage: see the first lines of redis_payer.cpp\n");
    return 2;
  }
  const int socket = STDOUT_FILENO;
  std::string uri = argv[1];
  const std::string mode = argv[4], name = argv[6];
  const auto orders = static_cast<unsigned>(std::atoi(argv[3]));
  const auto threads = static_cast<unsigned>(std::atoi(argv[5]));
  const unsigned long count = std::strtoul(argv[7], nullptr, 10);
  Points all(socket, name, count);
  points = &all;
  try {
    // A network of its own, which dies with it.
    std::optional<TcpProxy> network;
    std::jthread at_hit;
    const bool sent = name.starts_with("sent ");
    if (sent || name.starts_with("done ")) {
      network.emplace(std::atoi(uri.c_str() + uri.rfind(':') + 1), Speaks::resp);
      uri = "redis://127.0.0.1:" + std::to_string(network->port());
    }
    RedisStoreOptions store_options;
    store_options.prefix = argv[2];
    RedisStore store = open(uri, store_options);
    if (network) {
      network->arm(sent ? Cut::request_held : Cut::reply_never, name.substr(5), count);
      at_hit = std::jthread([&](const std::stop_token& stop) {
        while (!stop.stop_requested())
          if (network->await_hit(1, std::chrono::milliseconds(20))) all.die(name);
      });
    }
    GuardOptions options;
    options.lease = Duration(50);   // nobody can prove that a dead holder is dead
    options.wait = Duration(5000);  // until it is over
    options.heartbeat = false;
    options.provider_deduplicates = mode == "promise";
    Guard guard(store, CrashingLock(), SystemClock(), options);
    Provider provider(socket);
    std::vector<unsigned> in_order(orders);
    std::iota(in_order.begin(), in_order.end(), 0U);
    std::shuffle(in_order.begin(), in_order.end(), std::mt19937_64(std::strtoull(argv[8], nullptr, 10)));
    std::atomic<unsigned> next{0};
    const auto work = [&] {
      for (unsigned at = next++; at < orders; at = next++) {
        const unsigned order = in_order[at];
        provider.announce(order);
        provider.tell(order, or_error([&] { return pay_one(guard, provider, order, mode); }));
        point("guard: unlocked and told");
      }
    };
    {
      std::vector<std::jthread> others;
      for (unsigned thread = 1; thread < threads; ++thread) others.emplace_back(work);
      work();
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "redis_payer: %s\n", error.what());
    return 1;
  }
}
