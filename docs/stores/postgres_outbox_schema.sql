-- The tables of a PostgresOutbox, version 1: what PostgresOutbox::migrate() makes, in the schema "paidonce"
-- with the name "outbox". Only where somebody else makes the schema:
--   psql --set ON_ERROR_STOP=1 --single-transaction -f postgres_outbox_schema.sql
--
-- The role of a program that puts messages needs: USAGE on the schema; INSERT and SELECT on both tables, and
-- SELECT on outbox_version. A relay also UPDATE and DELETE on both tables.

CREATE SCHEMA IF NOT EXISTS paidonce;

CREATE TABLE paidonce.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key bytea NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  topic bytea NOT NULL,
  payload bytea NOT NULL,
  put_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  set_aside_by bytea,
  set_aside_why bytea
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX outbox_waiting ON paidonce.outbox (key, id) WHERE ended_at IS NULL;

CREATE INDEX outbox_delivered ON paidonce.outbox (ended_at) WHERE ended_at IS NOT NULL AND set_aside_by IS NULL;

CREATE TABLE paidonce.outbox_keys (
  key bytea PRIMARY KEY,
  due_at timestamptz NOT NULL,
  claim bigint NOT NULL DEFAULT 0,
  failures bigint NOT NULL DEFAULT 0,
  alerted bigint NOT NULL DEFAULT 0,
  failure bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX outbox_due ON paidonce.outbox_keys (due_at);

CREATE VIEW paidonce.outbox_readable AS SELECT m.id,
  encode(m.key, 'escape') AS key,
  encode(m.topic, 'escape') AS topic,
  encode(m.payload, 'escape') AS payload,
  CASE WHEN m.set_aside_by IS NOT NULL THEN 'set_aside' WHEN m.ended_at IS NOT NULL THEN 'delivered' ELSE 'waiting' END AS state,
  m.put_at,
  m.ended_at,
  encode(m.set_aside_by, 'escape') AS set_aside_by,
  encode(m.set_aside_why, 'escape') AS set_aside_why,
  CASE WHEN m.ended_at IS NULL THEN k.failures END AS failures_of_key,
  CASE WHEN m.ended_at IS NULL THEN encode(k.failure, 'escape') END AS failure_of_key FROM paidonce.outbox m LEFT JOIN paidonce.outbox_keys k ON k.key = m.key;

CREATE TABLE paidonce.outbox_version (version bigint PRIMARY KEY, since timestamptz NOT NULL DEFAULT now());

INSERT INTO paidonce.outbox_version (version) VALUES (1);
