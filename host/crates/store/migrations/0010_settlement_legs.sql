-- What happened to a settlement after it was booked: reversed, booked again, reversed...

CREATE TABLE settlement_leg (
    settlement  INTEGER NOT NULL REFERENCES settlement (number),
    -- From 1, no gaps: odd legs undo every transfer, even ones book them again.
    leg         INTEGER NOT NULL CHECK (leg > 0),
    -- For people.
    why         TEXT NOT NULL,
    booked_ms   INTEGER NOT NULL,
    PRIMARY KEY (settlement, leg)
) STRICT, WITHOUT ROWID;

-- settlement.reversed_ms is from here on when the last leg was booked, if that is a reversal;
-- it moves with every leg.
INSERT INTO settlement_leg (settlement, leg, why, booked_ms)
SELECT settlement.number, 1, coalesce(block.detail, ''), settlement.reversed_ms
FROM settlement LEFT JOIN block ON block.id = settlement.block
WHERE settlement.reversed_ms IS NOT NULL;
