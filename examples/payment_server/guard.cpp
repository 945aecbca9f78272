// The guard, compiled once.

#include "service.hpp"

template class paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex, paidonce::SystemClock,
                                          paidonce::Metrics&>;
