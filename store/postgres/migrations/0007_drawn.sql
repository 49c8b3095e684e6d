-- What reports draw from a reservation is taken off it in the execution's own row, so that ending an execution needs no look at
-- its ledger. No version was released that kept it here.
ALTER TABLE ff_budget_usage_by_exec DROP COLUMN drawn;
ALTER TABLE ff_budget_usage_by_exec DROP COLUMN drawn_epoch;
