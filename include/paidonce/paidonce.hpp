#pragma once
// The core: everything that a guarded payment over a store in memory needs, and the standard library only.

#include <paidonce/errors.hpp>  // first: it says so where the compiler is not set to C++20

#include <paidonce/attempt.hpp>
#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/codec.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/key.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/locks/no_lock.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/options.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/time.hpp>
