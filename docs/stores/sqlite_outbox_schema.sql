-- The tables of a SqliteOutbox, version 1: what the library makes by itself when an outbox is opened.
-- Only where somebody else makes the schema: sqlite3 shop.db < sqlite_outbox_schema.sql

CREATE TABLE IF NOT EXISTS paidonce_schema (
  component TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE paidonce_outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key BLOB NOT NULL CHECK (typeof(key) = 'blob' AND length(key) BETWEEN 1 AND 255),
  topic BLOB NOT NULL CHECK (typeof(topic) = 'blob'),
  payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'),
  put_at INTEGER NOT NULL,
  ended_at INTEGER,
  set_aside_by BLOB,
  set_aside_why BLOB
);

CREATE INDEX paidonce_outbox_waiting ON paidonce_outbox (key, id) WHERE ended_at IS NULL;

CREATE INDEX paidonce_outbox_delivered ON paidonce_outbox (ended_at)
  WHERE ended_at IS NOT NULL AND set_aside_by IS NULL;

CREATE TABLE paidonce_outbox_keys (
  key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob'),
  due_at INTEGER NOT NULL,
  claim INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  alerted INTEGER NOT NULL DEFAULT 0,
  failure BLOB NOT NULL DEFAULT x''
) WITHOUT ROWID;

CREATE INDEX paidonce_outbox_due ON paidonce_outbox_keys (due_at);

CREATE VIEW paidonce_outbox_readable AS
SELECT m.id,
       CAST(m.key AS TEXT) AS key,
       CAST(m.topic AS TEXT) AS topic,
       CAST(m.payload AS TEXT) AS payload,
       CASE WHEN m.set_aside_by IS NOT NULL THEN 'set_aside'
            WHEN m.ended_at IS NOT NULL THEN 'delivered' ELSE 'waiting' END AS state,
       strftime('%Y-%m-%d %H:%M:%f', m.put_at / 1000.0, 'unixepoch') AS put_at,
       strftime('%Y-%m-%d %H:%M:%f', m.ended_at / 1000.0, 'unixepoch') AS ended_at,
       CAST(m.set_aside_by AS TEXT) AS set_aside_by,
       CAST(m.set_aside_why AS TEXT) AS set_aside_why,
       CASE WHEN m.ended_at IS NULL THEN k.failures END AS failures_of_key,
       CASE WHEN m.ended_at IS NULL THEN CAST(k.failure AS TEXT) END AS failure_of_key
FROM paidonce_outbox m LEFT JOIN paidonce_outbox_keys k ON k.key = m.key;

INSERT INTO paidonce_schema (component, version) VALUES ('paidonce_outbox', 1);
