-- What may be asked with SQL: names and columns are kept from version to version. Tables have
-- singular names and are ours to change. Times are seconds since 1970, as datetime(at, 'unixepoch')
-- reads them; they are made anew whenever the service starts.

-- Every file that is known: what it is and how far it has come.
DROP VIEW IF EXISTS files;
CREATE VIEW files AS
SELECT file.path, file.name, entity.kind, file.origin,
       CASE WHEN quarantine.path IS NOT NULL THEN 'quarantined'
            ELSE coalesce((SELECT job.state FROM job_input JOIN job ON job.id = job_input.job
                           WHERE job_input.entity = file.entity AND job.state != 'superseded'
                           ORDER BY instr('dead dropped running publishing ready done', job.state) LIMIT 1),
                          'catalogued') END AS state,
       coalesce(quarantine.reason, file.note) AS reason, file.entity AS sha256, entity.size,
       json_extract(entity.header, '$.PROGRAM') AS program,
       json_extract(entity.header, '$.OBSERVTN') AS observation,
       json_extract(entity.header, '$.EXP_TYPE') AS exp_type,
       json_extract(entity.header, '$.DETECTOR') AS detector, file.at
FROM file JOIN entity ON entity.id = file.entity LEFT JOIN quarantine ON quarantine.path = file.path
UNION ALL
SELECT path, name, '', 'refused', 'quarantined', reason, NULL, NULL, NULL, NULL, NULL, NULL, at
FROM quarantine WHERE path NOT IN (SELECT path FROM file);

-- Every attempt at every job.
DROP VIEW IF EXISTS attempts;
CREATE VIEW attempts AS
SELECT activity.id, activity.job, activity.pipeline, substr(job.subject, instr(job.subject, ':') + 1) AS product,
       activity.attempt, activity.outcome, activity.failure, activity.reason, activity.started, activity.ended,
       activity.ended - activity.started AS seconds, activity.context, activity.code, activity.peak_mb,
       activity.cpu_s, activity.host, activity.detail
FROM activity JOIN job ON job.id = activity.job;

-- Every step of every attempt that ended well: done or skipped, and why.
DROP VIEW IF EXISTS steps;
CREATE VIEW steps AS
SELECT attempts.id AS attempt, attempts.pipeline, attempts.product, step.key AS place,
       json_extract(step.value, '$.name') AS step, json_extract(step.value, '$.status') AS status,
       json_extract(step.value, '$.reason') AS reason, json_extract(step.value, '$.seconds') AS seconds
FROM attempts JOIN activity ON activity.id = attempts.id, json_each(activity.steps) AS step;

-- Every parameter that such an attempt ran with, and where its value came from.
DROP VIEW IF EXISTS parameters;
CREATE VIEW parameters AS
SELECT attempts.id AS attempt, attempts.pipeline, attempts.product, step.key AS step,
       parameter.key AS parameter, json_extract(parameter.value, '$[0]') AS value,
       json_extract(parameter.value, '$[1]') AS origin
FROM attempts JOIN activity ON activity.id = attempts.id, json_each(activity.parameters) AS step,
     json_each(step.value) AS parameter;

-- What each product was made of, directly: inputs and references.
DROP VIEW IF EXISTS lineage;
CREATE VIEW lineage AS
SELECT generated.path AS product, generated.entity AS product_sha256, generated.activity AS attempt,
       used.role, entity.kind, entity.name, used.entity AS sha256
FROM generated JOIN used ON used.activity = generated.activity JOIN entity ON entity.id = used.entity;

-- Every product with everything it was made of, however indirectly; steps counts the pipelines between.
DROP VIEW IF EXISTS ancestry;
CREATE VIEW ancestry AS
WITH RECURSIVE made (entity, source, steps) AS (
    SELECT entity, source, 1 FROM derived
    UNION SELECT made.entity, derived.source, made.steps + 1
    FROM made JOIN derived ON derived.entity = made.source)
SELECT made.entity AS product_sha256, product.name AS product, source.name AS source,
       made.source AS source_sha256, source.kind AS source_kind, made.steps
FROM made JOIN entity AS product ON product.id = made.entity JOIN entity AS source ON source.id = made.source;

-- Every reference and input with each product it has a part in, however indirectly.
DROP VIEW IF EXISTS uses;
CREATE VIEW uses AS
WITH RECURSIVE reached (used, role, entity) AS (
    SELECT used.entity, used.role, generated.entity FROM used
    JOIN generated ON generated.activity = used.activity
    UNION SELECT reached.used, reached.role, derived.entity
    FROM reached JOIN derived ON derived.source = reached.entity)
SELECT entity.name, entity.kind, reached.role, reached.used AS sha256, generated.path AS product,
       reached.entity AS product_sha256
FROM reached JOIN entity ON entity.id = reached.used
JOIN generated ON generated.entity = reached.entity
JOIN entity AS made ON made.id = reached.entity AND made.kind != 'provenance';

