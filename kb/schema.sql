-- The knowledge base. One SQLite file, foreign keys on, WAL.
--
-- Everything above the line "KEPT" is derived from the raw archive and is rebuilt from it; what
-- stands below that line cannot be derived, and a rebuild carries it over.
--
-- A trial_version is one state of one record of one registry: all derived rows hang on it. The
-- views named current_* show what a question normally asks: the newest version of each trial, of
-- the most trusted source only. A question "as of" a day replaces these views for its connection.
--
-- A line of the criteria that stands word for word elsewhere is stored once, with what was read in it
-- (line, line_reading, line_threshold); a trial version only says where it stands (trial_criterion). The
-- views criterion, threshold and criteria_text put both together, and are what a question asks.
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
  criteria_sha256    TEXT NOT NULL,  -- of the raw eligibility text (view criteria_text)
  record             TEXT NOT NULL,  -- digest of the parsed record, to see a change that keeps the version
  UNIQUE (trial_id, version)
);
CREATE INDEX trial_version_current ON trial_version(trial_id) WHERE current = 1;

CREATE TABLE trial_detail (          -- the long fields of a version, apart: most questions read none of them
  version_id     INTEGER PRIMARY KEY REFERENCES trial_version(id) ON DELETE CASCADE,
  official_title TEXT,
  brief_summary  TEXT,
  arms           TEXT NOT NULL,
  countries      TEXT NOT NULL,
  unknown_tokens TEXT NOT NULL,
  criteria_tail  TEXT NOT NULL,      -- what follows the last criterion
  criteria_text  TEXT                -- the whole text, where its lines do not make it up; else NULL
);

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

-- What a line says is read and stored once, too, however many trials say it: a reading belongs to a line
-- and not to a trial. Its spans count from the line's first character, its items from 0.
CREATE TABLE line_reading (
  id         INTEGER PRIMARY KEY,
  key        BLOB NOT NULL UNIQUE,   -- blake2b of all that the reading says (kb/line_readings.py)
  line_id    INTEGER REFERENCES line(id), -- NULL: not of a criterion, see trial_criterion.ordinal
  section    TEXT NOT NULL CHECK (section IN ('inclusion', 'exclusion', 'unknown')),
  heading    TEXT,
  population TEXT,
  length     INTEGER NOT NULL,       -- of its span in the raw text, code points
  expression TEXT NOT NULL,          -- JSON, docs: what a patient who may enter satisfies
  coverage   REAL NOT NULL,          -- share of its words that were understood
  unread     INTEGER NOT NULL,       -- number of unread leaves in the expression
  open       INTEGER NOT NULL        -- 1: no value, result, age or sex can make it true (kb/screen_index.py)
);
CREATE INDEX line_reading_line ON line_reading(line_id) WHERE line_id IS NOT NULL;

CREATE TABLE line_threshold (        -- one item: what one mention says, and what it means for entry
  id             INTEGER PRIMARY KEY,
  reading_id     INTEGER NOT NULL REFERENCES line_reading(id) ON DELETE CASCADE,
  number         INTEGER NOT NULL,   -- in its reading, from 0
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
  alternative    TEXT,               -- the alternatives of one group share this; NULL: it holds by itself.
                                     -- It follows the criterion's path; after "=" it is the whole name
  branch         INTEGER,            -- which alternative of its group it is part of
  applies_if     TEXT,               -- the condition under which it holds; NULL: always
  holds_for      TEXT                -- the population of the item, or else of its criterion
);
CREATE UNIQUE INDEX line_threshold_reading ON line_threshold(reading_id, number);
-- the bounds demanded of every patient, by value
CREATE INDEX line_threshold_min ON line_threshold(concept_id, scale, min_value, reading_id)
  WHERE min_value IS NOT NULL AND applies_if IS NULL AND holds_for IS NULL;
CREATE INDEX line_threshold_max ON line_threshold(concept_id, scale, max_value, reading_id)
  WHERE max_value IS NOT NULL AND applies_if IS NULL AND holds_for IS NULL;
