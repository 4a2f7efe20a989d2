-- Targets of an observation, numbered as they came: their products keep their names.
CREATE TABLE target (
    program TEXT NOT NULL,
    candidate TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (program, candidate, name),
    UNIQUE (program, candidate, number)
) STRICT;

-- Members that a product was made without, by the attempt that made it, and why.
CREATE TABLE left_out (
    activity INTEGER NOT NULL REFERENCES activity (id),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (activity, name)
) STRICT;
