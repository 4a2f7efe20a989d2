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
