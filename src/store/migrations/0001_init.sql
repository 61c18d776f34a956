-- Times are milliseconds since the Unix epoch, UTC. Lists are JSON text. Digests are SHA-256, 32 bytes.

-- Numbers about the state as a whole. 'generation' moves with everything that ends somebody's access.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('generation', 0);

CREATE TABLE administrators (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant        TEXT NOT NULL,
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,      -- lower case: a name is the same however it is typed
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created       INTEGER NOT NULL,
    UNIQUE (tenant, username_key)
);

CREATE TABLE clients (
    tenant        TEXT NOT NULL,
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    public        INTEGER NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created       INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE client_secrets (
    tenant    TEXT NOT NULL,
    client_id TEXT NOT NULL,
    digest    BLOB NOT NULL,
    prefix    TEXT NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER,
    PRIMARY KEY (tenant, client_id, digest),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE secret_tokens (
    id        TEXT PRIMARY KEY,
    tenant    TEXT NOT NULL,
    name      TEXT NOT NULL,
    digest    BLOB NOT NULL,
    prefix    TEXT NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER,
    last_used INTEGER,
    revoked   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, digest)
) WITHOUT ROWID;

-- What a directory cannot hold about a managed person.
CREATE TABLE links (
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    state       TEXT NOT NULL,
    external_id TEXT,
    asserted    TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX links_by_external_id ON links (tenant, external_id) WHERE external_id IS NOT NULL;

-- Creates begun and not known to have ended. No names rest here, only digests.
CREATE TABLE journal (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    user_name BLOB NOT NULL,
    body      BLOB NOT NULL,
    at        INTEGER NOT NULL
);
CREATE INDEX journal_by_user_name ON journal (tenant, user_name);

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    request_id  TEXT NOT NULL,
    tenant      TEXT,
    actor       TEXT,
    operation   TEXT NOT NULL,
    target      TEXT,
    status      INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    notes       TEXT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant, seq);
