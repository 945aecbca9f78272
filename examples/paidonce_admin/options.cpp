#include "options.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "duration.hpp"
#include "escape.hpp"
#include "exit.hpp"
#include "no_command.hpp"
#include "number.hpp"
#include "selection.hpp"

namespace paidonce_admin {
namespace {

/// As they stand on the command line.
struct Written {
  std::string store, as, api_key;
  std::optional<std::string> table, schema, prefix, key, scope, digest, older_than, retention, limit,
      if_version, timeout_ms;
  std::vector<std::string> states;
};

std::string bytes_of(const std::string& text, const char* name) {
  if (auto bytes = unescaped(text)) return *bytes;
  throw Refusal(Exit::bad_usage,
                std::string(name) + ": a backslash is written as \\\\, another byte as in \\x0a");
}

paidonce::Duration duration(const std::string& text, const char* name) {
  if (const auto length = duration_of(text)) return *length;
  throw Refusal(Exit::bad_usage, std::string(name) + ": " + escaped(text) +
                                     " is no length of time; write it as in 90s, 5m, 2h or 1d");
}

/// 16 hex digits, in small letters.
std::string digest_of(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  if (text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos) return text;
  throw Refusal(Exit::bad_usage, "--digest: 16 hex digits, as list shows them and alerts carry them");
}

/// The person at the keyboard, through sudo too.
std::string this_person() {
  if (const char* const behind_sudo = std::getenv("SUDO_USER"); behind_sudo && *behind_sudo)
    return behind_sudo;
  const ::passwd* const user = ::getpwuid(::geteuid());
  return user ? user->pw_name : "user " + std::to_string(::geteuid());
}

void declare_which(CLI::App& command, Options& options, Written& written) {
  command.add_option("KEY", written.key, "The text of the key, as list has it")->type_name("");
  command.add_option("--scope", written.scope, "The scope of the key, where several have the same");
  command.add_option("--digest", written.digest, "Instead of KEY: the 16 digits that an alert carries");
  (void)options;
}

void declare_resolve(CLI::App& command, Options& options, Written& written) {
  Verdict& verdict = options.verdict;
  declare_which(command, options, written);
  command
      .add_option(
          "--as", written.as,
          "What became of the payment: succeeded, declined, or released: nothing was charged, and the\n"
          "next call with this key pays")
      ->check(CLI::IsMember({"succeeded", "declined", "released"}))
      ->type_name("")
      ->required();
  command.add_option("--reason", verdict.reason, "How you know; stays in the record")->required();
  command.add_option("--actor", verdict.actor, "Who says so; stays in the record. Otherwise your user name");
  command.add_option("--charge-id", verdict.charge_id,
                     "The provider's name for the charge: the response is the one of pay_orders");
  command.add_option("--failure", verdict.failure, "Why it was declined, for the response of pay_orders");
  command.add_option("--response", verdict.response,
                     "The response, encoded as the paying program decodes it");
  command.add_option("--response-file", verdict.response_file, "The same, in a file");
  command.add_option("--format", verdict.format,
                     "The format of that response: Codec<R>::format of the paying program");
  command.add_flag("--any-format", verdict.any_format,
                   "Take a format that no other record of this scope has");
  command.add_option("--retention", written.retention,
                     "How long the result is replayed. Otherwise as long as the scope's longest");
  command
      .add_option("--if-version", written.if_version,
                  "Only where the record still has this version, which show tells")
      ->type_name("N");
  command.add_flag(
      "--holder-is-dead", verdict.holder_is_dead,
      "With --yes, for a payment in progress: nobody runs it any more, and none of its requests is\n"
      "under way");
}

void declare_recover(CLI::App& command, Options& options, Written& written) {
  command.add_flag("--dry-run", options.dry_run, "Only tell which payments it would look at");
  command.add_option(
      "--gateway", options.gateway,
      "Ask this provider, as in http://127.0.0.1:8000, what became of orders that pay_orders\nleft in doubt");
  command
      .add_option(
          "--api-key", written.api_key,
          "The key that the provider knows the shop by; better in the environment, which others do not see")
      ->envname("PAIDONCE_API_KEY");
  command
      .add_option("--timeout-ms", written.timeout_ms,
                  "How long to wait for an answer of the provider; 10000 unless given, up to 600000")
      ->type_name("N");
}

void declare_list(CLI::App& command, Options& options, Written& written) {
  command.add_flag("--stuck", options.stuck,
                   "Only what does not go on by itself: in doubt, past its lease, or its process is dead");
  command.add_option("--older-than", written.older_than,
                     "Only what has not changed for so long, as in 90s, 5m, 2h, 1d");
  command
      .add_option(
          "--state", written.states,
          "Only these, as in --state declined --state in_doubt; unfinished means in_progress and in_doubt")
      ->check(CLI::IsMember({"in_progress", "in_doubt", "succeeded", "declined", "released", "unfinished"}))
      ->type_name("")
      ->take_all();
  command.add_option("--limit", written.limit, "So many records at most")->type_name("N");
}

/// Throws where options do not go together.
void check(const Options& options, const Written& written) {
  const auto refuse = [](const char* why) { throw Refusal(Exit::bad_usage, why); };
  const bool names_one = options.command == Command::show || options.command == Command::resolve;
  if (names_one && written.key.has_value() == written.digest.has_value())
    refuse("name the payment by its KEY, or by its --digest");
  if (written.digest && written.scope) refuse("--scope goes with a KEY: a digest has it in it");
  if (options.command != Command::resolve) return;

  const Verdict& verdict = options.verdict;
  const bool for_pay_orders = verdict.charge_id || verdict.failure;
  const bool encoded = verdict.response || verdict.response_file;
  if (verdict.reason.find_first_not_of(" \t\n") == std::string::npos)
    refuse("--reason: say how you know; it stays in the record");
  if (verdict.actor.find_first_not_of(" \t\n") == std::string::npos) refuse("--actor: say who you are");
  for (const std::string* text : {&verdict.reason, &verdict.actor})
    if (std::any_of(text->begin(), text->end(),
                    [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }))
      refuse("--reason and --actor are one line each, without control characters");
  if (verdict.reason.size() > 2000 || verdict.actor.size() > 200)
    refuse("--reason takes 2000 bytes, and --actor 200");
  if (verdict.as == paidonce::State::released) {
    if (for_pay_orders || encoded || verdict.format)
      refuse("--as released takes no response: nothing was charged, so there is none");
    return;
  }
  if (for_pay_orders == encoded || (verdict.response && verdict.response_file))
    refuse(
        "the next call with this key is answered with a response: give either --charge-id (for pay_orders), "
        "or "
        "--format and one of --response and --response-file");
  if (encoded != verdict.format.has_value()) refuse("--response and --response-file go with --format");
  if (verdict.as == paidonce::State::succeeded && verdict.failure)
    refuse("--failure goes with --as declined");
  if (verdict.as == paidonce::State::succeeded && for_pay_orders && verdict.charge_id->empty())
    refuse("--charge-id: a payment that succeeded has a charge at the provider; look it up");
}

void take_over(const Written& written, Options& options) {
  try {
    options.store = common::store_address(written.store);
  } catch (const std::invalid_argument& wrong) {
    throw Refusal(Exit::bad_usage, wrong.what());
  }
  if (written.table) options.store.table = *written.table;
  if (written.schema) options.store.schema = *written.schema;
  if (written.prefix) options.store.prefix = *written.prefix;
  if (written.key) options.which.key = bytes_of(*written.key, "KEY");
  if (written.scope) options.which.scope = bytes_of(*written.scope, "--scope");
  if (written.digest) options.which.digest = digest_of(*written.digest);
  if (written.older_than) options.older_than = duration(*written.older_than, "--older-than");
  if (written.retention) options.verdict.retention = duration(*written.retention, "--retention");
  if (written.limit) options.limit = whole_number(*written.limit, "--limit");
  if (written.if_version) options.verdict.if_version = whole_number(*written.if_version, "--if-version");
  if (written.timeout_ms)
    options.timeout_ms = static_cast<unsigned>(whole_number(*written.timeout_ms, "--timeout-ms", 1, 600'000));
  for (const std::string& name : written.states)
    for (const paidonce::State state : all_states)
      if (name == to_string(state) || (name == "unfinished" && is_unfinished(state)))
        options.states.insert(state);
  for (const paidonce::State state : all_states)
    if (written.as == to_string(state)) options.verdict.as = state;
  if (options.verdict.actor.empty()) options.verdict.actor = this_person();
  options.api_key = written.api_key.empty() ? "sk_test_paidonce" : written.api_key;
}

/// The word audit stands first: main.cpp has it then.
[[noreturn]] void refuse_audit() {
  throw Refusal(Exit::bad_usage,
                "audit comes first, without --store: paidonce_admin audit verify, show or head DIR");
}

}  // namespace

std::optional<Options> read_options(int argc, char** argv) {
  Options options;
  Written written;
  CLI::App app("Looks into a store of payments, and settles by a person's word what nobody else can",
               "paidonce_admin");
  app.add_option(
         "--store", written.store,
         "The store: DIR or file:DIR, the directory of a file store or a copy of it; sqlite:FILE;\n"
         "postgres: before what libpq connects to, as in postgres://db.example/payments or\n"
         "'postgres:host=db.example dbname=payments'; or redis://db.example. All commands but audit need it")
      ->type_name("");
  app.add_option("--table", written.table, "Of a SQLite database; paidonce_payments unless given")
      ->type_name("NAME");
  app.add_option("--schema", written.schema, "Of a PostgreSQL database; paidonce unless given")
      ->type_name("NAME");
  app.add_option("--prefix", written.prefix, "Of the keys in Redis; paidonce unless given")
      ->type_name("NAME");
  app.add_flag("--json", options.json, "JSON instead of a table");
  app.add_flag("--yes", options.yes, "Change without asking: for programs, which have nobody to ask");
  app.require_subcommand(1);
  app.fallthrough();
  const auto command = [&](Command which, const char* name, const char* about) {
    CLI::App* const sub = app.add_subcommand(name, about);
    sub->fallthrough();
    sub->callback([&options, which] { options.command = which; });
    return sub;
  };
  command(Command::survey, "survey", "How much there is: by state, currency and age");
  declare_list(*command(Command::list, "list", "The records, that changed least recently first"), options,
               written);
  declare_which(*command(Command::show, "show", "All of one record"), options, written);
  command(Command::verify, "verify", "Whether every byte that can be verified is as it was written");
  command(Command::sweep, "sweep", "Erases what its retention no longer keeps")
      ->add_flag("--dry-run", options.dry_run, "Only tell how many records it would erase");
  declare_recover(*command(Command::recover, "recover", "Finds out about payments that nobody runs any more"),
                  options, written);
  declare_resolve(*command(Command::resolve, "resolve", "Settles one payment by your word"), options,
                  written);
  CLI::App* const audits = app.add_subcommand("audit", "Looks into an audit log: verify, show, head");
  audits->prefix_command();
  app.footer(
      "survey, list, show, verify and --dry-run change nothing; the others ask before they do.\n"
      "Keys and texts are bytes of any value: what is no letter to be seen is shown as \\xNN, and a "
      "backslash as "
      "\\\\.\n"
      "A file store that is in use is not looked at: copy its directory, and look at the copy.\n"
      "A password is best in PGPASSWORD or ~/.pgpass, as libpq reads them, or in REDISCLI_AUTH: a command "
      "line is\n"
      "seen by all.\n"
      "Exit status: 0 done; 1 no such key; 2 bad usage, or no store that can be read; 3 the store is in use; "
      "4 it "
      "is\n"
      "damaged; 5 the payment is not in a state for this; 6 the person said no; 7 payments are left in "
      "doubt; 8 the\n"
      "system refused: permissions, disk, output.\n"
      "An audit log has a directory of its own: paidonce_admin audit verify, show or head DIR (audit "
      "--help).\n"
      "Example: paidonce_admin --store payments.store list --stuck --older-than 5m");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return std::nullopt;
  } catch (const CLI::ParseError& wrong) {
    if (audits->parsed()) refuse_audit();
    if (app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&wrong))
      throw Refusal(Exit::bad_usage,
                    no_command(app) +
                        "survey, list, show, verify, sweep, recover, resolve or audit (--help tells more)");
    throw Refusal(Exit::bad_usage, escaped(wrong.what()) + " (--help tells what there is)");
  }
  if (audits->parsed()) refuse_audit();
  take_over(written, options);
  check(options, written);
  return options;
}

}  // namespace paidonce_admin
