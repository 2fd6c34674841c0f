-- Values auth policies keep (their grant `kv`), by slot. Usage is counted by triggers, so
-- that a quota costs one row to read however many keys there are.

CREATE TABLE kv (
    slot       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    counter    INTEGER NOT NULL CHECK (counter IN (0, 1)),
    expires_ms INTEGER,
    PRIMARY KEY (slot, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX kv_expiry ON kv (slot, expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE kv_usage (
    slot  TEXT    NOT NULL PRIMARY KEY,
    keys  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER kv_inserted AFTER INSERT ON kv BEGIN
    INSERT INTO kv_usage (slot, keys, bytes)
    VALUES (new.slot, 1, octet_length(new.key) + octet_length(new.value))
    ON CONFLICT (slot) DO UPDATE SET
        keys = keys + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER kv_updated AFTER UPDATE ON kv BEGIN
    UPDATE kv_usage SET bytes = bytes + octet_length(new.value) - octet_length(old.value)
    WHERE slot = new.slot;
END;

CREATE TRIGGER kv_deleted AFTER DELETE ON kv BEGIN
    UPDATE kv_usage SET keys = keys - 1,
        bytes = bytes - octet_length(old.key) - octet_length(old.value)
    WHERE slot = old.slot;
END;
