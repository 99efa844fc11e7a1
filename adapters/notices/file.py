"""Notices into a file, one JSON document a line: for development, demos and tests, where nobody is to be told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from adapters.notices.letters import Answer, Letter, Refused, Taken


class FilePort:
    """Appends to a file, whole batches at a time. What went out before a crash is read back from it."""

    repeats_safely = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: set[str] | None = None
        self._turn = asyncio.Lock()

    async def send(self, letters: Sequence[Letter]) -> list[Answer]:
        async with self._turn:
            return await asyncio.to_thread(self._append, letters)

    async def forget(self, borrowers: Collection[str]) -> None:
        async with self._turn:
            await asyncio.to_thread(self._rewrite_without, set(borrowers))

    async def close(self) -> None:
        return None

    def _append(self, letters: Sequence[Letter]) -> list[Answer]:
        written = self._already()
        new = [letter for letter in letters if letter.notice_id + letter.channel not in written]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                file.write(b"".join(orjson.dumps(asdict(letter)) + b"\n" for letter in new))
        except OSError as error:
            return [Refused(f"{self.path}: {error.strerror}")] * len(letters)
        written.update(letter.notice_id + letter.channel for letter in new)
        return [Taken(f"{self.path.name}")] * len(letters)

    def _already(self) -> set[str]:
        """What is in the file; a line that a crash cut off is taken out."""
        if self._written is None:
            self._written = set()
            if self.path.exists():
                whole, _, cut = self.path.read_bytes().rpartition(b"\n")
                for line in whole.splitlines():
                    told = orjson.loads(line)
                    self._written.add(told["notice_id"] + told["channel"])
                if cut:
                    self._replace(whole + b"\n" if whole else b"")
        return self._written

    def _rewrite_without(self, borrowers: set[str]) -> None:
        self._already()
        if self.path.exists():
            kept = (line for line in self.path.read_bytes().splitlines() if _borrower(line) not in borrowers)
            self._replace(b"".join(line + b"\n" for line in kept))

    def _replace(self, content: bytes) -> None:
        beside = self.path.with_name(self.path.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        beside.replace(self.path)


def _borrower(line: bytes) -> str:
    return orjson.loads(line)["borrower_id"]
