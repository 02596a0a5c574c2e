-- The knowledge base. One SQLite file, foreign keys on, WAL.
--
-- Everything above the line "KEPT" is derived from the raw archive and is rebuilt from it; what
-- stands below that line cannot be derived, and a rebuild carries it over.
--
-- A trial_version is one state of one record of one registry: all derived rows hang on it. The
-- views named current_* show what a question normally asks: the newest version of each trial, of
-- the most trusted source only. A question "as of" a day replaces these views for its connection.
--
-- Lists are JSON arrays. Dates are as the registry writes them. Booleans are 0, 1 or NULL.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL            -- schema_version, vocabulary, generation (counts writes), made (random)
) WITHOUT ROWID;

-- ------------------------------------------------------------------ vocabulary (passed in)

CREATE TABLE category (
  id TEXT PRIMARY KEY            -- haematology, liver, ...
) WITHOUT ROWID;

CREATE TABLE concept (
  id             TEXT PRIMARY KEY,   -- plt
  name           TEXT NOT NULL,      -- Platelet count
  category_id    TEXT REFERENCES category(id),
  canonical_unit TEXT,               -- UCUM
  loinc          TEXT NOT NULL DEFAULT '[]',
  plausible_low  REAL,               -- in canonical_unit
  plausible_high REAL,
  molar_mass     REAL                -- g/mol
) WITHOUT ROWID;

CREATE TABLE concept_alias (
  alias      TEXT NOT NULL,          -- case-folded surface form, as a query may word it
  concept_id TEXT NOT NULL REFERENCES concept(id) ON DELETE CASCADE,
  PRIMARY KEY (alias, concept_id)
) WITHOUT ROWID;

-- ------------------------------------------------------------------ trials and their versions

CREATE TABLE trial (
  id        INTEGER PRIMARY KEY,
  source    TEXT NOT NULL,           -- ctgov, clinconnect, ...
  source_id TEXT NOT NULL,           -- NCT06886919
  preferred INTEGER NOT NULL DEFAULT 1,  -- 0: a more trusted source states the same trial
  vanished  TEXT,                    -- UTC time at which the registry no longer knew it
  UNIQUE (source_id, source)
);

CREATE TABLE trial_alias (
  alias    TEXT NOT NULL,            -- an id under which the registry also knows it
  trial_id INTEGER NOT NULL REFERENCES trial(id) ON DELETE CASCADE,
  PRIMARY KEY (alias, trial_id)
) WITHOUT ROWID;

CREATE TABLE criteria_text (         -- the raw eligibility text, stored once; every span points into it
  id     INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL UNIQUE,
  text   TEXT NOT NULL
);

CREATE TABLE trial_version (
  id                 INTEGER PRIMARY KEY,
  trial_id           INTEGER NOT NULL REFERENCES trial(id) ON DELETE CASCADE,
  version            TEXT NOT NULL,  -- sha256 of the canonical record
  version_date       TEXT,           -- the registry's date of this state (YYYY-MM-DD)
  current            INTEGER NOT NULL DEFAULT 0,
  url                TEXT NOT NULL,
  fetched_at         TEXT,           -- UTC; of the fetch, so not part of the content digest
  data_timestamp     TEXT,           -- the registry's own data version; not part of the digest
  vocabulary         TEXT NOT NULL,  -- digest of the vocabulary that read it
  title              TEXT NOT NULL,
  official_title     TEXT,
  acronym            TEXT,
  status             TEXT,
  study_type         TEXT,
  phases             TEXT NOT NULL,
  enrollment         INTEGER,
  minimum_age        TEXT,
  maximum_age        TEXT,
  sex                TEXT,
  healthy_volunteers INTEGER,
  start_date         TEXT,
  completion_date    TEXT,
  first_posted       TEXT,
  last_update_posted TEXT,
  synthetic          INTEGER NOT NULL,
  reconstruction     INTEGER NOT NULL,
  criteria_text_id   INTEGER NOT NULL REFERENCES criteria_text(id),
  record             TEXT NOT NULL,  -- digest of the parsed record, to see a change that keeps the version
  countries          TEXT NOT NULL,
  unknown_tokens     TEXT NOT NULL,
  brief_summary      TEXT,           -- the long ones last: what stands before them is read without them
  arms               TEXT NOT NULL,
  UNIQUE (trial_id, version)
);
CREATE INDEX trial_version_current ON trial_version(trial_id) WHERE current = 1;
CREATE INDEX trial_version_text ON trial_version(criteria_text_id);

