"""Static files: read once, served under a name with their hash in it, so that a browser may keep them for good."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and the name under which it is served."""

    content: bytes
    media_type: str
    stamp: str


@cache
def assets() -> dict[str, Asset]:
    """Every file that pages may ask for, by its path below `static`: what is not here cannot be reached."""
    return dict(_found(files("adapters.http") / "static", ""))


def address_of(path: str) -> str:
    """Where a page finds a file; another content has another address."""
    return f"/static/{assets()[path].stamp}/{path}"


def _found(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for item in folder.iterdir():
        if item.is_dir():
            found += _found(item, f"{prefix}{item.name}/")
            continue
        media_type = MEDIA_TYPES.get(item.name[item.name.rfind(".") :])
        if media_type is not None:
            content = item.read_bytes()
            found.append((prefix + item.name, Asset(content, media_type, hashlib.sha256(content).hexdigest()[:12])))
    return found
