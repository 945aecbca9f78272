#pragma once
// Times and numbers as text.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include <paidonce/time.hpp>

namespace common {

/// As in 2026-05-03T12:00:00.000Z; empty for a time that was never set. Years beyond 9999 have more digits.
inline std::string text_of(paidonce::Timestamp time) {
  using namespace std::chrono;
  if (time == paidonce::Timestamp{}) return {};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

/// 16 digits.
inline std::string hex_of(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace common
