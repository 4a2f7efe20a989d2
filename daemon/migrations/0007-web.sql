-- For pages that show the newest first, a few at a time.
CREATE INDEX activity_ended ON activity (ended, outcome, stage);
CREATE INDEX file_by_origin ON file (origin, at);
CREATE INDEX quarantine_at ON quarantine (at);
CREATE INDEX gathering_state ON gathering (state, changed_at);
CREATE INDEX job_waiting ON job (created_at) WHERE state = 'ready' AND due = 1;
CREATE INDEX activity_failed ON activity (ended, pipeline, failure) WHERE outcome = 'failed';
