-- name: open_group
-- Opening a group twice changes nothing, but a list of members outranks a collection.
INSERT INTO gathering (name, listed, payload, opened_at, changed_at)
VALUES (:name, :listed, :payload, :now, :now)
ON CONFLICT (name) DO UPDATE SET listed = 1, payload = excluded.payload, state = 'open',
    opened_at = :now, changed_at = :now, stood_since = NULL
WHERE excluded.listed = 1 AND gathering.payload != excluded.payload

-- name: unlist
-- A new list replaces the members that are not on it.
DELETE FROM member WHERE gathering = :name
AND name NOT IN (SELECT value FROM json_each(:members))

-- name: disband_members
-- Nobody is awaited any more by groups that collect.
DELETE FROM member WHERE gathering IN (SELECT name FROM gathering WHERE listed = 0 AND name GLOB :pattern)

-- name: disband
-- They stay known, for the numbers of their files.
UPDATE gathering SET state = 'fired', reason = :reason, changed_at = :now
WHERE listed = 0 AND name GLOB :pattern

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
-- The quiet clock starts anew, with the first member the hard one; what has fired opens for its next version.
UPDATE gathering SET changed_at = :now,
                     opened_at = CASE WHEN state = 'fired' OR :first THEN :now ELSE opened_at END,
                     state = 'open'
WHERE name = :name

-- name: postpone
-- Clocks that stood still, or were set; none begins in the future.
UPDATE gathering SET opened_at = min(opened_at + :seconds, :now), changed_at = min(changed_at + :seconds, :now),
                     stood_since = min(stood_since + :seconds, :now)
WHERE state = 'open'

-- name: stand
-- Its clocks stand still from now on.
UPDATE gathering SET stood_since = :now WHERE name = :name AND stood_since IS NULL

-- name: go_on
-- Its clocks go on where they stood; one that began meanwhile begins now.
UPDATE gathering SET opened_at = opened_at + max(0.0, :now - max(stood_since, opened_at)),
                     changed_at = changed_at + max(0.0, :now - max(stood_since, changed_at)),
                     stood_since = NULL
WHERE name = :name AND stood_since IS NOT NULL

-- name: fire
-- Once for each opening.
UPDATE gathering SET state = 'fired', version = version + 1, reason = :reason, changed_at = :now,
                     stood_since = NULL
WHERE name = :name AND state = 'open'

-- name: explain
-- Why a group still waits.
UPDATE gathering SET reason = :reason WHERE name = :name AND reason != :reason

-- name: open_groups
-- Those that may fire, and whether our own backlog still holds one of their members.
SELECT *, EXISTS (SELECT 1 FROM job WHERE feeds = gathering.name AND feeds != ''
                  AND state IN ('ready', 'running', 'publishing')) AS busy
FROM gathering WHERE state = 'open'
AND substr(name, 1, instr(name, ':') - 1) NOT IN (SELECT value FROM json_each(:but)) ORDER BY opened_at, name

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

-- name: awaited
-- Members that have not come, by how their names begin.
SELECT gathering, name FROM member
WHERE name >= :prefix AND name < :beyond AND value IS NULL ORDER BY gathering, name
