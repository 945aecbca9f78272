#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

void print_log(std::ostream& out, const Snapshot::Log& log) {
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

}  // namespace

void TablePrinter::summary(std::ostream& out, const Snapshot::Log& log, const Counts& counts) const {
  out << "store    " << log.store_id << '\n';
  print_log(out, log);
  out << "open     ";
  if (counts.unfinished == 0)
    out << "nothing is unfinished\n\n";
  else
    out << with_unit(counts.unfinished, "payment is", "payments are")
        << " unfinished, in progress or in doubt; the oldest since " << text_of(*counts.oldest_unfinished)
        << "\n\n";

  Rows<4> rows = {{"state", "records", "live", "expired"}};
  const auto row = [&](std::string_view name, const Counts::Of& of) {
    rows.push_back({std::string(name), std::to_string(of.records), std::to_string(of.records - of.expired),
                    std::to_string(of.expired)});
  };
  for (std::size_t at = 0; at < all_states.size(); ++at) row(to_string(all_states[at]), counts.states[at]);
  row("all", counts.all);
  print_rows(out, rows);
}

void TablePrinter::list(std::ostream& out, const Selection& selection) const {
  Rows<8> rows = {{"state", "scope", "key", "amount", "attempts", "changed", "expires", "about"}};
  for (const auto& [key, record] : selection.entries) {
    std::string about = escaped(record.description);
    if (!about.empty() && !record.note.empty()) about += ": ";
    about += escaped(record.note);
    rows.push_back({std::string(to_string(record.state)), or_dash(escaped(key.scope())), escaped(key.text()),
                    or_dash(escaped(record.amount)), std::to_string(record.attempts),
                    text_of(record.updated_at), or_dash(text_of(record.expires_at)), std::move(about)});
  }
  print_rows(out, rows);
  out << '\n' << with_unit(selection.entries.size(), "record", "records");
  if (selection.matching > selection.entries.size())
    out << " of " << selection.matching << ": a higher --limit shows more";
  out << '\n';
}

void TablePrinter::show(std::ostream& out, const Entry& entry) const {
  const paidonce::Record& record = entry.record;
  print_rows<2>(out, {{"scope", or_dash(escaped(entry.key.scope()))},
                      {"key", escaped(entry.key.text())},
                      {"state", std::string(to_string(record.state))},
                      {"attempts", std::to_string(record.attempts)},
                      {"amount", or_dash(escaped(record.amount))},
                      {"description", or_dash(escaped(record.description))},
                      {"note", or_dash(escaped(record.note))},
                      {"created", or_dash(text_of(record.created_at))},
                      {"changed", or_dash(text_of(record.updated_at))},
                      {"lease until", or_dash(text_of(record.lease_until))},
                      {"expires", or_dash(text_of(record.expires_at))},
                      {"provider key", paidonce::provider_key(entry.key, record.created_at)},
                      {"fingerprint", record.fingerprint.hex()},
                      {"version", std::to_string(record.version)},
                      {"attempt", hex_of(record.attempt_id)},
                      {"checkpoint", or_dash(escaped(record.checkpoint))},
                      {"response", or_dash(escaped(record.response))},
                      {"format", or_dash(escaped(record.response_format))}});
}

void TablePrinter::verified(std::ostream& out, const Snapshot::Log& log) const {
  out << "whole    every frame of the log verifies\nstore    " << log.store_id << '\n';
  print_log(out, log);
}

void TablePrinter::damaged(std::ostream& out, const StoreDamaged& damage) const {
  out << "DAMAGED  " << escaped(damage.what()) << '\n';
}

}  // namespace paidonce_admin
