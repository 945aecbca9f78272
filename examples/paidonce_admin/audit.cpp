#include "audit.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <paidonce/audit/verify.hpp>
#include <paidonce/digest/hex.hpp>
#include <paidonce/observer.hpp>

#include "escape.hpp"
#include "named_file.hpp"
#include "no_command.hpp"
#include "number.hpp"
#include "read_only_files.hpp"
#include "text.hpp"

namespace paidonce_admin {
namespace {

using Json = nlohmann::ordered_json;
using paidonce::AuditEntry;
using paidonce::AuditKind;
using paidonce::AuditReport;

struct AuditOptions {
  std::string directory, secret_file;
  std::vector<std::string> anchors;
  std::optional<std::string> key, scope, digest, limit;
  bool json = false;
};

std::string hex(const paidonce::AuditName& name) {
  std::string digits(2 * name.size(), '0');
  paidonce::detail::hex(name.data(), name.size(), digits.data());
  return digits;
}

/// All bytes of the file: what is a newline at its end belongs to the secret.
std::string secret_in(const std::string& file) {
  if (file.empty()) return {};
  std::string secret = content_of("--secret-file", file);
  if (secret.empty()) throw Refusal(Exit::bad_usage, "--secret-file: the file is empty");
  return secret;
}

paidonce::AuditVerification against(const AuditOptions& options) {
  paidonce::AuditVerification against;
  against.secret = secret_in(options.secret_file);
  for (const std::string& anchor : options.anchors)
    against.anchors.push_back(paidonce::audit_head_from(anchor));
  return against;
}

AuditReport read(const AuditOptions& options, const paidonce::AuditVerification& verification) {
  return paidonce::verify_audit_log(options.directory, verification, ReadOnlyFiles());
}

Exit exit_of(const AuditReport& report) { return report.whole() ? Exit::done : Exit::damaged; }

// ---- verify ---------------------------------------------------------------------------------------------

std::string_view name_of(AuditReport::Seals seals) {
  switch (seals) {
    case AuditReport::Seals::none: return "none";
    case AuditReport::Seals::unchecked: return "unchecked";
    case AuditReport::Seals::right: return "right";
  }
  return "unknown";
}

Json time(paidonce::Timestamp at) {
  std::string text = text_of(at);
  return text.empty() ? Json() : Json(std::move(text));
}

Json damage_of(const AuditReport& report) { return report.whole() ? Json() : Json(escaped(report.damage)); }

void print_json(std::ostream& out, const AuditReport& report, std::size_t anchors) {
  out << Json({{"whole", report.whole()},
               {"damage", damage_of(report)},
               {"entries", report.entries},
               {"head", to_string(report.head)},
               {"first", time(report.first)},
               {"last", time(report.last)},
               {"seals", name_of(report.seals)},
               {"anchors", anchors},
               {"lost_events", report.lost},
               {"openings", report.openings},
               {"unclean_ends", report.unclean_ends},
               {"interruptions", report.interruptions},
               {"closed", report.closed},
               {"continues", report.continues ? Json(to_string(*report.continues)) : Json()},
               {"cut_bytes", report.cut_bytes}})
             .dump(2)
      << '\n';
}

void print_table(std::ostream& out, const AuditReport& report, std::size_t anchors) {
  if (report.whole())
    out << "whole    every entry follows from the one before\n";
  else
    out << "DAMAGED  " << escaped(report.damage) << "\nbefore   "
        << (report.entries > 0 ? "these entries verified:\n" : "nothing could be read:\n");
  out << "entries  " << report.entries;
  if (report.entries > 0) out << ", from " << text_of(report.first) << " to " << text_of(report.last);
  out << "\nhead     " << to_string(report.head) << "\nseals    ";
  switch (report.seals) {
    case AuditReport::Seals::none:
      out << "none: who can write to the directory can have made all of it";
      break;
    case AuditReport::Seals::unchecked: out << "not checked: give --secret-file"; break;
    case AuditReport::Seals::right: out << "right: made with this secret"; break;
  }
  out << "\nanchors  ";
  if (anchors == 0)
    out << "none: an end that was cut off, or an older copy, does not show; give --anchor";
  else if (report.whole())
    out << anchors << (anchors == 1 ? " is in it" : " are in it");
  else
    out << anchors << " given";
  out << "\nopened   " << report.openings << " times, " << report.unclean_ends
      << " of them behind a process that died\n";
  if (report.lost > 0) out << "lost     " << report.lost << " events, as the log itself says\n";
  if (report.interruptions > 0) out << "failed   " << report.interruptions << " times, and went on\n";
  if (!report.closed) out << "closed   no: the process that had it open was killed, or this is a copy\n";
  if (report.continues) out << "follows  a log that ended with " << to_string(*report.continues) << '\n';
  if (report.cut_bytes > 0)
    out << "tail     " << report.cut_bytes << " bytes that were being written when the process ended\n";
}

Exit verify(const AuditOptions& options, std::ostream& out) {
  const AuditReport report = read(options, against(options));
  (options.json ? print_json : print_table)(out, report, options.anchors.size());
  return exit_of(report);
}

Exit head(const AuditOptions& options, std::ostream& out) {
  const AuditReport report = read(options, against(options));
  if (options.json)
    out << Json({{"head", report.whole() ? Json(to_string(report.head)) : Json()},
                 {"damage", damage_of(report)}})
               .dump(2)
        << '\n';
  else
    out << (report.whole() ? to_string(report.head) : "DAMAGED  " + escaped(report.damage)) << '\n';
  return exit_of(report);
}

// ---- show -----------------------------------------------------------------------------------------------

/// What an entry has to say beside its columns.
std::string about(const AuditEntry& entry) {
  using paidonce::events::Refusal;
  using paidonce::events::StoreCall;
  switch (entry.kind) {
    case AuditKind::refused:
      switch (static_cast<Refusal>(entry.detail)) {
        case Refusal::key_reused: return "key_reused";
        case Refusal::in_progress: return "in_progress";
        case Refusal::refuse_if: return "refuse_if";
      }
      return "unknown";
    case AuditKind::store_failed:
      switch (static_cast<StoreCall>(entry.detail)) {
        case StoreCall::find: return "find";
        case StoreCall::insert: return "insert";
        case StoreCall::replace: return "replace";
      }
      return "unknown";
    case AuditKind::waited: return std::to_string(entry.attempt_id) + " ms";
    case AuditKind::lease_lost: return "fence " + std::to_string(entry.version);
    case AuditKind::lost: return std::to_string(entry.version) + " events";
    default: return escaped(entry.text) + (entry.text_cut ? " (cut)" : "");
  }
}

/// An entry as it is printed, in either form.
std::string printed(const AuditEntry& entry, bool json) {
  const std::string name = entry.kind == AuditKind::lost ? "-" : hex(entry.name).substr(0, 16);
  const std::string state(entry.state ? to_string(*entry.state) : "-");
  if (json)
    return Json({{"number", entry.number},
                 {"at", time(entry.at)},
                 {"kind", to_string(entry.kind)},
                 {"name", hex(entry.name)},
                 {"name_keyed", entry.name_keyed},
                 {"state", entry.state ? Json(state) : Json()},
                 {"attempts", entry.attempts},
                 {"version", std::to_string(entry.version)},
                 {"attempt_id", hex_of(entry.attempt_id)},
                 {"amount", escaped(entry.amount)},
                 {"text", about(entry)}})
        .dump();
  const auto column = [](std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text + "  ";
  };
  std::string line = column(std::to_string(entry.number), 8) + column(text_of(entry.at), 24) +
                     column(std::string(to_string(entry.kind)), 12) + column(name, 16) + column(state, 11) +
                     column(entry.amount.empty() ? "-" : escaped(entry.amount), 12) + about(entry);
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

/// Of which payment entries are shown: those with one of these names, or with this beginning; empty: of all.
struct Wanted {
  std::vector<paidonce::AuditName> names = {};
  std::string digest = {};

  bool all() const { return names.empty() && digest.empty(); }
  bool has(const AuditEntry& entry) const {
    if (!digest.empty()) return entry.kind != AuditKind::lost && hex(entry.name).starts_with(digest);
    return names.empty() || std::find(names.begin(), names.end(), entry.name) != names.end();
  }
};

Wanted wanted(const AuditOptions& options, const std::string& secret) {
  const auto refuse = [](const char* why) { throw Refusal(Exit::bad_usage, why); };
  if (options.key && options.digest) refuse("name the payment by its --key, or by its --digest");
  if (options.scope && !options.key) refuse("--scope goes with --key");
  Wanted wanted;
  if (options.digest) {
    wanted.digest = *options.digest;
    for (char& letter : wanted.digest)
      letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (wanted.digest.size() < 16 || wanted.digest.size() > 2 * paidonce::AuditName().size() ||
        wanted.digest.find_first_not_of("0123456789abcdef") != std::string::npos)
      refuse("--digest: 16 hex digits, as alerts carry them, or up to 32");
  }
  if (options.key) {
    const auto key = unescaped(*options.key), scope = unescaped(options.scope.value_or(""));
    if (!key || !scope) refuse("--key and --scope: a backslash is written as \\\\, another byte as in \\x0a");
    if (key->empty()) refuse("--key: a key is not empty");
    const paidonce::IdempotencyKey named(*scope, *key);
    wanted.names.push_back(audit_name(named));
    if (!secret.empty()) wanted.names.push_back(audit_name(named, secret));
  }
  return wanted;
}

Exit show(const AuditOptions& options, std::ostream& out) {
  paidonce::AuditVerification reading = against(options);
  const Wanted wants = wanted(options, reading.secret);
  const std::optional<std::uint64_t> limit =
      options.limit ? std::optional(whole_number(*options.limit, "--limit")) : std::nullopt;
  std::deque<std::string> lines;
  std::uint64_t found = 0, keyed = 0;
  reading.on_entry = [&](const AuditEntry& entry) {
    if (entry.name_keyed) ++keyed;
    if (!wants.has(entry)) return;
    ++found;
    lines.push_back(printed(entry, options.json));
    if (limit && lines.size() > *limit) lines.pop_front();
  };
  const AuditReport report = read(options, reading);
  if (report.whole() && found == 0 && !wants.all()) {
    std::string why = "there is no entry of this payment";
    if (options.key && !options.scope) why += "; a key that has a scope is found with its --scope alone";
    if (options.key && keyed > 0 && reading.secret.empty())
      why += "; the log names keys under its secret: give --secret-file";
    if (options.digest && keyed > 0)
      why += "; the log names keys under its secret, not by the digests that alerts carry: give --key";
    throw Refusal(Exit::no_such_key, why);
  }
  if (options.json) {
    out << "{\"entries\": [";
    const char* separator = "\n";
    for (const std::string& line : lines) {
      out << separator << line;
      separator = ",\n";
    }
    out << "\n], \"damage\": " << damage_of(report).dump() << "}\n";
  } else {
    for (const std::string& line : lines) out << line << '\n';
    if (!report.whole()) out << "DAMAGED  " << escaped(report.damage) << '\n';
  }
  return exit_of(report);
}

void declare(CLI::App& command, AuditOptions& options) {
  command.add_option("DIR", options.directory, "The directory of the audit log, or a copy of it")
      ->type_name("")
      ->required();
  command.add_option("--secret-file", options.secret_file,
                     "The file that holds the log's secret, byte by byte");
  command
      .add_option("--anchor", options.anchors,
                  "A head that was published, NUMBER:DIGITS: the log must still hold it. May be repeated")
      ->take_all();
}

}  // namespace

Exit audit(int argc, const char* const* argv, std::ostream& out) {
  AuditOptions options;
  CLI::App app("Looks into an audit log, and changes nothing", "paidonce_admin audit");
  app.add_flag("--json", options.json, "JSON instead of a table");
  app.require_subcommand(1);
  CLI::App* const verifies = app.add_subcommand("verify", "Whether it was cut or changed");
  CLI::App* const shows = app.add_subcommand("show", "Its entries, oldest first");
  CLI::App* const heads = app.add_subcommand("head", "Its last entry's number and digest, to be published");
  for (CLI::App* command : {verifies, shows, heads}) {
    declare(*command, options);
    command->fallthrough();
  }
  shows->add_option("--key", options.key, "Only of this key");
  shows->add_option("--scope", options.scope, "The scope of that key: the log does not tell it");
  shows->add_option("--digest", options.digest, "Only of the key with these digits, which alerts carry");
  shows->add_option("--limit", options.limit, "So many at most, the last ones")->type_name("N");
  app.footer(
      "Exit status: 0 done; 1 no entry of this payment; 2 bad usage, or no audit log; 3 a process has it "
      "open;\n"
      "4 it was cut or changed; 8 the system refused.\n"
      "Example: paidonce_admin audit verify payments.audit --anchor \"$PUBLISHED\"");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help, out);
    return Exit::done;
  } catch (const CLI::ParseError& wrong) {
    if (app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&wrong))
      throw Refusal(Exit::bad_usage, no_command(app) + "verify, show or head (audit --help tells more)");
    throw Refusal(Exit::bad_usage, escaped(wrong.what()) + " (audit --help tells what there is)");
  }
  if (*verifies) return verify(options, out);
  return *heads ? head(options, out) : show(options, out);
}

}  // namespace paidonce_admin
