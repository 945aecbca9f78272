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
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/protocol.hpp>

#include "audit.hpp"
#include "changes.hpp"
#include "confirm.hpp"
#include "escape.hpp"
#include "exit.hpp"
#include "open_store.hpp"
#include "options.hpp"
#include "output.hpp"
#include "print.hpp"

namespace {

using namespace paidonce_admin;

paidonce::Timestamp now() { return paidonce::SystemClock{}.now(); }

Shown find_one(const Options& options, const Snapshot& snapshot) {
  const std::vector<Entry> found = snapshot.find(options.which);
  if (found.empty()) throw Refusal(Exit::no_such_key, "there is no record under this key");
  if (found.size() > 1)
    throw Refusal(Exit::bad_usage,
                  std::to_string(found.size()) +
                      " scopes have a record under this key; choose with --scope, which list shows");
  return {found.front(), why_stuck(snapshot, found.front(), now())};
}

Contents contents_of(Snapshot& snapshot) {
  Contents contents;
  contents.survey = paidonce::survey(snapshot, now());
  snapshot.each([&](const Entry& entry) {
    const auto state = std::find(all_states.begin(), all_states.end(), entry.record.state);
    if (paidonce::protocol::expired(entry.record, contents.survey.taken_at))
      ++contents.expired[static_cast<std::size_t>(state - all_states.begin())];
  });
  return contents;
}

bool changes(const Options& options) {
  const bool may = options.command == Command::sweep || options.command == Command::recover ||
                   options.command == Command::resolve;
  return may && !options.dry_run;
}

Exit run(const Options& options, const Printer& print, std::ostream& out) {
  if (changes(options)) require_somebody(options.yes ? Agreed::yes : Agreed::no);
  Snapshot snapshot(options.store);
  if (changes(options)) require_owner(options.store);
  const Plan plan = {options, snapshot, print, out};
  switch (options.command) {
    case Command::survey: print.survey(out, snapshot.log(), contents_of(snapshot)); break;
    case Command::list: print.list(out, select(snapshot, options, now())); break;
    case Command::show: print.show(out, find_one(options, snapshot)); break;
    case Command::verify: print.verified(out, snapshot.log()); break;
    case Command::sweep: return sweep(plan);
    case Command::recover: return recover(plan);
    case Command::resolve: return resolve(plan, find_one(options, snapshot));
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
