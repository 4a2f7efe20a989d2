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
SELECT stamp FROM file WHERE path = :path UNION SELECT stamp FROM quarantine WHERE path = :path

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
INSERT INTO used (activity, entity, role) VALUES (:activity, :entity, :role) ON CONFLICT DO NOTHING

-- name: generated
-- A product, where it was published.
INSERT INTO generated (activity, entity, path) VALUES (:activity, :entity, :path)

-- name: derived
-- From the exposures it was made of, not from references.
INSERT INTO derived (entity, source) VALUES (:entity, :source) ON CONFLICT DO NOTHING

-- name: set
-- What must outlive the service.
INSERT INTO setting (name, value, at) VALUES (:name, :value, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at

-- name: setting
-- As it was set last.
SELECT value FROM setting WHERE name = :name
