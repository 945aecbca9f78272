-- The tables of PostgresOrders, version 1: what PostgresOrders::migrate() makes, in the schema "paidonce". Only where
-- somebody else makes the schema:
--   psql --set ON_ERROR_STOP=1 --single-transaction -f postgres_orders_schema.sql
--
-- `state` of an order: 1 unpaid, 2 paying, 3 paid, 4 refunding, 5 refunded, 6 cancelled; of a refund: 1 reserved,
-- 2 done, 3 released. The role of the program needs: USAGE on the schema; SELECT, INSERT and UPDATE on orders and
-- refunds; SELECT on orders_version.

CREATE SCHEMA IF NOT EXISTS paidonce;

CREATE TABLE paidonce.orders (
  number text COLLATE "C" PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 128),
  total numeric NOT NULL CHECK (total > 0),
  currency text NOT NULL,
  state smallint NOT NULL CHECK (state BETWEEN 1 AND 6),
  payment bigint NOT NULL CHECK (payment BETWEEN 1 AND 4294967295),
  followed bigint NOT NULL,
  version bigint NOT NULL,
  refunds bigint NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX orders_open ON paidonce.orders (number) WHERE state IN (2, 4);

CREATE TABLE paidonce.refunds (
  number text COLLATE "C" NOT NULL REFERENCES paidonce.orders (number),
  id text COLLATE "C" NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  position bigint NOT NULL,
  amount numeric NOT NULL CHECK (amount > 0),
  state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
  followed bigint NOT NULL,
  PRIMARY KEY (number, id)
) WITH (fillfactor = 80);

CREATE VIEW paidonce.orders_readable AS
SELECT number, total, currency,
  CASE state WHEN 1 THEN 'unpaid' WHEN 2 THEN 'paying' WHEN 3 THEN 'paid' WHEN 4 THEN 'refunding' WHEN 5 THEN 'refunded' ELSE 'cancelled' END AS state, payment
FROM paidonce.orders;

CREATE VIEW paidonce.refunds_readable AS
SELECT r.number, r.id, r.amount, o.currency,
  CASE r.state WHEN 1 THEN 'reserved' WHEN 2 THEN 'done' ELSE 'released' END AS state
FROM paidonce.refunds r JOIN paidonce.orders o ON o.number = r.number;

CREATE TABLE paidonce.orders_version (version bigint PRIMARY KEY, since timestamptz NOT NULL DEFAULT now());

INSERT INTO paidonce.orders_version (version) VALUES (1);
