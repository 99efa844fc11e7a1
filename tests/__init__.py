"""Tests: a loan's story, told as given, when and then."""
