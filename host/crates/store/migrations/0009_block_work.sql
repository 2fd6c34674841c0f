-- How much work each block took, and what the chain said to it.

-- What is handed to the chain, apart from what is listed: columns behind a block of megabytes
-- are read and written through all of it.
CREATE TABLE block_bytes (
    number INTEGER PRIMARY KEY REFERENCES block (number),
    bytes  BLOB NOT NULL
) STRICT;
INSERT INTO block_bytes (number, bytes) SELECT number, bytes FROM block;
ALTER TABLE block DROP COLUMN bytes;

-- What its proof of work had to meet, big-endian; none for blocks of before this migration.
ALTER TABLE block ADD COLUMN target BLOB CHECK (length(target) = 32);
-- Work of the share log up to its place, written once the totals have come there; none for
-- blocks of before this migration.
ALTER TABLE block ADD COLUMN work_hi INTEGER;
ALTER TABLE block ADD COLUMN work_lo INTEGER;
-- What the chain said when it was handed in last; moves.
ALTER TABLE block ADD COLUMN answer TEXT NOT NULL DEFAULT '';

-- Blocks whose place has no work yet: those of the last moment.
CREATE INDEX block_unplaced ON block (seq) WHERE target IS NOT NULL AND work_hi IS NULL;

-- Work of all shares up to counted_seq; moves with it.
ALTER TABLE pool ADD COLUMN work_hi INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN work_lo INTEGER NOT NULL DEFAULT 0;
UPDATE pool SET
    work_hi = sums.high + (sums.low >> 40),
    work_lo = sums.low & 1099511627775
FROM (SELECT coalesce(sum(work_hi), 0) AS high, coalesce(sum(work_lo), 0) AS low
      FROM worker) AS sums;
