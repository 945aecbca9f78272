// Yes-or-no facts about money, checked by compiling this file.

#include <paidonce/money/money.hpp>

#include <cstdint>
#include <type_traits>

using namespace paidonce;

// A regular value, small, and never made by accident.
static_assert(std::is_nothrow_copy_constructible_v<Money> && std::is_nothrow_move_assignable_v<Money>);
static_assert(!std::is_default_constructible_v<Money>);
static_assert(!std::is_constructible_v<Money, double> && !std::is_constructible_v<Money, int>);
static_assert(!std::is_constructible_v<Money, const char*> &&
              !std::is_constructible_v<Money, const char*, const char*>);
static_assert(!std::is_convertible_v<Money, double> && !std::is_convertible_v<Money, std::int64_t>);
static_assert(!std::is_constructible_v<double, Money> && !std::is_constructible_v<bool, Money>);
static_assert(sizeof(Money) <= 48 && sizeof(Currency) == 16);
static_assert(std::is_same_v<MinorUnits, boost::multiprecision::checked_int128_t>);

// Whole numbers only.
template <class T>
concept MinorFrom = requires(T units) {
  Money::minor(units, "EUR");
};
static_assert(MinorFrom<int> && MinorFrom<std::int64_t> && MinorFrom<std::uint8_t> && MinorFrom<MinorUnits>);
static_assert(!MinorFrom<double> && !MinorFrom<float> && !MinorFrom<bool> && !MinorFrom<char>);

template <class T>
concept ParseFrom = requires(T amount) {
  Money::parse(amount, "EUR");
};
static_assert(ParseFrom<const char*> && ParseFrom<std::string_view> && ParseFrom<std::string>);
static_assert(!ParseFrom<double> && !ParseFrom<int>);

template <class T>
concept Factor = requires(Money money, T factor) {
  money* factor;
}
&&requires(Money money, T factor) { factor* money; }
&&requires(Money money, T factor) { money *= factor; };
static_assert(Factor<int> && Factor<std::uint64_t> && Factor<std::int8_t>);
static_assert(!Factor<double> && !Factor<float> && !Factor<bool> && !Factor<char> && !Factor<Money>);

template <class T>
concept Addend = requires(Money money, T other) {
  money + other;
};
static_assert(Addend<Money> && !Addend<int> && !Addend<double>);

template <class T>
concept ComparableWith = requires(Money money, T other) {
  money == other;
};
static_assert(ComparableWith<Money> && !ComparableWith<int> && !ComparableWith<double>);
static_assert(
    std::is_same_v<decltype(std::declval<Money>() <=> std::declval<Money>()), std::strong_ordering>);

// Rounding has no default and no mode is made from a number.
template <class... Args>
concept Multiplies = requires(Money money, Args... args) {
  multiply(money, args...);
};
static_assert(Multiplies<const char*, Rounding> && !Multiplies<const char*> && !Multiplies<double, Rounding>);
static_assert(!Multiplies<const char*, int>);

// The currency table is constant.
static_assert(Currency::of("EUR").exponent() == 2 && Currency::of("XAU").exponent() == -1);
static_assert(Currency("EUR", 2) == Currency::of("EUR") && Currency("EUR", 3) != Currency::of("EUR"));
static_assert(!std::is_convertible_v<const char*, Currency> && !std::is_default_constructible_v<Currency>);
static_assert(std::is_trivially_copyable_v<Currency>);

static_assert(std::is_error_code_enum_v<money_errc> && std::is_base_of_v<std::system_error, MoneyError>);
