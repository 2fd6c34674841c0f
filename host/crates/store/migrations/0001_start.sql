-- Everything the pool must not forget.
--
-- Units: amounts are base units of the coin, times (`_ms`) are milliseconds since the Unix
-- epoch, work is expected hashes, `seq` is a share's place in the log (from 1, no gaps).
-- A pair of columns `_hi`, `_lo` is the number hi * 2^40 + lo: exact, and SUM() of either
-- column stays inside 64 bits for millions of rows.
-- Columns never change once written, unless they say "moves".

CREATE TABLE pool (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    -- How often the pool was started; moves.
    runs        INTEGER NOT NULL
) STRICT;

INSERT INTO pool (id, runs) VALUES (1, 0);

CREATE TABLE account (
    id          INTEGER PRIMARY KEY,
    -- Text form of the ledger: miner:<name>, pool:fee, pool:carry, pool:reserve, chain:reward.
    name        TEXT NOT NULL UNIQUE,
    -- Fee the operator set for this account, parts per million; moves.
    fee_ppm     INTEGER NOT NULL DEFAULT 0 CHECK (fee_ppm BETWEEN 0 AND 1000000),
    -- Sum of all transfers that take from it; moves, never down.
    debits_hi   INTEGER NOT NULL DEFAULT 0,
    debits_lo   INTEGER NOT NULL DEFAULT 0,
    -- Sum of all transfers that give to it; moves, never down.
    credits_hi  INTEGER NOT NULL DEFAULT 0,
    credits_lo  INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO account (name)
VALUES ('chain:reward'), ('pool:fee'), ('pool:carry'), ('pool:reserve');

CREATE TABLE worker (
    -- The WorkerId every share carries.
    id            INTEGER PRIMARY KEY,
    account       INTEGER NOT NULL REFERENCES account (id),
    -- What the miner calls this machine; may be empty.
    name          TEXT NOT NULL,
    -- When it was first authorised.
    created_ms    INTEGER NOT NULL,
    -- Totals over the share log; move with every batch.
    shares        INTEGER NOT NULL DEFAULT 0,
    work_hi       INTEGER NOT NULL DEFAULT 0,
    work_lo       INTEGER NOT NULL DEFAULT 0,
    -- Time of its latest share; moves.
    last_share_ms INTEGER,
    UNIQUE (account, name)
) STRICT;

-- The share log: one row per group commit. The truth that all totals derive from.
CREATE TABLE share_batch (
    first_seq   INTEGER PRIMARY KEY,
    last_seq    INTEGER NOT NULL,
    -- When the batch was handed to the store.
    stored_ms   INTEGER NOT NULL,
    -- Fixed-width records with a version and a checksum, see codec.rs.
    shares      BLOB NOT NULL
) STRICT;

-- Work per worker and minute: what statistics read.
CREATE TABLE work_slice (
    -- Minutes since the Unix epoch.
    slice       INTEGER NOT NULL,
    worker      INTEGER NOT NULL REFERENCES worker (id),
    -- Sums; move with every batch.
    shares      INTEGER NOT NULL,
    work_hi     INTEGER NOT NULL,
    work_lo     INTEGER NOT NULL,
    PRIMARY KEY (slice, worker)
) STRICT, WITHOUT ROWID;

CREATE INDEX work_slice_worker ON work_slice (worker, slice);

-- The same for the whole pool, so that a day is 1440 rows whatever the number of workers.
CREATE TABLE pool_slice (
    slice       INTEGER PRIMARY KEY,
    shares      INTEGER NOT NULL,
    work_hi     INTEGER NOT NULL,
    work_lo     INTEGER NOT NULL
) STRICT;

-- Components that ever decided anything, so that every decision can be recomputed.
CREATE TABLE component (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    wasm        BLOB NOT NULL
) STRICT;

-- A component with a configuration, in force in its slot from a place in the share log.
CREATE TABLE generation (
    id            INTEGER PRIMARY KEY,
    -- What it decides: payout, auth, difficulty.
    slot          TEXT NOT NULL,
    digest        BLOB NOT NULL REFERENCES component (digest),
    -- As the component describes itself.
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    -- Canonical configuration.
    config        TEXT NOT NULL,
    -- Payout schemes: distribute or accrue.
    kind          TEXT CHECK (kind IN ('distribute', 'accrue')),
    -- The last share before it took over.
    from_seq      INTEGER NOT NULL,
    -- Version of the state bytes it writes.
    state_version INTEGER NOT NULL,
    -- The scheme's opaque state; moves with every settlement.
    state         BLOB NOT NULL,
    begun_ms      INTEGER NOT NULL
) STRICT;

CREATE INDEX generation_slot ON generation (slot, id);

CREATE TABLE block (
    number      INTEGER PRIMARY KEY,
    -- The chain's name for it: the hash in hex.
    id          TEXT NOT NULL UNIQUE,
    height      INTEGER NOT NULL,
    -- The last durable share when it was found; its own share comes later.
    seq         INTEGER NOT NULL,
    worker      INTEGER NOT NULL REFERENCES worker (id),
    -- The payout generation in force when it was found: it settles the block.
    generation  INTEGER NOT NULL REFERENCES generation (id),
    found_ms    INTEGER NOT NULL,
    pow_hash    BLOB NOT NULL CHECK (length(pow_hash) = 32),
    -- See BlockState in the ledger; moves along its table.
    state       TEXT NOT NULL,
    -- What the chain pays; set when it matures.
    reward      INTEGER,
    -- The fees of the transactions in it.
    tx_fees     INTEGER NOT NULL,
    -- The latest word about it, for people; moves.
    detail      TEXT NOT NULL,
    -- When state or detail last changed; moves.
    changed_ms  INTEGER NOT NULL,
    -- What is handed to the chain.
    bytes       BLOB NOT NULL
) STRICT;

CREATE INDEX block_seq ON block (seq);
CREATE INDEX block_state ON block (state);

-- One decision about money: a block divided, or an interval of work paid.
CREATE TABLE settlement (
    number      INTEGER PRIMARY KEY,
    -- block:<id> or interval:<generation>:<from>-<to>.
    key         TEXT NOT NULL UNIQUE,
    generation  INTEGER NOT NULL REFERENCES generation (id),
    -- The block it divides; none for an interval.
    block       TEXT REFERENCES block (id),
    -- The shares it looked at: after from_seq, up to and with to_seq.
    from_seq    INTEGER NOT NULL,
    to_seq      INTEGER NOT NULL,
    -- The component, and its canonical configuration's hash.
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    config_hash BLOB NOT NULL CHECK (length(config_hash) = 32),
    -- Facts for people, a JSON list of texts.
    notes       TEXT NOT NULL,
    -- The scheme's state after it.
    state       BLOB NOT NULL,
    carry_in    INTEGER NOT NULL,
    carry_out   INTEGER NOT NULL,
    booked_ms   INTEGER NOT NULL,
    -- When every transfer of it was reversed; moves once.
    reversed_ms INTEGER
) STRICT;

CREATE INDEX settlement_generation ON settlement (generation, to_seq);

-- Double entry: takes from debit, gives to credit. Rows are never changed or deleted.
CREATE TABLE transfer (
    number      INTEGER PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    debit       INTEGER NOT NULL REFERENCES account (id),
    credit      INTEGER NOT NULL REFERENCES account (id),
    amount      INTEGER NOT NULL CHECK (amount > 0),
    -- See Reason in the ledger.
    reason      TEXT NOT NULL,
    settlement  INTEGER NOT NULL REFERENCES settlement (number),
    booked_ms   INTEGER NOT NULL,
    CHECK (debit <> credit)
) STRICT;

CREATE INDEX transfer_settlement ON transfer (settlement);
CREATE INDEX transfer_debit ON transfer (debit, number);
CREATE INDEX transfer_credit ON transfer (credit, number);
