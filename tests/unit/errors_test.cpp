// Errors: codes, texts, and which of them time alone may mend.

#include <paidonce/errors.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <system_error>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

constexpr struct {
  errc code;
  int value;
  bool retryable;
} table[] = {
    {errc::invalid_key, 1, false},         {errc::invalid_options, 2, false},
    {errc::store_unavailable, 3, true},    {errc::store_full, 4, true},
    {errc::store_corrupt, 5, false},       {errc::store_busy, 6, true},
    {errc::store_replaced, 7, false},      {errc::store_poisoned, 8, false},
    {errc::store_forked, 9, false},        {errc::unsafe_config, 10, false},
    {errc::lock_unavailable, 11, true},    {errc::lease_lost, 12, false},
    {errc::wrong_state, 13, false},        {errc::codec_failure, 14, false},
    {errc::reentrant_call, 15, false},     {errc::shutting_down, 16, true},
    {errc::unsupported_format, 17, false},
};

}  // namespace

TEST_CASE("codes keep their numbers", "[errors]") {
  for (const auto& row : table) CHECK(static_cast<int>(row.code) == row.value);
}

TEST_CASE("time alone mends what is unavailable, full, busy or shutting down, and nothing else", "[errors]") {
  for (const auto& row : table) {
    INFO(make_error_code(row.code).message());
    CHECK(retryable(Error(row.code)) == row.retryable);
    CHECK(retryable(Error(row.code, "with a text")) == row.retryable);
  }
}

TEST_CASE("every code has a text of its own", "[errors]") {
  std::set<std::string> texts;
  for (const auto& row : table) {
    const std::string text = make_error_code(row.code).message();
    CHECK_FALSE(text.empty());
    CHECK_THAT(text, !support::contains("unknown"));
    texts.insert(text);
  }
  CHECK(texts.size() == std::size(table));
}

TEST_CASE("a number that is no code says so, with the number", "[errors]") {
  for (const int value : {0, 18, -1, 4711}) {
    CHECK_THAT(error_category().message(value), support::contains(std::to_string(value)));
    CHECK_THAT(error_category().message(value), support::contains("unknown"));
  }
}

TEST_CASE("an error compares with its code", "[errors]") {
  const Error error(errc::store_full);
  CHECK(error.code() == errc::store_full);
  CHECK(error.code() != errc::store_busy);
  CHECK(error.code() == make_error_code(errc::store_full));
  CHECK(&error.code().category() == &error_category());
  CHECK(std::string(error.code().category().name()) == "paidonce");
  // The same number means something else elsewhere.
  CHECK(error.code() != std::error_code(static_cast<int>(errc::store_full), std::generic_category()));
  CHECK(error.code() != std::error_code(static_cast<int>(errc::store_full), std::system_category()));
}

TEST_CASE("an error is caught as a std::system_error, and says what its code says", "[errors]") {
  try {
    throw Error(errc::lease_lost, "the record of this attempt moved on");
  } catch (const std::system_error& error) {
    CHECK(error.code() == errc::lease_lost);
    CHECK_THAT(error.what(), support::contains("the record of this attempt moved on"));
    CHECK_THAT(error.what(), support::contains(make_error_code(errc::lease_lost).message()));
  }
  CHECK_THAT(Error(errc::wrong_state).what(),
             support::contains(make_error_code(errc::wrong_state).message()));
}

TEST_CASE("an error with a foreign code is not retryable, whatever its number", "[errors]") {
  struct Foreign : Error {
    explicit Foreign(std::error_code code) : Error(errc::store_unavailable) {
      static_cast<std::system_error&>(*this) = std::system_error(code);
    }
  };
  const Foreign foreign(std::error_code(static_cast<int>(errc::store_unavailable), std::generic_category()));
  REQUIRE(foreign.code().category() == std::generic_category());
  CHECK_FALSE(retryable(foreign));
}
