// The guard, compiled once.

#include "changes.hpp"

template class paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex, common::StoreClock>;
