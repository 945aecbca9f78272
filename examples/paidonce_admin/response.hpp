#pragma once
// The response that the next call with a key is answered with, when a person says how a payment ended: in the
// format that the paying program decodes, or that program fails on it for as long as the record is kept.

#include <string>

#include "options.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {

struct Response {
  std::string bytes = {};
  std::string format = {};
  /// What the person should know of it; empty where there is nothing.
  std::string warning = {};
};

/// For `--as succeeded` and `--as declined`. From `--charge-id` and `--failure` it makes what pay_orders
/// keeps for this order and amount; encoded bytes are taken as they are, and read back where their format is
/// that of pay_orders. Throws `Refusal{bad_usage}` where the amount of the record cannot be read, the bytes
/// are not of this payment, or no other record of this scope has that format, unless `--any-format` says so.
Response response_of(const Options& options, const Entry& entry, const StoreReader& store);

}  // namespace paidonce_admin
