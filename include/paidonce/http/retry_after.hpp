#pragma once
// Retry-After (RFC 9110, section 10.2.3): seconds, or a date in any of the three forms of section 5.6.7.
// Pure.

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::http {
namespace detail {

/// Takes what it is told to from the front of a date. After the first thing that is not there, all fails.
class DateText {
 public:
  explicit DateText(std::string_view text) : rest_(text) {}

  unsigned number(std::size_t digits) {
    unsigned value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= rest_.size() || rest_[i] < '0' || rest_[i] > '9') return fail();
      value = 10 * value + static_cast<unsigned>(rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  unsigned month() {
    constexpr std::array<std::string_view, 12> names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (unsigned i = 0; i < names.size(); ++i)
      if (take(names[i])) return i + 1;
    return fail();
  }
  std::chrono::seconds time_of_day() {
    const unsigned hour = number(2);
    literal(":");
    const unsigned minute = number(2);
    literal(":");
    const unsigned second = number(2);  // 60 is a leap second
    if (hour > 23 || minute > 59 || second > 60) fail();
    return std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
  }
  bool take(std::string_view text) {
    if (failed_ || !rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void literal(std::string_view text) {
    if (!take(text)) fail();
  }
  /// Whether all was there, and nothing else.
  bool finished() const { return !failed_ && rest_.empty(); }

 private:
  unsigned fail() {
    failed_ = true;
    return 0;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace detail

/// `Sun, 06 Nov 1994 08:49:37 GMT`, and the forms of old, `Sunday, 06-Nov-94 08:49:37 GMT`, whose century is
/// told by `now`, and `Sun Nov  6 08:49:37 1994`. What the day of the week is does not matter.
inline std::optional<Timestamp> parse_http_date(std::string_view text, Timestamp now) {
  using namespace std::chrono;
  const auto name = text.find_first_of(", ");
  if (name == text.npos || name < 3) return std::nullopt;
  detail::DateText in(text.substr(name));
  int year_number;
  unsigned month_number, day_number;
  seconds time{0};
  if (in.take(", ")) {
    day_number = in.number(2);
    const bool old = in.take("-");
    if (!old) in.literal(" ");
    month_number = in.month();
    in.literal(old ? "-" : " ");
    year_number = static_cast<int>(in.number(old ? 2 : 4));
    if (old) {  // section 5.6.7: more than 50 years ahead is a century ago
      const int this_year = static_cast<int>(year_month_day(floor<days>(now)).year());
      year_number += this_year - this_year % 100;
      if (year_number > this_year + 50) year_number -= 100;
    }
    in.literal(" ");
    time = in.time_of_day();
    in.literal(" GMT");
  } else {
    in.literal(" ");
    month_number = in.month();
    in.literal(" ");
    day_number = in.take(" ") ? in.number(1) : in.number(2);
    in.literal(" ");
    time = in.time_of_day();
    in.literal(" ");
    year_number = static_cast<int>(in.number(4));
  }
  const year_month_day date{year(year_number), month(month_number), day(day_number)};
  if (!in.finished() || !date.ok()) return std::nullopt;
  return Timestamp(sys_days(date)) + time;
}

/// How long the server asks to wait, none without the field; the longest where it is there more than once.
/// What is neither form is as if it were not there. A date is compared with the reply's own `Date`, which is
/// of the same clock, else with `now`. A hundred years stand for all that is longer.
inline std::optional<Duration> retry_after(const Response& reply, Timestamp now) {
  constexpr Duration longest = std::chrono::years(100);
  const auto one = [&](std::string_view value) -> std::optional<Duration> {
    value = detail::without_blanks(value);
    if (!value.empty() && value.find_first_not_of("0123456789") == value.npos) {
      Duration asked{0};
      for (const char c : value)
        if ((asked = 10 * asked + std::chrono::seconds(c - '0')) > longest) return longest;
      return asked;
    }
    const auto date = parse_http_date(value, now);
    if (!date) return std::nullopt;
    const std::string* told = reply.find("Date");
    const Timestamp from = told != nullptr ? parse_http_date(*told, now).value_or(now) : now;
    return *date < from ? Duration(0) : *date - from < longest ? *date - from : longest;
  };
  std::optional<Duration> found;
  for (const Field& field : reply.fields)
    if (detail::same_name(field.name, "Retry-After"))
      if (const auto asked = one(field.value); asked && (!found || *asked > *found)) found = asked;
  return found;
}

}  // namespace paidonce::inline v1::http
