-- name: boost
-- By how much an operator has put this share before, or behind, others.
SELECT boost FROM share WHERE name = :share

-- name: next_turn
-- Shares take turns: each job comes one turn after its share's last, but nobody is owed turns of the
-- time when he had nothing to do. A job that supersedes another has its place.
SELECT coalesce(
    (SELECT min(turn) FROM job WHERE subject = :subject AND state = 'ready'
     AND boost = :boost AND priority = :priority),
    max(coalesce((SELECT given + 1 FROM turn WHERE boost = :boost AND priority = :priority
                  AND share = :share), 0),
        coalesce((SELECT turn FROM served WHERE boost = :boost AND priority = :priority), 0))) AS turn

-- name: give_turn
-- The share's last.
INSERT INTO turn (boost, priority, share, given) VALUES (:boost, :priority, :share, :turn)
ON CONFLICT DO UPDATE SET given = max(given, excluded.given)

-- name: serve
-- The turn that has come.
INSERT INTO served (boost, priority, turn) VALUES (:boost, :priority, :turn)
ON CONFLICT DO UPDATE SET turn = max(turn, excluded.turn)

-- name: put
-- The same key again is no new work.
INSERT INTO job (key, stage, subject, feeds, share, boost, priority, turn, mem_mb, predicted_mb, disk_mb,
                 payload, reason, not_before, created_at, changed_at)
VALUES (:key, :stage, :subject, :feeds, :share, :boost, :priority, :turn, :mem_mb, :mem_mb, :disk_mb,
        :payload, :reason, :now, :now, :now)
ON CONFLICT (key) DO NOTHING RETURNING id

-- name: supersede
-- What a newer job makes need not be made from older input first.
UPDATE job SET state = 'superseded', reason = 'a newer job makes the same', changed_at = :now
WHERE subject = :subject AND state = 'ready' AND id < :id

-- name: unfinished
-- Whether any of these is still to be made.
SELECT 1 FROM job WHERE subject IN (SELECT value FROM json_each(:subjects))
AND state IN ('ready', 'running', 'publishing') LIMIT 1

-- name: ready_for
-- What would make it.
SELECT * FROM job WHERE subject = :subject AND state = 'ready' ORDER BY id

-- name: withdraw
-- Its product will be made otherwise.
UPDATE job SET state = 'superseded', reason = :reason, changed_at = :now WHERE id = :id AND state = 'ready'

-- name: wake
-- Those whose time has come stand in line again.
UPDATE job SET due = 1 WHERE state = 'ready' AND due = 0 AND held = 0 AND not_before <= :now

-- name: probe
-- If nothing of a stage that is to be probed stands in line, of those that failed alike the first to be tried does.
UPDATE job SET due = 1, not_before = :now WHERE id IN (
    SELECT (SELECT id FROM job AS alike WHERE alike.stage = stage.name AND alike.state = 'ready'
            AND alike.due = 0 AND alike.held = 0 AND alike.failure = stage.failure ORDER BY not_before LIMIT 1)
    FROM stage WHERE paused = 'breaker' AND probe_at <= :now
    AND NOT EXISTS (SELECT 1 FROM job AS running WHERE running.worker IS NOT NULL AND running.stage = stage.name)
    AND NOT EXISTS (SELECT 1 FROM job AS other
                    WHERE other.stage = stage.name AND other.state = 'ready' AND other.due = 1))

-- name: claim
-- Of the heads of all lines the first. It is not overtaken for ever by small ones while it waits for
-- memory, which comes back; but it is while it waits for room on the disk, which does not by itself.
-- Jobs that are larger than all there ever is for one are passed over; it may yet come.
-- A stage that failures have paused has one job at a time, after a while, to see whether it goes again.
-- Attempt, fence and lease are counted here, so that a job which kills everything counts too.
UPDATE job SET state = 'running', attempt = attempt + 1, fence = fence + 1, worker = :worker,
               lease_until = :now + :lease_s, changed_at = :now
