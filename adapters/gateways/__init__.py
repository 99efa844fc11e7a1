"""Gateways: vendors' calls, webhooks and files on one side, Qist's instructions and outcomes on the other."""
