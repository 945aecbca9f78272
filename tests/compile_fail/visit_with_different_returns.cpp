// Handlers that return different types would be converted in silence.
// expect: all handlers of visit must return the same type
#include <paidonce/outcome.hpp>

using namespace paidonce;

int handle(const Outcome<int>& outcome) {
  return outcome.visit([](outcome::Completed<int> completed) { return completed.response; },
                       [](outcome::InProgress) { return 1; }, [](outcome::KeyReused) { return 2; },
                       [](outcome::InDoubt<int>) { return 3; }, [](outcome::NotExecuted) { return 4; },
#ifdef FIXED
                       [](outcome::Refused) { return 5; });
#else
                       [](outcome::Refused) { return 5.5; });
#endif
}
