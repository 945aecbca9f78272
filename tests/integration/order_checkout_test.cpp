// order_checkout as a running program: processes that are killed in the middle of it, on both databases.

#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/process.hpp"

using namespace integration;
using support::contains;
using Strings = std::vector<std::string>;

namespace {

Finished checkout(const Strings& options) {
  Strings command = {ORDER_CHECKOUT};
  command.insert(command.end(), options.begin(), options.end());
  return run(command);
}

void check_books(const Finished& finished) {
  INFO(finished.err);
  CHECK(finished.status == 0);
  CHECK_THAT(finished.out, contains("charges         27\n"));
  CHECK_THAT(finished.out, contains("double charges  0\n"));
  CHECK_THAT(finished.out, contains("refunds         16\n"));
  CHECK_THAT(finished.out, contains("receipts        27\n"));
  CHECK_THAT(finished.out, contains("The books agree.\n"));
}

const Strings load = {"--orders", "30", "--workers", "4", "--kills", "8"};

}  // namespace

TEST_CASE("processes that are killed check out each order once, in a SQLite file", "[order_checkout]") {
  const TemporaryDirectory directory;
  Strings options = load;
  options.insert(options.end(), {"--directory", directory.path().string()});
  check_books(checkout(options));
  check_books(checkout(options));  // again: nothing is charged, sent or given back twice
}

TEST_CASE("processes that are killed check out each order once, in PostgreSQL", "[order_checkout]") {
  const std::string database = shared_postgres().fresh_database();
  Strings options = load;
  options.insert(options.end(), {"--postgres", database});
  const Finished without_tables = checkout(options);
  CHECK(without_tables.status == 2);
  CHECK_THAT(without_tables.err, contains("--migrate makes the tables"));
  options.push_back("--migrate");
  check_books(checkout(options));
}

TEST_CASE("a charge too many is found in the books", "[order_checkout]") {
  const TemporaryDirectory directory;
  const Strings options = {"--orders", "3", "--workers",   "1",
                           "--kills",  "0", "--directory", directory.path().string()};
  REQUIRE(checkout(options).status == 0);
  const auto ledger = directory / "provider.ledger";
  const std::string lines = '\n' + content_of(ledger);
  const auto charge = lines.find("\n0 ");  // after a decline, perhaps
  REQUIRE(charge != std::string::npos);
  std::ofstream(ledger, std::ios::app) << lines.substr(charge + 1, lines.find('\n', charge + 1) - charge);
  const Finished again = checkout(options);
  CHECK(again.status == 1);
  CHECK_THAT(again.out, contains("WRONG: "));
  CHECK_THAT(again.out, contains("The books do not agree.\n"));
}

TEST_CASE("order_checkout says what is wrong with its options, and with a server that is not there",
          "[order_checkout]") {
  CHECK(checkout({"--help"}).status == 0);
  CHECK(checkout({"--nonsense"}).status == 2);
  CHECK(checkout({"--orders", "0"}).status == 2);
  CHECK(checkout({"--migrate"}).status == 2);
  CHECK(checkout({"--directory", "/proc/nowhere"}).status == 2);
  const Finished nobody = checkout({"--postgres", "postgresql://127.0.0.1:1/shop?password=secret"});
  CHECK(nobody.status == 2);
  CHECK_THAT(nobody.err, contains("could not be reached"));
  CHECK(nobody.err.find("secret") == std::string::npos);
}
