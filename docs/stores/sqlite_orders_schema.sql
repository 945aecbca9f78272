-- What SqliteOrders make when they open a database without their tables, for those whose schema is made by others.
-- SQLite 3.35 or newer:
--
--   sqlite3 shop.db < sqlite_orders_schema.sql
--
-- `state` of an order: 1 unpaid, 2 paying, 3 paid, 4 refunding, 5 refunded, 6 cancelled; of a refund: 1 reserved,
-- 2 done, 3 released. Amounts are texts with all decimals of their currency. `followed` and `version` are unsigned
-- 64-bit numbers, kept as two's complement.

BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS paidonce_schema (
  component TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE paidonce_orders (
  number TEXT NOT NULL PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 128),
  total TEXT NOT NULL,
  currency TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
  payment INTEGER NOT NULL CHECK (payment BETWEEN 1 AND 4294967295),
  followed INTEGER NOT NULL,
  version INTEGER NOT NULL
);

CREATE INDEX paidonce_orders_open ON paidonce_orders (number) WHERE state IN (2, 4);

CREATE TABLE paidonce_refunds (
  number TEXT NOT NULL REFERENCES paidonce_orders (number),
  id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  position INTEGER NOT NULL,
  amount TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
  followed INTEGER NOT NULL,
  PRIMARY KEY (number, id)
) WITHOUT ROWID;

CREATE VIEW paidonce_orders_readable AS
SELECT number, total, currency,
       CASE state WHEN 1 THEN 'unpaid' WHEN 2 THEN 'paying' WHEN 3 THEN 'paid' WHEN 4 THEN 'refunding'
                  WHEN 5 THEN 'refunded' WHEN 6 THEN 'cancelled' END AS state,
       payment
FROM paidonce_orders;

CREATE VIEW paidonce_refunds_readable AS
SELECT refunds.number, refunds.id, refunds.amount, orders.currency,
       CASE refunds.state WHEN 1 THEN 'reserved' WHEN 2 THEN 'done' WHEN 3 THEN 'released' END AS state
FROM paidonce_refunds AS refunds JOIN paidonce_orders AS orders ON orders.number = refunds.number;

INSERT INTO paidonce_schema (component, version) VALUES ('paidonce_orders', 1);

COMMIT;
