-- Why an accruing generation cannot pay its work; none when it can. Its successor pays it if
-- the operator says so.
ALTER TABLE generation ADD COLUMN held TEXT;
