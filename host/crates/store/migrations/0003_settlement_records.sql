-- What every settlement looked at and what came of it, chained, so that anybody can do it
-- again; and a salt per account, so that records name nobody.

-- Told only to the account. Made by the database, so that no way of making an account can
-- forget it.
ALTER TABLE account ADD COLUMN salt BLOB CHECK (length(salt) = 16);
UPDATE account SET salt = randomblob(16);
CREATE TRIGGER account_salt AFTER INSERT ON account WHEN NEW.salt IS NULL
BEGIN
    UPDATE account SET salt = randomblob(16) WHERE id = NEW.id;
END;

-- States of schemes by their hash. A scheme that keeps none has one row here for all its
-- settlements. States of intervals are deleted when they are old (see scheme_states.rs).
CREATE TABLE scheme_state (
    hash        BLOB PRIMARY KEY CHECK (length(hash) = 32),
    bytes       BLOB NOT NULL
) STRICT;

-- The state after a settlement, in scheme_state. Settlements of before this migration have
-- it in the column `state`, which is empty for all others.
ALTER TABLE settlement ADD COLUMN state_hash BLOB CHECK (length(state_hash) = 32);

CREATE TABLE settlement_record (
    settlement  INTEGER PRIMARY KEY REFERENCES settlement (number),
    -- The chained facts, as JSON: what `hash` is of.
    header      TEXT NOT NULL,
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- State before and after, in scheme_state.
    state_in    BLOB NOT NULL CHECK (length(state_in) = 32),
    state_out   BLOB NOT NULL CHECK (length(state_out) = 32),
    -- 32 bytes per row: the salted keys of the accounts.
    accounts    BLOB NOT NULL,
    -- Canonical bytes (ledger, canonical.rs), without their states.
    request     BLOB NOT NULL,
    outcome     BLOB NOT NULL
) STRICT;

CREATE INDEX settlement_record_state_in ON settlement_record (state_in);
CREATE INDEX settlement_record_state_out ON settlement_record (state_out);
