-- How many files there are of which kind, counted as they come and go: to count them all takes seconds.
CREATE TABLE tally (
    origin TEXT NOT NULL,
    kind TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (origin, kind)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER file_comes AFTER INSERT ON file BEGIN
    INSERT INTO tally (origin, kind, n) SELECT NEW.origin, kind, 1 FROM entity WHERE id = NEW.entity
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER file_goes AFTER DELETE ON file BEGIN
    UPDATE tally SET n = n - 1
    WHERE origin = OLD.origin AND kind = (SELECT kind FROM entity WHERE id = OLD.entity);
END;
CREATE TRIGGER file_changes AFTER UPDATE OF entity, origin ON file
WHEN OLD.entity != NEW.entity OR OLD.origin != NEW.origin BEGIN
    UPDATE tally SET n = n - 1
    WHERE origin = OLD.origin AND kind = (SELECT kind FROM entity WHERE id = OLD.entity);
    INSERT INTO tally (origin, kind, n) SELECT NEW.origin, kind, 1 FROM entity WHERE id = NEW.entity
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
INSERT INTO tally (origin, kind, n)
SELECT file.origin, entity.kind, count(*) FROM file JOIN entity ON entity.id = file.entity
GROUP BY file.origin, entity.kind;

-- What was made in another context or by other code, and what was published since, without reading all.
CREATE INDEX activity_made ON activity (context, code, pipeline);
CREATE INDEX history_published ON history (at) WHERE origin = 'product';
-- How far each subject has come, from the index alone.
DROP INDEX job_subject;
CREATE INDEX job_subject ON job (subject, id, state, stage);
CREATE INDEX decision_start ON decision (at) WHERE what = 'start';
