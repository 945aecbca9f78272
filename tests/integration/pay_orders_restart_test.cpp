// pay_orders with a store that outlives it: killed at any moment and started again with the same input, it
// charges no order twice.

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "support/bookkeeping.hpp"
#include "support/catch.hpp"
#include "support/changes.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"
#include "support/slow_provider.hpp"

using namespace integration;
using Strings = std::vector<std::string>;

namespace {

constexpr const char* header = "order_id,amount,currency,source\n";

/// A pay_orders that nobody listens to.
class Running {
 public:
  Running(const std::filesystem::path& input, const std::string& url, const Strings& options)
      : nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        process_(command(input, url, options), nowhere_, nowhere_) {}
  ~Running() { ::close(nowhere_); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  Process& process() { return process_; }
  int kill() {
    process_.signal(SIGKILL);
    return process_.wait();
  }

 private:
  static Strings command(const std::filesystem::path& input, const std::string& url, const Strings& options) {
    Strings command = {PAY_ORDERS, "--input", input.string(), "--gateway", url};
    command.insert(command.end(), options.begin(), options.end());
    return command;
  }

  int nowhere_;
  Process process_;
};

/// What the seed decides: after which change of the store's files or of the ledger a life ends.
class Moments {
 public:
  explicit Moments(unsigned seed) : random_(seed) {}
  std::size_t next() { return std::uniform_int_distribution<std::size_t>(1, 70)(random_); }

