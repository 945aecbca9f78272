// A process that holds one key of a Redis lock on command.
//
//   redis_lock_client <uri> <prefix> <ttl>    reads commands, one a line, and answers each with one:
//     acquire <wait> <text>    "held", "none" or "error <code>"
//     lost                     "yes" or "no"
//     release                  "ok"
//     pay <wait> <text>        "pays" as soon as the payment runs, and then, after a line with the answer,
//     "paid
//                              <answer>"; or "replayed <answer>"; or "error <code>"
//
// Ends with its input.

#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include <paidonce/clocks/redis_clock.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/locks/redis_lock.hpp>
#include <paidonce/stores/redis.hpp>

using namespace paidonce;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  RedisLockOptions options;
  options.prefix = argv[2];
  options.ttl = Duration(std::stoi(argv[3]));
  RedisLock lock(argv[1], options);
  const auto pay = [&](const IdempotencyKey& key, Duration wait) {
    RedisStoreOptions own;
    own.prefix = options.prefix;
    RedisStore store(argv[1], own);
    IdempotencyGuard guard(store, lock, RedisClock(argv[1]));
    const auto outcome = guard.execute(key, fingerprint("order"),
                                       [] {
                                         std::cout << "pays" << std::endl;
                                         std::string receipt;
                                         std::getline(std::cin, receipt);
                                         return receipt;
                                       },
                                       {.wait = wait});
    if (!outcome.succeeded()) return std::string("no answer");
    return (outcome.replayed() ? "replayed " : "paid ") + outcome.response();
  };
  std::optional<RedisLock::Hold> hold;
  const auto answer = [&](const std::string& line) -> std::string {
    std::istringstream words(line);
    std::string command, text;
    Duration::rep wait = 0;
    words >> command >> wait >> text;
    if (command == "lost") return hold->lost() ? "yes" : "no";
    if (command == "release") {
      hold.reset();
      return "ok";
    }
    try {
      if (command == "pay") return pay(IdempotencyKey("shop", text), Duration(wait));
      hold = lock.acquire(IdempotencyKey("shop", text), Duration(wait));
      return hold ? "held" : "none";
    } catch (const Error& error) {
      return "error " + std::to_string(error.code().value());
    }
  };
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << std::endl;
  return 0;
}
