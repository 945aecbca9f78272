// Pays the orders of a CSV file, each once, whatever the file repeats and the gateway drops.
//
//   pay_orders --input orders.csv --gateway http://127.0.0.1:8000 --store payments.store
//
// With a store it may be killed at any moment and started again with the same input: nothing is paid twice.

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include "pay.hpp"
#include "report.hpp"

namespace {

constexpr int bad_usage = 2;
constexpr int report_lost = 4;

struct Options {
  std::string input;
  std::string gateway;
  std::string store;
  bool provider_deduplicates = false;
  std::string api_key = "sk_test_paidonce";
  std::string report;
  unsigned timeout_ms = 10'000;
  bool json = false;
  pay_orders::RunOptions run;
};

void declare(CLI::App& app, Options& options) {
  app.option_defaults()->take_last();  // so that a script's choice can be overridden behind it
  app.add_option("--input", options.input, "CSV file with the header order_id,amount,currency,source")
      ->required();
  app.add_option("--gateway", options.gateway, "Where the gateway is, as in http://127.0.0.1:8000")
      ->required();
  app.add_option("--store", options.store,
                 "Directory that remembers what was paid; made where it is missing. Without this option the "
                 "memory of\nthis process does: then an order that is paid by a second run is charged again");
  app.add_flag("--provider-deduplicates", options.provider_deduplicates,
               "Settle doubts by sending the same request again: only for a gateway that charges once per\n"
               "Idempotency-Key. Otherwise the gateway is asked what it has charged");
  app.add_option("--threads", options.run.threads, "Payments at the same time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print the report as JSON instead of as a table");
  app.add_option("--report", options.report, "Also write the report as JSON to this file");
  app.add_option("--timeout-ms", options.timeout_ms, "How long to wait for the gateway's answer")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_option("--tries", options.run.tries, "Tries at one line while nothing is settled")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--api-key", options.api_key, "The key that the gateway knows this shop by")
      ->capture_default_str();
  app.footer(
      "Exit status: 0 every line was completed (paid or declined) or refused (the order was asked for before "
      "with\n"
      "another amount or source); 1 lines were malformed; 2 bad usage, or a store that cannot be\n"
      "opened; 3 some order stays in doubt or "
      "unexecuted,\n"
      "whether or not lines were malformed too; 4 the payments were made, but their report could not be "
      "written.");
}

/// Prints a report to its last byte, or says why that did not work and returns false.
template <class Print>
bool write_report(std::ostream& out, const std::string& name, Print print) {
  errno = 0;
  print(out);
  out.flush();
  if (out) return true;
  const char* const why = errno != 0 ? std::strerror(errno) : "it does not take what is written";
  std::cerr << "pay_orders: the payments were made, but their report could not be written: " << name << ": "
            << why << '\n';
  return false;
}

/// Ten years: an order's number never comes back for another payment.
constexpr paidonce::Duration retention = std::chrono::hours(24) * 3652;

/// Opens the store, or says in one line why it cannot be used; the error names it.
paidonce::FileStore open_store(const std::string& directory) {
  try {
    return paidonce::FileStore(directory);
  } catch (const std::exception& problem) {
    throw std::runtime_error(std::string("the store cannot be used: ") + problem.what());
  }
}

int pay(const Options& options) {
  const shop::StripeClient provider(options.gateway, options.api_key,
                                    std::chrono::milliseconds(options.timeout_ms));
  const std::vector<pay_orders::OrderLine> lines = pay_orders::read_orders(options.input);
  std::ofstream report_file;
  if (!options.report.empty()) {
    report_file.open(options.report);
    if (!report_file)
      throw std::runtime_error("cannot write " + options.report + ": " + std::strerror(errno));
  }

  paidonce::GuardOptions guarded;
  guarded.retention = retention;
  guarded.provider_deduplicates = options.provider_deduplicates;
  guarded.provider_remembers = std::chrono::hours(23);  // Stripe does for 24
  pay_orders::RunOptions run = options.run;
  if (options.provider_deduplicates) run.doubts = pay_orders::Doubts::by_sending_again;
  const auto pay_over = [&](auto&& store) {
    paidonce::IdempotencyGuard guard{store, guarded};
    return pay_orders::run(guard, provider, lines, run);
  };
  const std::vector<pay_orders::LineResult> results =  // here the store is chosen, and nowhere else
      options.store.empty() ? pay_over(paidonce::MemoryStore{}) : pay_over(open_store(options.store));

  const pay_orders::Report report(lines, results);
  const auto as_json = [&report](std::ostream& out) { report.print_json(out); };
  const auto as_table = [&report](std::ostream& out) { report.print_table(out); };
  bool written = true;
  if (report_file.is_open()) written = write_report(report_file, options.report, as_json);
  if (options.json)
    written = write_report(std::cout, "standard output", as_json) && written;
  else
    written = write_report(std::cout, "standard output", as_table) && written;
  return written ? report.exit_status() : report_lost;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a connection that the gateway drops is an answer, not the end
  CLI::App app("Pays the orders of a CSV file, each once");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? 0 : bad_usage;
  }
  try {
    return pay(options);
  } catch (const std::exception& error) {
    std::cerr << "pay_orders: " << error.what() << '\n';
    return bad_usage;
  }
}