WHERE id = (
    SELECT job.id FROM stage JOIN job ON job.id = (
        SELECT id FROM job AS head
        WHERE head.stage = stage.name AND head.state = 'ready' AND head.due = 1 AND head.mem_mb <= :most_mb
        AND NOT EXISTS (
            SELECT 1 FROM job AS other
            WHERE other.subject = head.subject AND other.state IN ('running', 'publishing'))
        ORDER BY boost DESC, priority DESC, turn, id LIMIT 1)
    WHERE (stage.paused = '' OR stage.paused = 'breaker' AND stage.probe_at <= :now AND NOT EXISTS (
               SELECT 1 FROM job AS probe INDEXED BY job_held WHERE probe.worker IS NOT NULL AND probe.stage = stage.name))
    AND NOT EXISTS (SELECT 1 FROM stage AS every WHERE every.name = '*' AND every.paused != '')
    AND job.disk_mb + (SELECT coalesce(sum(disk_mb), 0) FROM job
                       WHERE worker IS NOT NULL AND state = 'running') <= :disk_mb
    ORDER BY job.boost DESC, job.priority DESC, job.turn, job.id LIMIT 1)
AND mem_mb + (SELECT coalesce(sum(mem_mb), 0) FROM job
              WHERE worker IS NOT NULL AND state = 'running') <= :budget_mb
RETURNING *

-- name: explain_disk
-- Heads of lines that wait for room say so.
UPDATE job SET reason = :reason WHERE reason != :reason AND id IN (
    SELECT (SELECT id FROM job AS head WHERE head.stage = stage.name AND head.state = 'ready' AND head.due = 1
            ORDER BY boost DESC, priority DESC, turn, id LIMIT 1) FROM stage WHERE stage.paused = '')
AND disk_mb + (SELECT coalesce(sum(disk_mb), 0) FROM job
               WHERE worker IS NOT NULL AND state = 'running') > :disk_mb

-- name: explain_memory
-- Heads of lines that are too large say so.
UPDATE job SET reason = :reason WHERE reason != :reason AND id IN (
    SELECT (SELECT id FROM job AS head WHERE head.stage = stage.name AND head.state = 'ready' AND head.due = 1
            ORDER BY boost DESC, priority DESC, turn, id LIMIT 1) FROM stage WHERE stage.paused = '')
AND mem_mb > :most_mb

-- name: fit
-- A job larger than the whole budget would stand at the head of the line for ever; it has all there is, alone.
UPDATE job SET mem_mb = :budget_mb WHERE state = 'ready' AND mem_mb > :budget_mb

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
               due = :not_before <= :now, failure = :failure, tries = :tries, rung = :rung,
               stretch = :stretch, mem_mb = :mem_mb, peak_mb = coalesce(:peak_mb, peak_mb),
               reason = :reason, changed_at = :now
WHERE id = :id AND fence = :fence AND state IN ('running', 'publishing')

-- name: bury
-- Dead letters keep their reason.
UPDATE job SET state = 'dead', worker = NULL, lease_until = NULL, result = NULL, reason = :reason,
               failure = :failure, tries = :tries, peak_mb = coalesce(:peak_mb, peak_mb), changed_at = :now
WHERE id = :id AND fence = :fence AND state IN ('running', 'publishing')

-- name: revive
-- An operator asks for another try: all counts begin anew. Not if a newer job makes, or made, the same.
UPDATE job SET state = 'ready', attempt = 0, failure = '', tries = 0, rung = 0, stretch = 1,
               mem_mb = predicted_mb, due = 1, held = 0, not_before = :now, reason = 'asked for again',
               changed_at = :now
WHERE id = :id AND state IN ('dead', 'dropped') AND NOT EXISTS (
    SELECT 1 FROM job AS newer WHERE newer.subject = job.subject AND newer.id > job.id
    AND newer.state NOT IN ('dead', 'dropped', 'superseded'))

-- name: hasten
-- Tried again now, not later.
UPDATE job SET due = 1, held = 0, not_before = :now, reason = 'asked for again'
WHERE id = :id AND state = 'ready' AND due = 0

