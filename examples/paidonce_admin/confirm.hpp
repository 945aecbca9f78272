#pragma once
// Asks the person at the terminal.

#include <string_view>

namespace paidonce_admin {

/// Whether what is to be done has been agreed to beforehand, by `--yes`.
enum class Agreed : bool { no, yes };

/// Throws `Refusal{bad_usage}` where it was not and nobody can be asked, since standard input is no terminal.
void require_somebody(Agreed agreed);

/// Returns when the person, who is shown the question on standard error, has typed "yes". Throws
/// `Refusal{declined}` for anything else.
void confirm(Agreed agreed, std::string_view question);

}  // namespace paidonce_admin
