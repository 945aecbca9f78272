// The snippets about recovery.

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>

#include "provider.hpp"

#include <cstdio>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace recovering {

using namespace paidonce;
using namespace std::chrono_literals;

// [recover]
PaymentResult<std::string> ask(const shop::Provider& provider, const Doubt& doubt) {
  const auto found = provider.look_up(doubt.provider_key());
  if (!found) return in_doubt("the provider does not know it");  // it may still arrive
  if (found->declined) return declined(found->body);
  return succeeded(found->body);
}

template <class Guard>
RecoveryReport settle_what_is_open(Guard& guard, const shop::Provider& provider) {
  return recover(guard, [&](const Doubt& doubt) { return ask(provider, doubt); });
}
// [/recover]

// [recoverer]
template <class Guard>
void run_until_stopped(Guard& guard, const shop::Provider& provider, AlertSink pager, Stop& stop) {
  RecoveryOptions options;
  options.concurrency = 8;      // questions at a time
  options.answer_within = 20s;  // longer than the client's own timeout
  options.rounds = 10;          // then a person has to look
  options.alert = std::move(pager);
  Recovery recovery(
      guard, [&](const Doubt& doubt) { return ask(provider, doubt); }, options);
  SteadyTimer timer;
  do {
    const RecoveryReport report = recovery.run(stop);
    if (report.failed > 0) std::fprintf(stderr, "recovery: %s\n", report.failure.c_str());
  } while (pause(timer, 1min, stop));
}
// [/recoverer]

}  // namespace recovering

TEST_CASE("what is in doubt is settled by asking, later", "[docs]") {
  using namespace recovering;
  shop::Provider provider;
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "1");
  provider.mood = shop::Provider::Mood::charges_and_hangs_up;
  const auto outcome = guard.execute(key, fingerprint("a"), [&](Attempt& attempt) {
    return provider.charge("order-1001", attempt.provider_key()).body;
  });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(settle_what_is_open(guard, provider).succeeded == 1);
  CHECK(guard.find(key)->state == State::succeeded);

  Stop stop;
  stop.request();
  run_until_stopped(guard, provider, {}, stop);
}
