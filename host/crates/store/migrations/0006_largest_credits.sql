-- Lists show the largest credits of a settlement, which may have a million.
CREATE INDEX transfer_largest ON transfer (settlement, amount)
    WHERE reason IN ('reward', 'accrual');
