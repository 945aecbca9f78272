#pragma once
// What is said where no command is named, or one that there is not.

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "escape.hpp"

namespace paidonce_admin {

/// The beginning of the line, which the names of the commands follow.
inline std::string no_command(const CLI::App& app) {
  const std::vector<std::string> others = app.remaining();
  const bool word = !others.empty() && !others.front().starts_with('-');
  return word ? escaped(others.front()) + " is no command; name one: " : "name a command: ";
}

}  // namespace paidonce_admin
