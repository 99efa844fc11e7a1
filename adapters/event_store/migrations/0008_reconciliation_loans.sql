-- Lines that name only a loan are looked for by it: a payment of that loan may be the same money.
CREATE INDEX reconciliation_lines_loan ON reconciliation_lines (loan_id) WHERE loan_id <> '';
