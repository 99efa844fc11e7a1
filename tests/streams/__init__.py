"""Tests of what streams does, without a broker."""
