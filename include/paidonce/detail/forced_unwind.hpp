#pragma once
// Cancelling a thread unwinds its stack with an exception that must be passed on: swallowing it ends the
// process.

#include <cstddef>

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif

namespace paidonce::inline v1::detail {

#ifdef __GLIBCXX__
using ForcedUnwind = abi::__forced_unwind;
#else
struct ForcedUnwind {};  // this standard library does not unwind cancelled threads
#endif

}  // namespace paidonce::inline v1::detail
