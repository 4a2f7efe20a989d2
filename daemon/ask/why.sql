-- name: family
-- Files of the same exposure or association: GLOB, which can use the index.
SELECT file.path, file.name, file.entity AS sha256, entity.kind, file.origin, file.note, file.at
FROM file JOIN entity ON entity.id = file.entity WHERE file.name GLOB :pattern ORDER BY file.name

-- name: jobs_for
-- Jobs which make what has this name; the newest last.
SELECT id, stage AS pipeline, subject, state, attempt, reason, not_before AS due, held, created_at,
       changed_at AS since
FROM job WHERE subject = :subject ORDER BY id

-- name: jobs_taking
-- Jobs which take this content.
SELECT DISTINCT job.id, stage AS pipeline, subject, state, attempt, reason, not_before AS due, held,
       created_at, changed_at AS since
FROM job_input JOIN job ON job.id = job_input.job WHERE job_input.entity = :entity ORDER BY job.id

-- name: attempts_at
-- How they ended.
SELECT id, attempt, started, ended, outcome, failure, reason, context, code, peak_mb, cpu_s
FROM activity WHERE job = :job ORDER BY id

-- name: left_out_of
-- Members without which a job has made its products.
SELECT name, reason FROM left_out WHERE activity = (
    SELECT max(id) FROM activity WHERE job = :job AND outcome = 'complete') ORDER BY name

-- name: group_named
-- An association by its name.
SELECT name, state, reason, version, opened_at, changed_at FROM gathering WHERE name = :name

-- name: groups_with
-- Associations with members whose names begin so; a backquote comes after the underscore.
SELECT DISTINCT gathering.name, state, reason, version, opened_at, changed_at, member.name AS member
FROM member JOIN gathering ON gathering.name = member.gathering
WHERE member.name >= :prefix AND member.name < :beyond ORDER BY gathering.name

-- name: members_of
-- Who is there, who is awaited, who will not come.
SELECT name, value IS NOT NULL AS present, failed FROM member WHERE gathering = :name ORDER BY name

-- name: under_way
-- What is being made of an exposure, or was to be: the latest job of each pipeline, the latest first.
SELECT max(id) AS id, stage AS pipeline, state, reason FROM job
WHERE subject IN (SELECT value || ':' || :root FROM json_each(:pipelines)) GROUP BY stage ORDER BY id DESC

-- name: pause_of
-- That of a stage, or of all.
SELECT reason FROM stage WHERE paused != '' AND name IN (:stage, '*')

-- name: order_of
-- The exposure that one waits for, and the one that its last job has taken from.
SELECT link.waits_for, link.detector, link.start FROM link WHERE link.exposure = :root

-- name: refused_like
-- Files of an exposure that cannot be used.
SELECT path, reason, at FROM quarantine WHERE name GLOB :pattern ORDER BY at DESC

-- name: decisions_on
-- Decisions about it, the latest first.
SELECT at, who, what, subject, why FROM decision WHERE subject LIKE :root ORDER BY id DESC LIMIT 20
