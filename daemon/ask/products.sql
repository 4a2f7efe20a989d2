-- name: maker
-- The latest attempt that gave just this content.
SELECT activity.* FROM generated JOIN activity ON activity.id = generated.activity
WHERE generated.entity = :entity ORDER BY activity.id DESC LIMIT 1

-- name: used_by
-- What an attempt used: inputs, references, associations.
SELECT used.role, used.entity, used.sha1, entity.kind, entity.name,
       (SELECT path FROM file WHERE file.entity = used.entity ORDER BY origin = 'alias' LIMIT 1) AS path
FROM used JOIN entity ON entity.id = used.entity WHERE used.activity = :activity
ORDER BY entity.kind = 'reference', used.role, entity.name

-- name: entity
-- A file, by its content.
SELECT id AS sha256, kind, name, size FROM entity WHERE id = :entity

-- name: attempt
-- One attempt.
SELECT * FROM activity WHERE id = :id

-- name: entities_named
-- Contents of this name, or of this checksum.
SELECT id AS sha256, kind, name FROM entity WHERE name = :name OR id = :name ORDER BY first_seen

-- name: made_with
-- What was made with one content, directly or of such products; each once, by its present path if it has one.
WITH RECURSIVE reached (entity, steps, role) AS (
    SELECT generated.entity, 1, used.role FROM used
    JOIN generated ON generated.activity = used.activity WHERE used.entity = :entity
    UNION SELECT derived.entity, reached.steps + 1, reached.role
    FROM reached JOIN derived ON derived.source = reached.entity)
SELECT coalesce(file.path, generated.path) AS product, entity.kind, reached.role, min(reached.steps) AS steps,
       file.path IS NOT NULL AS current, reached.entity AS sha256
FROM reached JOIN entity ON entity.id = reached.entity AND entity.kind != 'provenance'
JOIN generated ON generated.entity = reached.entity LEFT JOIN file ON file.entity = reached.entity
GROUP BY reached.entity, coalesce(file.path, generated.path) ORDER BY steps, product

-- name: versions_of
-- Of one path; read from history rather than from the view, which numbers all paths.
SELECT history.path, row_number() OVER (ORDER BY history.id) AS version, history.entity AS sha256,
       history.at AS published, activity.id AS attempt, activity.job, activity.pipeline, activity.context,
       activity.code, job.reason AS asked
FROM history LEFT JOIN activity ON activity.id = (
    SELECT max(made.id) FROM generated JOIN activity AS made ON made.id = generated.activity
    WHERE generated.path = history.path AND generated.entity = history.entity AND made.ended <= history.at)
LEFT JOIN job ON job.id = activity.job
WHERE history.path = :path AND history.origin = 'product' ORDER BY history.id

-- name: stale_products
-- One row for each reason.
SELECT path, pipeline, what, made_with, current FROM stale ORDER BY path, what

-- name: made_under
-- What was made in one context, or by one version of the code.
SELECT coalesce(file.path, generated.path) AS product, entity.kind, 'context' AS role, 1 AS steps,
       file.path IS NOT NULL AS current, generated.entity AS sha256
FROM activity JOIN generated ON generated.activity = activity.id JOIN entity ON entity.id = generated.entity
LEFT JOIN file ON file.entity = generated.entity
WHERE activity.context = :name AND entity.kind != 'provenance' GROUP BY generated.entity, product ORDER BY product
