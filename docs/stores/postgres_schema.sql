-- The tables of a PostgresStore, schema version 1, for those whose schema is run by others. It is what
-- PostgresStore::migrate() creates. Another name than "paidonce" goes into PostgresStoreOptions::schema.
--
-- Times are milliseconds since 1970 (UTC), 0 for none. Unsigned numbers of 64 bits are stored as the signed ones with
-- the same bits. Texts are bytea: they may hold any byte. People read payments_readable.

BEGIN;

CREATE SCHEMA paidonce;

CREATE TABLE paidonce.schema_version (
  version integer PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE paidonce.payments (
  key bytea NOT NULL,              -- length of the scope in one byte, the scope, the text
  version bigint NOT NULL,         -- grows with every change
  state smallint NOT NULL,         -- 1 in_progress, 2 succeeded, 3 declined, 4 in_doubt, 5 released
  attempt_id bigint NOT NULL,
  attempts bigint NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  lease_until bigint NOT NULL,
  expires_at bigint NOT NULL,
  fingerprint bytea NOT NULL,      -- algorithm in one byte, digest in 32
  amount bytea NOT NULL,
  description bytea NOT NULL,
  checkpoint bytea NOT NULL,
  response bytea NOT NULL,
  response_format bytea NOT NULL,
  note bytea NOT NULL,
  CONSTRAINT payments_pkey PRIMARY KEY (key),
  CONSTRAINT payments_state CHECK (state BETWEEN 1 AND 5)
) WITH (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.05
);

-- What recovery and surveys ask for: small, whatever the table holds.
CREATE INDEX payments_unfinished ON paidonce.payments (key) WHERE state IN (1, 4);

-- What erase_expired asks for.
CREATE INDEX payments_expiry ON paidonce.payments (expires_at) WHERE state IN (2, 3, 5);

CREATE FUNCTION paidonce.readable_time(millis bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN millis = 0 THEN NULL WHEN millis > 253402300799999 THEN 'infinity'::timestamptz WHEN millis < -62135596800000 THEN '-infinity'::timestamptz ELSE to_timestamp(millis / 1000.0) END $$;

CREATE VIEW paidonce.payments_readable AS SELECT
  encode(substring(key FROM 2 FOR get_byte(key, 0)), 'escape') AS scope,
  encode(substring(key FROM 2 + get_byte(key, 0)), 'escape') AS key,
  CASE state WHEN 1 THEN 'in_progress' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'declined'
    WHEN 4 THEN 'in_doubt' ELSE 'released' END AS state,
  attempts,
  paidonce.readable_time(created_at) AS created_at,
  paidonce.readable_time(updated_at) AS updated_at,
  paidonce.readable_time(lease_until) AS lease_until,
  paidonce.readable_time(expires_at) AS expires_at,
  encode(amount, 'escape') AS amount,
  encode(description, 'escape') AS description,
  encode(note, 'escape') AS note,
  length(response) AS response_bytes,
  version
FROM paidonce.payments;

INSERT INTO paidonce.schema_version (version) VALUES (1);

COMMIT;

-- What the payments' role needs, and no more. It owns nothing. payments_readable and readable_time are for people.
--
--   GRANT USAGE ON SCHEMA paidonce TO payments;
--   GRANT SELECT ON paidonce.schema_version TO payments;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON paidonce.payments TO payments;
