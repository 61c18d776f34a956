-- The authorization server: grants and what proves them. Tokens and codes rest as SHA-256 only.

-- What an administrator approved, or a client has of itself (client credentials: administrator_id is NULL).
CREATE TABLE grants (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    administrator_id INTEGER,
    scopes           TEXT NOT NULL,
    created          INTEGER NOT NULL,
    revoked_at       INTEGER
);
CREATE INDEX grants_by_client ON grants (tenant, client_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_by_administrator ON grants (tenant, administrator_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_revoked ON grants (revoked_at) WHERE revoked_at IS NOT NULL;

-- The tokens of a grant: one refresh token and one access token a generation. access_from and access_until are the access
-- token's iat and exp, so that the same token can be made again; confirmed is when either was first used.
CREATE TABLE generations (
    grant_id     INTEGER NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    refresh      BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    issued       INTEGER NOT NULL,
    access_from  INTEGER NOT NULL,
    access_until INTEGER NOT NULL,
    confirmed    INTEGER,
    PRIMARY KEY (grant_id, number)
) WITHOUT ROWID;

-- Authorization codes. redirect_uri is NULL when the request named none; taken is when the code was presented.
CREATE TABLE codes (
    digest           BLOB PRIMARY KEY,
    tenant           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    administrator_id INTEGER NOT NULL,
    redirect_uri     TEXT,
    challenge        BLOB,
    scopes           TEXT NOT NULL,
    expires          INTEGER NOT NULL,
    taken            INTEGER,
    grant_id         INTEGER
) WITHOUT ROWID;
CREATE INDEX codes_by_expiry ON codes (expires);

-- Administrators who are signed in, by the SHA-256 of their cookie.
CREATE TABLE sessions (
    digest           BLOB PRIMARY KEY,
    tenant           TEXT NOT NULL,
    administrator_id INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    last_seen        INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_administrator ON sessions (administrator_id);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen);

-- Keys that sign access tokens. The private key is PKCS#8 in clear: who can read this file can sign.
CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    private_key BLOB NOT NULL,
    created     INTEGER NOT NULL
) WITHOUT ROWID;

-- Other secrets of the server, by name.
CREATE TABLE server_secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