-- What went wrong, attempt by attempt, and files that were refused.
DROP VIEW IF EXISTS failures;
CREATE VIEW failures AS
SELECT activity.ended AS at, activity.pipeline, activity.failure, activity.reason, job.id AS job,
       substr(job.subject, instr(job.subject, ':') + 1) AS subject, activity.attempt, job.state AS now
FROM activity JOIN job ON job.id = activity.job WHERE activity.outcome = 'failed'
UNION ALL
SELECT history.at, 'intake', 'refused', history.reason, NULL, history.path, NULL,
       CASE WHEN quarantine.path IS NULL THEN 'mended' ELSE 'quarantined' END
FROM history LEFT JOIN quarantine ON quarantine.path = history.path WHERE history.origin = 'refused';

-- What is to be made, has been made and could not be, by program, observation and pipeline.
DROP VIEW IF EXISTS progress;
CREATE VIEW progress AS
SELECT program, observation, pipeline, sum(state = 'done') AS done,
       sum(state IN ('running', 'publishing')) AS running, sum(state = 'ready') AS ready,
       sum(state IN ('dead', 'dropped')) AS dead, count(*) AS products
FROM (SELECT stage AS pipeline, state, CASE WHEN subject GLOB '*:jw[0-9][0-9][0-9][0-9][0-9]*'
                 THEN substr(subject, instr(subject, ':jw') + 3, 5) ELSE '' END AS program,
             CASE WHEN subject GLOB '*:jw[0-9][0-9][0-9][0-9][0-9]-o[0-9][0-9][0-9]*'
                  THEN substr(subject, instr(subject, ':jw') + 10, 3)
                  WHEN subject GLOB '*:jw[0-9][0-9][0-9][0-9][0-9]-*'
                  THEN substr(subject, instr(subject, ':jw') + 9, 5)
                  WHEN subject GLOB '*:jw[0-9][0-9][0-9][0-9][0-9]*'
                  THEN substr(subject, instr(subject, ':jw') + 8, 3) ELSE '' END AS observation
      FROM (SELECT stage, state, subject, max(id) FROM job GROUP BY subject) WHERE state != 'superseded')
GROUP BY program, observation, pipeline;

-- How long products took beyond computing them. available: its last input was there: a file since it
-- was closed (or the service began, if that was later), a product since it was published. Of work
-- that was asked for again, from then on. wait: settling, queue, clocks of associations; publish: the
-- rest, after computing. total: since the last of the raw files it is made of was available.
DROP VIEW IF EXISTS latency;
CREATE VIEW latency AS  -- LEFT JOIN: SQLite does not look for what is not asked for
SELECT timing.attempt, timing.stage, timing.pipeline, substr(subject, instr(subject, ':') + 1) AS product, available,
       timing.started, timing.ended, published, timing.started - available AS wait,
       timing.ended - timing.started AS compute, published - timing.ended AS publish,
       published - available - (timing.ended - timing.started) AS overhead
FROM timing LEFT JOIN activity ON activity.id = timing.attempt LEFT JOIN job ON job.id = activity.job;

-- Each content that a product's path has held, the first one first.
DROP VIEW IF EXISTS versions;
CREATE VIEW versions AS
SELECT history.path, row_number() OVER (PARTITION BY history.path ORDER BY history.id) AS version,
       history.entity AS sha256, history.at AS published, activity.id AS attempt, activity.pipeline,
       activity.context, activity.code, activity.job, job.reason AS asked,
       history.id = max(history.id) OVER (PARTITION BY history.path) AS latest
FROM history LEFT JOIN activity ON activity.id = (
    SELECT max(made.id) FROM generated JOIN activity AS made ON made.id = generated.activity
    WHERE generated.path = history.path AND generated.entity = history.entity AND made.ended <= history.at)
LEFT JOIN job ON job.id = activity.job
WHERE history.origin = 'product';

-- Products that would be made otherwise now, one row for each reason. Of contexts, those in which other
-- references may be the best: not those for which the product was found to be as it is. Of parameters, those that the
-- configuration sets for steps of its pipeline. What follows from such a product is not named before that
-- has been made anew. What only tells of products (associations, their provenance) is left out. CROSS JOIN:
-- what is now is read first, or SQLite looks for the products of every attempt.
DROP VIEW IF EXISTS stale;
CREATE VIEW stale AS
WITH latest AS NOT MATERIALIZED (  -- looked up by its attempt: + keeps SQLite from reading all of it
    SELECT file.path, generated.activity AS attempt FROM generated
    JOIN file ON file.path = generated.path AND file.entity = generated.entity AND +file.origin = 'product'
    JOIN entity ON entity.id = file.entity AND +entity.kind NOT IN ('asn', 'provenance')
    WHERE NOT EXISTS (SELECT 1 FROM generated AS later WHERE later.entity = generated.entity
                      AND later.path = generated.path AND later.activity > generated.activity)),
now AS (SELECT (SELECT value FROM setting WHERE name = 'context') AS context,
               (SELECT value FROM setting WHERE name = 'code') AS code,
               (SELECT value FROM setting WHERE name = 'steps') AS steps),
