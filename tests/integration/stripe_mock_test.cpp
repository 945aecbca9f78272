// pay_orders, unchanged, against stripe-stateful-mock: a Stripe-compatible server that we did not write.

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

}  // namespace

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
