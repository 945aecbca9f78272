// The snippets about observers.

#include <paidonce/paidonce.hpp>

#include <atomic>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

namespace observers {

void page_somebody(std::string_view) {}

// [observer]
using namespace paidonce;

struct Watch {
  std::atomic<int>& in_doubt;

  void on(const events::InDoubt& event) noexcept {
    ++in_doubt;
    page_somebody(event.reason);
  }
  template <class Event>
  void on(const Event&) noexcept {}  // the rest
};
// [/observer]

}  // namespace observers

TEST_CASE("an observer sees doubts", "[docs]") {
  using namespace observers;
  std::atomic<int> doubts{0};
  // [use]
  IdempotencyGuard guard{MemoryStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}, Watch{doubts}};
  // [/use]
  const auto outcome =
      guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"),
                    []() -> PaymentResult<std::string> { throw std::runtime_error("lost"); });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(doubts == 1);
  CHECK(guard.execute(IdempotencyKey("shop", "2"), fingerprint("a"), [] { return 1; }).succeeded());
  CHECK(doubts == 1);
}
