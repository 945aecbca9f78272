// Looks into the directory of a file store while nobody has it open, and changes no byte of it.
//
//   paidonce_admin payments.store
//   paidonce_admin payments.store list --state unfinished
//   paidonce_admin payments.store show order-1001 --scope coffee-shop --json

#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <paidonce/clocks/system_clock.hpp>

#include "escape.hpp"
#include "print.hpp"

namespace {

using namespace paidonce_admin;

enum Exit { done = 0, no_such_key = 1, bad_usage = 2, in_use = 3, damaged = 4 };

struct Options {
  std::string directory;
  std::string command = "summary";
  std::optional<std::string> key;
  std::optional<std::string> scope;
  std::vector<std::string> states;
  std::optional<std::size_t> limit;
  bool json = false;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("DIR", options.directory, "The store's directory, or a copy of it")->required();
  app.add_option("COMMAND", options.command,
                 "summary: how much there is, live, expired and unfinished\n"
                 "list:    the records, that changed least recently first\n"
                 "show:    all of one record; its KEY is written as the list has it\n"
                 "verify:  whether every byte of the log is as it was written")
      ->check(CLI::IsMember({"summary", "list", "show", "verify"}))
      ->type_name("")
      ->capture_default_str();
  app.add_option("KEY", options.key, "The text of the key, for show")->type_name("");
  app.add_option("--scope", options.scope, "The scope of the key, for show, where several have the same");
  app.add_option(
         "--state", options.states,
         "For list: only these, as in --state declined --state in_doubt; unfinished means in_progress "
         "and in_doubt")
      ->check(CLI::IsMember({"in_progress", "in_doubt", "succeeded", "declined", "released", "unfinished"}))
      ->type_name("")
      ->take_all();
  app.add_option("--limit", options.limit, "For list: so many records at most")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", options.json, "JSON instead of a table");
  app.footer(
      "Keys and texts are bytes of any value: what is no letter to be seen is shown as \\xNN, and a "
      "backslash "
      "as \\\\.\n"
      "While this reads, nobody can open the store. A store that is in use is not looked at: copy its "
      "directory, and\n"
      "look at the copy.\n"
      "Exit status: 0 done; 1 show: no such key; 2 bad usage, or no store that can be read; 3 the store is "
      "in "
      "use;\n"
      "4 the store is damaged.\n"
      "Example: paidonce_admin payments.store list --state unfinished");
}

std::string bytes_of(const std::string& text, const char* name) {
  if (auto bytes = unescaped(text)) return *bytes;
  throw std::runtime_error(std::string(name) + ": a backslash is written as \\\\, another byte as in \\x0a");
}

Filter filter_of(const Options& options) {
  Filter filter;
  filter.limit = options.limit;
  for (const std::string& name : options.states)
    for (const paidonce::State state : all_states)
      if (name == to_string(state) || (name == "unfinished" && is_unfinished(state)))
        filter.states.insert(state);
  return filter;
}

/// Throws where an option and the command do not go together.
void check(const Options& options) {
  if ((options.command == "show") != options.key.has_value())
    throw std::runtime_error(options.key ? "KEY goes with show alone" : "show needs a KEY");
  if (options.scope && options.command != "show") throw std::runtime_error("--scope goes with show alone");
  if ((options.limit || !options.states.empty()) && options.command != "list")
    throw std::runtime_error("--state and --limit go with list alone");
}

int show(const Options& options, const Snapshot& snapshot, const Printer& print, std::ostream& out) {
  std::optional<std::string> scope;
  if (options.scope) scope = bytes_of(*options.scope, "--scope");
  const std::vector<Entry> found = snapshot.find(bytes_of(*options.key, "KEY"), scope);
  if (found.empty()) {
    std::cerr << "paidonce_admin: there is no record under this key\n";
    return no_such_key;
  }
  if (found.size() > 1)
    throw std::runtime_error(std::to_string(found.size()) +
                             " scopes have a record under this key; choose with --scope, which list shows");
  print.show(out, found.front());
  return done;
}

int inspect(const Options& options, const Printer& print, std::ostream& out) {
  const Snapshot snapshot(options.directory);
  if (options.command == "show") return show(options, snapshot, print, out);
  if (options.command == "list")
    print.list(out, select(snapshot, filter_of(options)));
  else if (options.command == "verify")
    print.verified(out, snapshot.log());
  else
    print.summary(out, snapshot.log(), count(snapshot, paidonce::SystemClock{}.now()));
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Looks into the directory of a file store, and changes nothing in it");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? done : bad_usage;
  }
  std::unique_ptr<Printer> print = std::make_unique<TablePrinter>();
  if (options.json) print = std::make_unique<JsonPrinter>();
  int status = bad_usage;
  try {
    check(options);
    status = inspect(options, *print, std::cout);
    errno = 0;
    std::cout.flush();
    if (!std::cout)
      throw std::runtime_error(std::string("cannot write standard output: ") + std::strerror(errno));
  } catch (const StoreDamaged& damage) {
    print->damaged(std::cout, damage);
    status = damaged;
  } catch (const StoreInUse& problem) {
    std::cerr << "paidonce_admin: " << problem.what() << '\n';
    status = in_use;
  } catch (const std::exception& problem) {
    std::cerr << "paidonce_admin: " << problem.what() << '\n';
    status = bad_usage;
  }
  return status;
}
