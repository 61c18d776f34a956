-- The doors of clients, their last use, and the assertions that were seen. Doors are JSON text: names of oauth::Door.

ALTER TABLE clients ADD COLUMN doors TEXT NOT NULL DEFAULT '["code","refresh","client_credentials"]';
UPDATE clients SET doors = '["code","refresh"]' WHERE public = 1;

ALTER TABLE client_secrets ADD COLUMN last_used INTEGER;

-- When a door was last used, to the minute. client_id is '' for a door of the tenant as a whole.
CREATE TABLE door_uses (
    tenant    TEXT NOT NULL,
    client_id TEXT NOT NULL,
    door      TEXT NOT NULL,
    last_used INTEGER NOT NULL,
    PRIMARY KEY (tenant, client_id, door)
) WITHOUT ROWID;

-- How long a grant's refresh tokens live unused, in seconds, where its client asked for less than the dialect gives.
CREATE TABLE refresh_lives (
    grant_id INTEGER PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    seconds  INTEGER NOT NULL
);

-- Client assertions that were accepted, by what tells them apart, until they expire.
CREATE TABLE assertions (
    tenant    TEXT NOT NULL,
    client_id TEXT NOT NULL,
    digest    BLOB NOT NULL,
    expires   INTEGER NOT NULL,
    PRIMARY KEY (tenant, client_id, digest)
) WITHOUT ROWID;
CREATE INDEX assertions_by_expiry ON assertions (expires);
