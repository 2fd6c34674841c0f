-- Shares are appended by one statement; totals follow.

-- The last share that worker, work_slice and pool_slice have counted; moves with them.
ALTER TABLE pool ADD COLUMN counted_seq INTEGER NOT NULL DEFAULT 0;
UPDATE pool SET counted_seq =
    coalesce((SELECT last_seq FROM share_batch ORDER BY first_seq DESC LIMIT 1), 0);
