// Payments that a queue asks for: producers put orders in, several worker processes pay them, and are killed
// between charge and acknowledgement. At the end the books are compared.
//
//   queue_worker --broker redis://127.0.0.1:6379
//   queue_worker --broker amqp://guest:guest@127.0.0.1 --store redis://127.0.0.1:6379

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <paidonce/stores/redis.hpp>
#include <paidonce/stores/sqlite.hpp>
#include <paidonce/uuid.hpp>

#include "books.hpp"
#include "broker.hpp"
#include "common/workers.hpp"
#include "processes.hpp"

namespace {

using namespace queue_worker;

constexpr int books_differ = 1;
constexpr int bad_usage = 2;
constexpr unsigned unreadable = 2;  // messages that are no orders

struct Options {
  std::string broker, store, directory;
  unsigned orders = 40, producers = 2, workers = 3, kills = 6;
  std::optional<unsigned> process;  // the number of one
  int parent = 0;
};

void declare(CLI::App& app, Options& options) {
  app.add_option(
      "--broker", options.broker,
      "The queue's broker: redis://HOST:PORT or amqp://USER:PASSWORD@HOST. A queue of the run's own is\n"
      "made there, queue_worker-…, and left there");
  app.add_option(
      "--store", options.store,
      "Where payments are recorded: sqlite:FILE or redis://HOST:PORT; without it, a SQLite file of the\n"
      "run's directory");
  app.add_option(
      "--directory", options.directory,
      "Where the files of the run are kept; made where it is missing. A second run with the same\n"
      "directory and store charges nothing again. Without it they are in a temporary one, and removed");
  app.add_option("--orders", options.orders, "Orders")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--producers", options.producers, "Processes that send them")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Processes that pay them")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--kills", options.kills, "How often one of these is killed between charge and ack, at most")
      ->check(CLI::Range(0U, Deaths::most))
      ->capture_default_str();
  app.add_option("--parent", options.parent)->group("");
  app.add_option("--process", options.process)->group("");
  app.footer(
      "Exit status: 0 the books agree: every order was charged once, every message settled; 1 they do not;\n"
      "2 bad usage, or a broker or store that cannot be used.");
}

/// The run's directory, removed with it where nobody asked for one.
class Directory {
 public:
  explicit Directory(const std::string& wanted) : kept_(!wanted.empty()), files_{wanted} {
    if (kept_) {
      std::filesystem::create_directories(files_.directory);
    } else {
      std::string name = (std::filesystem::temp_directory_path() / "queue_worker-XXXXXX").string();
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

template <class S>
int lead(const Options& options, const Files& files, const std::string& run, S& store) {
  const std::vector<Order> orders = plan(run, options.orders);
  const auto on_record = [&](const Order& order) {
    const std::optional<Record> record = store.find({"queue_worker", order.number});
    return record && record->state == State::succeeded;
  };
  static_cast<void>(on_record(orders.front()));  // whether the store is there, before anything is started
  Journal journal(files.journal());
  journal.clear();
  Deaths(files.deaths(), journal).prepare(options.kills);
  {
    const auto queue = open_queue(options.broker, run);
    for (unsigned i = 0; i < unreadable; ++i) journal.write(Word::sent, queue->put("", "this is no order"));
  }
  std::cout << options.producers << " producers, " << options.workers << " workers, " << options.orders
            << " orders, " << options.kills << " kills\n"
            << std::flush;
  const auto text = [](auto number) { return std::to_string(number); };
  common::Workers::run({"queue_worker", "--directory", files.directory.string(), "--broker", options.broker,
                        "--store", options.store, "--orders", text(options.orders), "--producers",
                        text(options.producers), "--parent", text(::getpid()), "--process"},
                       options.producers + options.workers, 0, 0);
  const Books books =
      compare(orders, common::Provider(files.ledger()).ledger(), journal.read(), unreadable, on_record);
  books.print(std::cout);
  return books.agrees() ? 0 : books_differ;
}

template <class S>
int run(const Options& options, const Files& files, const std::string& name, S store) {
  if (!options.process) return lead(options, files, name, store);
  Journal journal(files.journal());
  const auto queue = open_queue(options.broker, name);
  if (*options.process < options.producers)
    produce(*queue, journal, name, plan(name, options.orders), *options.process, options.producers);
  else
    work(store, *queue, journal, files, options.producers);
  return 0;
}

int run(Options options) {
  if (options.process) common::Workers::end_with_parent(options.parent);
  const Directory directory(options.directory);
  const Files& files = directory.files();
  const std::string name = directory.run();
  if (options.store.empty()) options.store = "sqlite:" + files.payments().string();
  constexpr std::string_view sqlite = "sqlite:";
  if (options.store.starts_with(sqlite))
    return run(options, files, name, SqliteStore(options.store.substr(sqlite.size())));
  return run(options, files, name, RedisStore(options.store));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Payments that a queue asks for, made by processes that are killed in the middle of it");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
    if (const std::string wrong = problem_of_broker(options.broker); !wrong.empty())
      throw CLI::ValidationError(wrong);
  } catch (const CLI::ParseError& wrong) {
    if (wrong.get_exit_code() == 0) return app.exit(wrong);
    std::cerr << "queue_worker: " << wrong.what() << '\n';
    return bad_usage;
  }
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::cerr << "queue_worker: " << error.what() << '\n';
    return bad_usage;
  }
}
