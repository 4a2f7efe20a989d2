-- When the inputs of an attempt were available and its products were published, written with them:
-- to find it in the history of all files takes seconds.
CREATE TABLE timing (
    attempt INTEGER PRIMARY KEY REFERENCES activity (id),
    stage INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    available REAL NOT NULL,
    started REAL NOT NULL,
    ended REAL NOT NULL,
    published REAL NOT NULL
) STRICT;
INSERT INTO timing (attempt, stage, pipeline, available, started, ended, published)
SELECT id, stage, pipeline, CASE WHEN stage < 3 AND created_at > known + 1.0 THEN created_at ELSE inputs END,
       started, ended, published
FROM (SELECT activity.id, activity.stage, activity.pipeline, activity.started, activity.ended, job.created_at,
             max((SELECT min(max(coalesce(closed, at), coalesce((
                             SELECT max(decision.at) FROM decision
                             WHERE what = 'start' AND decision.at <= history.at), 0.0)))
                  FROM history WHERE history.entity = used.entity AND origin IN ('input', 'product'))) AS inputs,
             max((SELECT min(at) FROM history
                  WHERE history.entity = used.entity AND origin IN ('input', 'product'))) AS known,
             (SELECT min(history.at) FROM generated JOIN history ON history.path = generated.path
              AND history.entity = generated.entity AND history.at >= activity.ended
              WHERE generated.activity = activity.id) AS published
      FROM activity JOIN job ON job.id = activity.job JOIN used ON used.activity = activity.id
      WHERE activity.outcome = 'complete' AND used.entity NOT GLOB 'crds:*' GROUP BY activity.id)
WHERE published IS NOT NULL AND inputs IS NOT NULL;
CREATE INDEX timing_published ON timing (published);
DROP INDEX history_published;
