-- Private keys and server secrets rest sealed under a master key that is kept elsewhere (sealed = 1). Those that an earlier version
-- wrote in clear are sealed when the gateway next starts.
ALTER TABLE signing_keys ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE server_secrets ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;

-- From when a key signs: it is published and known to every process before.
ALTER TABLE signing_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;
UPDATE signing_keys SET signs_from = created;

-- The grant a client has of itself is found at once, however many grants administrators gave it.
CREATE INDEX grants_own ON grants (tenant, client_id, scopes) WHERE administrator_id IS NULL AND revoked_at IS NULL;

-- Codes that wait to be exchanged go with their administrator or client.
CREATE INDEX codes_by_administrator ON codes (tenant, administrator_id) WHERE taken IS NULL;
CREATE INDEX codes_by_client ON codes (tenant, client_id) WHERE taken IS NULL;

-- Sessions are swept by their age as well as by their last use.
CREATE INDEX sessions_by_creation ON sessions (created);
