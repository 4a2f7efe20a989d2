-- name: put
-- The same key again is no new work.
INSERT INTO job (key, stage, subject, feeds, priority, mem_mb, payload, reason,
                 not_before, created_at, changed_at)
VALUES (:key, :stage, :subject, :feeds, :priority, :mem_mb, :payload, :reason, :now, :now, :now)
ON CONFLICT (key) DO NOTHING RETURNING id

-- name: supersede
-- What a newer job makes need not be made from older input first.
UPDATE job SET state = 'superseded', reason = 'a newer job makes the same', changed_at = :now
WHERE subject = :subject AND state = 'ready' AND id < :id

-- name: claim
-- Head of the line only: a large urgent job is not overtaken for ever by small ones.
-- Attempt, fence and lease are counted here, so that a job which kills everything counts too.
UPDATE job SET state = 'running', attempt = attempt + 1, fence = fence + 1, worker = :worker,
               lease_until = :now + :lease_s, changed_at = :now
WHERE id = (
    SELECT id FROM job WHERE state = 'ready' AND not_before <= :now AND NOT EXISTS (
        SELECT 1 FROM job AS other
        WHERE other.subject = job.subject AND other.state IN ('running', 'publishing'))
    ORDER BY priority DESC, id LIMIT 1)
AND mem_mb + (SELECT coalesce(sum(mem_mb), 0) FROM job WHERE state = 'running') <= :budget_mb
RETURNING *

-- name: reject
-- A job larger than the whole budget would stand at the head of the line for ever.
UPDATE job SET state = 'dead', changed_at = :now,
               reason = 'needs ' || mem_mb || ' MB, the memory budget is ' || :budget_mb || ' MB'
WHERE state = 'ready' AND mem_mb > :budget_mb RETURNING *

-- name: renew
-- One statement for all jobs of a worker: they live and die together.
UPDATE job SET lease_until = :now + :lease_s WHERE worker = :worker

-- name: publish
-- The intention, before anything is moved: a restart can then carry it out.
UPDATE job SET state = 'publishing', result = :result, changed_at = :now
WHERE id = :id AND fence = :fence AND state = 'running'

-- name: finish
-- The fence keeps out a worker whose job was given to another.
UPDATE job SET state = 'done', worker = NULL, lease_until = NULL, reason = '', changed_at = :now
WHERE id = :id AND fence = :fence AND state = 'publishing'

-- name: give_back
-- A failed job that may be tried again, unless a newer one has taken its place.
UPDATE job SET state = CASE WHEN EXISTS (
                   SELECT 1 FROM job AS newer WHERE newer.subject = job.subject AND newer.id > job.id)
                   THEN 'superseded' ELSE 'ready' END,
               worker = NULL, lease_until = NULL, result = NULL, not_before = :not_before,
               mem_mb = :mem_mb, reason = :reason, changed_at = :now
WHERE id = :id AND fence = :fence AND state IN ('running', 'publishing')

-- name: bury
-- Dead letters keep their reason.
UPDATE job SET state = 'dead', worker = NULL, lease_until = NULL, result = NULL, reason = :reason,
               changed_at = :now
WHERE id = :id AND fence = :fence AND state IN ('running', 'publishing')

-- name: revive
-- An operator asks for another try: the count of attempts begins anew.
UPDATE job SET state = 'ready', attempt = 0, not_before = :now, reason = 'asked for again',
               changed_at = :now
WHERE id = :id AND state = 'dead'

-- name: unclaim
-- Claimed but never begun: a shutdown is not the job's fault.
UPDATE job SET state = 'ready', attempt = attempt - 1, worker = NULL, lease_until = NULL, changed_at = :now
WHERE id = :id AND fence = :fence AND state = 'running'

-- name: leased
-- Rescue looks at each: has its lease lapsed, does its worker live?
SELECT * FROM job WHERE state IN ('running', 'publishing') ORDER BY id

-- name: get
-- One job.
SELECT * FROM job WHERE id = :id

-- name: by_key
-- The job that does, or did, this work.
SELECT * FROM job WHERE key = :key

-- name: counts
-- For status.
SELECT stage, state, count(*) AS n FROM job GROUP BY stage, state ORDER BY stage, state

-- name: next_due
-- When to look again, if nothing else happens.
SELECT min(not_before) FROM job WHERE state = 'ready'

-- name: open_group
-- Opening a group twice changes nothing, but a list of members outranks a collection.
INSERT INTO gathering (name, listed, payload, opened_at, changed_at)
VALUES (:name, :listed, :payload, :now, :now)
ON CONFLICT (name) DO UPDATE SET listed = 1, payload = excluded.payload, state = 'open',
    opened_at = :now, changed_at = :now
WHERE excluded.listed = 1 AND gathering.payload != excluded.payload

-- name: unlist
-- A new list replaces the members that are not on it.
DELETE FROM member WHERE gathering = :name
AND name NOT IN (SELECT value FROM json_each(:members))

-- name: join_group
-- Seen before: only the facts may be new.
INSERT INTO member (gathering, name, facts) VALUES (:gathering, :name, :facts)
ON CONFLICT (gathering, name) DO UPDATE SET facts = excluded.facts WHERE facts != excluded.facts

-- name: assess
-- Whether all have come who are expected, as far as is known by now.
UPDATE gathering SET complete = :complete, missing = :missing WHERE name = :name

-- name: satisfy
-- Only a new value counts, so that seeing a product again is a no-op.
UPDATE member SET value = :value, failed = NULL
WHERE gathering = :gathering AND name = :name AND value IS NOT :value

-- name: give_up
-- A member that will not come: the group need not wait for it.
UPDATE member SET failed = :reason WHERE gathering = :gathering AND name = :name AND value IS NULL

-- name: touch_group
-- The quiet clock starts anew; a group that has fired opens again for its next version.
UPDATE gathering SET changed_at = :now, opened_at = CASE state WHEN 'fired' THEN :now ELSE opened_at END,
                     state = 'open'
WHERE name = :name

-- name: fire
-- Once for each opening.
UPDATE gathering SET state = 'fired', version = version + 1, reason = :reason, changed_at = :now
WHERE name = :name AND state = 'open'

-- name: explain
-- Why a group still waits.
UPDATE gathering SET reason = :reason WHERE name = :name AND reason != :reason

-- name: open_groups
-- Those that may fire, and whether our own backlog still holds one of their members.
SELECT *, EXISTS (SELECT 1 FROM job WHERE feeds = gathering.name
                  AND state IN ('ready', 'running', 'publishing')) AS busy
FROM gathering WHERE state = 'open' ORDER BY opened_at, name

-- name: group
-- One group, open or fired.
SELECT *, 0 AS busy FROM gathering WHERE name = :name

-- name: ordinal
-- Rows are never deleted, so that a group keeps its place among those whose names begin alike.
SELECT count(*) AS n FROM gathering
WHERE substr(name, 1, length(:prefix)) = :prefix
AND rowid <= (SELECT rowid FROM gathering WHERE name = :name)

-- name: members
-- In a stable order: products must not depend on who came first.
SELECT * FROM member WHERE gathering = :name ORDER BY name

-- name: awaiting
-- Groups that know a member of this name.
SELECT gathering FROM member WHERE name = :name ORDER BY gathering
