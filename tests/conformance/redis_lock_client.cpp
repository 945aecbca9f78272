// A process that holds one key of a Redis lock on command.
//
//   redis_lock_client <uri> <prefix> <ttl>    reads commands, one a line, and answers each with one:
//     acquire <wait> <text>    "held", "none" or "error <code>"
//     lost                     "yes" or "no"
//     release                  "ok"
//
// Ends with its input.

#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include <paidonce/locks/redis_lock.hpp>

using namespace paidonce;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  RedisLockOptions options;
  options.prefix = argv[2];
  options.ttl = Duration(std::stoi(argv[3]));
  RedisLock lock(argv[1], options);
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
      hold = lock.acquire(IdempotencyKey("shop", text), Duration(wait));
      return hold ? "held" : "none";
    } catch (const Error& error) {
      return "error " + std::to_string(error.code().value());
    }
  };
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << std::endl;
  return 0;
}
