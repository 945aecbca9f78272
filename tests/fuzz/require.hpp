#pragma once
// What must hold for every input.

#include <cstdio>
#include <cstdlib>

namespace fuzz {

inline void require(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "this does not hold: %s\n", what);
  std::abort();
}

}  // namespace fuzz
