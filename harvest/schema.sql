-- The raw archive: one SQLite file beside the knowledge base. Raw records are append-only: triggers
-- refuse UPDATE and DELETE on blob, record and head_log. Everything else is the harvest's own memory
-- (runs, saved subjects, checkpoints), which no rebuild of the knowledge base touches.
PRAGMA application_id = 1414220354;  -- "TKB" + 2: a raw archive, not a knowledge base
PRAGMA user_version = 1;

-- Content by its hash; codec is "zlib" or "raw". The rows lie in the order of storing: in the order of the
-- hashes (a table WITHOUT ROWID) each insert would land on another page of a large file.
CREATE TABLE blob (
  id     INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
  codec  TEXT NOT NULL CHECK (codec IN ('zlib', 'raw')),
  size   INTEGER NOT NULL,
  data   BLOB NOT NULL
) STRICT;

-- One row for each distinct content of a trial that a registry gave. origin says by which way it came;
-- record_date is the registry's day of the last update (of a history version: its day).
CREATE TABLE record (
  id               INTEGER PRIMARY KEY,
  source           TEXT NOT NULL,
  source_id        TEXT NOT NULL,
  sha256           TEXT NOT NULL REFERENCES blob (sha256),
  version          TEXT NOT NULL,
  rest             TEXT NOT NULL,
  url              TEXT NOT NULL,
  media_type       TEXT NOT NULL,
  fetched_at       TEXT NOT NULL,
  data_timestamp   TEXT,
  record_date      TEXT,
  redacted         TEXT NOT NULL DEFAULT '[]',
  origin           TEXT NOT NULL CHECK (origin IN ('search', 'fetch', 'import', 'history')),
  run              INTEGER NOT NULL REFERENCES run (id),
  UNIQUE (source, source_id, version, rest)
) STRICT;

-- The record that stands for a trial now, and when the registry was last seen to have it.
CREATE TABLE head (
  source          TEXT NOT NULL,
  source_id       TEXT NOT NULL,
  record          INTEGER NOT NULL REFERENCES record (id),
  seen_at         TEXT NOT NULL,
  seen_data       TEXT,
  vanished_at     TEXT,
  validators      TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (source, source_id)
) STRICT, WITHOUT ROWID;

-- Each time a head came to stand, in order: how the trial changed as we saw it.
CREATE TABLE head_log (
  id        INTEGER PRIMARY KEY,
  at        TEXT NOT NULL,
  source    TEXT NOT NULL,
  source_id TEXT NOT NULL,
  record    INTEGER REFERENCES record (id),  -- NULL: vanished
  run       INTEGER NOT NULL REFERENCES run (id)
) STRICT;
CREATE INDEX head_log_trial ON head_log (source, source_id);
CREATE INDEX head_log_at ON head_log (at);

-- The registry's own numbering of past versions (0 = first), and the record that holds each.
CREATE TABLE history_entry (
  source    TEXT NOT NULL,
  source_id TEXT NOT NULL,
  number    INTEGER NOT NULL,
  date      TEXT NOT NULL,
  record    INTEGER NOT NULL REFERENCES record (id),
  PRIMARY KEY (source, source_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE alias (
  source    TEXT NOT NULL,
  alias     TEXT NOT NULL,
  source_id TEXT NOT NULL,
  PRIMARY KEY (source, alias)
) STRICT, WITHOUT ROWID;

-- Pages that were no trial, kept to be looked at.
CREATE TABLE quarantine (
  id         INTEGER PRIMARY KEY,
  source     TEXT NOT NULL,
  url        TEXT NOT NULL,
  at         TEXT NOT NULL,
  reason     TEXT NOT NULL,
  sha256     TEXT NOT NULL REFERENCES blob (sha256),
  run        INTEGER NOT NULL REFERENCES run (id)
) STRICT;

-- state: running, complete, incomplete, failed. key names the task (source and query, or ids), so that
-- the next run of the same task finds this one. counts and report are JSON.
CREATE TABLE run (
  id          INTEGER PRIMARY KEY,
  kind        TEXT NOT NULL CHECK (kind IN ('refresh', 'import', 'history')),
  source      TEXT NOT NULL,
  key         TEXT NOT NULL,
  request     TEXT NOT NULL DEFAULT '{}',
  started_at  TEXT NOT NULL,
  ended_at    TEXT,
  data_before TEXT,
  data_after  TEXT,
  state       TEXT NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'failed')),
  requests    INTEGER NOT NULL DEFAULT 0,
  message     TEXT NOT NULL DEFAULT '',
  counts      TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX run_key ON run (key, state);

-- What a run found of each trial; unchanged ones are dropped when the run ends.
CREATE TABLE run_record (
  run       INTEGER NOT NULL REFERENCES run (id),
  source_id TEXT NOT NULL,
  outcome   TEXT NOT NULL CHECK (outcome IN ('new', 'changed', 'drifted', 'unchanged', 'vanished', 'left', 'missing', 'older')),
  PRIMARY KEY (run, source_id)
) STRICT, WITHOUT ROWID;

-- Where a run stands: the page to read next within one data version.
CREATE TABLE checkpoint (
  key          TEXT PRIMARY KEY,
  run          INTEGER NOT NULL REFERENCES run (id),
  data_version TEXT,
  stage        TEXT NOT NULL,
  token        TEXT,
  total        INTEGER
) STRICT, WITHOUT ROWID;

-- The ids that have arrived in the stage at which a run stands.
CREATE TABLE checkpoint_id (
  key       TEXT NOT NULL REFERENCES checkpoint (key) ON DELETE CASCADE,
  stage     TEXT NOT NULL,
  source_id TEXT NOT NULL,
  PRIMARY KEY (key, stage, source_id)
) STRICT, WITHOUT ROWID;

-- A saved search, by name.
CREATE TABLE subject (
  name     TEXT PRIMARY KEY,
  source   TEXT NOT NULL,
  query    TEXT NOT NULL,
  added_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The ids that the registry itself returned for a search, as of its last complete run.
CREATE TABLE query_id (
  key       TEXT NOT NULL,
  source_id TEXT NOT NULL,
  PRIMARY KEY (key, source_id)
) STRICT, WITHOUT ROWID;

-- How far a knowledge base (its own token) has read this archive, with one vocabulary.
CREATE TABLE feed (
  store      TEXT NOT NULL,
  vocabulary TEXT NOT NULL,
  record     INTEGER NOT NULL,
  log        INTEGER NOT NULL,
  PRIMARY KEY (store, vocabulary)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER blob_no_update BEFORE UPDATE ON blob BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER blob_no_delete BEFORE DELETE ON blob BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER record_no_update BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER record_no_delete BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER head_log_no_update BEFORE UPDATE ON head_log BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER head_log_no_delete BEFORE DELETE ON head_log BEGIN SELECT RAISE(ABORT, 'the archive is append-only'); END;
