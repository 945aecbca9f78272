#pragma once
// The commands on an audit log: `paidonce_admin audit verify|show|head DIR`. They have a directory of their
// own instead of a store, and change nothing.

#include <iosfwd>

#include "exit.hpp"

namespace paidonce_admin {

/// `argv` begins with the word audit. Throws `Refusal` and `paidonce::Error` as the other commands do.
Exit audit(int argc, const char* const* argv, std::ostream& out);

}  // namespace paidonce_admin
