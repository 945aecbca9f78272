#pragma once
// What the tests of money share.

#include <system_error>

#include <paidonce/money/errors.hpp>

/// The code of the `MoneyError` that `call` throws; a code that equals nothing when it returns.
template <class Call>
std::error_code money_error(Call&& call) {
  try {
    call();
  } catch (const paidonce::MoneyError& error) {
    return error.code();
  }
  return {};
}