CREATE TABLE condition (
  id       INTEGER PRIMARY KEY,
  name     TEXT NOT NULL,            -- as written
  name_key TEXT NOT NULL,            -- case-folded, punctuation out
  mesh_id  TEXT NOT NULL DEFAULT '', -- D008180; '' for the registry's own words
  UNIQUE (name, mesh_id)
);
CREATE INDEX condition_key ON condition(name_key);
CREATE INDEX condition_mesh ON condition(mesh_id) WHERE mesh_id != '';

CREATE TABLE trial_condition (
  version_id   INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  relation     TEXT NOT NULL CHECK (relation IN ('condition', 'mesh', 'ancestor', 'keyword')),
  ordinal      INTEGER NOT NULL,
  condition_id INTEGER NOT NULL REFERENCES condition(id),
  PRIMARY KEY (version_id, relation, ordinal)
) WITHOUT ROWID;
CREATE INDEX trial_condition_by ON trial_condition(condition_id, relation, version_id);

CREATE TABLE intervention (
  id       INTEGER PRIMARY KEY,
  type     TEXT NOT NULL DEFAULT '', -- the registry's token: DRUG, BIOLOGICAL; '' for MeSH
  name     TEXT NOT NULL,
  name_key TEXT NOT NULL,
  mesh_id  TEXT NOT NULL DEFAULT '',
  UNIQUE (name, type, mesh_id)
);
CREATE INDEX intervention_key ON intervention(name_key);

CREATE TABLE trial_intervention (
  version_id      INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  relation        TEXT NOT NULL CHECK (relation IN ('intervention', 'mesh', 'ancestor')),
  ordinal         INTEGER NOT NULL,
  intervention_id INTEGER NOT NULL REFERENCES intervention(id),
  description     TEXT,
  other_names     TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (version_id, relation, ordinal)
) WITHOUT ROWID;
CREATE INDEX trial_intervention_by ON trial_intervention(intervention_id, relation, version_id);

CREATE TABLE sponsor (
  id       INTEGER PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE
);

