-- Swaps: what was to take over a slot, step by step; what is quarantined; and how a
-- generation came and went.

-- What the operator granted it: as written, sorted, separated by spaces.
ALTER TABLE generation ADD COLUMN grants TEXT NOT NULL DEFAULT '';
-- Who put it in force: configuration, directory, rollback, or whoever asked.
ALTER TABLE generation ADD COLUMN begun_by TEXT NOT NULL DEFAULT 'configuration';
-- Hash of the slot's settings in the configuration when it took over: while they stay the
-- same, it goes on after a restart.
ALTER TABLE generation ADD COLUMN settings BLOB CHECK (length(settings) = 32);
-- What was in force before it.
ALTER TABLE generation ADD COLUMN previous INTEGER REFERENCES generation (id);
-- Hash of the state it began with, its own or one it took over: what the record of its first
-- settlement must begin with. None for generations of before this migration.
ALTER TABLE generation ADD COLUMN first_state BLOB CHECK (length(first_state) = 32);
-- When its probation ended well; moves once.
ALTER TABLE generation ADD COLUMN proven_ms INTEGER;
-- When another took over; moves once.
ALTER TABLE generation ADD COLUMN ended_ms INTEGER;
-- Why it was rolled back; moves once.
ALTER TABLE generation ADD COLUMN rolled_back TEXT;

-- What there was before probation had served its time.
UPDATE generation SET proven_ms = begun_ms;
UPDATE generation SET ended_ms =
    (SELECT next.begun_ms FROM generation AS next
     WHERE next.slot = generation.slot AND next.id > generation.id ORDER BY next.id LIMIT 1);

CREATE INDEX generation_place ON generation (slot, from_seq);
CREATE INDEX block_generation ON block (generation, seq);

-- Every component or configuration that was to take over a slot.
CREATE TABLE swap (
    id          INTEGER PRIMARY KEY,
    slot        TEXT NOT NULL,
    -- What was asked for: a name, or the digest of a component that is kept.
    component   TEXT NOT NULL,
    -- As asked for, JSON; canonical once the component has accepted it.
    config      TEXT NOT NULL,
    -- The same without what its schema marks as secret; none if nothing of it may be shown.
    shown_config TEXT,
    grants      TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    begun_ms    INTEGER NOT NULL,
    -- The slot's settings in the configuration at that time, as in generation.
    settings    BLOB CHECK (length(settings) = 32),
    -- Known once the component was found; its bytes are kept while the swap is under way.
    digest      BLOB CHECK (length(digest) = 32),
    -- Announced: when it may take effect.
    due_ms      INTEGER,
    -- What it became.
    generation  INTEGER REFERENCES generation (id),
    -- active, refused, withdrawn or abandoned; none while it is under way; moves once.
    outcome     TEXT
) STRICT;

CREATE INDEX swap_open ON swap (id) WHERE outcome IS NULL;
CREATE INDEX swap_slot ON swap (slot, id);

-- Rows are never changed or deleted.
CREATE TABLE swap_step (
    number      INTEGER PRIMARY KEY,
    swap        INTEGER NOT NULL REFERENCES swap (id),
    step        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    at_ms       INTEGER NOT NULL
) STRICT;

CREATE INDEX swap_step_swap ON swap_step (swap, number);

-- Components that failed in force and must not come back by themselves.
CREATE TABLE quarantine (
    number      INTEGER PRIMARY KEY,
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    -- Only under this configuration, if the same component works under another.
    config      TEXT,
    name        TEXT NOT NULL,
    why         TEXT NOT NULL,
    since_ms    INTEGER NOT NULL,
    -- Both move once.
    lifted_ms   INTEGER,
    lifted_by   TEXT
) STRICT;

CREATE INDEX quarantine_digest ON quarantine (digest) WHERE lifted_ms IS NULL;
-- Why an accruing generation cannot pay its work; none when it can. Its successor pays it if
-- the operator says so.
ALTER TABLE generation ADD COLUMN held TEXT;
