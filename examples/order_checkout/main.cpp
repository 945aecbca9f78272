// A checkout that several processes run at once, over the same orders: customers click twice, cards are
// declined, some want money back, and processes are killed in the middle of it. At the end the books are
// compared.
//
//   order_checkout                                            in a SQLite file
//   order_checkout --postgres postgresql://localhost/shop     on a server

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <paidonce/uuid.hpp>

#include "common/workers.hpp"
#include "databases.hpp"
#include "letters.hpp"
#include "report.hpp"
#include "worker.hpp"

namespace {

using namespace checkout;

constexpr int books_differ = 1;
constexpr int bad_usage = 2;

struct Options {
  std::string directory, postgres;
  bool migrate = false;
  unsigned orders = 40, workers = 4, kills = 12, seed = 1;
  std::optional<unsigned> worker;  // the number of one, in its own process
  int parent = 0;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--directory", options.directory,
                 "Where the files of the run are kept; made where it is missing. A second run with the same\n"
                 "directory charges nothing again. Without it they are in a temporary one, and removed");
  app.add_option("--postgres", options.postgres,
                 "The shop's database, as in postgresql://user@host/shop; without it, a SQLite file");
  app.add_flag("--migrate", options.migrate, "Make the tables on that server first");
  app.add_option("--orders", options.orders, "Orders")->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--workers", options.workers, "Processes at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--kills", options.kills, "How often one of them is killed")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is random")->capture_default_str();
  app.add_option("--parent", options.parent)->group("");
  app.add_option("--worker", options.worker)->group("");
  app.footer(
      "Exit status: 0 the books agree: every paid order was charged once and has one receipt, and no refund "
      "exceeds\n"
      "what was paid; 1 they do not; 2 bad usage, or a database that cannot be used.");
}

/// The run's directory, removed with it where nobody asked for one.
class Directory {
 public:
  explicit Directory(const std::string& wanted) : kept_(!wanted.empty()), files_{wanted} {
    if (kept_) {
      std::filesystem::create_directories(files_.directory);
    } else {
      std::string name = (std::filesystem::temp_directory_path() / "order_checkout-XXXXXX").string();
      if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
      files_.directory = name;
    }
  }
  ~Directory() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(files_.directory, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const Files& files() const { return files_; }

  /// The name that the orders of this directory's runs begin with.
  std::string run() const {
    const auto file = files_.directory / "run";
    std::string name;
    if (!(std::ifstream(file) >> name)) {
      name = paidonce::uuid_v4().substr(0, 8);
      if (!(std::ofstream(file) << name << '\n')) throw std::runtime_error("cannot write " + file.string());
    }
    return name;
  }

 private:
  const bool kept_;
  Files files_;
};

/// What still waits is delivered, also what a relay had that was killed: when its lease is over.
template <class Outbox>
std::size_t deliver_the_rest(Outbox& outbox, Letters& letters) {
  RelayThread relay(outbox, letters);
  paidonce::SteadyTimer timer;
  paidonce::Stop never;
  std::size_t waiting = outbox.backlog().messages;
  for (int looks = 0; waiting > 0 && looks < 200; ++looks) {
    paidonce::pause(timer, paidonce::Duration(50), never);
    waiting = outbox.backlog().messages;
  }
  relay.finish();
  return waiting;
}

/// Everything but the database's kind.
template <class Open>
int run(const Options& options, Open open) {
  if (options.worker) common::Workers::end_with_parent(options.parent);
  const Directory directory(options.directory);
  const Files& files = directory.files();
  const std::string name = directory.run();
  const std::vector<Wish> wishes = plan(name, options.orders);
  if (options.worker) {
    const auto database = open(files);
    work(*database, files, wishes, options.seed + *options.worker);
    return 0;
  }

  {
    const auto database = open(files);
    for (const Wish& wish : wishes) database->orders.insert(paidonce::make_order(wish.order, wish.total));
  }
  std::cout << options.workers << " processes, " << options.orders << " orders, " << options.kills
            << " kills\n"
            << std::flush;
  std::vector<std::string> command = {"order_checkout",
                                      "--directory",
                                      files.directory.string(),
                                      "--orders",
                                      std::to_string(options.orders),
                                      "--seed",
                                      std::to_string(options.seed),
                                      "--parent",
                                      std::to_string(::getpid())};
  if (!options.postgres.empty()) command.insert(command.end(), {"--postgres", options.postgres});
  command.push_back("--worker");
  common::Workers::run(command, options.workers, options.kills, options.seed);

  const auto database = open(files);
  Letters letters(files.letters());
  const std::size_t waiting = deliver_the_rest(database->outbox, letters);
  std::vector<paidonce::Order> orders;
  for (const Wish& wish : wishes) orders.push_back(*database->orders.find(wish.order));
  const Books report =
      compare(wishes, orders, Provider(files.ledger()).ledger(), letters.of_run(name), waiting);
  report.print(std::cout);
  return report.agrees() ? 0 : books_differ;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A checkout that several processes run at once, over the same orders");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
    if (options.migrate && options.postgres.empty())
      throw CLI::ValidationError("--migrate", "goes with --postgres; a SQLite file has its tables by itself");
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? 0 : bad_usage;
  }
  try {
    if (options.postgres.empty())
      return run(options, [](const Files& files) { return std::make_unique<SqliteDatabase>(files.shop()); });
    if (options.migrate) PostgresDatabase::migrate(options.postgres);
    return run(options, [&](const Files&) { return std::make_unique<PostgresDatabase>(options.postgres); });
  } catch (const std::exception& error) {
    std::cerr << "order_checkout: " << error.what() << '\n';
    if (std::string(error.what()).find("migrate") != std::string::npos)
      std::cerr << "order_checkout: --migrate makes the tables\n";
    return bad_usage;
  }
}
