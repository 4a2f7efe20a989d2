-- Exposures of a detector in the order of time, and what each hands on to the next.
CREATE TABLE link (
    exposure TEXT PRIMARY KEY,    -- its name without suffix
    detector TEXT NOT NULL,       -- instrument and detector
    start REAL NOT NULL,          -- s since 1970
    segment INTEGER NOT NULL,     -- of an exposure in several files
    ended REAL NOT NULL,
    reach REAL NOT NULL,          -- what ended before this has no part in it
    since REAL NOT NULL,          -- when it came, or was to be made again: its clocks run from then
    look_at REAL,                 -- when a clock ends; NULL where none runs
    waits_for TEXT NOT NULL DEFAULT '',  -- its predecessor, while it waits for that
    handed TEXT                   -- JSON of the file that it has handed on, '' for nothing, NULL: not known
) STRICT;
CREATE INDEX link_order ON link (detector, start, segment, exposure);
CREATE INDEX link_look ON link (look_at) WHERE look_at IS NOT NULL;

-- What jobs take may be completed while they are held.
CREATE TRIGGER job_takes_now AFTER UPDATE OF payload ON job BEGIN
    DELETE FROM job_input WHERE job = NEW.id;
    INSERT OR IGNORE INTO job_input (entity, job, role)
    SELECT json_extract(source.value, '$.sha256'), NEW.id, json_extract(source.value, '$.role')
    FROM json_each(NEW.payload, '$.inputs') AS source;
END;

-- Manifests are asked for the exposures of a visit.
ALTER TABLE awaited ADD COLUMN name TEXT AS (replace(path, rtrim(path, replace(path, '/', '')), '')) VIRTUAL;
CREATE INDEX awaited_name ON awaited (name);
