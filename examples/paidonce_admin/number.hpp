#pragma once
// Whole numbers as they stand on a command line.

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

#include "exit.hpp"

namespace paidonce_admin {

/// In decimal digits, of which none are too many. Throws `Refusal{bad_usage}` for anything else.
inline std::uint64_t whole_number(const std::string& text, const std::string& option, std::uint64_t least = 0,
                                  std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
  std::uint64_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!text.empty() && wrong == std::errc{} && end == text.data() + text.size() && number >= least &&
      number <= most)
    return number;
  throw Refusal(Exit::bad_usage, option + " takes a whole number from " + std::to_string(least) +
                                     (least == 0 ? "" : " to " + std::to_string(most)));
}

}  // namespace paidonce_admin
