// A pointer into an outcome that is gone a moment later.
// expect: evidence
#include <paidonce/outcome.hpp>

using namespace paidonce;

Outcome<int> pay();

int look() {
#ifdef FIXED
  const Outcome<int> outcome = pay();
  const int* evidence = outcome.evidence();
#else
  const int* evidence = pay().evidence();
#endif
  return evidence ? *evidence : 0;
}
