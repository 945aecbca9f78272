// What a payment callable reports: how values become reports, and reports of one type those of another.

#include <paidonce/result.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::string_literals;

namespace result_tests {

/// A result that can only be moved.
struct Ticket {
  explicit Ticket(int of) : number(std::make_unique<int>(of)) {}
  std::unique_ptr<int> number;
};

/// A result that a Ticket converts to, and only by moving.
struct Stub {
  Stub(Ticket&& ticket) : number(*ticket.number) {}
  int number;
};

}  // namespace result_tests

using namespace result_tests;

namespace paidonce {
template <>
struct Codec<Ticket> {
  static constexpr std::string_view format = "ticket";
  static std::string encode(const Ticket& ticket) { return std::to_string(*ticket.number); }
  static Ticket decode(std::string_view bytes) { return Ticket(Codec<int>::decode(bytes)); }
};
template <>
struct Codec<Stub> {
  static constexpr std::string_view format = "stub";
  static std::string encode(const Stub& stub) { return std::to_string(stub.number); }
  static Stub decode(std::string_view bytes) { return Ticket(Codec<int>::decode(bytes)); }
};
}  // namespace paidonce

TEST_CASE("succeeded and declined keep what they are given", "[result]") {
  const PaymentResult<int> paid = succeeded(450);
  CHECK(paid.report() == Report::succeeded);
  REQUIRE(paid.response_if());
  CHECK(*paid.response_if() == 450);
  CHECK(paid.reason().empty());

  const PaymentResult<int> refused = declined(-1);
  CHECK(refused.report() == Report::declined);
  REQUIRE(refused.response_if());
  CHECK(*refused.response_if() == -1);
  CHECK(refused.reason().empty());
}

TEST_CASE("not_executed and in_doubt keep a reason and have no response", "[result]") {
  const PaymentResult<int> nothing = not_executed("connection refused");
  CHECK(nothing.report() == Report::not_executed);
  CHECK(nothing.reason() == "connection refused");
  CHECK_FALSE(nothing.response_if());

  const PaymentResult<std::string> unknown = in_doubt("no reply"s);
  CHECK(unknown.report() == Report::in_doubt);
  CHECK(unknown.reason() == "no reply");
  CHECK_FALSE(unknown.response_if());
}

TEST_CASE("the four reports are members too", "[result]") {
  using Result = PaymentResult<std::string>;
  CHECK(Result::succeeded("a").report() == Report::succeeded);
  CHECK(*Result::declined("b").response_if() == "b");
  CHECK(Result::not_executed("c").reason() == "c");
  CHECK(Result::in_doubt("d").report() == Report::in_doubt);
}

TEST_CASE("all that is text is kept as a std::string", "[result]") {
  const char array[] = "array";
  char writable[] = "writable";
  const char* pointer = "pointer";
  const std::string_view view = "a view into a longer text";
  static_assert(std::same_as<decltype(succeeded("literal")), PaymentResult<std::string>>);
  static_assert(std::same_as<decltype(succeeded(array)), PaymentResult<std::string>>);
  static_assert(std::same_as<decltype(succeeded(writable)), PaymentResult<std::string>>);
  static_assert(std::same_as<decltype(declined(pointer)), PaymentResult<std::string>>);
  static_assert(std::same_as<decltype(declined(static_cast<char*>(writable))), PaymentResult<std::string>>);
  static_assert(std::same_as<decltype(declined(view)), PaymentResult<std::string>>);
  static_assert(
      std::same_as<decltype(declined(std::declval<const std::string&>())), PaymentResult<std::string>>);
  CHECK(*succeeded("literal").response_if() == "literal");
  CHECK(*succeeded(array).response_if() == "array");
  CHECK(*succeeded(writable).response_if() == "writable");
  CHECK(*succeeded(pointer).response_if() == "pointer");
  CHECK(*succeeded(view.substr(2, 4)).response_if() == "view");
}

TEST_CASE("other values are kept by their decayed type", "[result]") {
  const int constant = 7;
  int variable = 8;
  static_assert(std::same_as<decltype(succeeded(constant)), PaymentResult<int>>);
  static_assert(std::same_as<decltype(succeeded(variable)), PaymentResult<int>>);
  static_assert(std::same_as<decltype(succeeded(std::vector<unsigned char>{})),
                             PaymentResult<std::vector<unsigned char>>>);
  CHECK(*succeeded(constant).response_if() == 7);
  CHECK(*succeeded(std::as_const(variable)).response_if() == 8);
}

TEST_CASE("a kept value does not refer to the one that was given", "[result]") {
  std::string text = "first";
  const auto result = succeeded(text);
  text = "second";
  CHECK(*result.response_if() == "first");
}

TEST_CASE("a report converts where its value does, and stays the report it was", "[result]") {
  const PaymentResult<std::int64_t> paid = PaymentResult<int>::succeeded(450);
  CHECK(paid.report() == Report::succeeded);
  CHECK(*paid.response_if() == 450);
  const PaymentResult<std::int64_t> refused = declined(std::int8_t{-1});
  CHECK(refused.report() == Report::declined);
  CHECK(*refused.response_if() == -1);
  const PaymentResult<std::int64_t> nothing = PaymentResult<int>::not_executed("why");
  CHECK(nothing.report() == Report::not_executed);
  CHECK(nothing.reason() == "why");
  CHECK_FALSE(nothing.response_if());
  const PaymentResult<std::int64_t> unknown = PaymentResult<int>::in_doubt("why");
  CHECK(unknown.report() == Report::in_doubt);
  CHECK(unknown.reason() == "why");
}

TEST_CASE("values that can only be moved are reported and converted", "[result]") {
  PaymentResult<Ticket> paid = succeeded(Ticket(41));
  PaymentResult<Ticket> moved = std::move(paid);
  REQUIRE(moved.response_if());
  CHECK(*moved.response_if()->number == 41);
  const Ticket taken = std::move(*moved.response_if());
  CHECK(*taken.number == 41);

  const PaymentResult<Stub> converted = PaymentResult<Ticket>::declined(Ticket(42));
  CHECK(converted.report() == Report::declined);
  CHECK(converted.response_if()->number == 42);

  const PaymentResult<Ticket> bare = not_executed("nothing sent");
  CHECK(bare.report() == Report::not_executed);
}

TEST_CASE("reports are values: copies are independent", "[result]") {
  PaymentResult<std::string> one = succeeded("first");
  PaymentResult<std::string> two = one;
  *two.response_if() = "second";
  CHECK(*one.response_if() == "first");
  one = PaymentResult<std::string>(in_doubt("why"));
  CHECK(one.report() == Report::in_doubt);
  CHECK_FALSE(one.response_if());
  CHECK(*two.response_if() == "second");
}

TEST_CASE("each branch of a callable may report in its own way", "[result]") {
  const auto pay = [](int way) -> PaymentResult<std::string> {
    switch (way) {
      case 0: return succeeded("paid");
      case 1: return declined(std::string_view("no funds"));
      case 2: return not_executed("not sent");
      case 3: return in_doubt("no reply");
      default: throw NotExecuted("not sent either");
    }
  };
  CHECK(pay(0).report() == Report::succeeded);
  CHECK(*pay(1).response_if() == "no funds");
  CHECK(pay(2).reason() == "not sent");
  CHECK(pay(3).reason() == "no reply");
  CHECK_THROWS_AS(pay(4), std::runtime_error);
  CHECK_THROWS_MATCHES(pay(4), NotExecuted, support::says<NotExecuted>("not sent either"));
}