-- name: shift_jobs
-- The clock was set: what waits goes on waiting as long as it would have. What has begun to wait since then
-- is shifted too far, and waits as long as any may at most.
UPDATE job SET not_before = min(not_before + :seconds, :now + :longest_s)
WHERE state = 'ready' AND due = 0 AND held = 0

-- name: shift_leases
-- Of whom the clock belongs to.
UPDATE job SET lease_until = lease_until + :seconds WHERE worker = :worker

-- name: shift_probes
-- Those of paused stages likewise.
UPDATE stage SET probe_at = min(probe_at + :seconds, :now + wait_s) WHERE probe_at IS NOT NULL

-- name: drop
-- An operator gives it up.
UPDATE job SET state = 'dropped', worker = NULL, lease_until = NULL, reason = :reason, changed_at = :now
WHERE id = :id AND state IN ('ready', 'running', 'dead')

-- name: unclaim
-- Claimed but never begun: a shutdown is not the job's fault.
UPDATE job SET state = 'ready', attempt = attempt - 1, worker = NULL, lease_until = NULL, changed_at = :now
WHERE id = :id AND fence = :fence AND state = 'running'

-- name: leased
-- Rescue looks at each: has its lease lapsed, does its worker live?
SELECT * FROM job WHERE worker IS NOT NULL ORDER BY id

-- name: get
-- One job.
SELECT * FROM job WHERE id = :id

-- name: newest
-- What is, or was last, done about a subject.
SELECT * FROM job WHERE subject = :subject AND state != 'superseded' ORDER BY id DESC LIMIT 1

-- name: hold
-- It leaves the line, and keeps its turn.
UPDATE job SET due = 0, held = 1, reason = :reason, changed_at = :now WHERE id = :id AND state = 'ready'

-- name: let_go
-- As if its time had come.
UPDATE job SET due = 1, held = 0, not_before = :now, reason = :reason, changed_at = :now
WHERE id = :id AND state = 'ready' AND held = 1

-- name: amend
-- Nothing has been begun yet: it is still the same job.
UPDATE job SET key = :key, payload = :payload WHERE id = :id AND state = 'ready'

-- name: by_key
-- The job that does, or did, this work.
SELECT * FROM job WHERE key = :key

-- name: dead
-- Dead letters, the oldest first.
SELECT * FROM job WHERE state = 'dead' ORDER BY changed_at, id

-- name: counts
-- For status.
SELECT stage, state, count(*) AS n FROM job GROUP BY stage, state ORDER BY stage, state

-- name: backlog
-- How many could be claimed, if there were workers enough.
SELECT count(*) AS n FROM job INDEXED BY job_line WHERE state = 'ready' AND due = 1

-- name: next_due
-- When to look again, if nothing else happens: a job's time has come, or that of a stage to be probed.
SELECT min(at) AS at FROM (
    SELECT min(not_before) AS at FROM job WHERE state = 'ready' AND due = 0 AND held = 0
    UNION ALL SELECT min(probe_at) FROM stage WHERE paused = 'breaker' AND probe_at > :now AND EXISTS (
        SELECT 1 FROM job WHERE job.stage = stage.name AND state = 'ready' AND held = 0
        AND (due = 1 OR job.failure = stage.failure)))

-- name: set_boost
-- For jobs to come.
INSERT INTO share (name, boost) VALUES (:share, :boost) ON CONFLICT DO UPDATE SET boost = excluded.boost

-- name: move_share
-- For jobs in line: they keep their order, and begin where the others are.
UPDATE job SET boost = :boost, turn = place.turn FROM (
    SELECT id, coalesce((SELECT served.turn FROM served WHERE served.boost = :boost
                         AND served.priority = moved.priority), 0)
               + row_number() OVER (PARTITION BY priority ORDER BY turn, id) - 1 AS turn
    FROM job AS moved WHERE share = :share AND state = 'ready') AS place
WHERE job.id = place.id

-- name: turns_of
-- The last turns of a share that was moved.
INSERT INTO turn (boost, priority, share, given)
SELECT boost, priority, share, max(turn) FROM job WHERE share = :share AND state = 'ready' GROUP BY priority
ON CONFLICT DO UPDATE SET given = excluded.given