CREATE INDEX line_threshold_concept ON line_threshold(concept_id, section, reading_id);

CREATE TABLE trial_criterion (       -- where a reading stands
  version_id INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  ordinal    INTEGER NOT NULL,       -- order in the text; -1: the items that stand in no criterion;
                                     -- -2: the registry's own fields of age and sex (for screening)
  reading_id INTEGER NOT NULL REFERENCES line_reading(id),
  current    INTEGER NOT NULL,       -- as trial_version.current
  path       TEXT NOT NULL,          -- "7.2", unique within its section
  parent     INTEGER,                -- ordinal of the criterion that it is part of
  start_char INTEGER NOT NULL,       -- in the raw text, code points
  first_item INTEGER NOT NULL,       -- ordinal of the reading's item 0 in the trial
  names      TEXT,                   -- JSON object number -> item id, where they are not "i1", "i2", ...
  before     TEXT,                   -- raw text between the criterion before and this; NULL: newline, "* "
  PRIMARY KEY (version_id, ordinal)
) WITHOUT ROWID;
CREATE INDEX trial_criterion_reading ON trial_criterion(reading_id, version_id, current);

CREATE TABLE trial_bound (           -- what a survey of many trials reads: the thresholds of a version that
                                     -- demand a range of every patient, and requirements without a range
  version_id   INTEGER NOT NULL REFERENCES trial_version(id) ON DELETE CASCADE,
  threshold_id INTEGER NOT NULL REFERENCES line_threshold(id),
  PRIMARY KEY (version_id, threshold_id)
) WITHOUT ROWID;

-- ------------------------------------------------------------------ screening (kb/screen_index.py)

CREATE TABLE screen_literal (        -- a criterion is false if and only if all literals of one clause are
  reading_id INTEGER NOT NULL REFERENCES line_reading(id) ON DELETE CASCADE,
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
  PRIMARY KEY (reading_id, clause, place)
) WITHOUT ROWID;
CREATE INDEX screen_low ON screen_literal(concept_id, scale, low, reading_id, timed, sex)
  WHERE size = 1 AND outside = 0 AND low IS NOT NULL;
CREATE INDEX screen_high ON screen_literal(concept_id, scale, high, reading_id, timed, sex)
  WHERE size = 1 AND outside = 0 AND high IS NOT NULL;
CREATE INDEX screen_other ON screen_literal(concept_id, scale, outside, size, low, high, reading_id, clause, timed, sex)
  WHERE size > 1 OR outside = 1 OR scale = '?';

CREATE INDEX screen_concept ON screen_literal(concept_id, scale, reading_id);

CREATE TABLE screen_fact (           -- under which keys a patient's event could answer something
  reading_id INTEGER NOT NULL REFERENCES line_reading(id) ON DELETE CASCADE,
  key        TEXT NOT NULL,
  bare       TEXT NOT NULL,
  PRIMARY KEY (key, reading_id, bare)
) WITHOUT ROWID;
CREATE INDEX screen_fact_bare ON screen_fact(bare, reading_id) WHERE bare != key;

CREATE TABLE screen_open (           -- how many criteria no value, result, age or sex can make true
  version_id INTEGER PRIMARY KEY REFERENCES trial_version(id) ON DELETE CASCADE,
  criteria   INTEGER NOT NULL
);
CREATE INDEX screen_open_few ON screen_open(criteria, version_id);

-- ------------------------------------------------------------------ views

CREATE VIEW current_version AS SELECT * FROM trial_version WHERE current = 1;

CREATE VIEW criterion AS             -- one node of the criteria tree
  SELECT k.version_id * 65536 + k.ordinal AS id, k.version_id, k.current, k.ordinal, r.section, k.path,
         k.version_id * 65536 + k.parent AS parent_id, r.heading, r.population, r.line_id, k.start_char,
         k.start_char + r.length AS end_char, r.expression, r.coverage, r.unread, k.reading_id,
         k.first_item, k.names
  FROM trial_criterion k JOIN line_reading r ON r.id = k.reading_id WHERE k.ordinal >= 0;

