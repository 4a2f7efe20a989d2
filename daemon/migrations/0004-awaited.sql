-- Files that manifests name, come or not.
CREATE TABLE awaited (
    path TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    since REAL NOT NULL
) STRICT;
CREATE INDEX awaited_manifest ON awaited (manifest);

-- Stamps were device:inode:size:mtime_ns; the device may have another number at each mount.
UPDATE file SET stamp = substr(stamp, instr(stamp, ':') + 1) WHERE stamp LIKE '%:%:%:%';
UPDATE quarantine SET stamp = substr(stamp, instr(stamp, ':') + 1) WHERE stamp LIKE '%:%:%:%';
