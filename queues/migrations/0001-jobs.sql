-- Jobs and groups. The states and their order are those of job.py and groups.py.

CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    stage TEXT NOT NULL,
    subject TEXT NOT NULL,
    feeds TEXT NOT NULL,
    priority INTEGER NOT NULL,
    mem_mb INTEGER NOT NULL CHECK (mem_mb >= 0),
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'ready'
        CHECK (state IN ('ready', 'running', 'publishing', 'done', 'dead', 'superseded')),
    attempt INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL,
    lease_until REAL,
    worker TEXT,
    result TEXT,
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    CHECK ((state IN ('running', 'publishing')) = (worker IS NOT NULL)),
    CHECK ((worker IS NULL) = (lease_until IS NULL)),
    CHECK (state != 'publishing' OR result IS NOT NULL)
) STRICT;

CREATE INDEX IF NOT EXISTS job_ready ON job (priority DESC, id) WHERE state = 'ready';
CREATE INDEX IF NOT EXISTS job_open ON job (state) WHERE state IN ('ready', 'running', 'publishing');
CREATE INDEX IF NOT EXISTS job_subject ON job (subject);
CREATE INDEX IF NOT EXISTS job_feeds ON job (feeds) WHERE feeds != '';

CREATE TRIGGER IF NOT EXISTS job_transition BEFORE UPDATE OF state ON job
WHEN OLD.state != NEW.state AND (OLD.state, NEW.state) NOT IN (
    VALUES ('ready', 'running'), ('ready', 'superseded'), ('ready', 'dead'),
           ('running', 'publishing'), ('running', 'ready'), ('running', 'dead'), ('running', 'superseded'),
           ('publishing', 'done'), ('publishing', 'ready'), ('publishing', 'dead'),
           ('publishing', 'superseded'), ('dead', 'ready'))
BEGIN
    SELECT RAISE(ABORT, 'a job cannot change its state so');
END;

CREATE TABLE IF NOT EXISTS gathering (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'fired')),
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),
    complete INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)),
    missing TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    opened_at REAL NOT NULL,
    changed_at REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS member (
    gathering TEXT NOT NULL REFERENCES gathering (name),
    name TEXT NOT NULL,
    facts TEXT NOT NULL,
    value TEXT,
    failed TEXT,
    PRIMARY KEY (gathering, name),
    CHECK (value IS NULL OR failed IS NULL)
) STRICT, WITHOUT ROWID;
