// The guard, compiled once.

#include "changes.hpp"

template class paidonce::IdempotencyGuard<paidonce_admin::OpenStore&, paidonce::KeyedMutex,
                                          paidonce_admin::StoreClock>;
