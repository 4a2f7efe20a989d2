-- SHA-1 of a reference as an attempt used it: under one name there may have been two contents.

ALTER TABLE used ADD COLUMN sha1 TEXT;
