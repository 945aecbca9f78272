#pragma once
// What changes a store. Each shows what it is about to do, asks, opens the store, does it and prints what
// came of it.

#include <iosfwd>

#include <paidonce/guard.hpp>
#include <paidonce/locks/keyed_mutex.hpp>

#include "exit.hpp"
#include "options.hpp"
#include "print.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {

struct Plan {
  const Options& options;
  const StoreReader& store;
  const Printer& print;
  std::ostream& out;
};

/// The one guard of this program.
using Guard = paidonce::IdempotencyGuard<OpenStore&, paidonce::KeyedMutex, StoreClock>;

Exit resolve(const Plan& plan, const Shown& shown);
Exit sweep(const Plan& plan);
Exit recover(const Plan& plan);

/// For how long a result that is recorded here is to be replayed: as long as the longest that the scope's
/// other payments have, all scopes' where none is given; ten years where there are none. A result that is
/// forgotten too early is charged again.
paidonce::Duration retention_of(const StoreReader& store, const std::string* scope);

}  // namespace paidonce_admin

extern template class paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex,
                                                 common::StoreClock>;
