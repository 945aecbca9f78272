// pay_orders, unchanged, against stripe-stateful-mock: a Stripe-compatible server that we did not write.

#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "charge.hpp"
#include "support/bookkeeping.hpp"
#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"

using namespace integration;
using Strings = std::vector<std::string>;

namespace {

/// The running server. Where it cannot be installed the test says so and does nothing, except in CI, where it
/// fails.
std::optional<StripeMock> stripe_mock() {
  const Finished installed = run({EXAMPLES "/install_stripe_mock", STRIPE_MOCK});
  if (installed.status == 0) return std::optional<StripeMock>(std::in_place, STRIPE_MOCK);
  const char* const ci = std::getenv("CI");
  if (ci != nullptr && std::string_view(ci) == "true") FAIL(installed.err);
  WARN("not run: " << installed.err);
  return std::nullopt;
}

/// Between pay_orders and the mock: requests get there, replies are held back for as long as this lives.
class LostReplies {
 public:
  explicit LostReplies(const std::string& to) : to_(to) {
    http_.Post("/v1/charges", [this](const httplib::Request& request, httplib::Response&) {
      httplib::Client client(to_);
      const httplib::Headers headers = {{"Authorization", request.get_header_value("Authorization")},
                                        {"Idempotency-Key", request.get_header_value("Idempotency-Key")}};
      const auto reply =
          client.Post("/v1/charges", headers, request.body, "application/x-www-form-urlencoded");
      std::unique_lock lock(mutex_);
      if (reply && reply->status == 200) ++charged_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return over_; });
    });
    port_ = http_.bind_to_any_port("127.0.0.1");
    server_ = std::thread([this] { http_.listen_after_bind(); });
  }
  ~LostReplies() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    http_.stop();
    server_.join();
  }
  LostReplies(const LostReplies&) = delete;
  LostReplies& operator=(const LostReplies&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Waits until the mock has answered so many requests with a charge.
  void await(std::size_t charges) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return charged_ >= charges; });
  }

 private:
  const std::string to_;
  httplib::Server http_;
  std::thread server_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t charged_ = 0;
  bool over_ = false;
};

/// Pays two orders, of which the mock forgets one, and dies before it hears of either.
void pay_and_die(const std::filesystem::path& input, const std::string& store, const std::string& mock) {
  LostReplies between(mock);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  Process process({PAY_ORDERS, "--input", input.string(), "--gateway", between.url(), "--store", store,
                   "--threads", "2", "--tries", "1"},
                  nowhere, nowhere);
  ::close(nowhere);
  between.await(2);
  process.signal(SIGKILL);
  CHECK(process.wait() == 128 + SIGKILL);
}

/// Asks the mock's list what it has under a provider key.
auto charge_in_list(const StripeMock& mock) {
  return [&mock](const paidonce::Doubt& doubt) {
    using Answer = paidonce::ProviderAnswer<shop::Charge>;
    const std::string provider_key = doubt.provider_key();
    for (const auto& listed : mock.charges()) {
      if (listed.at("metadata").value("provider_key", "") != provider_key) continue;
      const shop::Charge charge{
          listed.at("id"), listed.at("metadata").at("order"), listed.at("amount"), "EUR", {}};
      return listed.at("status") == "succeeded" ? Answer::succeeded(charge)
                                                : Answer::unknown("not succeeded");
    }
    return Answer::not_found();
  };
}

}  // namespace

TEST_CASE("a charge whose reply was lost is found, and one that the mock forgot is released by rule alone",
          "[stripe_mock][recovery]") {
  using namespace paidonce;
  using namespace std::chrono_literals;
  auto mock = stripe_mock();
  if (!mock) return;
  const TemporaryDirectory files;
  const std::string directory = (files / "payments.store").string();
  const auto input = write_file(files / "orders.csv",
                                "order_id,amount,currency,source\n"
                                "found,4.50,EUR,tok_visa\n"          // 2
                                "forgotten,7.00,EUR,tok_forget\n");  // 3
  pay_and_die(input, directory, mock->url());
  REQUIRE(mock->charges().size() == 1);
  const IdempotencyKey found("pay_orders", "found"), forgotten("pay_orders", "forgotten");
  {
    IdempotencyGuard guard{FileStore{directory}};  // by another process than the one that paid
    // One more whose holder is alive: it is this process.
    const IdempotencyKey alive("pay_orders", "alive");
    static_cast<void>(
        guard.execute(alive, fingerprint("alive"), [&](Attempt& attempt) -> PaymentResult<shop::Charge> {
          const auto reply =
              mock->provider().post({{"amount", "900"}, {"currency", "eur"}, {"source", "tok_forget"}},
                                    std::string(attempt.provider_key()));
          CHECK((reply && reply->status == 200));
          throw std::runtime_error("the reply was lost");
        }));
    const auto state = [&](const IdempotencyKey& key) { return guard.find(key)->state; };

    const auto in_doubt = provider_query<shop::Charge>(NotFound::means_in_doubt(), charge_in_list(*mock));
    const RecoveryReport first = recover(guard, in_doubt);
    CHECK(first.succeeded == 1);
    CHECK(first.in_doubt == 2);
    CHECK(state(found) == State::succeeded);
    CHECK(state(forgotten) == State::in_doubt);
    CHECK(guard.reconcile<shop::Charge>(forgotten, in_doubt.at_request(forgotten)).reason() ==
          "not found at the provider, which proves nothing: a request may still be under way");

    ManualClock time;
    RecoveryOptions often;
    often.backoff = {1s, 1s, Jitter::none};
    Recovery recovery(
        guard,
        provider_query<shop::Charge>(NotFound::proves_not_executed_after(10min), charge_in_list(*mock)),
        often, time);
    CHECK(recovery.run().in_doubt == 2);
    time.advance(10min - 1ms);
    CHECK(recovery.run().in_doubt == 2);
    CHECK(state(forgotten) == State::in_doubt);
    time.advance(1s);
    const RecoveryReport last = recovery.run();
    CHECK(last.released == 1);
    CHECK(last.in_doubt == 1);
    CHECK(state(forgotten) == State::released);
    CHECK(state(alive) == State::in_doubt);
    CHECK_THAT(guard.find(forgotten)->note,
               support::contains("not found at the provider; its holder is dead"));
  }
  // Its key is free: whoever asks again pays. What was found is not paid again.
  const Paid paid = pay_orders(input, mock->url(), {"--store", directory});
  CHECK(paid.status == 0);
  CHECK(paid.line(2).at("replayed") == true);
  CHECK(paid.line(3).at("status") == "paid");
  CHECK(mock->charges().size() == 1);
}

