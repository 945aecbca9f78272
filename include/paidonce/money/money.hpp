#pragma once
// Everything about money: exact amounts in the currencies of ISO 4217 and of one's own. The guard does not
// need it and does not include it; it includes Boost.Multiprecision, and only who includes it pays for that.

#include <paidonce/money/allocate.hpp>
#include <paidonce/money/codec.hpp>
#include <paidonce/money/currency.hpp>
#include <paidonce/money/errors.hpp>
#include <paidonce/money/multiply.hpp>
#include <paidonce/money/rounding.hpp>
#include <paidonce/money/value.hpp>
