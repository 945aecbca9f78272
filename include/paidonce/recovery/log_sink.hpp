#pragma once
// Alerts as lines of a log.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/recovery/alert.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// "2026-03-04T05:06:07.089Z" (RFC 3339); a moment past the year 9999 or before 0 is that many digits, or has
/// a sign.
inline std::string utc_text(Timestamp time) {
  // In 64 bits throughout: std::chrono's calendar ends at the year 32767.
  const std::int64_t count = time.time_since_epoch().count();
  constexpr std::int64_t day_length = 86'400'000;
  const std::int64_t day = count / day_length - (count % day_length < 0 ? 1 : 0);
  const std::int64_t in_day = (count % day_length + day_length) % day_length;
  // Days since 0000-03-01 in eras of 400 years: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  const std::int64_t shifted = day + 719'468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t of_era = shifted - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * of_year + 2) / 153;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", static_cast<long long>(year),
                static_cast<int>(month), static_cast<int>(of_year - (153 * month_from_march + 2) / 5 + 1),
                static_cast<int>(in_day / 3'600'000), static_cast<int>(in_day / 60'000 % 60),
                static_cast<int>(in_day / 1000 % 60), static_cast<int>(in_day % 1000));
  return text;
}

/// Text that stays on its line and does nothing to a terminal: control characters (C0, DEL, and C1 as UTF-8
/// has them), and the backslash, are written as escapes.
inline std::string one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  const auto escape = [&line](unsigned byte) {
    constexpr char digits[] = "0123456789abcdef";
    line.append("\\x") += digits[byte >> 4];
    line += digits[byte & 15];
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto next = static_cast<unsigned char>(at + 1 < text.size() ? text[at + 1] : 0);
    if (byte == '\\') {
      line.append("\\\\");
    } else if (byte == '\n') {
      line.append("\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      escape(byte);
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      escape(next);
      ++at;
    } else {
      line += text[at];
    }
  }
  return line;
}

}  // namespace detail

/// One line for each alert, in this form:
///
///     2026-03-04T05:06:07.089Z raised left_in_doubt 1f2e3d4c5b6a7988: a payment is still in doubt after 10 …
///
/// without the digest where an alert is about no single payment. It can be an `AlertSink`, and be copied; as
/// thread-safe as what it writes to, and a FILE is.
class LogSink {
 public:
  /// Writes to `file` and flushes each line; `file` must outlive it. What cannot be written is lost.
  explicit LogSink(std::FILE* file)
      : write_([file](std::string_view line) {
          std::fwrite(line.data(), 1, line.size(), file);
          std::fflush(file);
        }) {}
  /// `write` is given each line with its line feed, in one piece.
  explicit LogSink(std::function<void(std::string_view line)> write) : write_(std::move(write)) {}

  void operator()(const Alert& alert) const {
    std::string line = detail::utc_text(alert.at);
    line.append(alert.edge == Alert::Edge::raised ? " raised " : " cleared ");
    line.append(detail::one_line(alert.rule));
    if (!alert.key_digest.empty()) line.append(" ").append(detail::one_line(alert.key_digest));
    line.append(": ").append(detail::one_line(alert.text)).append("\n");
    write_(line);
  }

 private:
  std::function<void(std::string_view line)> write_;
};

}  // namespace paidonce::inline v1