CREATE TABLE trial_sponsor (
  version_id    INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  ordinal       INTEGER NOT NULL,
  sponsor_id    INTEGER NOT NULL REFERENCES sponsor(id),
  role          TEXT NOT NULL,
  sponsor_class TEXT,
  PRIMARY KEY (version_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX trial_sponsor_by ON trial_sponsor(sponsor_id, version_id);

CREATE TABLE trial_topic (           -- what the intervention is, read from registry fields and title
  version_id INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  kind       TEXT NOT NULL CHECK (kind IN ('product', 'target', 'modality', 'type')),
  value      TEXT NOT NULL,
  evidence   TEXT NOT NULL,          -- the words it was read from
  PRIMARY KEY (version_id, kind, value)
) WITHOUT ROWID;
CREATE INDEX trial_topic_by ON trial_topic(kind, value, version_id);

CREATE TABLE term_vector (           -- the words of a version, hashed: an index, not content
  version_id INTEGER PRIMARY KEY REFERENCES trial_version(id) ON DELETE CASCADE,
  terms      BLOB NOT NULL           -- see kb/terms.py
);

-- ------------------------------------------------------------------ criteria and thresholds

CREATE TABLE line (                  -- a criterion's words, stored once however many trials say them
  id   INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,         -- first 24 hex digits of blake2b of the exact text
  text TEXT NOT NULL
);
CREATE VIRTUAL TABLE line_fts USING fts5(
  text, content='line', content_rowid='id', tokenize="unicode61 remove_diacritics 2"
);

CREATE TABLE criterion (             -- one node of the criteria tree
  id         INTEGER PRIMARY KEY,
  version_id INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  ordinal    INTEGER NOT NULL,       -- order in the text
  section    TEXT NOT NULL CHECK (section IN ('inclusion', 'exclusion', 'unknown')),
  path       TEXT NOT NULL,          -- "7.2", unique within its section
  parent_id  INTEGER REFERENCES criterion(id) ON DELETE CASCADE,
  heading    TEXT,
  population TEXT,
  line_id    INTEGER NOT NULL REFERENCES line(id),
  start_char INTEGER NOT NULL,       -- span in criteria_text.text, code points
  end_char   INTEGER NOT NULL,
  expression TEXT NOT NULL,          -- JSON, docs: what a patient who may enter satisfies
  coverage   REAL NOT NULL,          -- share of its words that were understood
  unread     INTEGER NOT NULL,       -- number of unread leaves in the expression
  UNIQUE (version_id, ordinal)
);
CREATE INDEX criterion_line ON criterion(line_id, version_id);
CREATE INDEX criterion_parent ON criterion(parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE threshold (             -- one item: what one mention says, and what it means for entry
  id             INTEGER PRIMARY KEY,
  version_id     INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  current        INTEGER NOT NULL,   -- as trial_version.current, for the indexes below
  ordinal        INTEGER NOT NULL,
  criterion_id   INTEGER REFERENCES criterion(id) ON DELETE CASCADE,
  item_id        TEXT NOT NULL,      -- unique in its version
  item_key       TEXT NOT NULL,      -- the same for the same words of the same line, anywhere
  section        TEXT NOT NULL,
  concept_id     TEXT REFERENCES concept(id),
  concept_text   TEXT,
  concept_start  INTEGER,
  concept_end    INTEGER,
  role           TEXT NOT NULL,
  entity_type    TEXT NOT NULL,
  kind           TEXT NOT NULL,
  comparator     TEXT NOT NULL,
  low            REAL,               -- as written, in unit, or multiples of relative_to
  high           REAL,
  low_inclusive  INTEGER,
  high_inclusive INTEGER,
  value_set      TEXT,               -- JSON array of a comparator "set"
  unit           TEXT,
  unit_text      TEXT,
  canonical_low  REAL,
  canonical_high REAL,
  canonical_unit TEXT,
  relative_to    TEXT,
  value_text     TEXT NOT NULL,
  value_start    INTEGER NOT NULL,
  value_end      INTEGER NOT NULL,
  condition_text TEXT,
  condition_start INTEGER,
  condition_end  INTEGER,
  exception_text TEXT,
  exception_start INTEGER,
  exception_end  INTEGER,
  population     TEXT,
  window         TEXT,               -- JSON object or NULL
  rule           TEXT NOT NULL,
  flags          TEXT NOT NULL,      -- JSON array
  -- what it means for a patient who may enter, derived from the criterion's expression (kb/eligible.py)
  scale          TEXT,               -- absolute, ULN, LLN, LLOD, baseline, predicted; NULL: not comparable
  min_value      REAL,               -- the eligible range, in canonical_unit or multiples of scale
  min_inclusive  INTEGER,
  max_value      REAL,
  max_inclusive  INTEGER,
  status         TEXT,               -- for qualitative ones: positive, negative, detectable, undetectable
  turned         INTEGER NOT NULL,   -- 1: the text names the excluded set, and the range is its complement
  alternative    TEXT,               -- the alternatives of one group share this; NULL: it holds by itself
  branch         INTEGER,            -- which alternative of its group it is part of
  applies_if     TEXT,               -- the condition under which it holds; NULL: always
  holds_for      TEXT                -- the population of the item, or else of its criterion
);
CREATE INDEX threshold_version ON threshold(version_id, concept_id);
-- what a survey of a subject reads: the general bounds by trial, and how many requirements have none
CREATE INDEX threshold_general ON threshold(version_id, concept_id, scale, min_value, max_value, alternative,
    canonical_unit, unit, applies_if, holds_for)
  WHERE scale IS NOT NULL AND applies_if IS NULL AND holds_for IS NULL AND concept_id IS NOT NULL;
CREATE INDEX threshold_unplaced ON threshold(version_id, concept_id, role, scale, status)
  WHERE scale IS NULL AND status IS NULL AND role = 'requirement' AND concept_id IS NOT NULL;
CREATE INDEX threshold_criterion ON threshold(criterion_id);
-- the bounds demanded of every patient, by value: these two cover the questions over all trials
CREATE INDEX threshold_min ON threshold(concept_id, scale, min_value, version_id, alternative, canonical_unit, current, applies_if, holds_for)
  WHERE current = 1 AND min_value IS NOT NULL AND applies_if IS NULL AND holds_for IS NULL;
CREATE INDEX threshold_max ON threshold(concept_id, scale, max_value, version_id, alternative, canonical_unit, current, applies_if, holds_for)
  WHERE current = 1 AND max_value IS NOT NULL AND applies_if IS NULL AND holds_for IS NULL;
CREATE INDEX threshold_concept ON threshold(concept_id, section, version_id, current) WHERE current = 1;

-- ------------------------------------------------------------------ screening (kb/screen_index.py)

CREATE TABLE screen_literal (        -- a criterion is false if and only if all literals of one clause are
  version_id INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  clause     INTEGER NOT NULL,
  place      INTEGER NOT NULL,
  size       INTEGER NOT NULL,       -- how many literals the clause has
  concept_id TEXT NOT NULL,          -- '' for a fact; age, sex
  scale      TEXT NOT NULL,          -- absolute, ULN, LLN, result, sex; ? where only the evaluation can say
  low        REAL,                   -- true from low to high (in canonical units, or multiples) ...
  high       REAL,
  outside    INTEGER NOT NULL,       -- ... or, with 1, outside of them
  sex        TEXT,                   -- only about this sex
  timed      INTEGER NOT NULL,       -- the text sets a window
  PRIMARY KEY (version_id, clause, place)
) WITHOUT ROWID;
CREATE INDEX screen_low ON screen_literal(concept_id, scale, low, version_id, timed, sex)
  WHERE size = 1 AND outside = 0 AND low IS NOT NULL;
CREATE INDEX screen_high ON screen_literal(concept_id, scale, high, version_id, timed, sex)
  WHERE size = 1 AND outside = 0 AND high IS NOT NULL;
CREATE INDEX screen_other ON screen_literal(concept_id, scale, outside, size, low, high, version_id, clause, timed, sex)
  WHERE size > 1 OR outside = 1 OR scale = '?';

CREATE INDEX screen_concept ON screen_literal(concept_id, scale, version_id);

CREATE TABLE screen_fact (           -- under which keys a patient's event could answer something
  version_id INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  key        TEXT NOT NULL,
  bare       TEXT NOT NULL,
  PRIMARY KEY (key, version_id, bare)
) WITHOUT ROWID;
CREATE INDEX screen_fact_bare ON screen_fact(bare, version_id) WHERE bare != key;
CREATE INDEX screen_fact_version ON screen_fact(version_id);

CREATE TABLE screen_open (           -- how many criteria no value, result, age or sex can make true
  version_id INTEGER PRIMARY KEY REFERENCES trial_version(id) ON DELETE CASCADE,
  criteria   INTEGER NOT NULL
);
CREATE INDEX screen_open_few ON screen_open(criteria, version_id);

-- ------------------------------------------------------------------ views

CREATE VIEW current_version AS SELECT * FROM trial_version WHERE current = 1;
CREATE VIEW current_threshold AS SELECT * FROM threshold WHERE current = 1;

CREATE VIEW trial_view AS            -- one row a trial, as stored now
  SELECT t.source_id AS trial, t.source, v.title, v.status, v.phases, v.enrollment, v.minimum_age,
         v.maximum_age, v.sex, v.start_date, v.version_date, v.data_timestamp, v.synthetic, v.url
  FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE v.current = 1;

CREATE VIEW threshold_view AS        -- one row a threshold of the current versions, with its evidence
  SELECT t.source_id AS trial, h.concept_id AS concept, c.name AS concept_name, h.concept_text,
         h.section, k.path AS criterion, h.role, h.comparator, h.low, h.high, h.unit, h.relative_to,
         h.scale, h.min_value, h.min_inclusive, h.max_value, h.max_inclusive, h.canonical_unit,
         h.status, h.alternative, h.applies_if, h.holds_for AS population, h.value_text, h.value_start,
         h.value_end, h.rule, h.flags, l.text AS line
  FROM threshold h
  JOIN trial_version v ON v.id = h.version_id JOIN trial t ON t.id = v.trial_id
  LEFT JOIN concept c ON c.id = h.concept_id
  LEFT JOIN criterion k ON k.id = h.criterion_id LEFT JOIN line l ON l.id = k.line_id
  WHERE h.current = 1;

CREATE VIEW criterion_view AS        -- one row a criterion of the current versions
  SELECT t.source_id AS trial, k.section, k.path, k.heading, k.population, k.coverage, k.unread,
         k.expression, l.text
  FROM criterion k JOIN line l ON l.id = k.line_id
  JOIN trial_version v ON v.id = k.version_id JOIN trial t ON t.id = v.trial_id
  WHERE v.current = 1;

-- The graph. Ids are "kind:key"; kb/graph.py projects a neighbourhood to networkx.
CREATE VIEW nodes AS
  SELECT 'trial:' || v.id AS id, 'trial' AS kind, t.source_id AS label FROM trial_version v JOIN trial t ON t.id = v.trial_id
  UNION ALL SELECT 'criterion:' || k.id, 'criterion', l.text FROM criterion k JOIN line l ON l.id = k.line_id
  UNION ALL SELECT 'threshold:' || id, 'threshold', coalesce(concept_text, '') || ' ' || value_text FROM threshold
  UNION ALL SELECT 'concept:' || id, 'concept', name FROM concept
  UNION ALL SELECT 'category:' || id, 'category', id FROM category
  UNION ALL SELECT 'condition:' || id, 'condition', name FROM condition
  UNION ALL SELECT 'intervention:' || id, 'intervention', name FROM intervention
  UNION ALL SELECT 'sponsor:' || id, 'sponsor', name FROM sponsor
  UNION ALL SELECT DISTINCT 'population:' || holds_for, 'population', holds_for FROM threshold WHERE holds_for IS NOT NULL;

CREATE VIEW edges AS
  SELECT 'trial:' || version_id AS source, 'criterion:' || id AS target, 'HAS' AS kind FROM criterion
  UNION ALL SELECT 'criterion:' || id, 'criterion:' || parent_id, 'PART_OF' FROM criterion WHERE parent_id IS NOT NULL
  UNION ALL SELECT 'criterion:' || criterion_id, 'threshold:' || id, 'STATES' FROM threshold WHERE criterion_id IS NOT NULL
  UNION ALL SELECT 'threshold:' || id, 'concept:' || concept_id, 'ON' FROM threshold WHERE concept_id IS NOT NULL
  UNION ALL SELECT 'threshold:' || id, 'population:' || holds_for, 'FOR' FROM threshold WHERE holds_for IS NOT NULL
  UNION ALL SELECT 'concept:' || id, 'category:' || category_id, 'IN' FROM concept WHERE category_id IS NOT NULL
  UNION ALL SELECT 'trial:' || version_id, 'condition:' || condition_id, 'STUDIES' FROM trial_condition WHERE relation IN ('condition', 'mesh')
  UNION ALL SELECT 'trial:' || version_id, 'intervention:' || intervention_id, 'TESTS' FROM trial_intervention WHERE relation IN ('intervention', 'mesh')
  UNION ALL SELECT 'trial:' || version_id, 'sponsor:' || sponsor_id, 'RUN_BY' FROM trial_sponsor
  UNION ALL SELECT 'threshold:' || a.id, 'threshold:' || b.id, 'ALTERNATIVE_TO'
    FROM threshold a JOIN threshold b ON b.version_id = a.version_id AND b.alternative = a.alternative AND b.branch != a.branch
  UNION ALL SELECT 'trial:' || n.id, 'trial:' || o.id, 'SUPERSEDES' FROM trial_version n JOIN trial_version o
    ON o.trial_id = n.trial_id AND o.id = (SELECT p.id FROM trial_version p WHERE p.trial_id = n.trial_id AND p.id != n.id
      AND (coalesce(p.version_date, ''), coalesce(p.fetched_at, ''), p.version) < (coalesce(n.version_date, ''), coalesce(n.fetched_at, ''), n.version)
      ORDER BY coalesce(p.version_date, '') DESC, coalesce(p.fetched_at, '') DESC, p.version DESC LIMIT 1);

-- ==================================================================== KEPT (a rebuild carries these over)

CREATE TABLE IF NOT EXISTS review (  -- what a person decided about one item of one line: applied wherever the line stands
  id         INTEGER PRIMARY KEY,
  reviewer   TEXT NOT NULL,
  reviewed_at TEXT NOT NULL,         -- UTC, ISO 8601
  reason     TEXT,
  line_hash  TEXT NOT NULL,          -- line.hash
  section    TEXT,                   -- NULL: in whichever section the line stands
  item_key   TEXT NOT NULL,          -- threshold.item_key; '' for something that was missed in this line
  verdict    TEXT NOT NULL CHECK (verdict IN ('correct', 'wrong', 'corrected', 'missed')),
  corrected  TEXT,                   -- the item as it should be read (JSON, nlp.model.Item.to_json keys)
  undone_at  TEXT,                   -- set when the reviewer took it back; nothing is deleted
  line_text  TEXT NOT NULL DEFAULT '', -- the words that were reviewed, should the line itself be gone
  reading    TEXT                    -- what was read when it was reviewed (JSON, kb/review.py): another reading re-opens it
);
CREATE INDEX IF NOT EXISTS review_line ON review(line_hash, item_key);

CREATE TABLE IF NOT EXISTS quality ( -- what a quality report measured, for its trend
  id          INTEGER PRIMARY KEY,
  measured_at TEXT NOT NULL,         -- UTC, ISO 8601
  scope       TEXT NOT NULL,         -- '' for the whole knowledge base, else the subject
  vocabulary  TEXT NOT NULL,
  generation  TEXT NOT NULL,         -- of the meta table
  figures     TEXT NOT NULL          -- JSON object: figure -> number
);
