"""Errors whose message is for the person who started us."""


class Explained(Exception):
    """Says what is wrong and what to do; a traceback would add nothing."""
