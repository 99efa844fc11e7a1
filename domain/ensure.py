"""The third kind of "no": we are wrong, so nothing may be committed."""

from __future__ import annotations

__all__ = ["InvariantBroken", "ensure"]


class InvariantBroken(Exception):
    """Something that must always hold does not: a defect of ours, never the caller's mistake."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message, facts)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.message} ({told})" if told else self.message


def ensure(condition: bool, message: str, **facts: object) -> None:
    """Stop unless `condition` holds; unlike `assert`, this survives `python -O`."""
    if not condition:
        raise InvariantBroken(message, **facts)
