"""`python -m adapters.http.vendor`: fetch the browser libraries that we ship, pinned by their package's hash.

The files are committed, so that nobody needs node to run or build Qist, and a page asks nothing of the outside.
`static/vendor/README.md` says what they are; a test holds the files to the hashes there.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class Library:
    """A package of npm's registry: which files of it we ship, and under which names."""

    name: str
    version: str
    licence: str
    source: str
    integrity: str
    files: dict[str, str]


LIBRARIES = (
    Library(
        name="uplot",
        version="1.6.32",
        licence="MIT",
        source="https://github.com/leeoniya/uPlot",
        integrity="sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        files={
            "dist/uPlot.iife.min.js": "uPlot.iife.min.js",
            "dist/uPlot.min.css": "uPlot.min.css",
            "LICENSE": "uPlot.LICENSE.txt",
        },
    ),
)


def fetch(library: Library) -> dict[str, bytes]:
    """Its files as `npm pack` brings them; refused when the package is not the one that was pinned."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{library.name}@{library.version}", "--silent"]
        packed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
        package = (Path(folder) / packed).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != library.integrity:
        sys.exit(f"{library.name} {library.version} is not what was pinned: {found}")
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        return {ours: _read(tar, f"package/{theirs}") for theirs, ours in library.files.items()}


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member is not None
    return member.read()


def readme(contents: dict[str, dict[str, bytes]]) -> str:
    """What is here, for people and for the test."""
    lines = ["# Libraries that the pages use", "", "Made by `python -m adapters.http.vendor`; do not edit.", ""]
    for library in LIBRARIES:
        lines += [f"## {library.name} {library.version}", "", f"{library.licence}, {library.source}", ""]
        lines += ["| file | SHA-256 |", "|---|---|"]
        lines += [f"| {name} | `{hashlib.sha256(held).hexdigest()}` |" for name, held in contents[library.name].items()]
    return "\n".join([*lines, ""])


def main() -> None:
    contents = {library.name: fetch(library) for library in LIBRARIES}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for held in contents.values():
        for name, content in held.items():
            (FOLDER / name).write_bytes(content)
            print(f"wrote {FOLDER / name}", file=sys.stderr)
    (FOLDER / "README.md").write_text(readme(contents))


if __name__ == "__main__":
    main()
