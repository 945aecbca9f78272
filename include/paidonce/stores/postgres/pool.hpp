#pragma once
// Connections for what needs one to itself: transactions, scans, sweeps.

#include <cstddef>

#include <paidonce/detail/connection_pool.hpp>
#include <paidonce/stores/postgres/connector.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// A lease's `open` is its `ready`, but for a schema that is not there.
struct PostgresPool : ConnectionPool<PostgresConnector, PostgresSlot> {
  PostgresPool(PostgresConnector& connector, std::size_t most, Duration acquire_timeout)
      : ConnectionPool(
            connector, most, acquire_timeout,
            "all PostgresStoreOptions::connections are in use, for longer than acquire_timeout: shorten "
            "the transactions, or allow for more connections") {}
};

}  // namespace paidonce::inline v1::detail
