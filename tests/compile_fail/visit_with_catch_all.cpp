// A catch-all hides the case that costs money.
// expect: a handler of visit must name its alternative
#include <paidonce/outcome.hpp>

using namespace paidonce;

int handle(const Outcome<int>& outcome) {
  return outcome.visit([](outcome::Completed<int> completed) { return completed.response; },
                       [](outcome::InProgress) { return 1; }, [](outcome::KeyReused) { return 2; },
#ifdef FIXED
                       [](outcome::InDoubt<int>) { return 3; }, [](outcome::NotExecuted) { return 4; },
                       [](outcome::Refused) { return 5; });
#else
                       [](const auto&) { return 3; });
#endif
}
