#pragma once
// Where connections come from: opened, checked, and looked after while they lie idle.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/retry/reconnect_gate.hpp>
#include <paidonce/stores/postgres/connecting.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/hosts.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/schema.hpp>
#include <paidonce/stores/postgres/server_checks.hpp>

namespace paidonce::inline v1::detail {

/// A place for a connection that opens when it is needed. Belongs to one thread at a time.
struct PostgresSlot {
  std::optional<PostgresConnection> connection = {};
  std::int64_t schema = 0;  // its version, as far as known
  std::chrono::steady_clock::time_point used = {};
};

/// Thread-safe.
class PostgresConnector {
 public:
  /// Throws `invalid_options`.
  PostgresConnector(std::string conninfo, const PostgresStoreOptions& options)
      : conninfo_(std::move(conninfo)),
        options_(options),
        hosts_(hosts_of(conninfo_)),
        gate_(options.reconnect, options.connect_timeout) {}

  /// The slot's connection: a living one to a server that may be trusted. An outage is waited for, as long as
  /// the gate lets callers wait. Throws `store_unavailable` and what `check_server` does.
  PostgresConnection& open(PostgresSlot& slot) {
    if (slot.connection && alive(slot)) return *slot.connection;
    slot.connection.reset();
    for (;;) {
      try {
        return open_now(slot);
      } catch (const PostgresOutage&) {
        if (!gate_.has_patience()) throw;
      }
    }
  }

  /// Opens an empty slot; an outage is told at once.
  PostgresConnection& open_now(PostgresSlot& slot) {
    gate_.enter();
    try {
      connect_to_any(slot);
    } catch (...) {
      gate_.failed();
      throw;
    }
    gate_.succeeded();
    slot.used = std::chrono::steady_clock::now();
    opened_.fetch_add(1, std::memory_order_relaxed);
    return *slot.connection;
  }

  /// Likewise, where the store's tables are there. Throws `invalid_options` where they are not.
  PostgresConnection& ready(PostgresSlot& slot) {
    PostgresConnection& connection = open(slot);
    if (slot.schema != postgres_schema_version) check_schema(slot);
    return connection;
  }

  std::uint64_t opened() const noexcept { return opened_.load(std::memory_order_relaxed); }
  std::uint32_t failures() const { return gate_.failures(); }

 private:
  bool alive(PostgresSlot& slot) {
    PostgresConnection& connection = *slot.connection;
    const auto now = std::chrono::steady_clock::now();
    const bool long_idle = now - slot.used >= options_.idle_check;
    slot.used = now;
    if (!connection.quiet()) return false;
    if (!long_idle) return true;
    try {
      connection.run({}, postgres_deadline(Duration(1000)));
      return connection.usable();
    } catch (const Error&) {
      return false;
    }
  }

  /// The first host that is one to be used; else what the last one said. Where one is out of reach and the
  /// others only read, a failover is under way: an outage too.
  void connect_to_any(PostgresSlot& slot) {
    bool outage = false;
    for (std::size_t i = 0;; ++i) {
      const PostgresDeadline deadline = postgres_deadline(options_.connect_timeout);
      try {
        PostgresConnection connection(connect(conninfo_, hosts_[i], deadline), options_.statements);
        slot.schema = check_server(connection, options_, deadline);
        refuse_newer(slot.schema);
        slot.connection.emplace(std::move(connection));
        return;
      } catch (const Error& error) {
        if (error.code() != errc::store_unavailable) throw;
        outage = outage || dynamic_cast<const PostgresOutage*>(&error);
        if (i + 1 < hosts_.size()) continue;
        if (outage) throw PostgresOutage(error);
        throw;
      }
    }
  }

  static void refuse_newer(std::int64_t schema) {
    if (schema > postgres_schema_version)
      throw Error(errc::unsupported_format,
                  "the store's schema was made by a newer release: use that one, or a newer one");
  }

  void check_schema(PostgresSlot& slot) {
    slot.schema = check_server(*slot.connection, options_, postgres_deadline(options_.statement_timeout));
    refuse_newer(slot.schema);
    if (slot.schema != postgres_schema_version)
      throw Error(
          errc::invalid_options,
          "the store's schema is not there, or of an older release: call PostgresStore::migrate(), or "
          "run docs/stores/postgres_schema.sql");
  }

  const std::string conninfo_;
  const PostgresStoreOptions& options_;
  const std::vector<PostgresHost> hosts_;
  ReconnectGate gate_;
  std::atomic<std::uint64_t> opened_{0};
};

}  // namespace paidonce::inline v1::detail
