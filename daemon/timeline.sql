-- name: enter
-- An exposure has come, or its file is another one now.
INSERT INTO link (exposure, detector, start, segment, ended, reach, since)
VALUES (:exposure, :detector, :start, :segment, :ended, :reach, :now)
ON CONFLICT (exposure) DO UPDATE SET detector = excluded.detector, start = excluded.start,
    segment = excluded.segment, ended = excluded.ended, reach = excluded.reach, since = excluded.since

-- name: link
-- One exposure.
SELECT * FROM link WHERE exposure = :exposure

-- name: before
-- The one before it.
SELECT * FROM link WHERE detector = :detector AND (start, segment, exposure) < (:start, :segment, :exposure)
ORDER BY start DESC, segment DESC, exposure DESC LIMIT 1

-- name: after
-- The one after it.
SELECT * FROM link WHERE detector = :detector AND (start, segment, exposure) > (:start, :segment, :exposure)
ORDER BY start, segment, exposure LIMIT 1

-- name: wait
-- For a predecessor, a clock, or both.
UPDATE link SET waits_for = :waits_for, look_at = :look_at WHERE exposure = :exposure

-- name: restart
-- It is to be made again: clocks run anew.
UPDATE link SET since = :now WHERE exposure = :exposure

-- name: hand_on
-- What it leaves.
UPDATE link SET handed = :handed WHERE exposure = :exposure

-- name: due
-- Those whose clock has ended.
SELECT * FROM link WHERE look_at <= :now ORDER BY start, segment, exposure

-- name: waiting
-- All that wait, whether or not a clock runs.
SELECT * FROM link WHERE exposure IN (
    SELECT substr(subject, instr(subject, ':') + 1) FROM job WHERE state = 'ready' AND held = 1)
ORDER BY start, segment, exposure

-- name: postpone
-- Clocks that stood still, or were set; none begins in the future.
UPDATE link SET since = min(since + :seconds, :now), look_at = look_at + min(:seconds, :now - since) WHERE exposure IN (
    SELECT substr(subject, instr(subject, ':') + 1) FROM job WHERE state = 'ready' AND held = 1)

-- name: announced
-- Files of other names between two, which manifests and associations tell of and which have not come.
SELECT name FROM awaited WHERE name > :low AND name < :high
AND NOT EXISTS (SELECT 1 FROM file WHERE file.path = awaited.path)
AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.path = awaited.path)
UNION SELECT name FROM member WHERE name > :low AND name < :high AND value IS NULL AND failed IS NULL
ORDER BY name DESC

-- name: seen
-- Whether a file of this name has come.
SELECT 1 FROM file WHERE name = :name LIMIT 1
