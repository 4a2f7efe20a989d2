-- name: files
-- How many of which kind.
SELECT kind, sum(n) AS n FROM tally WHERE origin != 'alias' GROUP BY kind HAVING sum(n) > 0 ORDER BY kind

-- name: jobs
-- Where the queue stands.
SELECT stage, state, count(*) AS n FROM job GROUP BY stage, state ORDER BY stage, state

-- name: in_hand
-- What is being made now.
SELECT id, stage AS pipeline, subject, state, attempt, changed_at AS since, mem_mb FROM job
WHERE worker IS NOT NULL ORDER BY changed_at

-- name: held
-- What waits for its predecessor in time; a hundred of them say enough.
SELECT id, stage AS pipeline, subject, reason, changed_at AS since FROM job
WHERE state = 'ready' AND held = 1 ORDER BY id LIMIT 100

-- name: tried_later
-- What is tried again later, and why: it waits for a reference, an input, or after a failure.
SELECT id, stage AS pipeline, subject, reason, not_before AS due, changed_at AS since FROM job
WHERE state = 'ready' AND due = 0 AND held = 0 AND not_before > :now ORDER BY not_before LIMIT 100

-- name: dead
-- What needs a person.
SELECT id, stage AS pipeline, subject, attempt, reason, changed_at AS since FROM job
WHERE state = 'dead' ORDER BY changed_at

-- name: groups
-- Associations that wait, and why; and the latest that do not.
SELECT name, state, version, reason, opened_at, changed_at,
       (SELECT count(*) FROM member WHERE gathering = gathering.name AND value IS NOT NULL) AS present,
       (SELECT count(*) FROM member WHERE gathering = gathering.name) AS members
FROM gathering WHERE state = 'open'
OR name IN (SELECT name FROM gathering WHERE state = 'fired' ORDER BY changed_at DESC LIMIT 20) ORDER BY name

-- name: quarantined
-- Each with its one reason.
SELECT path, reason, at FROM quarantine ORDER BY path

-- name: awaited
-- Files which manifests name and which have not come.
SELECT path, manifest, since FROM awaited
WHERE path NOT IN (SELECT path FROM file) AND path NOT IN (SELECT path FROM quarantine) ORDER BY path

-- name: awaited_like
-- By path, or by name if that is all that is given.
SELECT path, manifest FROM awaited WHERE path = :path OR (:name != '' AND path LIKE '%/' || :name) ORDER BY path

-- name: settings
-- The context in force, and since when.
SELECT name, value, at FROM setting ORDER BY name

-- name: service
-- The last time it began or ended, and when it was last heard of.
SELECT what, why, at, (SELECT at FROM setting WHERE name = :heartbeat) AS heard FROM decision
WHERE who = 'service' AND what IN ('start', 'stop') ORDER BY at DESC, id DESC LIMIT 1

-- name: find
-- By path, or by name if that is all that is given; the newest first.
SELECT file.path, file.name, file.entity AS sha256, entity.kind, file.origin, file.note, file.at
FROM file JOIN entity ON entity.id = file.entity
WHERE file.path = :path OR (:name != '' AND file.name = :name) ORDER BY file.path = :path DESC, file.at DESC

-- name: refused
-- Whether it was quarantined, by path or name.
SELECT path, reason, at FROM quarantine WHERE path = :path OR (:name != '' AND name = :name) ORDER BY path

-- name: names_from
-- Names of files and references that begin so, a few of them.
SELECT name FROM (
    SELECT name FROM file WHERE name >= :start AND name < :beyond AND name NOT LIKE '%.provenance.json'
    UNION SELECT name FROM entity WHERE kind = 'reference' AND name >= :start AND name < :beyond
    UNION SELECT name FROM quarantine WHERE name >= :start AND name < :beyond) LIMIT 1000

-- name: jobs_of
-- Jobs that take this content.
SELECT DISTINCT job.id, job.stage AS pipeline, job.subject, job.state, job.attempt, job.reason,
       job.changed_at AS since
FROM job_input JOIN job ON job.id = job_input.job WHERE job_input.entity = :entity ORDER BY job.id

-- name: descendants
-- All that was made of this content, directly or not.
WITH RECURSIVE made (id) AS (
    SELECT entity FROM derived WHERE source = :entity
    UNION SELECT derived.entity FROM derived JOIN made ON derived.source = made.id)
SELECT file.path, entity.kind FROM made JOIN entity ON entity.id = made.id AND entity.kind != 'provenance'
JOIN file ON file.entity = made.id ORDER BY file.path
