"""Compliance and management reports: each a table of data with its reconciliation to the ledger."""
