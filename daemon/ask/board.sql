-- name: totals
-- Without looking at what they hold.
SELECT (SELECT coalesce(sum(n), 0) FROM tally WHERE origin = 'input') AS inputs,
       (SELECT coalesce(sum(n), 0) FROM tally WHERE origin = 'product') AS products,
       (SELECT count(*) FROM quarantine) AS quarantined,
       (SELECT count(*) FROM gathering WHERE state = 'open') AS open,
       (SELECT count(*) FROM gathering WHERE state = 'fired') AS fired

-- name: since_when
-- A setting and when it was written.
SELECT value, at FROM setting WHERE name = :name

-- name: queue
-- Where each pipeline stands.
SELECT stage, state, count(*) AS n FROM job GROUP BY stage, state ORDER BY stage, state

-- name: pipelines
-- All that ever had a job.
SELECT name FROM stage WHERE name != '*' ORDER BY name

-- name: hands
-- What is being made now.
SELECT id, stage AS pipeline, subject, state, attempt, changed_at AS since, mem_mb, worker FROM job
WHERE worker IS NOT NULL ORDER BY changed_at

-- name: heads
-- The next in the line of one pipeline.
SELECT id, stage AS pipeline, subject, reason, created_at AS since FROM job
WHERE stage = :stage AND state = 'ready' AND due = 1 ORDER BY boost DESC, priority DESC, turn, id LIMIT :n

-- name: later
-- What is tried again, and when; what is held.
SELECT * FROM (SELECT id, stage AS pipeline, subject, attempt, reason, not_before AS due FROM job
               WHERE state = 'ready' AND due = 0 AND held = 0 ORDER BY not_before LIMIT :n)
UNION ALL
SELECT * FROM (SELECT id, stage AS pipeline, subject, attempt, reason, NULL AS due FROM job
               WHERE state = 'ready' AND held = 1 ORDER BY id LIMIT :n)
LIMIT :n

-- name: oldest_ready
-- What could have been begun since then.
SELECT min(created_at) AS at FROM job WHERE state = 'ready' AND due = 1

-- name: finished
-- The latest attempts.
SELECT activity.id, activity.job, activity.pipeline, job.subject, activity.attempt, activity.outcome,
       activity.failure, activity.reason, activity.started, activity.ended, activity.peak_mb
FROM (SELECT id FROM activity ORDER BY ended DESC LIMIT :n) AS latest
JOIN activity ON activity.id = latest.id JOIN job ON job.id = activity.job ORDER BY activity.ended DESC

-- name: throughput
-- Attempts that ended well, by stage, in slots of so many seconds.
SELECT CAST((ended - :since) / :width AS INTEGER) AS slot, stage, count(*) AS n FROM activity
WHERE ended >= :since AND ended < :until AND outcome = 'complete' GROUP BY slot, stage

-- name: first_ended
-- When the first attempt since then ended well.
SELECT min(ended) AS at FROM activity WHERE ended >= :since AND outcome = 'complete'

-- name: delays
-- Of the latest attempts that ended well: from when its last input was there, or it was asked for, to the
-- beginning; and computing.
SELECT latest.ended, latest.stage, latest.ended - latest.started AS compute,
       max(0.0, latest.started - (
           SELECT max(coalesce((SELECT min(max(coalesce(history.closed, history.at), :begun)) FROM history
                                WHERE history.entity = used.entity), 0.0))
           FROM used WHERE used.activity = latest.id AND used.entity NOT GLOB 'crds:*')) AS wait
FROM (SELECT id, ended, stage, started FROM activity
      WHERE ended >= :since AND outcome = 'complete' ORDER BY ended DESC LIMIT :n) AS latest

-- name: begun
-- The last time the service began.
SELECT max(at) AS at FROM decision WHERE what = 'start' AND who = 'service'

-- name: failure_counts
-- By pipeline and class.
SELECT pipeline, failure, count(*) AS n FROM activity WHERE outcome = 'failed' GROUP BY pipeline, failure

-- name: outcomes
-- Attempts of all time.
SELECT outcome, count(*) AS n FROM activity GROUP BY outcome

-- name: dead_page
-- The latest first.
SELECT id, stage AS pipeline, subject, attempt, failure, reason, changed_at AS since FROM job
WHERE state = 'dead' ORDER BY changed_at DESC LIMIT :n OFFSET :skip

-- name: dead_count
-- How many.
SELECT count(*) AS n FROM job WHERE state = 'dead'

-- name: quarantine_page
-- The latest first.
SELECT path, name, reason, at FROM quarantine ORDER BY at DESC LIMIT :n OFFSET :skip

