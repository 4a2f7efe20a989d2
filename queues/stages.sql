-- name: know_stage
-- A stage begins with its first job.
INSERT INTO stage (name) VALUES (:stage) ON CONFLICT DO NOTHING

-- name: pause
-- What an operator has paused no success sets going again.
INSERT INTO stage (name, paused, reason, since) VALUES (:stage, 'operator', :reason, :now)
ON CONFLICT DO UPDATE SET paused = 'operator', reason = excluded.reason, since = excluded.since, probe_at = NULL

-- name: resume
-- Whoever had paused it; failures are counted anew.
UPDATE stage SET paused = '', reason = '', since = :now, failure = '', culprits = '[]', probe_at = NULL,
                 wait_s = 0
WHERE (name = :stage OR :stage = '*') AND paused != '' RETURNING name

-- name: stage
-- One stage.
SELECT * FROM stage WHERE name = :stage

-- name: stages
-- All, in order.
SELECT * FROM stage ORDER BY name

-- name: paused
-- Those that are, by whom and why.
SELECT name, paused, reason, since, probe_at FROM stage WHERE paused != '' ORDER BY name

-- name: strain
-- The latest failures in a row, as they now are.
UPDATE stage SET failure = :failure, culprits = :culprits WHERE name = :stage

-- name: trip
-- So many in a row are not the fault of the inputs.
UPDATE stage SET paused = 'breaker', reason = :reason, since = :now, probe_at = :now + :wait_s, wait_s = :wait_s
WHERE name = :stage AND paused = ''

-- name: probe_failed
-- It does not go yet: the next try is later.
UPDATE stage SET probe_at = :now + min(2 * wait_s, :longest_s), wait_s = min(2 * wait_s, :longest_s)
WHERE name = :stage AND paused = 'breaker' AND probe_at <= :now

-- name: relax
-- A success ends the row of failures.
UPDATE stage SET failure = '', culprits = '[]' WHERE name = :stage AND failure != ''

-- name: close
-- And what failures had paused goes on.
UPDATE stage SET paused = '', reason = '', since = :now, probe_at = NULL, wait_s = 0
WHERE name = :stage AND paused = 'breaker'

-- name: hasten_alike
-- Jobs that wait because of the same failure need not wait longer.
UPDATE job SET due = 1, not_before = :now WHERE stage = :stage AND state = 'ready' AND due = 0
AND failure = :failure
