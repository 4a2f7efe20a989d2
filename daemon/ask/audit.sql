-- name: accounts_by_kind
-- Every path that was ever seen, once, as in the view `accounts`: counted there it would be read in full.
WITH held AS (
    SELECT file.origin FROM quarantine LEFT JOIN file ON file.path = quarantine.path
    WHERE file.origin IS NOT 'alias')
SELECT account, sum(n) AS n FROM (
    SELECT origin AS account, count(*) AS n FROM file GROUP BY origin
    UNION ALL SELECT 'quarantined', count(*) FROM held
    UNION ALL SELECT origin, -count(*) FROM held WHERE origin IS NOT NULL GROUP BY origin
    UNION ALL SELECT 'moved', count(*) FROM (SELECT DISTINCT path FROM history) AS seen
    WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.path = seen.path)
    AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.path = seen.path))
GROUP BY account HAVING sum(n) > 0 ORDER BY account

-- name: stamps
-- What each path looked like when it was last looked at.
SELECT path, stamp FROM file WHERE origin != 'product' UNION SELECT path, stamp FROM quarantine

-- name: unexplained
-- Inputs without a job, an association, a note or a place in quarantine.
SELECT file.path FROM file JOIN entity ON entity.id = file.entity
WHERE file.origin = 'input' AND file.note = '' AND entity.kind NOT IN ('asn', 'manifest')
AND NOT EXISTS (SELECT 1 FROM job_input WHERE job_input.entity = file.entity)
AND NOT EXISTS (SELECT 1 FROM member WHERE member.name = file.name)
AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.path = file.path) ORDER BY file.path

-- name: products_on_record
-- What each path in the output folder should hold.
SELECT file.path, file.entity AS sha256, entity.size FROM file JOIN entity ON entity.id = file.entity
WHERE file.origin = 'product'
