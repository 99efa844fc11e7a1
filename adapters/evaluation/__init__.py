"""Strategies for trying failed debits again, compared on populations whose money is known."""
