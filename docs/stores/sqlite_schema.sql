-- What a SqliteStore makes when it opens a database without its table, for those whose schema is made by others.
-- SQLite 3.35 or newer:
--
--   sqlite3 payments.db < sqlite_schema.sql
--
-- For a store with another name, SqliteStoreOptions::table, replace paidonce_payments by it throughout.
-- Times are milliseconds since 1970-01-01 UTC; unsigned 64-bit numbers are kept as two's complement; `state` is
-- 1 in progress, 2 succeeded, 3 declined, 4 in doubt, 5 released.

BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS paidonce_schema (
  component TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE paidonce_payments (
  key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob'),
  fingerprint BLOB NOT NULL CHECK (typeof(fingerprint) = 'blob' AND length(fingerprint) = 33),
  state INTEGER NOT NULL CHECK (typeof(state) = 'integer' AND state BETWEEN 1 AND 5),
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  attempt_id INTEGER NOT NULL CHECK (typeof(attempt_id) = 'integer'),
  attempts INTEGER NOT NULL CHECK (typeof(attempts) = 'integer' AND attempts BETWEEN 0 AND 4294967295),
  created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
  updated_at INTEGER NOT NULL CHECK (typeof(updated_at) = 'integer'),
  lease_until INTEGER NOT NULL CHECK (typeof(lease_until) = 'integer'),
  expires_at INTEGER NOT NULL CHECK (typeof(expires_at) = 'integer'),
  amount BLOB NOT NULL CHECK (typeof(amount) = 'blob'),
  description BLOB NOT NULL CHECK (typeof(description) = 'blob'),
  checkpoint BLOB NOT NULL CHECK (typeof(checkpoint) = 'blob'),
  response BLOB NOT NULL CHECK (typeof(response) = 'blob'),
  response_format BLOB NOT NULL CHECK (typeof(response_format) = 'blob'),
  note BLOB NOT NULL CHECK (typeof(note) = 'blob')
);

CREATE INDEX paidonce_payments_unfinished ON paidonce_payments (key) WHERE state IN (1, 4);

CREATE INDEX paidonce_payments_expiry ON paidonce_payments (expires_at)
  WHERE state IN (2, 3) OR (state = 5 AND checkpoint = x'');

CREATE VIEW paidonce_payments_readable AS
WITH sized AS (
  SELECT (instr('0123456789ABCDEF', substr(hex(substr(key, 1, 1)), 1, 1)) - 1) * 16
       + (instr('0123456789ABCDEF', substr(hex(substr(key, 1, 1)), 2, 1)) - 1) AS scope_size, *
  FROM paidonce_payments
)
SELECT CAST(substr(key, 2, scope_size) AS TEXT) AS scope,
       CAST(substr(key, 2 + scope_size) AS TEXT) AS key,
       CASE state WHEN 1 THEN 'in_progress' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'declined'
                  WHEN 4 THEN 'in_doubt' WHEN 5 THEN 'released' END AS state,
       CAST(amount AS TEXT) AS amount,
       CAST(description AS TEXT) AS description,
       attempts,
       strftime('%Y-%m-%d %H:%M:%f', created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', updated_at / 1000.0, 'unixepoch') AS updated_at,
       strftime('%Y-%m-%d %H:%M:%f', lease_until / 1000.0, 'unixepoch') AS lease_until,
       CASE expires_at WHEN 0 THEN NULL
            ELSE strftime('%Y-%m-%d %H:%M:%f', expires_at / 1000.0, 'unixepoch') END AS expires_at,
       CAST(response AS TEXT) AS response,
       CAST(response_format AS TEXT) AS response_format,
       CAST(note AS TEXT) AS note,
       version
FROM sized;

INSERT INTO paidonce_schema (component, version) VALUES ('paidonce_payments', 1);

COMMIT;
