#pragma once
// The tables of orders in PostgreSQL. docs/stores/postgres_orders_schema.sql has the same for those whose
// schema is made by others.

#include <cstdint>
#include <string_view>

namespace paidonce::inline v1::detail {

inline constexpr std::int64_t postgres_orders_version = 1;

/// `%` is the schema. `state` of an order: 1 unpaid, 2 paying, 3 paid, 4 refunding, 5 refunded, 6 cancelled;
/// of a refund: 1 reserved, 2 done, 3 released. An amount has all decimals of its currency, which numeric
/// keeps; `followed` and `version` are unsigned, as two's complement. An update is HOT unless it changes
/// whether an order is open.
inline constexpr std::string_view postgres_orders_schema_1[] = {
    "CREATE TABLE %.orders ("
    " number text COLLATE \"C\" PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 128),"
    " total numeric NOT NULL CHECK (total > 0),"
    " currency text NOT NULL,"
    " state smallint NOT NULL CHECK (state BETWEEN 1 AND 6),"
    " payment bigint NOT NULL CHECK (payment BETWEEN 1 AND 4294967295),"
    " followed bigint NOT NULL,"
    " version bigint NOT NULL,"
    " refunds bigint NOT NULL"
    ") WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)",

    "CREATE INDEX orders_open ON %.orders (number) WHERE state IN (2, 4)",

    "CREATE TABLE %.refunds ("
    " number text COLLATE \"C\" NOT NULL REFERENCES %.orders (number),"
    " id text COLLATE \"C\" NOT NULL CHECK (length(id) BETWEEN 1 AND 64),"
    " position bigint NOT NULL,"
    " amount numeric NOT NULL CHECK (amount > 0),"
    " state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),"
    " followed bigint NOT NULL,"
    " PRIMARY KEY (number, id)"
    ") WITH (fillfactor = 80)",

    "CREATE VIEW %.orders_readable AS SELECT number, total, currency,"
    " CASE state WHEN 1 THEN 'unpaid' WHEN 2 THEN 'paying' WHEN 3 THEN 'paid' WHEN 4 THEN 'refunding'"
    " WHEN 5 THEN 'refunded' ELSE 'cancelled' END AS state, payment FROM %.orders",

    "CREATE VIEW %.refunds_readable AS SELECT r.number, r.id, r.amount, o.currency,"
    " CASE r.state WHEN 1 THEN 'reserved' WHEN 2 THEN 'done' ELSE 'released' END AS state"
    " FROM %.refunds r JOIN %.orders o ON o.number = r.number",

    "CREATE TABLE %.orders_version (version bigint PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())",

    "INSERT INTO %.orders_version (version) VALUES (1)"};

}  // namespace paidonce::inline v1::detail
