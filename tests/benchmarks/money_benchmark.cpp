// What exact money costs beside what is commonly used instead: `double` (fast and wrong), and Boost's decimal
// float. Peers do the same job as far as they can: a double rounds as it likes and checks nothing.

#include <paidonce/money/money.hpp>

#include <benchmark/benchmark.h>
#include <boost/multiprecision/cpp_dec_float.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace paidonce;
using DecimalFloat = boost::multiprecision::cpp_dec_float_50;

constexpr std::array<std::string_view, 8> amounts = {"4.50",    "19.99",    "0.01",       "1234.56",
                                                     "-250.00", "99999.99", "1000000.00", "7.07"};

std::string_view next(std::size_t& i) { return amounts[i++ % amounts.size()]; }

void parse_and_format_money(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(Money::parse(next(i), "EUR").amount());
}
void parse_and_format_money_of_38_digits(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(Money::parse("123456789012345678901234567890123456.78", "EUR").amount());
}
void parse_and_format_double(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) {
    const std::string_view text = next(i);
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, 2).ptr;
    benchmark::DoNotOptimize(std::string(buffer, end));
  }
}
void parse_and_format_decimal_float(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) {
    const DecimalFloat value(std::string(next(i)));
    benchmark::DoNotOptimize(value.str(2, std::ios_base::fixed));
  }
}
BENCHMARK(parse_and_format_money);
BENCHMARK(parse_and_format_money_of_38_digits);
BENCHMARK(parse_and_format_double);
BENCHMARK(parse_and_format_decimal_float);

template <class T>
void add(benchmark::State& state, T sum, const T& addend) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(&addend);
    sum += addend;
    benchmark::DoNotOptimize(sum);
  }
}
void add_money(benchmark::State& state) { add(state, Money::minor(0, "EUR"), Money::parse("4.50", "EUR")); }
void add_double(benchmark::State& state) { add(state, 0.0, 4.50); }
void add_decimal_float(benchmark::State& state) { add(state, DecimalFloat(0), DecimalFloat("4.50")); }
BENCHMARK(add_money);
BENCHMARK(add_double);
BENCHMARK(add_decimal_float);

void multiply_money(benchmark::State& state) {
  const Money money = Money::parse("1234.56", "EUR");
  for (auto _ : state) benchmark::DoNotOptimize(multiply(money, "1.0845", Rounding::half_even));
}
void multiply_money_of_30_digits(benchmark::State& state) {
  const Money money = Money::parse("1234567890123456789012345678.90", "EUR");
  for (auto _ : state) benchmark::DoNotOptimize(multiply(money, "1.0845", Rounding::half_even));
}
void multiply_double(benchmark::State& state) {
  double money = 1234.56;
  const std::string_view rate = "1.0845";
  for (auto _ : state) {
    benchmark::DoNotOptimize(money);
    double factor = 0;
    std::from_chars(rate.data(), rate.data() + rate.size(), factor);
    benchmark::DoNotOptimize(std::nearbyint(money * factor * 100) / 100);
  }
}
void multiply_decimal_float(benchmark::State& state) {
  const DecimalFloat money("1234.56");
  for (auto _ : state)
    benchmark::DoNotOptimize(DecimalFloat(round(money * DecimalFloat("1.0845") * 100) / 100));
}
BENCHMARK(multiply_money);
BENCHMARK(multiply_money_of_30_digits);
BENCHMARK(multiply_double);
BENCHMARK(multiply_decimal_float);

constexpr std::array<std::int64_t, 4> weights = {3, 7, 11, 13};

void allocate_money(benchmark::State& state) {
  const Money money = Money::parse("1234.56", "EUR");
  for (auto _ : state) benchmark::DoNotOptimize(allocate(money, weights));
}
/// Each part rounded by itself: the sum is off by a cent for many amounts.
template <class T>
void share(benchmark::State& state, const T& money) {
  for (auto _ : state) {
    std::vector<T> parts;
    parts.reserve(weights.size());
    for (const std::int64_t weight : weights) {
      using std::round;
      parts.push_back(T(round(T(money * static_cast<double>(weight) * 100 / 34)) / 100));
    }
    benchmark::DoNotOptimize(parts);
  }
}
void allocate_double(benchmark::State& state) { share(state, 1234.56); }
void allocate_decimal_float(benchmark::State& state) { share(state, DecimalFloat("1234.56")); }
BENCHMARK(allocate_money);
BENCHMARK(allocate_double);
BENCHMARK(allocate_decimal_float);

}  // namespace

BENCHMARK_MAIN();
