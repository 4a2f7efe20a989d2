-- Jobs, whose turn it is, stages that are paused, and groups; see jobs.py, stages.py and groups.py.

CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    stage TEXT NOT NULL,
    subject TEXT NOT NULL,
    feeds TEXT NOT NULL,
    share TEXT NOT NULL DEFAULT '',
    boost INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL,
    turn INTEGER NOT NULL DEFAULT 0,
    mem_mb INTEGER NOT NULL CHECK (mem_mb >= 0),
    predicted_mb INTEGER NOT NULL CHECK (predicted_mb >= 0),
    disk_mb INTEGER NOT NULL DEFAULT 0 CHECK (disk_mb >= 0),
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'ready'
        CHECK (state IN ('ready', 'running', 'publishing', 'done', 'dead', 'dropped', 'superseded')),
    due INTEGER NOT NULL DEFAULT 1 CHECK (due IN (0, 1)),
    attempt INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    failure TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    rung INTEGER NOT NULL DEFAULT 0,
    stretch INTEGER NOT NULL DEFAULT 1,
    peak_mb REAL,
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

-- The line before each stage: its head is the next to be claimed.
CREATE INDEX job_line ON job (stage, boost DESC, priority DESC, turn, id) WHERE state = 'ready' AND due = 1;
CREATE INDEX job_later ON job (not_before) WHERE state = 'ready' AND due = 0;
CREATE INDEX job_held ON job (worker, stage, state, mem_mb, disk_mb) WHERE worker IS NOT NULL;
CREATE INDEX job_dead ON job (changed_at) WHERE state = 'dead';
CREATE INDEX job_share ON job (share) WHERE state = 'ready';
CREATE INDEX job_subject ON job (subject);
CREATE INDEX job_feeds ON job (feeds, state) WHERE feeds != '';
CREATE INDEX job_state ON job (stage, state);

CREATE TRIGGER job_transition BEFORE UPDATE OF state ON job
WHEN OLD.state != NEW.state AND (OLD.state, NEW.state) NOT IN (
    VALUES ('ready', 'running'), ('ready', 'superseded'), ('ready', 'dead'), ('ready', 'dropped'),
           ('running', 'publishing'), ('running', 'ready'), ('running', 'dead'), ('running', 'superseded'),
           ('running', 'dropped'), ('publishing', 'done'), ('publishing', 'ready'), ('publishing', 'dead'),
           ('publishing', 'superseded'), ('dead', 'ready'), ('dead', 'dropped'), ('dropped', 'ready'))
BEGIN
    SELECT RAISE(ABORT, 'a job cannot change its state so');
END;

-- Whose turn it is: the last turn given to each share, and the last one served.
CREATE TABLE share (
    name TEXT PRIMARY KEY,
    boost INTEGER NOT NULL
) STRICT;

CREATE TABLE turn (
    boost INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    share TEXT NOT NULL,
    given INTEGER NOT NULL,
    PRIMARY KEY (boost, priority, share)
) STRICT, WITHOUT ROWID;

CREATE TABLE served (
    boost INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (boost, priority)
) STRICT, WITHOUT ROWID;

-- Whether a stage is paused, by whom and why. The stage '*' stands for all.
CREATE TABLE stage (
    name TEXT PRIMARY KEY,
    paused TEXT NOT NULL DEFAULT '' CHECK (paused IN ('', 'operator', 'breaker')),
    reason TEXT NOT NULL DEFAULT '',
    since REAL NOT NULL DEFAULT 0,
    failure TEXT NOT NULL DEFAULT '',
    culprits TEXT NOT NULL DEFAULT '[]',
    probe_at REAL,
    wait_s REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE gathering (
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

CREATE TABLE member (
    gathering TEXT NOT NULL REFERENCES gathering (name),
    name TEXT NOT NULL,
    facts TEXT NOT NULL,
    value TEXT,
    failed TEXT,
    PRIMARY KEY (gathering, name),
    CHECK (value IS NULL OR failed IS NULL)
) STRICT, WITHOUT ROWID;
