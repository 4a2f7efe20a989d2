-- name: failures_since
-- In the order in which they happened.
SELECT * FROM failures WHERE at >= :since ORDER BY at

-- name: progress_of
-- In the order of the pipelines.
SELECT * FROM progress WHERE :program IN ('', program) ORDER BY program, observation, pipeline

-- name: raw_of
-- Exposures that came, whatever became of them.
SELECT coalesce(json_extract(entity.header, '$.PROGRAM'), '') AS program,
       coalesce(json_extract(entity.header, '$.OBSERVTN'), '') AS observation, count(DISTINCT entity.id) AS n
FROM file JOIN entity ON entity.id = file.entity
WHERE file.origin = 'input' AND entity.kind != 'asn' AND :program IN ('', program) GROUP BY program, observation

-- name: refused_of
-- By their names, for nothing else may be known of them.
SELECT substr(name, 3, 5) AS program, substr(name, 8, 3) AS observation, count(*) AS n FROM quarantine
WHERE name GLOB 'jw[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]*' AND :program IN ('', substr(name, 3, 5))
GROUP BY program, observation

-- name: open_of
-- Associations that wait, by the names of their products.
SELECT name, reason, substr(name, instr(name, ':jw') + 3, 5) AS program,
       substr(name, instr(name, ':jw') + 9, instr(substr(name, instr(name, ':jw') + 9), '_') - 1) AS candidate
FROM gathering WHERE state = 'open' AND name GLOB '*:jw[0-9][0-9][0-9][0-9][0-9]-*'
AND :program IN ('', substr(name, instr(name, ':jw') + 3, 5)) ORDER BY name

-- name: latency_since
-- Of every attempt that gave products.
SELECT stage, pipeline, wait, compute, publish, overhead FROM latency WHERE published >= :since