lost AS (SELECT source AS entity FROM (SELECT DISTINCT source FROM derived) WHERE NOT EXISTS (
    SELECT 1 FROM file WHERE file.entity = source AND file.origin != 'alias'))
SELECT path, latest.attempt, activity.pipeline, 'context' AS what, activity.context AS made_with, now.context AS current
FROM now CROSS JOIN activity ON activity.context != now.context JOIN latest ON latest.attempt = +activity.id
WHERE NOT EXISTS (
    SELECT 1 FROM certified WHERE certified.activity = activity.id AND certified.context = now.context)
UNION ALL
SELECT path, latest.attempt, activity.pipeline, 'code', activity.code, now.code
FROM now CROSS JOIN activity ON activity.code != now.code JOIN latest ON latest.attempt = +activity.id
UNION ALL
SELECT path, latest.attempt, activity.pipeline, 'parameters', json_extract(payload, '$.steps'), now.steps
FROM now CROSS JOIN job ON json_extract(payload, '$.steps') IS NOT json(now.steps)
JOIN activity ON activity.job = +job.id JOIN latest ON latest.attempt = +activity.id
WHERE EXISTS (SELECT 1 FROM json_each(parameters) AS step
              WHERE json_extract(payload, '$.steps."' || step.key || '"') IS NOT
                    json_extract(now.steps, '$."' || step.key || '"'))
UNION ALL
SELECT latest.path, latest.attempt, activity.pipeline, 'input', entity.name,
       CASE WHEN held.entity IS NULL THEN 'no longer there' ELSE 'replaced' END
FROM lost JOIN used ON used.entity = +lost.entity JOIN activity ON activity.id = used.activity
JOIN latest ON latest.attempt = +used.activity JOIN entity ON entity.id = lost.entity
LEFT JOIN file AS held ON held.name = entity.name AND held.origin != 'alias' GROUP BY latest.path, entity.id;

-- Every path that was ever seen, and what became of what it holds now.
DROP VIEW IF EXISTS accounts;
CREATE VIEW accounts AS
SELECT history.path, coalesce(CASE WHEN quarantine.path IS NOT NULL AND file.origin IS NOT 'alias'
           THEN 'quarantined' END, file.origin, 'moved') AS account,
       coalesce(quarantine.reason, file.note, 'its content was found elsewhere') AS reason,
       file.entity AS sha256, min(history.at) AS first_seen, max(history.at) AS last_changed,
       count(*) AS contents
FROM history LEFT JOIN file ON file.path = history.path LEFT JOIN quarantine ON quarantine.path = history.path
GROUP BY history.path;

-- What waits, and for what: jobs to be tried, associations and their members that have not come.
DROP VIEW IF EXISTS waiting;
CREATE VIEW waiting AS
SELECT 'job' AS kind, subject AS name, state, reason, not_before AS due, created_at AS since FROM job
WHERE state IN ('ready', 'running', 'publishing')
UNION ALL
SELECT 'association', name, state, reason, NULL, opened_at FROM gathering WHERE state = 'open'
UNION ALL
SELECT 'member', member.gathering || ' ' || member.name, 'missing', coalesce(member.failed, ''), NULL,
       gathering.opened_at
FROM member JOIN gathering ON gathering.name = member.gathering
WHERE member.value IS NULL AND gathering.state = 'open';

-- What operators and the service decided.
DROP VIEW IF EXISTS decisions;
CREATE VIEW decisions AS SELECT id, at, who, what, subject, why FROM decision;

-- All that decided what an attempt made, line by line: those of one that another lacks are what `diff` tells.
DROP VIEW IF EXISTS recipes;
CREATE VIEW recipes AS
SELECT id AS attempt, 'pipeline' AS what, '' AS name, pipeline AS value FROM activity WHERE outcome = 'complete'
UNION ALL SELECT id, 'context', '', context FROM activity WHERE outcome = 'complete'
UNION ALL SELECT id, 'code', '', code FROM activity WHERE outcome = 'complete'
UNION ALL SELECT activity, iif(kind = 'reference', 'reference', 'input'), iif(kind = 'reference', role, name),
                 iif(kind = 'reference', name, entity) FROM used JOIN entity ON entity.id = used.entity
UNION ALL SELECT activity, 'sha1', name, sha1 FROM used JOIN entity ON entity.id = used.entity WHERE sha1 != ''
UNION ALL SELECT attempt, 'parameter', step || '.' || parameter, value FROM parameters
UNION ALL SELECT attempt, 'step', step, status FROM steps;

-- Products that were made again to compare, as `replay` does.
DROP VIEW IF EXISTS replays;
CREATE VIEW replays AS
SELECT id, at, who, subject AS product, why AS verdict FROM decision WHERE what = 'replay';

-- What contexts that wait for an operator would have made again; of any other context ask `whatif`.
DROP VIEW IF EXISTS impacts;
CREATE VIEW impacts AS
SELECT proposal.context, proposal.at, job.stage AS pipeline, substr(subject, instr(subject, ':') + 1) AS product,
       job.id AS job
FROM proposal, json_each(proposal.answer, '$.jobs') AS affected JOIN job ON job.id = affected.value;
