// queue_worker as a running program: workers that are killed between charge and acknowledgement, on both
// brokers.

#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/rabbitmq_server.hpp"
#include "support/redis_server.hpp"

using namespace integration;
using support::contains;
using Strings = std::vector<std::string>;

namespace {

Finished pay(const Strings& options) {
  Strings command = {QUEUE_WORKER};
  command.insert(command.end(), options.begin(), options.end());
  return run(command);
}

void check_books(const Finished& finished) {
  INFO(finished.out << finished.err);
  CHECK(finished.status == 0);
  CHECK_THAT(finished.out, contains("as dead letters   2\n"));
  CHECK_THAT(finished.out, contains("charges             20\n"));
  CHECK_THAT(finished.out, contains("double charges      0\n"));
  CHECK_THAT(finished.out, contains("The books agree: each order was charged once.\n"));
}

void check_refusal(const Strings& options, const std::string& says) {
  const Finished refused = pay(options);
  INFO(refused.err);
  CHECK(refused.status == 2);
  CHECK_THAT(refused.err, contains(says));
  CHECK(refused.err.find('\n') == refused.err.size() - 1);  // one line
  CHECK(refused.err.find("secret") == std::string::npos);
}

}  // namespace

TEST_CASE("workers that are killed charge each order of a Redis stream once", "[queue_worker]") {
  const TemporaryDirectory directory;
  const auto with_kills = [&](const char* kills) {
    return pay({"--broker", shared_redis().uri(), "--orders", "20", "--kills", kills, "--directory",
                directory.path().string()});
  };
  const Finished first = with_kills("4");
  check_books(first);
  CHECK_THAT(first.out, contains("workers killed      4\n"));
  const Finished again = with_kills("0");  // nothing is charged again
  check_books(again);
  CHECK_THAT(again.out, contains("settled by paying   0\n"));

  const auto ledger = directory / "provider.ledger";
  const std::string lines = content_of(ledger);
  std::ofstream(ledger, std::ios::app) << lines.substr(0, lines.find('\n') + 1);
  const Finished wrong = with_kills("0");
  CHECK(wrong.status == 1);
  CHECK_THAT(wrong.out, contains("was charged 2 times\n"));
  CHECK_THAT(wrong.out, contains("The books do not agree.\n"));
}

TEST_CASE("workers that are killed charge each order of a RabbitMQ queue once", "[queue_worker]") {
  check_books(pay({"--broker", shared_rabbitmq().uri(), "--store", shared_redis().uri(), "--orders", "20",
                   "--kills", "4"}));
}

TEST_CASE("queue_worker says what is wrong with its options and with servers that are not there",
          "[queue_worker]") {
  CHECK(pay({"--help"}).status == 0);
  check_refusal({}, "--broker is needed");
  check_refusal({"--broker", "http://somewhere"}, "--broker begins with");
  check_refusal({"--broker", "redis://127.0.0.1:1", "--orders", "0"}, "--orders");
  check_refusal({"--broker", "redis://:secret@127.0.0.1:1"}, "out of reach");
  check_refusal({"--broker", "amqp://guest:secret@127.0.0.1:1"}, "out of reach");
  check_refusal({"--broker", "redis://127.0.0.1:1", "--store", "file:secret"}, "redis://");
  check_refusal({"--broker", "redis://127.0.0.1:1", "--directory", "/proc/nowhere"}, "nowhere");
}
