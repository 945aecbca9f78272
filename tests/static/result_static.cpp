// What the compiler can say about reports.

#include <paidonce/result.hpp>

#include <concepts>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

using namespace paidonce;

// Only text and its like become strings; nothing else changes its type.
static_assert(std::same_as<detail::result_type_t<const char (&)[4]>, std::string>);
static_assert(std::same_as<detail::result_type_t<char (&)[4]>, std::string>);
static_assert(std::same_as<detail::result_type_t<const char*>, std::string>);
static_assert(std::same_as<detail::result_type_t<const std::string_view&>, std::string>);
static_assert(std::same_as<detail::result_type_t<const std::string&>, std::string>);
static_assert(std::same_as<detail::result_type_t<const int&>, int>);
static_assert(std::same_as<detail::result_type_t<bool>, bool>, "so that it can be refused by its name");

// Bare reports convert to any result; values never become one by accident.
using Report1 = decltype(not_executed("why"));
using Report2 = decltype(in_doubt("why"));
static_assert(std::is_convertible_v<Report1, PaymentResult<int>> &&
              std::is_convertible_v<Report2, PaymentResult<int>>);
static_assert(std::is_convertible_v<Report1, PaymentResult<std::string>>);
static_assert(!std::is_same_v<Report1, Report2>);
static_assert(!std::is_constructible_v<PaymentResult<std::string>, std::string>,
              "whether a value is a success or a decline has to be said");
static_assert(!std::is_constructible_v<PaymentResult<int>, int>);
static_assert(!std::is_default_constructible_v<PaymentResult<int>>, "there is no report that says nothing");
static_assert(!std::is_convertible_v<PaymentResult<int>, bool> &&
                  !std::is_constructible_v<bool, PaymentResult<int>>,
              "a report is not asked with if");

// Results convert where their values do.
static_assert(std::is_convertible_v<PaymentResult<int>, PaymentResult<long>>);
static_assert(std::is_convertible_v<PaymentResult<const char*>, PaymentResult<std::string>>);
static_assert(!std::is_convertible_v<PaymentResult<int>, PaymentResult<std::string>>);
static_assert(!std::is_convertible_v<PaymentResult<std::string>, PaymentResult<int>>);
static_assert(!std::is_constructible_v<PaymentResult<std::string>, PaymentResult<int>>);

// As copyable and as movable as what they carry.
static_assert(std::copyable<PaymentResult<std::string>>);
static_assert(std::movable<PaymentResult<std::unique_ptr<int>>> &&
              !std::copy_constructible<PaymentResult<std::unique_ptr<int>>>);

static_assert(std::derived_from<NotExecuted, std::runtime_error>);
static_assert(std::is_constructible_v<NotExecuted, const char*> &&
              std::is_constructible_v<NotExecuted, std::string>);
static_assert(!std::is_convertible_v<const char*, NotExecuted>);

static_assert(sizeof(Report) == 1);
