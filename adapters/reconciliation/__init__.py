"""The other side of reconciliation: files of gateways and banks, and what people decide about differences."""
