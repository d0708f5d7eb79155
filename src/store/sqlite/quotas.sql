-- Version 2: what was counted against quotas, by day or hour; a key has its time in it. Times are milliseconds since 1970.

CREATE TABLE quotas (
    key   TEXT PRIMARY KEY,
    used  INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX quotas_by_end ON quotas (until);
