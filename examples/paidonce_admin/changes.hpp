#pragma once
// What changes a store. Each shows what it is about to do, asks, opens the store, does it and prints what
// came of it.

#include <iosfwd>

#include "exit.hpp"
#include "options.hpp"
#include "print.hpp"
#include "snapshot.hpp"

namespace paidonce_admin {

/// What the store held when it was looked at; it is not open.
struct Plan {
  const Options& options;
  const Snapshot& snapshot;
  const Printer& print;
  std::ostream& out;
};

Exit resolve(const Plan& plan, const Shown& shown);
Exit sweep(const Plan& plan);
Exit recover(const Plan& plan);

/// For how long a result that is recorded here is to be replayed: as long as the longest that the scope's
/// other payments have, all scopes' where none is given; ten years where there are none. A result that is
/// forgotten too early is charged again.
paidonce::Duration retention_of(const Snapshot& snapshot, const std::string* scope);

}  // namespace paidonce_admin