CREATE VIEW threshold AS             -- one item of one trial version, its spans in the raw text
  SELECT k.version_id * 65536 + k.first_item + h.number AS id, k.version_id, k.current,
         k.first_item + h.number AS ordinal,
         CASE WHEN k.ordinal >= 0 THEN k.version_id * 65536 + k.ordinal END AS criterion_id,
         k.ordinal AS criterion_ordinal, nullif(k.path, '') AS path, k.reading_id,
         CASE WHEN k.names IS NULL THEN 'i' || (k.first_item + h.number + 1)
              ELSE json_extract(k.names, '$."' || h.number || '"') END
           AS item_id,               -- unique in its version
         h.item_key, h.section, h.concept_id, h.concept_text, k.start_char + h.concept_start AS concept_start,
         k.start_char + h.concept_end AS concept_end, h.role, h.entity_type, h.kind, h.comparator, h.low,
         h.high, h.low_inclusive, h.high_inclusive, h.value_set, h.unit, h.unit_text, h.canonical_low,
         h.canonical_high, h.canonical_unit, h.relative_to, h.value_text,
         k.start_char + h.value_start AS value_start, k.start_char + h.value_end AS value_end,
         h.condition_text, k.start_char + h.condition_start AS condition_start,
         k.start_char + h.condition_end AS condition_end, h.exception_text,
         k.start_char + h.exception_start AS exception_start, k.start_char + h.exception_end AS exception_end,
         h.population, h.window, h.rule, h.flags, h.scale, h.min_value, h.min_inclusive, h.max_value,
         h.max_inclusive, h.status, h.turned,
         CASE WHEN h.alternative IS NULL THEN NULL WHEN h.alternative LIKE '=%' THEN substr(h.alternative, 2)
              ELSE substr(h.section, 1, 2) || k.path || h.alternative END AS alternative,
         h.branch, h.applies_if, h.holds_for
  FROM trial_criterion k JOIN line_threshold h ON h.reading_id = k.reading_id;

CREATE VIEW current_threshold AS SELECT * FROM threshold WHERE current = 1;

CREATE VIEW criteria_text AS         -- the raw eligibility text of a version; every span points into it
  SELECT v.id AS version_id, v.criteria_sha256 AS sha256, coalesce(d.criteria_text,
           coalesce((SELECT group_concat(piece, '') FROM (
             SELECT coalesce(k.before, char(10) || '* ') || l.text AS piece
             FROM trial_criterion k JOIN line_reading r ON r.id = k.reading_id JOIN line l ON l.id = r.line_id
             WHERE k.version_id = v.id ORDER BY k.ordinal)), '') || d.criteria_tail) AS text
  FROM trial_version v JOIN trial_detail d ON d.version_id = v.id;

CREATE VIEW trial_view AS            -- one row a trial, as stored now
  SELECT t.source_id AS trial, t.source, v.title, v.status, v.phases, v.enrollment, v.minimum_age,
         v.maximum_age, v.sex, v.start_date, v.version_date, v.data_timestamp, v.synthetic, v.url
  FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE v.current = 1;

CREATE VIEW threshold_view AS        -- one row a threshold of the current versions, with its evidence
  SELECT t.source_id AS trial, h.concept_id AS concept, c.name AS concept_name, h.concept_text,
         h.section, h.path AS criterion, h.role, h.comparator, h.low, h.high, h.unit, h.relative_to,
         h.scale, h.min_value, h.min_inclusive, h.max_value, h.max_inclusive, h.canonical_unit,
         h.status, h.alternative, h.applies_if, h.holds_for AS population, h.value_text, h.value_start,
         h.value_end, h.rule, h.flags, l.text AS line
  FROM threshold h
  JOIN trial_version v ON v.id = h.version_id JOIN trial t ON t.id = v.trial_id
  JOIN line_reading r ON r.id = h.reading_id
  LEFT JOIN concept c ON c.id = h.concept_id LEFT JOIN line l ON l.id = r.line_id
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
