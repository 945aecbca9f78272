// A visit that forgets a status does not compile, and says which.
// expect: visit needs exactly one handler for outcome::InDoubt
#include <paidonce/outcome.hpp>

using namespace paidonce;

int handle(const Outcome<int>& outcome) {
  return outcome.visit([](outcome::Completed<int> completed) { return completed.response; },
                       [](outcome::InProgress) { return 1; }, [](outcome::KeyReused) { return 2; },
#ifdef FIXED
                       [](outcome::InDoubt<int>) { return 3; },
#endif
                       [](outcome::NotExecuted) { return 4; }, [](outcome::Refused) { return 5; });
}
