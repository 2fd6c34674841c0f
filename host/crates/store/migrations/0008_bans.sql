-- Addresses nobody is let in from: canonical text, an IPv6 customer's as the first of its /64.
-- Without an end it is for ever.

CREATE TABLE ban (
    address    TEXT    NOT NULL PRIMARY KEY,
    until_ms   INTEGER,
    reason     TEXT    NOT NULL,
    source     TEXT    NOT NULL CHECK (source IN ('operator', 'conduct', 'auth')),
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ban_expiry ON ban (until_ms) WHERE until_ms IS NOT NULL;
