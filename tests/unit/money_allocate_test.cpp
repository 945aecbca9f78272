#include <paidonce/money/allocate.hpp>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "money_support.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using cpp_int =
    boost::multiprecision::number<boost::multiprecision::cpp_int_backend<>, boost::multiprecision::et_off>;

namespace {

using Weights = std::vector<std::int64_t>;

std::vector<std::string> texts(const std::vector<Money>& parts) {
  std::vector<std::string> all;
  for (const Money& part : parts) all.push_back(part.amount());
  return all;
}

}  // namespace

TEST_CASE("parts go to the largest remainders, and among equals to the earlier", "[money][allocate]") {
  const struct {
    const char* amount;
    Weights weights;
    std::vector<std::string> parts;
  } cases[] = {
      {"100.00", {1, 1, 1}, {"33.34", "33.33", "33.33"}},
      {"-100.00", {1, 1, 1}, {"-33.34", "-33.33", "-33.33"}},
      {"0.05", {3, 7}, {"0.02", "0.03"}},  // 1.5 and 3.5: a tie
      {"0.05", {7, 3}, {"0.04", "0.01"}},
      {"0.01", {1, 1}, {"0.01", "0.00"}},
      {"0.01", {1, 2}, {"0.00", "0.01"}},
      {"0.02", {1, 1, 1}, {"0.01", "0.01", "0.00"}},
      {"0.00", {1, 2, 3}, {"0.00", "0.00", "0.00"}},
      {"10.00", {0, 1, 0}, {"0.00", "10.00", "0.00"}},
      {"0.02", {0, 1, 1, 1, 0}, {"0.00", "0.01", "0.01", "0.00", "0.00"}},
      {"10.00", {25, 25, 50}, {"2.50", "2.50", "5.00"}},
      {"7.77", {5}, {"7.77"}},
      {"1.00", {1, 1, 1, 1, 1, 1}, {"0.17", "0.17", "0.17", "0.17", "0.16", "0.16"}},
      {"1.00", {10, 20, 50}, {"0.13", "0.25", "0.62"}},  // 12.5 and 62.5: a tie
  };
  for (const auto& [amount, weights, parts] : cases) {
    CAPTURE(amount, weights);
    CHECK(texts(allocate(Money::parse(amount, "EUR"), weights)) == parts);
  }
  CHECK(allocate(Money::minor(7, "JPY"), Weights{1, 1})[0].text() == "4 JPY");
}

TEST_CASE("weights that share nothing are refused", "[money][allocate]") {
  const Money money = Money::parse("1.00", "EUR");
  for (const Weights& weights : {Weights{}, Weights{0}, Weights{0, 0}, Weights{-1}, Weights{1, -1},
                                 Weights{2, -1}, Weights{std::numeric_limits<std::int64_t>::min()}}) {
    CAPTURE(weights);
    CHECK(money_error([&] { (void)allocate(money, weights); }) == money_errc::bad_weights);
  }
}

TEST_CASE("the largest amounts and weights are shared exactly", "[money][allocate][overflow]") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Money top = Money::minor(max_minor_units, "EUR");
  for (const Weights& weights : {Weights{most, most, most}, Weights{most, 1}, Weights{1, most, most - 1},
                                 Weights{1, 1, 1, 1, 1, 1, 1}}) {
    for (const Money& whole : {top, -top}) {
      Money sum = Money::minor(0, "EUR");
      for (const Money& part : allocate(whole, weights)) sum += part;
      CHECK(sum == whole);
    }
  }
  CHECK(allocate(top, Weights{most, most, most})[0].minor_units() == max_minor_units / 3);
}

TEST_CASE("no cent is lost and every part is next to its exact share", "[money][allocate][property]") {
  std::mt19937_64 random(1792);
  for (int round = 0; round < 10'000; ++round) {
    MinorUnits units = 0;
    for (auto n = 1 + random() % (round % 2 == 0 ? 12 : 38); n > 0; --n) units = units * 10 + random() % 10;
    if (random() % 3 == 0) units = -units;
    Weights weights(1 + random() % 12);
    const auto shift = 1 + random() % 63;
    for (auto& weight : weights)
      weight = random() % 8 == 0 ? 0 : static_cast<std::int64_t>(random() >> shift);
    cpp_int total = 0;
    for (const auto weight : weights) total += weight;
    if (total == 0) weights[0] = 1, total = 1;

    const Money whole = Money::minor(units, "EUR");
    const std::vector<Money> parts = allocate(whole, weights), again = allocate(whole, weights);
    REQUIRE(parts.size() == weights.size());
    Money sum = Money::minor(0, "EUR");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      sum += parts[i];
      if (parts[i] != again[i]) FAIL("not deterministic");
      if (allocate(-whole, weights)[i] != -parts[i]) FAIL("not mirrored");
      if (weights[i] == 0 && parts[i].minor_units() != 0) FAIL("something for no weight");
      const cpp_int off = cpp_int(parts[i].minor_units()) * total - cpp_int(units) * weights[i];
      if (abs(off) >= total) FAIL("a minor unit or more from the exact share");
    }
    if (sum != whole) FAIL(whole << " became " << sum);

    // Who got a minor unit more cut off at least as much as who did not, and came earlier where they cut off
    // alike.
    const cpp_int size = abs(cpp_int(units));
    const auto cut = [&](std::size_t i) { return cpp_int(size * weights[i] % total); };
    const auto raised = [&](std::size_t i) {
      return abs(cpp_int(parts[i].minor_units())) > size * weights[i] / total;
    };
    for (std::size_t i = 0; i < parts.size(); ++i)
      for (std::size_t j = 0; j < parts.size(); ++j)
        if (raised(i) && !raised(j) && (cut(i) < cut(j) || (cut(i) == cut(j) && i > j))) FAIL("unfair");
  }
}
