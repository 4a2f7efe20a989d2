-- Which jobs take which content: written with the job, whoever puts it.
CREATE TABLE job_input (
    entity TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES job (id),
    role TEXT NOT NULL,
    PRIMARY KEY (entity, job, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_input_job ON job_input (job);
CREATE TRIGGER job_takes AFTER INSERT ON job BEGIN
    INSERT OR IGNORE INTO job_input (entity, job, role)
    SELECT json_extract(source.value, '$.sha256'), NEW.id, json_extract(source.value, '$.role')
    FROM json_each(NEW.payload, '$.inputs') AS source;
END;
INSERT OR IGNORE INTO job_input (entity, job, role)
SELECT json_extract(source.value, '$.sha256'), job.id, json_extract(source.value, '$.role')
FROM job, json_each(job.payload, '$.inputs') AS source;

CREATE INDEX derived_source ON derived (source);
CREATE INDEX entity_by_kind ON entity (kind, name);

-- Where an attempt was made.
ALTER TABLE activity ADD COLUMN host TEXT NOT NULL DEFAULT '';
