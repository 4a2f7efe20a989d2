-- name: active
-- The context in force.
SELECT id, context, at, cause, redo, rules FROM epoch ORDER BY id DESC LIMIT 1

-- name: history
-- Contexts that have been in force, the newest first.
SELECT id, context, at, cause, redo, rules FROM epoch ORDER BY id DESC

-- name: before
-- The context to go back to; going back twice is to have changed nothing.
SELECT context FROM epoch WHERE context != (SELECT context FROM epoch ORDER BY id DESC LIMIT 1)
ORDER BY id DESC LIMIT 1

-- name: begin
-- Another context comes into force.
INSERT INTO epoch (context, at, cause, redo, rules) VALUES (:context, :now, :cause, :redo, :rules)

-- name: allow
-- What was left as it is shall be made again after all.
UPDATE epoch SET redo = 1 WHERE id = (SELECT max(id) FROM epoch)

-- name: certify
-- These would be made just so.
INSERT INTO certified (activity, context, at)
SELECT value, :context, :now FROM json_each(:activities) WHERE true ON CONFLICT DO NOTHING

-- name: forget_redo
-- What another context was to have made again.
DELETE FROM redo

-- name: withdraw
-- Jobs that would make again what the new context may not.
UPDATE job SET state = 'superseded', reason = :reason, changed_at = :now
WHERE state = 'ready' AND json_extract(payload, '$.again') AND json_extract(payload, '$.context') != :context

-- name: redo_products
-- Made again, in the line behind what is new.
INSERT INTO redo (job, feeds, live, reason)
SELECT id, feeds, 0, :reason FROM job WHERE id IN (SELECT value FROM json_each(:jobs)) ON CONFLICT DO NOTHING

-- name: redo_waiting
-- Never begun: nothing is lost if it is done by the new rules.
INSERT INTO redo (job, feeds, live, reason)
SELECT id, feeds, 1, :reason FROM job
WHERE state = 'ready' AND json_extract(payload, '$.context') != :context ON CONFLICT DO NOTHING

-- name: next_redo
-- A few, the most urgent first.
SELECT job, live, reason FROM redo ORDER BY live DESC, job LIMIT :most

-- name: redone
-- It has been put.
DELETE FROM redo WHERE job = :job

-- name: pending
-- How many are still to be put.
SELECT count(*) AS n FROM redo

-- name: awaited
-- Whether a group's members are to be made again.
SELECT 1 FROM redo WHERE feeds = :feeds LIMIT 1

-- name: contexts_of
-- Contexts that make just this content: the one that did, and those it is certified for.
-- No row: we have not made it.
SELECT activity.context FROM activity
WHERE activity.id = (SELECT max(activity) FROM generated WHERE entity = :entity)
UNION SELECT certified.context FROM certified
WHERE certified.activity = (SELECT max(activity) FROM generated WHERE entity = :entity)

-- name: behind
-- How many products are neither of the context nor certified for it. The last to make a file counts:
-- another may have made the same bytes before. Each version has an association of its own, which stays.
SELECT count(DISTINCT activity.id) AS n FROM file
JOIN entity ON entity.id = file.entity AND entity.kind != 'asn'
JOIN generated ON generated.path = file.path AND generated.entity = file.entity
AND generated.activity = (
    SELECT max(activity) FROM generated AS same WHERE same.entity = file.entity AND same.path = file.path)
JOIN activity ON activity.id = generated.activity
WHERE file.origin = 'product' AND activity.context != :context
AND NOT EXISTS (SELECT 1 FROM certified WHERE certified.activity = activity.id AND certified.context = :context)

-- name: propose
-- The newest answer counts.
INSERT INTO proposal (context, at, answer) VALUES (:context, :now, :answer)
ON CONFLICT (context) DO UPDATE SET at = excluded.at, answer = excluded.answer

-- name: proposals
-- What waits for an operator.
SELECT context, at, answer FROM proposal ORDER BY at DESC

-- name: proposal
-- What one context would change.
SELECT context, at, answer FROM proposal WHERE context = :context

-- name: settle_proposals
-- Once a context is in force there is nothing to be decided.
DELETE FROM proposal

-- name: settle_alerts
-- Nor to be told of: the next time is news.
UPDATE alert SET gone = :now WHERE cause LIKE 'proposed %' AND gone IS NULL

-- name: users
-- Attempts that used a reference since it was last known to be well, and what they made.
SELECT activity.id AS attempt, job.id AS job, job.subject, activity.pipeline, activity.started,
       generated.path AS product
FROM used JOIN activity ON activity.id = used.activity JOIN job ON job.id = activity.job
LEFT JOIN generated ON generated.activity = activity.id
WHERE used.entity = :entity AND activity.ended >= :since ORDER BY activity.id, generated.path

-- name: made_with
-- Products that are current, by references that they were made with, of some.
SELECT DISTINCT entity.name AS reference, substr(job.subject, instr(job.subject, ':') + 1) AS product
FROM used JOIN entity ON entity.id = used.entity
JOIN activity ON activity.id = used.activity JOIN job ON job.id = activity.job
WHERE used.entity IN (SELECT 'crds:' || value FROM json_each(:references))
AND EXISTS (SELECT 1 FROM generated JOIN file ON file.path = generated.path AND file.entity = generated.entity
            JOIN entity AS made ON made.id = file.entity AND made.kind != 'asn'
            WHERE generated.activity = activity.id AND file.origin = 'product')
ORDER BY reference, product
