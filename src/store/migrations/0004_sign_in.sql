-- Administrators whom somebody else vouches for, and sign-ins on their way through another provider.

-- source is 'local', 'directory' or 'oidc:ISSUER'. username_key is what a source tells people apart by: the name in lower
-- case, or the provider's own subject. Only a local administrator has a password here.
CREATE TABLE administrators_of_every_source (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant        TEXT NOT NULL,
    source        TEXT NOT NULL DEFAULT 'local',
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created       INTEGER NOT NULL,
    UNIQUE (tenant, source, username_key)
);
INSERT INTO administrators_of_every_source (id, tenant, username, username_key, role, password_hash, disabled, created)
    SELECT id, tenant, username, username_key, role, password_hash, disabled, created FROM administrators;
DROP TABLE administrators;
ALTER TABLE administrators_of_every_source RENAME TO administrators;

-- Browsers that were sent to the organisation's provider, by the SHA-256 of `state`; browser is that of their cookie.
CREATE TABLE sign_ins (
    digest    BLOB PRIMARY KEY,
    tenant    TEXT NOT NULL,
    browser   BLOB NOT NULL,
    issuer    TEXT NOT NULL,
    return_to TEXT NOT NULL,
    created   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sign_ins_by_age ON sign_ins (created);

-- For the console: the newest live grants of a tenant without looking at any other.
CREATE INDEX grants_live ON grants (tenant, id) WHERE revoked_at IS NULL;
-- Clearing away sessions whose day is over reads no others.
CREATE INDEX sessions_by_created ON sessions (created);
