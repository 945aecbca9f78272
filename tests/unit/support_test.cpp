// The matchers of support/catch.hpp: a matcher that accepts everything would hide what the other tests look
// for.

#include "support/catch.hpp"

#include <paidonce/errors.hpp>

#include <stdexcept>
#include <string>

using paidonce::errc;
using paidonce::Error;

TEST_CASE("text matchers accept the text they name and no other", "[support]") {
  const std::string text = "payment is in doubt";
  CHECK_THAT(text, support::contains("in doubt"));
  CHECK_THAT(text, !support::contains("paid once"));
  CHECK_THAT(text, support::starts_with("payment") && support::ends_with("doubt"));
  CHECK_THAT(text, !support::starts_with("doubt") && !support::ends_with("payment"));
}

TEST_CASE("exception matchers look at the code, and at the text", "[support]") {
  const Error error{errc::store_full, "disk of the till"};
  CHECK_THAT(error, support::has_code<Error>(errc::store_full));
  CHECK_THAT(error, !support::has_code<Error>(errc::store_busy));
  CHECK_THAT(error, support::says<Error>("disk of the till"));
  CHECK_THAT(error, !support::says<Error>("disk of the shop"));
  CHECK_THROWS_MATCHES(throw std::runtime_error("refused"), std::runtime_error,
                       support::says<std::runtime_error>("refused"));
}
