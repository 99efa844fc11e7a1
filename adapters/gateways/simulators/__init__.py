"""Gateways that are not real and behave as badly as real ones: servers and file exchanges with books of their own."""
