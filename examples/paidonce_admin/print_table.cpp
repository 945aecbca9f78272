#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/key_digest.hpp>
#include <paidonce/provider_key.hpp>

#include "escape.hpp"
#include "print.hpp"
#include "text.hpp"

namespace paidonce_admin {
namespace {

/// However many bytes a letter takes.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

template <std::size_t columns>
using Rows = std::vector<std::array<std::string, columns>>;

/// Columns as wide as what stands in them; the last one is not filled up.
template <std::size_t columns>
void print_rows(std::ostream& out, const Rows<columns>& rows) {
  std::array<std::size_t, columns> widths = {};
  for (const auto& row : rows)
    for (std::size_t at = 0; at < columns; ++at) widths[at] = std::max(widths[at], width_of(row[at]));
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t at = 0; at < columns; ++at) {
      line += row[at];
      if (at + 1 < columns) line.append(widths[at] - width_of(row[at]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string with_unit(std::size_t number, std::string_view one, std::string_view many) {
  return std::to_string(number) + ' ' + std::string(number == 1 ? one : many);
}

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

void print_log(std::ostream& out, const About::Log& log) {
  out << "store    " << log.store_id << '\n';
  out << "log      " << with_unit(log.segments, "segment", "segments") << ", "
      << with_unit(log.frames, "frame", "frames") << "; " << log.bytes << " bytes written, of them "
      << log.live_bytes << " current; " << log.disk_bytes << " on the disk\n"
      << "closed   "
      << (log.closed ? "yes"
                     : "no: the process that had it open was killed, or this is a copy of an open store")
      << '\n';
  if (log.cut_bytes > 0)
    out << "tail     " << with_unit(log.cut_bytes, "byte", "bytes")
        << " that were never acknowledged; the next opening cuts them\n";
  for (const std::string& name : log.leftovers)
    out << "left     " << escaped(name) << " is no part of the log: prepared ahead, or to be removed\n";
  for (const std::string& name : log.others) out << "other    " << escaped(name) << " is not the store's\n";
}

void print_about(std::ostream& out, const About& about) {
  if (about.log) print_log(out, *about.log);
  if (about.database.empty()) return;
  out << "store    " << about.kind << '\n';
  for (const auto& [name, text] : about.database)
    out << name << std::string(9 - std::min<std::size_t>(name.size(), 8), ' ') << escaped(text) << '\n';
}

/// As in 12.40 EUR, 5.00 USD; with how many amounts are in no sum.
std::string amounts_of(const paidonce::StateSurvey& state) {
  std::string text;
  for (const paidonce::CurrencyTotal& total : state.totals)
    text += (text.empty() ? "" : ", ") + (total.amount.empty() ? "too much" : total.amount) + ' ' +
            total.currency;
  const std::size_t others = state.without_amount + state.unreadable;
  if (others > 0) text += (text.empty() ? "" : ", ") + std::to_string(others) + " without amount";
  return text;
}

}  // namespace

void TablePrinter::survey(std::ostream& out, const About& about, const Contents& contents) const {
  const paidonce::Survey& survey = contents.survey;
  print_about(out, about);
  out << "open     ";
  if (survey.unfinished() == 0) {
    out << "nothing is unfinished\n\n";
  } else {
    out << with_unit(survey.unfinished(), "payment is", "payments are")
        << " unfinished, in progress or in doubt; the oldest since " << text_of(*survey.oldest_unfinished)
        << '\n';
    if (survey.oldest_in_doubt)
      out << "doubt    " << with_unit(survey.of(paidonce::State::in_doubt).records, "payment", "payments")
          << "; the oldest since " << text_of(*survey.oldest_in_doubt) << '\n';
    out << '\n';
  }

  Rows<5> rows = {{"state", "records", "live", "expired", "amounts"}};
  std::size_t expired = 0;
  for (std::size_t at = 0; at < all_states.size(); ++at) {
    const paidonce::StateSurvey& state = survey.of(all_states[at]);
    rows.push_back({std::string(to_string(all_states[at])), std::to_string(state.records),
                    std::to_string(state.records - contents.expired[at]),
                    std::to_string(contents.expired[at]), amounts_of(state)});
    expired += contents.expired[at];
  }
  rows.push_back({"all", std::to_string(survey.records()), std::to_string(survey.records() - expired),
                  std::to_string(expired), ""});
  print_rows(out, rows);
}

void TablePrinter::list(std::ostream& out, const Selection& selection) const {
  Rows<9> rows = {{"state", "stuck", "scope", "key", "digest", "amount", "attempts", "changed", "about"}};
  for (const auto& [entry, stuck] : selection.shown) {
    const auto& [key, record] = entry;
    std::string about = escaped(record.description);
    if (!about.empty() && !record.note.empty()) about += ": ";
    about += escaped(record.note);
    rows.push_back({std::string(to_string(record.state)), or_dash(std::string(stuck)),
                    or_dash(escaped(key.scope())), escaped(key.text()), paidonce::key_digest(key),
                    or_dash(escaped(record.amount)), std::to_string(record.attempts),
                    text_of(record.updated_at), std::move(about)});
  }
  print_rows(out, rows);
  out << '\n' << with_unit(selection.shown.size(), "record", "records");
  if (selection.matching > selection.shown.size())
    out << " of " << selection.matching << ": a higher --limit shows more";
  out << '\n';
}

void TablePrinter::show(std::ostream& out, const Shown& shown) const {
  const auto& [key, record] = shown.entry;
  Rows<2> rows = {
      {"scope", or_dash(escaped(key.scope()))},     {"key", escaped(key.text())},
      {"digest", paidonce::key_digest(key)},        {"state", std::string(to_string(record.state))},
      {"stuck", or_dash(std::string(shown.stuck))}, {"attempts", std::to_string(record.attempts)},
      {"amount", or_dash(escaped(record.amount))},  {"description", or_dash(escaped(record.description))}};
  std::string_view note = record.note;
  for (const char* name = "history"; *name || !note.empty(); name = "") {
    const std::size_t end = std::min(note.find('\n'), note.size());
    rows.push_back({name, or_dash(escaped(note.substr(0, end)))});
    note.remove_prefix(std::min(end + 1, note.size()));
  }
  rows.insert(rows.end(), {{"created", or_dash(text_of(record.created_at))},
                           {"changed", or_dash(text_of(record.updated_at))},
                           {"lease until", or_dash(text_of(record.lease_until))},
                           {"expires", or_dash(text_of(record.expires_at))},
                           {"provider key", paidonce::provider_key(key, record.created_at)},
                           {"fingerprint", record.fingerprint.hex()},
                           {"version", std::to_string(record.version)},
                           {"attempt", hex_of(record.attempt_id)},
                           {"checkpoint", or_dash(escaped(record.checkpoint))},
                           {"response", or_dash(escaped(record.response))},
                           {"format", or_dash(escaped(record.response_format))}});
  print_rows(out, rows);
}

void TablePrinter::swept(std::ostream& out, const Swept& swept) const {
  if (swept.dry_run || swept.expired == 0)
    out << with_unit(swept.expired, "record has", "records have") << " expired by " << text_of(swept.now)
        << "; nothing was changed\n";
  else
    out << with_unit(swept.report.erased, "record was", "records were") << " erased\n";
}

void TablePrinter::recovered(std::ostream& out, const Recovered& recovered) const {
  const paidonce::RecoveryReport& report = recovered.report;
  out << "before      " << recovered.abandoned << " in progress, " << recovered.whose << "; "
      << recovered.in_doubt << " in doubt\n";
  if (recovered.dry_run) {
    out << "\nnothing was changed; a recovery would look at:\n";
  } else if (recovered.abandoned + recovered.in_doubt == 0) {
    out << "\nthere was nothing to do, and nothing was changed; left unfinished:\n";
  } else {
    print_rows<2>(out, {{"provider", recovered.asked_provider ? "asked" : "not asked"},
                        {"succeeded", std::to_string(report.succeeded)},
                        {"declined", std::to_string(report.declined)},
                        {"in doubt", std::to_string(report.in_doubt)},
                        {"unanswered", std::to_string(report.unanswered)},
                        {"failed", std::to_string(report.failed)}});
    if (!report.reason.empty()) out << "reason      " << escaped(report.reason) << '\n';
    out << "\nleft unfinished:\n";
  }
  list(out, recovered.left);
}

void TablePrinter::resolved(std::ostream& out, const Entry& after, paidonce::State was) const {
  out << "resolved: it was " << to_string(was) << "\n";
  show(out, {after, {}});
}

void TablePrinter::verified(std::ostream& out, const std::string& verified, const About& about) const {
  out << "whole    " << verified << '\n';
  print_about(out, about);
}

void TablePrinter::damaged(std::ostream& out, const StoreDamaged& damage) const {
  out << "DAMAGED  " << escaped(damage.what()) << '\n';
}

}  // namespace paidonce_admin
