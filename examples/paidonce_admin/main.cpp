// Looks into a store of payments, and settles by a person's word what nobody else can.
//
//   paidonce_admin --store payments.store survey
//   paidonce_admin --store payments.store list --stuck --older-than 5m
//   paidonce_admin --store payments.store resolve order-1001 --as released --reason "the bank has nothing of
//   it"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <paidonce/errors.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/store.hpp>

#include "audit.hpp"
#include "changes.hpp"
#include "confirm.hpp"
#include "escape.hpp"
#include "exit.hpp"
#include "options.hpp"
#include "output.hpp"
#include "print.hpp"
#include "store_reader.hpp"

namespace {

using namespace paidonce_admin;

Shown find_one(const Options& options, const StoreReader& store) {
  const std::vector<Entry> found = store.find(options.which);
  if (found.empty()) throw Refusal(Exit::no_such_key, "there is no record under this key");
  if (found.size() > 1)
    throw Refusal(Exit::bad_usage,
                  std::to_string(found.size()) +
                      " scopes have a record under this key; choose with --scope, which list shows");
  return {found.front(), why_stuck(store, found.front(), store.clock().now())};
}

/// All records in one pass, for a survey: what is counted is of one moment.
struct OnePass {
  using Visitor = OpenStore::Visitor;

  const StoreReader& store;
  Contents& contents;
  paidonce::Timestamp now;

  void scan(const paidonce::ScanFilter&, const Visitor& visitor) {
    store.each({.parts = Wanted::Parts::no_response}, [&](const Entry& entry) {
      const auto state = std::find(all_states.begin(), all_states.end(), entry.record.state);
      if (paidonce::protocol::expired(entry.record, now))
        ++contents.expired[static_cast<std::size_t>(state - all_states.begin())];
      visitor(entry.key, entry.record);
    });
  }
  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) { return store.find(key); }
  // For the concept alone: a survey writes nothing.
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey&, const paidonce::Record&);
  bool replace(const paidonce::IdempotencyKey&, paidonce::Version, const paidonce::Record&);
};

Contents contents_of(const StoreReader& store) {
  Contents contents;
  OnePass records{store, contents, store.clock().now()};
  paidonce::SurveyOptions options;
  options.page = std::numeric_limits<std::size_t>::max();
  contents.survey = paidonce::survey(records, records.now, options);
  return contents;
}

bool changes(const Options& options) {
  const bool may = options.command == Command::sweep || options.command == Command::recover ||
                   options.command == Command::resolve;
  return may && !options.dry_run;
}

Exit run(const Options& options, const Printer& print, std::ostream& out) {
  if (changes(options)) require_somebody(options.yes ? Agreed::yes : Agreed::no);
  const std::unique_ptr<StoreReader> store = look_at(options.store);
  if (changes(options)) store->require_owner();
  const auto now = [&] { return store->clock().now(); };
  const Plan plan = {options, *store, print, out};
  switch (options.command) {
    case Command::survey: print.survey(out, store->about(), contents_of(*store)); break;
    case Command::list: print.list(out, select(*store, options, now())); break;
    case Command::show: print.show(out, find_one(options, *store)); break;
    case Command::verify: {
      const std::string verified = store->verify();
      print.verified(out, verified, store->about());
      break;
    }
    case Command::sweep: return sweep(plan);
    case Command::recover: return recover(plan);
    case Command::resolve: return resolve(plan, find_one(options, *store));
  }
  return Exit::done;
}

void flush(Output& out) {
  if (!out.flush())
    throw Refusal(Exit::failed, std::string("cannot write standard output: ") + std::strerror(out.error()));
}

/// What a failure of the library means to whoever called.
Exit exit_of(const paidonce::Error& error) {
  using paidonce::errc;
  if (error.code() == errc::store_busy) return Exit::in_use;
  if (error.code() == errc::store_corrupt) return Exit::damaged;
  if (error.code() == errc::wrong_state) return Exit::wrong_state;
  for (const errc code : {errc::invalid_options, errc::unsafe_config, errc::unsupported_format})
    if (error.code() == code) return Exit::bad_usage;
  return Exit::failed;
}

Exit tell(const std::exception& problem, Exit status) {
  std::cerr << "paidonce_admin: " << problem.what() << '\n';
  return status;
}

Exit run(const Options& options, Output& out) {
  std::unique_ptr<Printer> print = std::make_unique<TablePrinter>();
  if (options.json) print = std::make_unique<JsonPrinter>();
  try {
    const Exit status = run(options, *print, out);
    flush(out);
    return status;
  } catch (const StoreDamaged& damage) {
    print->damaged(out, damage);
    flush(out);
    return Exit::damaged;
  } catch (...) {
    out.flush();  // what was done before it failed
    throw;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // what cannot be written is told by the exit status
  Exit status = Exit::done;
  Output out(STDOUT_FILENO);
  try {
    int word = 1;
    while (word < argc && std::string_view(argv[word]) == "--json") ++word;
    if (word < argc && std::string_view(argv[word]) == "audit") {
      std::rotate(argv + 1, argv + word, argv + word + 1);  // what stood before it is behind it now
      status = audit(argc - 1, argv + 1, out);
      flush(out);
    } else if (const auto options = read_options(argc, argv)) {
      status = run(*options, out);
    }
  } catch (const Refusal& refusal) {
    status = tell(refusal, refusal.exit);
  } catch (const paidonce::Error& error) {
    status = tell(error, exit_of(error));
  } catch (const std::exception& problem) {
    status = tell(problem, Exit::failed);
  }
  return static_cast<int>(status);
}
