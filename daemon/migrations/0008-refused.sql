-- Failures of a week, without looking at every file that ever came.
CREATE INDEX history_refused ON history (at) WHERE origin = 'refused';