 private:
  std::minstd_rand random_;
};

enum class Killed { pay_orders, pay_orders_and_gateway };

/// Pays 30 orders in up to five lives, of which the last one is left alone, and compares its report with the
/// ledger of all. Returns how many lives were ended.
int check_restarts(unsigned seed, const std::string& dedupe, Killed killed) {
  INFO("seed " << seed << ", deduplication " << dedupe
               << (killed == Killed::pay_orders ? "" : ", gateway too"));
  const TemporaryDirectory files;
  const auto store = files / "payments.store";
  std::filesystem::create_directory(store);
  Gateway gateway(GATEWAY, files / "ledger",
                  {"--dedupe", dedupe, "--seed", std::to_string(seed), "--delay-rate", "0.2", "--delay-ms",
                   "20", "--drop-rate", "0.05"});
  const auto input = write_file(files / "orders.csv", many_orders(30));
  Strings options = {"--store", store.string(), "--threads", "8"};
  if (dedupe == "on")
    options.insert(options.end(), {"--provider-deduplicates", "--tries", "10"});
  else
    options.insert(options.end(), {"--tries", "3"});

  Moments moments(seed);
  int ended = 0;
  for (int life = 0; life < 4; ++life) {
    Changes changes({store, files / "ledger"});
    Running running(input, gateway.url(), options);
    if (!changes.await(moments.next(), running.process())) break;
    if (killed == Killed::pay_orders_and_gateway) gateway.kill();
    if (running.kill() == 128 + SIGKILL) ++ended;
  }

  const Paid paid = pay_orders(input, gateway.url(), options);
  INFO(paid.err);
  REQUIRE(paid.report.is_object());
  CHECK(paid.report.at("lines").size() == 51);
  CHECK(paid.count("key_reused") == 4);
  // Nobody waits for an attempt whose process is dead.
  CHECK(paid.count("in_progress") + paid.count("error") + paid.count("not_executed") == 0);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
  if (dedupe == "on") {
    CHECK(paid.status == 0);
    CHECK(paid.count("paid") == 47);
  } else {
    CHECK((paid.status == 0 || paid.status == 3));
    CHECK(paid.count("paid") + paid.count("in_doubt") == 47);
  }
  return ended;
}

void check_seeds(unsigned first, unsigned last, Killed killed) {
  int ended = 0;
  for (unsigned seed = first; seed <= last; ++seed)
    for (const char* dedupe : {"on", "off"}) ended += check_restarts(seed, dedupe, killed);
  CHECK(ended > 0);
  WARN(ended << " processes were killed, with the seeds from " << first << " to " << last);
}

}  // namespace

TEST_CASE("killed at any write and started again, pay_orders charges nobody twice", "[pay_orders][restart]") {
  check_seeds(1, 6, Killed::pay_orders);
}

TEST_CASE("killed together with its gateway, pay_orders charges nobody twice", "[pay_orders][restart]") {
  check_seeds(1, 3, Killed::pay_orders_and_gateway);
}

TEST_CASE("many seeds of killed processes charge nobody twice", "[pay_orders][restart][soak]") {
  check_seeds(100, 250, Killed::pay_orders);
  check_seeds(300, 350, Killed::pay_orders_and_gateway);
}

TEST_CASE("a second run with the same store replays what the first one paid", "[pay_orders][restart]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const Strings options = {"--store", (files / "payments.store").string(), "--threads", "8"};
  const Paid first = pay_orders(EXAMPLES "/orders.csv", gateway.url(), options);
  REQUIRE(first.status == 3);
  const auto charges = gateway.charges();
  CHECK(discrepancies(first.report, charges) == Strings{});

  Strings impatient = options;
  impatient.insert(impatient.end(), {"--tries", "1"});  // what is in doubt stays so
  const Paid second = pay_orders(EXAMPLES "/orders.csv", gateway.url(), impatient);
  CHECK(second.status == 3);
  CHECK(gateway.charges() == charges);
  CHECK(discrepancies(second.report, charges) == Strings{});
  CHECK(told_of_orders(second.report) == told_of_orders(first.report));
  for (const auto& line : second.report.at("lines"))
    if (line.at("status") == "paid" || line.at("status") == "declined") CHECK(line.at("replayed") == true);
}

TEST_CASE("an order that was under way when pay_orders was killed is never blindly sent again",
          "[pay_orders][restart]") {
  const TemporaryDirectory files;
  SlowProvider provider;
  const auto input = write_file(files / "orders.csv", std::string(header) + "a,4.50,EUR,tok_visa\n");
  Strings options = {"--store", (files / "payments.store").string(), "--tries", "1"};
  Running first(input, provider.url(), options);
  provider.await(1);
  CHECK(first.kill() == 128 + SIGKILL);
  provider.answer();
  const auto killed = std::chrono::steady_clock::now();

  SECTION("the provider lists the charge") {
    provider.list("a", 450);
    const Paid paid = pay_orders(input, provider.url(), options);
    CHECK(paid.status == 0);
    CHECK(paid.line(2).at("status") == "paid");
    CHECK(paid.line(2).at("charge") == "ch_slow");
    CHECK(provider.keys().size() == 1);
  }
  SECTION("the provider does not know it, yet") {
    for (int run = 0; run < 2; ++run) {
      const Paid paid = pay_orders(input, provider.url(), options);
      CHECK(paid.status == 3);
      CHECK(paid.line(2).at("status") == "in_doubt");
      CHECK_THAT(paid.line(2).at("reason").get<std::string>(), support::contains("may still be under way"));
    }
    provider.list("a", 450);
    CHECK(pay_orders(input, provider.url(), options).status == 0);
    CHECK(provider.keys().size() == 1);
  }
  SECTION("the provider deduplicates") {
    options.push_back("--provider-deduplicates");
    const Paid paid = pay_orders(input, provider.url(), options);
    CHECK(paid.status == 0);
    CHECK(paid.line(2).at("status") == "paid");
    CHECK(provider.keys() == Strings(2, provider.keys().front()));
  }
  // Nobody waited for the lease, of 30 seconds, of a process that is dead.
  CHECK(std::chrono::steady_clock::now() - killed < std::chrono::seconds(20));
}

TEST_CASE("a store that another pay_orders has open is refused, and nothing is sent",
          "[pay_orders][restart]") {
  const TemporaryDirectory files;
  SlowProvider provider;
  const auto input = write_file(files / "orders.csv", std::string(header) + "a,4.50,EUR,tok_visa\n");
  const std::string store = (files / "payments.store").string();
  Running first(input, provider.url(), {"--store", store});
  provider.await(1);

  const Finished second =
      run({PAY_ORDERS, "--input", input.string(), "--gateway", provider.url(), "--store", store});
  CHECK(second.status == 2);
  CHECK(second.out.empty());
  CHECK_THAT(second.err, support::starts_with("pay_orders: the store cannot be used: " + store + ": "));
  CHECK_THAT(second.err, support::ends_with("store busy\n"));
  CHECK(second.err.find('\n') == second.err.size() - 1);
  provider.answer();
  CHECK(first.process().wait() == 0);
  CHECK(provider.keys().size() == 1);
}

TEST_CASE("what is no store is refused in one line, and left as it was", "[pay_orders][restart]") {
  const TemporaryDirectory files;
  const ClosedPort nobody;
  const auto input = write_file(files / "orders.csv", std::string(header) + "a,4.50,EUR,tok_visa\n");
  const auto refused = [&](const std::filesystem::path& store) {
    CAPTURE(store);
    const Finished finished =
        run({PAY_ORDERS, "--input", input.string(), "--gateway", nobody.url(), "--store", store.string()});
    CHECK(finished.status == 2);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err,
               support::starts_with("pay_orders: the store cannot be used: " + store.string() + ": "));
    CHECK(finished.err.find('\n') == finished.err.size() - 1);
  };
  refused(input);                            // a file
  refused(files / "absent/payments.store");  // nobody makes its parent
  std::filesystem::create_directory(files / "letters");
  write_file(files / "letters/dear.txt", "Dear Ann");
  refused(files / "letters");
  CHECK(content_of(files / "letters/dear.txt") == "Dear Ann");
  CHECK(std::distance(std::filesystem::directory_iterator(files / "letters"), {}) == 1);
}

