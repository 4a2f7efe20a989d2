-- name: accounts_by_kind
-- Every path that was ever seen, once.
SELECT account, count(*) AS n FROM accounts GROUP BY account ORDER BY account

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
WHERE file.origin = 'product' ORDER BY file.path
