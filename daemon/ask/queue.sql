-- name: letters
-- Jobs that need a person, the oldest first.
SELECT id, stage AS pipeline, subject, failure, reason, attempt, tries, predicted_mb, mem_mb, rung, stretch,
       peak_mb, changed_at AS since FROM job WHERE state = 'dead' ORDER BY changed_at, id

-- name: job
-- One job, with all that is known of it.
SELECT id, stage AS pipeline, subject, state, share AS program, boost, priority, failure, reason, attempt,
       tries, predicted_mb, mem_mb, disk_mb, rung, stretch, peak_mb, not_before, created_at,
       changed_at AS since, payload FROM job WHERE id = :id

-- name: attempts_of
-- With their tracebacks.
SELECT attempt, started, ended, outcome, failure, reason, peak_mb, detail FROM activity
WHERE job = :id ORDER BY activity.id

-- name: pauses
-- Stages that are paused, by whom and why; when one that failures have paused is probed.
SELECT name AS stage, paused AS by, reason, since, probe_at FROM stage WHERE paused != '' ORDER BY name

-- name: refused_paths
-- In quarantine, by path or name.
SELECT path FROM quarantine WHERE path = :path OR (:name != '' AND name = :name) ORDER BY path

-- name: groups_called
-- By its whole name, or that of its product.
SELECT name FROM gathering WHERE name = :name OR substr(name, instr(name, ':') + 1) = :name ORDER BY name

-- name: payload_of
-- What was asked of the job that made this content at this path.
SELECT job.id, job.payload, activity.id AS activity, activity.code FROM generated
JOIN activity ON activity.id = generated.activity JOIN job ON job.id = activity.job
WHERE generated.entity = :entity ORDER BY activity.id DESC LIMIT 1

-- name: makers_of
-- Jobs, and their products that are current.
SELECT max(activity.job) AS job, file.path FROM activity JOIN generated ON generated.activity = activity.id
JOIN file ON file.path = generated.path AND file.entity = generated.entity AND file.origin = 'product'
WHERE activity.job IN (SELECT value FROM json_each(:jobs)) GROUP BY file.path ORDER BY file.path

-- name: made_by
-- All products of an attempt.
SELECT generated.path, generated.entity AS sha256, entity.kind FROM generated
JOIN entity ON entity.id = generated.entity WHERE generated.activity = :activity ORDER BY generated.path

-- name: holders_of
-- Where this content is, or was when last seen.
SELECT path FROM file WHERE entity = :entity ORDER BY origin = 'alias', path