-- name: gatherings_page
-- The latest first.
SELECT name, state, listed, complete, missing, version, reason, opened_at, changed_at,
       (SELECT count(*) FROM member WHERE gathering = gathering.name AND value IS NOT NULL) AS present,
       (SELECT count(*) FROM member WHERE gathering = gathering.name AND failed IS NOT NULL) AS failed,
       (SELECT count(*) FROM member WHERE gathering = gathering.name) AS members
FROM gathering WHERE state = :state ORDER BY changed_at DESC LIMIT :n OFFSET :skip

-- name: gathering
-- One, and whether our own backlog holds one of its members.
SELECT *, EXISTS (SELECT 1 FROM job WHERE feeds = gathering.name AND feeds != ''
                  AND state IN ('ready', 'running', 'publishing')) AS busy
FROM gathering WHERE name = :name

-- name: gathering_members
-- In order of their names.
SELECT name, facts, value, failed FROM member WHERE gathering = :name ORDER BY name

-- name: inputs_page
-- Exposures as they came, the latest first.
SELECT file.path, file.name, file.entity AS sha256, file.note, file.at, entity.kind, entity.size, entity.header
FROM (SELECT path FROM file WHERE origin = 'input' ORDER BY at DESC LIMIT :n OFFSET :skip) AS page
JOIN file ON file.path = page.path JOIN entity ON entity.id = file.entity ORDER BY file.at DESC

-- name: inputs_like
-- Those whose name begins so, in order of their names.
SELECT file.path, file.name, file.entity AS sha256, file.note, file.at, entity.kind, entity.size, entity.header
FROM file JOIN entity ON entity.id = file.entity
WHERE file.name GLOB :pattern AND +file.origin = 'input' ORDER BY file.name LIMIT :n OFFSET :skip

-- name: inputs_like_count
-- How many.
SELECT count(*) AS n FROM file WHERE name GLOB :pattern AND +origin = 'input'

-- name: state_of
-- The job that matters most of those that take this content.
SELECT job.state, job.stage AS pipeline, job.reason FROM job_input JOIN job ON job.id = job_input.job
WHERE job_input.entity = :entity AND job.state != 'superseded'
ORDER BY instr('dead running publishing ready done', job.state), job.id DESC LIMIT 1

-- name: refused_name
-- Whether a path is in quarantine.
SELECT reason FROM quarantine WHERE path = :path

-- name: search_files
-- By the beginning of the name, with the index; each name once.
SELECT DISTINCT name FROM file WHERE name GLOB :pattern ORDER BY name LIMIT :n

-- name: search_inside
-- By any part of the name: all names are looked at.
SELECT DISTINCT name FROM file WHERE name LIKE :part ESCAPE '\' ORDER BY name LIMIT :n

-- name: search_quarantine
-- By any part of the name.
SELECT DISTINCT name FROM quarantine WHERE name LIKE :part ESCAPE '\' ORDER BY name LIMIT :n

-- name: search_gatherings
-- By any part of the name.
SELECT name, state FROM gathering WHERE name LIKE :part ESCAPE '\' ORDER BY name LIMIT :n

-- name: names_of
-- Of one program; read from the index alone.
SELECT name FROM file WHERE name GLOB :pattern

-- name: header_of
-- Keywords that were catalogued.
SELECT header FROM entity WHERE id = :entity

-- name: picture
-- A picture that was published as a product, by its content.
SELECT file.path FROM file JOIN entity ON entity.id = file.entity
WHERE file.entity = :entity AND entity.kind = 'png' AND file.origin = 'product' ORDER BY file.path LIMIT 1

-- name: beside
-- A product of this name in the same folder.
SELECT file.path, file.name, file.entity AS sha256, entity.kind FROM file JOIN entity ON entity.id = file.entity
WHERE file.path = :path AND file.origin = 'product'

-- name: is_known
-- Whether a path was ever catalogued or refused.
SELECT 1 AS yes FROM file WHERE path = :path UNION SELECT 1 FROM quarantine WHERE path = :path

-- name: job_told
-- One job, without its payload.
SELECT id, stage AS pipeline, subject, state, attempt, failure, reason, mem_mb, predicted_mb, peak_mb,
       priority, share, not_before AS due, created_at, changed_at FROM job WHERE id = :id

-- name: attempts_in_full
-- With the traceback of a bug.
SELECT id, attempt, started, ended, outcome, failure, reason, context, code, peak_mb, cpu_s, host, detail
FROM activity WHERE job = :job ORDER BY id

-- name: inputs_of_job
-- What it takes.
SELECT job_input.role, job_input.entity AS sha256, entity.name FROM job_input
LEFT JOIN entity ON entity.id = job_input.entity WHERE job_input.job = :job ORDER BY job_input.role, entity.name

-- name: latest_decisions
-- Of operators and of the service.
SELECT at, who, what, subject, why FROM decision ORDER BY id DESC LIMIT :n