TEST_CASE("a damaged store is refused with its file and offset", "[pay_orders][restart]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto store = files / "payments.store";
  const auto input = write_file(files / "orders.csv", many_orders(3));
  REQUIRE(pay_orders(input, gateway.url(), {"--store", store.string()}).status == 0);
  const std::string name = "log.0000000000000001";
  std::string log = content_of(store / name);
  log[160] = static_cast<char>(log[160] ^ 1);  // within the first frame
  write_file(store / name, log);
  const Finished finished =
      run({PAY_ORDERS, "--input", input.string(), "--gateway", gateway.url(), "--store", store.string()});
  CHECK(finished.status == 2);
  CHECK_THAT(finished.err,
             support::contains(" cannot be used: " + store.string() + ": " + name + ", offset 128: "));
  CHECK(finished.err.find('\n') == finished.err.size() - 1);
  CHECK(gateway.charges().size() == 3);
}

TEST_CASE("a store that is moved away takes no new payments, and completes those that run",
          "[pay_orders][restart]") {
  const TemporaryDirectory files;
  SlowProvider provider;
  const auto input =
      write_file(files / "orders.csv", std::string(header) + "a,4.50,EUR,tok_visa\nb,1.00,EUR,tok_visa\n");
  const auto store = files / "payments.store";
  const Strings options = {"--store", store.string(), "--threads",
                           "1",       "--report",     (files / "report").string()};
  Running first(input, provider.url(), options);
  provider.await(1);
  std::filesystem::rename(store, files / "elsewhere");
  provider.answer();
  CHECK(first.process().wait() == 3);
  const auto report = nlohmann::json::parse(content_of(files / "report"));
  CHECK(report.at("lines").at(0).at("status") == "paid");
  CHECK(report.at("lines").at(1).at("status") == "error");
  CHECK_THAT(report.at("lines").at(1).at("reason").get<std::string>(), support::contains("store replaced"));

  std::filesystem::rename(files / "elsewhere", store);
  const Paid second = pay_orders(input, provider.url(), options);
  CHECK(second.status == 0);
  CHECK(second.line(2).at("replayed") == true);
  CHECK(second.line(3).at("replayed") == false);
  CHECK(provider.keys().size() == 2);
}

TEST_CASE("a doubt that sending again does not settle is asked about in the end", "[pay_orders][restart]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "on"});
  const auto input = write_file(files / "orders.csv", std::string(header) + "a,4.50,EUR,tok_dropReply\n");
  const Paid paid = pay_orders(input, gateway.url(), {"--provider-deduplicates", "--tries", "1"});
  CHECK(paid.status == 0);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
}

// ---- the checks above can fail ----

TEST_CASE("a run that has lost its store is seen as double charges", "[pay_orders][restart][proof]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const auto input = write_file(files / "orders.csv", many_orders(2));
  const Strings forgetful = GENERATE(Strings{}, Strings{"--store"});
  const auto with = [&](const char* store) {
    Strings options = forgetful;
    if (!options.empty()) options.push_back((files / store).string());
    return options;
  };
  REQUIRE(pay_orders(input, gateway.url(), with("one")).status == 0);
  const Paid paid = pay_orders(input, gateway.url(), with("another"));
  CHECK(discrepancies(paid.report, gateway.charges()).at(0) == "order-1 is paid and was charged 2 times");
}
