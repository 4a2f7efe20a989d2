-- name: entity
-- The same content is one entity, wherever it lies.
INSERT INTO entity (id, kind, name, size, header, first_seen)
VALUES (:id, :kind, :name, :size, :header, :now) ON CONFLICT (id) DO NOTHING

-- name: file
-- A path holds one thing at a time; what it held before stays an entity.
INSERT INTO file (path, name, entity, origin, stamp, note, at)
VALUES (:path, :name, :entity, :origin, :stamp, :note, :now)
ON CONFLICT (path) DO UPDATE SET entity = excluded.entity, origin = excluded.origin,
    stamp = excluded.stamp, note = excluded.note, at = excluded.at

-- name: history
-- Every time a path comes to hold something, or is refused.
INSERT INTO history (path, entity, origin, reason, closed, at)
VALUES (:path, :entity, :origin, :reason, :closed, :now)

-- name: decision
-- Append only: who did what, and why.
INSERT INTO decision (at, who, what, subject, why) VALUES (:now, :who, :what, :subject, :why)

-- name: stamp
-- What the path looked like when it was catalogued or quarantined: unchanged means nothing to do.
SELECT iif(origin = 'alias', 'aliases', 'catalogued') AS standing, stamp FROM file WHERE path = :path
UNION SELECT 'quarantined', stamp FROM quarantine WHERE path = :path

-- name: at
-- What a path holds.
SELECT entity FROM file WHERE path = :path

-- name: held
-- The reason for its quarantine.
SELECT reason FROM quarantine WHERE path = :path

-- name: expect_no_more
-- A manifest is replaced whole.
DELETE FROM awaited WHERE manifest = :manifest

-- name: expect
-- Of several manifests that name a file, the last one counts.
INSERT INTO awaited (path, manifest, sha256, since) VALUES (:path, :manifest, :sha256, :now)
ON CONFLICT (path) DO UPDATE SET manifest = excluded.manifest, sha256 = excluded.sha256

-- name: awaited
-- What its content has to be.
SELECT manifest, sha256 FROM awaited WHERE path = :path

-- name: contradicted
-- Files that came before their manifest, and are not what it says.
SELECT file.path FROM awaited JOIN file ON file.path = awaited.path
WHERE awaited.manifest = :manifest AND file.entity != awaited.sha256 ORDER BY file.path

-- name: holders
-- Where else this content is.
SELECT path FROM file WHERE entity = :entity AND path != :path AND origin != 'alias' ORDER BY at, path

-- name: forget
-- The path is no more; its content was found elsewhere.
DELETE FROM file WHERE path = :path

-- name: by_name
-- The newest file of this name, whoever made it.
SELECT file.path, file.entity, entity.kind, entity.header FROM file
JOIN entity ON entity.id = file.entity
WHERE file.name = :name AND file.origin != 'alias' ORDER BY file.at DESC, file.path LIMIT 1

-- name: headers_like
-- Exposures of one observation, by their names.
SELECT entity.header FROM file JOIN entity ON entity.id = file.entity
WHERE file.name GLOB :pattern AND file.origin != 'alias'

-- name: unfinished
-- By the names of what is to be made; the index of open jobs is small.
SELECT 1 FROM job WHERE state IN ('ready', 'running', 'publishing') AND subject GLOB :pattern
AND stage != :pipeline LIMIT 1

-- name: note
-- For people who ask why nothing happens.
UPDATE file SET note = :note WHERE path = :path

-- name: quarantine
-- One reason for each path, the latest.
INSERT INTO quarantine (path, name, stamp, reason, at) VALUES (:path, :name, :stamp, :reason, :now)
ON CONFLICT (path) DO UPDATE SET stamp = excluded.stamp, reason = excluded.reason, at = excluded.at

-- name: release
-- It has changed, and is well now.
DELETE FROM quarantine WHERE path = :path

-- name: activity
-- One attempt.
INSERT INTO activity (job, stage, pipeline, attempt, started, ended, outcome, failure, reason, context,
                      code, parameters, steps, peak_mb, cpu_s, detail, host)
VALUES (:job, :stage, :pipeline, :attempt, :started, :ended, :outcome, :failure, :reason, :context,
        :code, :parameters, :steps, :peak_mb, :cpu_s, :detail, :host)
RETURNING id

-- name: used
-- An input or a reference.
INSERT INTO used (activity, entity, role, sha1) VALUES (:activity, :entity, :role, :sha1)
ON CONFLICT DO NOTHING

-- name: measured
-- A reference is as large as when it was used last.
UPDATE entity SET size = :size WHERE id = :id AND size IS NOT :size

-- name: generated
-- A product, where it was published.
INSERT INTO generated (activity, entity, path) VALUES (:activity, :entity, :path)

-- name: derived
-- From the exposures it was made of, not from references.
INSERT INTO derived (entity, source) VALUES (:entity, :source) ON CONFLICT DO NOTHING

-- name: timed
-- When its last input was available, as the view `latency` says, and its products were published; not if
-- the clock was put back meanwhile.
INSERT INTO timing (attempt, stage, pipeline, available, started, ended, published)
SELECT id, stage, pipeline, CASE WHEN stage < 3 AND created_at > known + 1.0 THEN created_at ELSE inputs END,
       started, ended, :now
FROM (SELECT activity.id, activity.stage, activity.pipeline, activity.started, activity.ended, job.created_at,
             max((SELECT min(max(coalesce(closed, at), coalesce((
                             SELECT max(decision.at) FROM decision
                             WHERE what = 'start' AND decision.at <= history.at), 0.0)))
                  FROM history WHERE history.entity = used.entity AND origin IN ('input', 'product'))) AS inputs,
             max((SELECT min(at) FROM history
                  WHERE history.entity = used.entity AND origin IN ('input', 'product'))) AS known
      FROM activity JOIN job ON job.id = activity.job JOIN used ON used.activity = activity.id
      WHERE activity.id = :activity AND used.entity NOT GLOB 'crds:*' GROUP BY activity.id)
WHERE inputs IS NOT NULL AND ended <= :now

-- name: set
-- What must outlive the service.
INSERT INTO setting (name, value, at) VALUES (:name, :value, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at

-- name: setting
-- As it was set last.
SELECT value FROM setting WHERE name = :name

-- name: number
-- A target that comes first gets the next number of its observation.
INSERT INTO target (program, candidate, name, number, at)
SELECT :program, :candidate, :name, count(*) + 1, :now FROM target
WHERE program = :program AND candidate = :candidate
ON CONFLICT (program, candidate, name) DO NOTHING

-- name: number_of
-- The number that it has kept.
SELECT number FROM target WHERE program = :program AND candidate = :candidate AND name = :name

-- name: left_out
-- A member that could not be used.
INSERT INTO left_out (activity, name, reason) VALUES (:activity, :name, :reason)

-- name: taken
-- It was left out of this product before, and is used now.
UPDATE file SET note = '' WHERE path = :path AND substr(note, 1, length(:note)) = :note

-- name: replaced
-- What a job has made last, where the path now holds another content.
SELECT 1 FROM generated JOIN file ON file.path = generated.path
WHERE generated.activity = (SELECT max(id) FROM activity WHERE job = :job AND outcome = 'complete')
AND file.entity != generated.entity LIMIT 1