TEST_CASE("at stripe-stateful-mock every order is paid once", "[pay_orders][stripe_mock]") {
  auto mock = stripe_mock();
  if (!mock) return;
  const TemporaryDirectory files;
  const std::string csv =
      "order_id,amount,currency,source\n"
      "a,4.50,EUR,tok_visa\n"                 // 2
      "b,1200,JPY,tok_mastercard\n"           // 3
      "a,4.50,EUR,tok_visa\n"                 // 4
      "c,7.90,EUR,tok_chargeDeclined\n"       // 5
      "c,7.90,EUR,tok_chargeDeclined\n"       // 6
      "a,45.00,EUR,tok_visa\n"                // 7
      "d,10.00,USD,tok_500\n"                 // 8
      "e,20.00,USD,tok_429\n"                 // 9
      "f,30.00,USD,tok_429|tok_visa|f\n"      // 10
      "g,40.00,USD,tok_500|tok_visa|g\n"      // 11: in doubt, and not tried again blindly
      "h,1.250,KWD,tok_visa\n"                // 12: a currency that it does not take
      "i,0.10,USD,tok_visa\n"                 // 13: too little for it
      "\"j, \"\"é\"\"\",5.00,EUR,tok_visa\n"  // 14
      "k,50.00,USD,tok_chargeDeclinedInsufficientFunds\n";
  const Paid paid =
      pay_orders(write_file(files / "orders.csv", csv), mock->url(), {"--tries", "3", "--threads", "8"});
  CHECK(paid.status == 3);
  const Strings expected = {"paid",         "paid",         "paid",         "declined", "declined",
                            "key_reused",   "in_doubt",     "not_executed", "paid",     "in_doubt",
                            "not_executed", "not_executed", "paid",         "declined"};
  for (std::size_t at = 0; at < expected.size(); ++at) {
    CAPTURE(paid.line(at + 2).dump());
    CHECK(paid.line(at + 2).at("status") == expected[at]);
  }
  CHECK(discrepancies(paid.report, mock->charges()) == Strings{});
}

TEST_CASE("at stripe-stateful-mock many threads with repeated orders charge each once",
          "[pay_orders][stripe_mock]") {
  auto mock = stripe_mock();
  if (!mock) return;
  const TemporaryDirectory files;
  std::string csv = "order_id,amount,currency,source\n";
  for (int round = 0; round < 4; ++round)
    for (int order = 0; order < 60; ++order)
      csv += "order-" + std::to_string(order) + ',' + std::to_string(order + 1) +
             (order % 2 == 0 ? ".50,EUR" : "00,JPY") +
             (order % 5 == 0 ? ",tok_chargeDeclined\n" : ",tok_visa\n");
  const Paid paid = pay_orders(write_file(files / "orders.csv", csv), mock->url(), {"--threads", "16"});
  CHECK(paid.status == 0);
  CHECK(paid.count("paid") == 192);
  CHECK(paid.count("declined") == 48);
  const auto charges = mock->charges();
  CHECK(charges.size() == 60);  // the declined ones too
  CHECK(discrepancies(paid.report, charges) == Strings{});
}

TEST_CASE("a charge that stripe-stateful-mock forgets is seen", "[pay_orders][stripe_mock][proof]") {
  auto mock = stripe_mock();
  if (!mock) return;
  const TemporaryDirectory files;
  const auto input =
      write_file(files / "orders.csv", "order_id,amount,currency,source\na,4.50,EUR,tok_forget\n");
  const Paid paid = pay_orders(input, mock->url());
  CHECK(paid.status == 0);
  CHECK(discrepancies(paid.report, mock->charges()).at(0) == "a is paid and was charged 0 times");
}
