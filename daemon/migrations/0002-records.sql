-- What is known of files, and how each came to be: W3C PROV in relational form
-- (entity, activity, used, generated, derived), beside the jobs in one database.

CREATE TABLE IF NOT EXISTS entity (
    id TEXT PRIMARY KEY,  -- SHA-256 of the content; of a reference file crds:NAME, which CRDS never reuses
    kind TEXT NOT NULL,   -- uncal, rate, cal, i2d, …, asn, reference
    name TEXT NOT NULL,
    size INTEGER,
    header TEXT NOT NULL, -- JSON of the keywords that route and associate it
    first_seen REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entity_name ON entity (name);

-- The catalogue: which entity each path holds now.
CREATE TABLE IF NOT EXISTS file (
    path TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    entity TEXT NOT NULL REFERENCES entity (id),
    origin TEXT NOT NULL CHECK (origin IN ('input', 'product', 'alias')),
    stamp TEXT NOT NULL,  -- device:inode:size:mtime_ns
    note TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS file_name ON file (name);
CREATE INDEX IF NOT EXISTS file_entity ON file (entity);

-- What each path has held, and what was refused there; nothing is ever removed.
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    entity TEXT REFERENCES entity (id),  -- NULL where the content was refused
    origin TEXT NOT NULL CHECK (origin IN ('input', 'product', 'alias', 'refused')),
    reason TEXT NOT NULL,
    closed REAL,                         -- when the file got its content, as its file system says
    at REAL NOT NULL                     -- when it was catalogued, published or refused
) STRICT;
CREATE INDEX IF NOT EXISTS history_path ON history (path);
CREATE INDEX IF NOT EXISTS history_entity ON history (entity);

-- What operators did, and what the service decided by itself.
CREATE TABLE IF NOT EXISTS decision (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    who TEXT NOT NULL,      -- the operator's name, or 'service'
    what TEXT NOT NULL,     -- start, stop, pause, resume, replay, activate, …
    subject TEXT NOT NULL,  -- product, stage, context or file; '' for the whole service
    why TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS decision_subject ON decision (subject);

CREATE TABLE IF NOT EXISTS quarantine (
    path TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    stamp TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

-- Every attempt, the failed ones too.
CREATE TABLE IF NOT EXISTS activity (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES job (id),
    stage INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('complete', 'failed')),
    failure TEXT NOT NULL,    -- class of a failure, see queues/retry.py
    reason TEXT NOT NULL,
    context TEXT NOT NULL,
    code TEXT NOT NULL,
    parameters TEXT NOT NULL, -- JSON: step -> parameter -> [value, origin]
    steps TEXT NOT NULL,      -- JSON: name, keyword, status, reason, seconds, references
    peak_mb REAL,
    cpu_s REAL,
    detail TEXT NOT NULL      -- traceback of a bug
) STRICT;
CREATE INDEX IF NOT EXISTS activity_job ON activity (job);

CREATE TABLE IF NOT EXISTS used (
    activity INTEGER NOT NULL REFERENCES activity (id),
    entity TEXT NOT NULL REFERENCES entity (id),
    role TEXT NOT NULL,
    PRIMARY KEY (activity, entity, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS used_entity ON used (entity);

-- The key comes first: of another order integrity_check of SQLite 3.40 says, wrongly, that there are NULLs.
CREATE TABLE IF NOT EXISTS generated (
    activity INTEGER NOT NULL REFERENCES activity (id),
    path TEXT NOT NULL,
    entity TEXT NOT NULL REFERENCES entity (id),
    PRIMARY KEY (activity, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS generated_entity ON generated (entity);

CREATE TABLE IF NOT EXISTS derived (
    entity TEXT NOT NULL REFERENCES entity (id),
    source TEXT NOT NULL REFERENCES entity (id),
    PRIMARY KEY (entity, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
