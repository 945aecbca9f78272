// The snippets about outcomes: visiting them, and answering HTTP requests with them.

#include <paidonce/paidonce.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

using namespace paidonce;

namespace outcomes {

// [http]
struct HttpAnswer {
  int status = 200;
  std::string body = {};
  long retry_after = 0;  // seconds, for the header of that name
};

HttpAnswer answer(const Outcome<std::string>& outcome) {
  const auto seconds = [](Duration time) { return std::chrono::ceil<std::chrono::seconds>(time).count(); };
  return outcome.visit(
      [](const outcome::Completed<std::string>& done) {
        return HttpAnswer{done.succeeded ? 200 : 402, done.response};
      },
      [&](outcome::InProgress running) {
        return HttpAnswer{409, {}, seconds(running.retry_after)};
      },
      [](outcome::KeyReused) { return HttpAnswer{422}; },
      [](const outcome::InDoubt<std::string>&) { return HttpAnswer{503}; },
      [](outcome::NotExecuted) {
        return HttpAnswer{503, {}, 1};
      },
      [](outcome::Refused refused) {
        return HttpAnswer{409, refused.reason};
      });
}
// [/http]

using Guard = IdempotencyGuard<MemoryStore>;

// [errors]
HttpAnswer answer(Guard& guard, const IdempotencyKey& key, const Fingerprint& request) {
  try {
    return answer(guard.execute(key, request, [] { return "receipt 17"; }));
  } catch (const Error& error) {
    // This call did not start the payment. An earlier one may have: keep the key.
    return HttpAnswer{retryable(error) ? 503 : 500};
  }
}
// [/errors]

}  // namespace outcomes

TEST_CASE("outcomes are answered as the pages say", "[docs]") {
  using namespace outcomes;
  Guard guard{MemoryStore{MemoryStoreOptions{.max_records = 1}}};
  const IdempotencyKey key("shop", "order-1");
  CHECK(answer(guard, key, fingerprint("a")).status == 200);
  CHECK(answer(guard, key, fingerprint("a")).body == "receipt 17");
  CHECK(answer(guard, key, fingerprint("b")).status == 422);
  CHECK(answer(guard, IdempotencyKey("shop", "order-2"), fingerprint("a")).status ==
        503);  // the store is full

  Guard other{MemoryStore{}};
  const auto with = [&](auto pay) { return answer(other.execute(key, fingerprint("a"), pay)); };
  CHECK(with([]() -> PaymentResult<std::string> { return not_executed("why"); }).retry_after == 1);
  CHECK(with([]() -> PaymentResult<std::string> { throw std::runtime_error("lost"); }).status == 503);
  const auto refused =
      other.execute(IdempotencyKey("shop", "order-2"), fingerprint("a"), [] { return "receipt 17"; },
                    {.refuse_if = [] { return std::optional<std::string>("no more coffee"); }});
  CHECK(answer(refused).status == 409);
  CHECK(answer(refused).body == "no more coffee");
}
