"""A simulated world around Qist: an LOS, gateways, and borrowers with accounts, all from one seed."""
