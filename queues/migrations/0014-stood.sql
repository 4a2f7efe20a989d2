-- Since when the clocks of a group stand still, as our own backlog holds one of its members; NULL: they run.
ALTER TABLE gathering ADD COLUMN stood_since REAL;
