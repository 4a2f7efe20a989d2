-- Jobs that are held: what they wait for is told by whoever put them, not by a clock of the queue.
ALTER TABLE job ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
DROP INDEX job_later;
CREATE INDEX job_later ON job (not_before) WHERE state = 'ready' AND due = 0 AND held = 0;
CREATE INDEX job_on_hold ON job (id) WHERE state = 'ready' AND held = 1;

-- Groups are looked for by their members.
CREATE INDEX member_name ON member (name);
