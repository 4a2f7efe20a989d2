-- name: made
-- Attempts whose products are still the current ones, and neither made in the context nor certified for it.
-- Each version has an association of its own, which stays. The last to make a file counts: another may have
-- made the same bytes before.
SELECT activity.id AS activity, activity.pipeline, activity.context, job.id AS job, job.payload
FROM activity JOIN job ON job.id = activity.job
WHERE activity.stage = :stage AND activity.outcome = 'complete' AND activity.context != :context
AND EXISTS (SELECT 1 FROM generated JOIN file ON file.path = generated.path AND file.entity = generated.entity
            JOIN entity ON entity.id = file.entity AND entity.kind != 'asn'
            WHERE generated.activity = activity.id AND file.origin = 'product'
            AND NOT EXISTS (SELECT 1 FROM generated AS same WHERE same.entity = generated.entity
                            AND same.path = generated.path AND same.activity > activity.id))
AND NOT EXISTS (SELECT 1 FROM certified WHERE certified.activity = activity.id AND certified.context = :context)
ORDER BY activity.id

-- name: replaced
-- Products that have been made anew since: what was made of them follows from those.
SELECT entity FROM generated EXCEPT SELECT entity FROM file

-- name: steps
-- What it asked CRDS for.
SELECT steps FROM activity WHERE id = :activity

-- name: entities
-- All that these attempts made.
SELECT entity FROM generated WHERE activity IN (SELECT value FROM json_each(:activities))
