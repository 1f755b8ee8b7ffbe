-- Schema 5 of the hub on SQLite: commerce systems that it is tied to.

CREATE TABLE connector (
    connector_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    holder TEXT NOT NULL,
    held_until_ms BIGINT NOT NULL,
    PRIMARY KEY (connector_id)
)
 WITHOUT ROWID;

CREATE TABLE connector_note (
    connector_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    "key" TEXT NOT NULL,
    value BLOB NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (connector_id, kind, "key")
)
 WITHOUT ROWID;
