-- The tables that sql.toml speaks to (PostgreSQL): psql "$DIRECTORY_URL" -f config/examples/sql.sql

CREATE TABLE people (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username     varchar(200) NOT NULL,
    external_id  varchar(200),
    first_name   varchar(100),
    last_name    varchar(100),
    display_name varchar(200),
    email        varchar(200),
    phone        varchar(40),
    enabled      boolean NOT NULL DEFAULT true,
    version      bigint NOT NULL DEFAULT 1
);
-- One person a user name, whatever its case; lookups use the same index.
CREATE UNIQUE INDEX people_username ON people (lower(username));

CREATE TABLE teams (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        varchar(200) NOT NULL,
    external_id varchar(200),
    version     bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX teams_name ON teams (lower(name));

CREATE TABLE team_members (
    team_id   bigint NOT NULL REFERENCES teams (id),
    person_id bigint NOT NULL REFERENCES people (id),
    PRIMARY KEY (team_id, person_id)
);
CREATE INDEX team_members_person ON team_members (person_id);
