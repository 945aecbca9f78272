#pragma once
// How the program ends.

#include <stdexcept>
#include <string>

namespace paidonce_admin {

/// What a calling program is told. docs/admin.md has the same list for people.
enum class Exit : int {
  done = 0,
  no_such_key = 1,
  bad_usage = 2,  ///< or there is no store that this program reads
  in_use = 3,
  damaged = 4,
  wrong_state = 5,  ///< of the payment: completed, released, or not as it was shown
  declined = 6,     ///< by the person who was asked
  left_in_doubt = 7,
  failed = 8,  ///< the system said no: permissions, disk, output
};

/// Ends the program with one line for people. Nothing was changed, unless the line says what.
struct Refusal : std::runtime_error {
  Refusal(Exit why, const std::string& line) : std::runtime_error(line), exit(why) {}
  Exit exit;
};

}  // namespace paidonce_admin
