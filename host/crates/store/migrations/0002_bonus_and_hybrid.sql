-- An account's fee may be a bonus, and a payout scheme may be a hybrid. SQLite cannot change
-- a constraint, so both columns are made anew.

ALTER TABLE account ADD COLUMN adjustment_ppm INTEGER NOT NULL DEFAULT 0
    CHECK (adjustment_ppm BETWEEN -1000000 AND 1000000);
UPDATE account SET adjustment_ppm = fee_ppm;
ALTER TABLE account DROP COLUMN fee_ppm;
-- What the operator adds to the scheme's fee for this account, parts per million; a negative
-- number is a bonus; moves.
ALTER TABLE account RENAME COLUMN adjustment_ppm TO fee_ppm;

ALTER TABLE generation ADD COLUMN scheme_kind TEXT
    CHECK (scheme_kind IN ('distribute', 'accrue', 'hybrid'));
UPDATE generation SET scheme_kind = kind;
ALTER TABLE generation DROP COLUMN kind;
-- Payout schemes: distribute, accrue or hybrid.
ALTER TABLE generation RENAME COLUMN scheme_kind TO kind;
