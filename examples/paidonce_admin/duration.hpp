#pragma once
// Lengths of time as people write them.

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <paidonce/time.hpp>

namespace paidonce_admin {

/// A whole number and s, m, h or d, as in 90s, 5m, 2h, 1d. Nothing for any other text, a sign included, and
/// for what is longer than a `Duration` holds.
inline std::optional<paidonce::Duration> duration_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t unit = 0;
  switch (text.back()) {
    case 's': unit = 1000; break;
    case 'm': unit = 60 * 1000; break;
    case 'h': unit = 60 * 60 * 1000; break;
    case 'd': unit = 24 * 60 * 60 * 1000; break;
    default: return std::nullopt;
  }
  text.remove_suffix(1);
  std::uint64_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / unit);
  if (text.empty() || wrong != std::errc{} || end != text.data() + text.size() || number > most)
    return std::nullopt;
  return paidonce::Duration(static_cast<std::int64_t>(number) * unit);
}

}  // namespace paidonce_admin
