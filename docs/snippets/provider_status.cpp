// The snippets about asking the provider.

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "provider.hpp"

#include <string>

#include "support/catch.hpp"

namespace provider_status {

using namespace paidonce;
using namespace std::chrono_literals;

// [provider_query]
using Answer = ProviderAnswer<std::string>;

Answer look_up(const shop::Provider& provider, const Doubt& doubt) {
  const auto found = provider.look_up(doubt.provider_key());  // throws when there is no answer
  if (!found) return Answer::not_found();
  if (found->declined) return Answer::declined(found->body);
  return Answer::succeeded(found->body);
}

auto status_query(const shop::Provider& provider) {
  return provider_query<std::string>(NotFound::means_in_doubt(),
                                     [&](const Doubt& doubt) { return look_up(provider, doubt); });
}
// [/provider_query]

// [provider_query_used]
template <class Guard>
RecoveryReport settle_what_is_open(Guard& guard, const shop::Provider& provider) {
  return recover(guard, status_query(provider));
}

template <class Guard>
Outcome<std::string> pay(Guard& guard, shop::Provider& provider, const IdempotencyKey& key) {
  const auto ask = status_query(provider);
  return guard.execute(
      key, fingerprint("order-1001", "4.50", "EUR"),
      [&](Attempt& attempt) { return provider.charge("order-1001", attempt.provider_key()).body; },
      ask.at_request(key));  // should this payment be in doubt
}
// [/provider_query_used]

// [refuses_late]
// The provider refuses a request that is older than 2 minutes, and lists a payment within 30 seconds.
auto query_of_a_provider_that_refuses_late_requests(const shop::Provider& provider) {
  return provider_query<std::string>(NotFound::proves_not_executed_after(2min + 30s),
                                     [&](const Doubt& doubt) { return look_up(provider, doubt); });
}
// [/refuses_late]

}  // namespace provider_status

TEST_CASE("a provider is asked as the page says", "[docs]") {
  using namespace provider_status;
  shop::Provider provider;
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "1");
  const auto state = [&] { return guard.find(key)->state; };

  provider.mood = shop::Provider::Mood::hangs_up;
  CHECK(pay(guard, provider, key).status() == Status::in_doubt);
  CHECK(pay(guard, provider, key).status() == Status::in_doubt);  // it does not know it
  CHECK(settle_what_is_open(guard, provider).in_doubt == 1);
  CHECK(provider.charges == 0);

  ManualClock time;
  RecoveryOptions options;
  options.backoff = {1s, 1s, Jitter::none};
  options.holder_dead = [](const IdempotencyKey&, const Record&) { return true; };
  Recovery recovery(guard, query_of_a_provider_that_refuses_late_requests(provider), options, time);
  static_cast<void>(recovery.run());
  CHECK(state() == State::in_doubt);
  time.advance(2min + 30s);
  CHECK(recovery.run().released == 1);

  provider.mood = shop::Provider::Mood::charges_and_hangs_up;
  CHECK(pay(guard, provider, key).status() == Status::in_doubt);
  CHECK(pay(guard, provider, key).succeeded());
  CHECK(provider.charges == 1);
}
