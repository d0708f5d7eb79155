-- Version 3: what a message that was edited said first; and which refresh tokens were exchanged for one another, named
-- by the hash of the first of them, and when each was.

ALTER TABLE events ADD COLUMN original TEXT;
ALTER TABLE refresh_tokens ADD COLUMN family BLOB;
ALTER TABLE refresh_tokens ADD COLUMN used_at INTEGER;
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
