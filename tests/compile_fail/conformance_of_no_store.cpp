// A fixture that makes something else than a store is told so, before any clause is.
// expect: does not model paidonce::Store
#include <paidonce/testing/store_conformance.hpp>
#include <paidonce/testing/store_skeleton.hpp>

struct Fixture {
#ifdef FIXED
  paidonce::SkeletonStore make() { return {}; }
#else
  int make() { return 0; }
#endif
};

bool use() { return paidonce::run_store_conformance(Fixture{}).passed(); }
