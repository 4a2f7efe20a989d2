-- Contexts of CRDS: which was in force when, which products are as another would make them, and what is
-- to be made again.

CREATE TABLE epoch (
    id INTEGER PRIMARY KEY,
    context TEXT NOT NULL,
    at REAL NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('start', 'configured', 'refresh', 'approved', 'rollback')),
    redo INTEGER NOT NULL CHECK (redo IN (0, 1)),  -- whether products that differ are made again
    rules TEXT NOT NULL     -- SHA-1 over the names and SHA-1 of all its mappings, '' where they were not read
) STRICT;

-- The context would make the same of the same inputs: it chooses the same references.
CREATE TABLE certified (
    activity INTEGER NOT NULL REFERENCES activity (id),
    context TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (activity, context)
) STRICT, WITHOUT ROWID;

-- Jobs that are to be put again in the context in force; a few at a time, so that the service never stands.
CREATE TABLE redo (
    job INTEGER PRIMARY KEY REFERENCES job (id),
    feeds TEXT NOT NULL,
    live INTEGER NOT NULL CHECK (live IN (0, 1)),  -- never done yet, so as urgent as ever
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX redo_feeds ON redo (feeds) WHERE feeds != '';

-- A context that waits for an operator.
CREATE TABLE proposal (
    context TEXT PRIMARY KEY,
    at REAL NOT NULL,
    answer TEXT NOT NULL    -- JSON: what it would change
) STRICT;

-- What was told to people: once for each cause, until the cause is gone.
CREATE TABLE alert (
    cause TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    text TEXT NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    count INTEGER NOT NULL,
    gone REAL
) STRICT;
