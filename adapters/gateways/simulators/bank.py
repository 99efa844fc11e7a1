"""A sponsor bank as its originators see it: a folder where files come and go, and mischief with files.

`turn()` is one round of the bank: it takes what lies in `out`, decides, and puts its files into `in`. There is no
clock: whoever drives it decides how often a day has rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from adapters.gateways.nach import put
from adapters.gateways.nach_format import Item, Kind, NachFile, name_of, read, reference_of, written
from adapters.gateways.simulators.books import Books, Mischief
from domain.calendar import IST

CODES = {"funds": "04", "closed": "01", "down": "59", "strange": "Q7"}
MISPRINT = "#"


@dataclass(slots=True, kw_only=True)
class BankSimulator:
    """One bank."""

    folder: Path
    utility_code: str
    seed: int
    mischief: Mischief
    rounds: int = field(default=0, init=False)
    books: Books = field(init=False)
    refused: int = field(default=0, init=False)
    """Files of ours that the bank could not read: none, if we do our work."""
    _waiting: list[tuple[int, str, bytes]] = field(default_factory=list[tuple[int, str, bytes]], init=False)
    _open: dict[str, int] = field(default_factory=dict[str, int], init=False)
    """Reference -> the round in which it is decided."""
    _turned: dict[str, int] = field(default_factory=dict[str, int], init=False)
    """Successes -> the round in which they are taken back."""

    def __post_init__(self) -> None:
        self.books = Books(self.seed, self.mischief)

    @property
    def at_rest(self) -> bool:
        """Nothing more will happen by itself; what waits for a payer does not."""
        decides = self.books.decides
        undecided = decides is not None and all(decides(self.books.entries[one]) is None for one in self._open)
        return not (self._waiting or self._turned) and (undecided or not self._open)

    def turn(self) -> None:
        """One round: read, decide, answer."""
        self.rounds += 1
        for path in sorted((self.folder / "out").glob("*.txt")):
            self._take(path)
        self._respond(list(self._decided()), about="")
        self._respond(list(self._taken_back()), about="", certain=True)  # nobody would ask for one that is lost
        kept: list[tuple[int, str, bytes]] = []
        for due, name, content in self._waiting:
            if due > self.rounds:
                kept.append((due, name, content))
            else:
                put(self.folder / "in", name, content)
        self._waiting = kept

    def _take(self, path: Path) -> None:
        reading = read(path.read_bytes())
        path.unlink()
        file = reading.file
        if file is None or reading.problem or reading.set_aside or file.utility_code != self.utility_code:
            self.refused += 1
            return
        # A file that is lost on its way is what "the bank never had it" means.
        if self.books.happens("silent_before", file.reference):
            return
        if file.kind == "ENQ":
            self._respond([self._stands(item) for item in file.items], about=file.reference)
            return
        acknowledged: list[Item] = []
        for item in file.items:
            entry, new = self.books.take(item.reference, "debit", "", item.amount_paise, "enach")
            if not new:
                acknowledged.append(replace(item, status="0", code="31", text="duplicate reference"))
                continue
            late = self.books.happens("undecided", item.reference)
            self._open[item.reference] = self.rounds + (2 if late else 1)
            acknowledged.append(replace(item, status="2", text="taken"))
            if late and entry.state == "processing":
                self._respond(
                    [replace(item, status="9", code="98", text="destination bank has not answered")], about=""
                )
        self._respond(acknowledged, about=file.reference, kind="ACK")

    def _decided(self) -> Iterator[Item]:
        for reference, due in list(self._open.items()):
            if due <= self.rounds:
                entry = self.books.entries[reference]
                fate = self.books.fate(entry)
                if fate is None:
                    continue
                del self._open[reference]
                self.books.settle(entry, fate)
                if entry.state == "succeeded" and self.books.happens("reversed", reference):
                    self._turned[reference] = self.rounds + 2
                yield self._stands(Item(reference=reference, amount_paise=entry.amount_paise))

    def _taken_back(self) -> Iterator[Item]:
        for reference, due in list(self._turned.items()):
            if due <= self.rounds:
                del self._turned[reference]
                entry = self.books.entries[reference]
                self.books.settle(entry, "reversed")
                yield self._stands(Item(reference=reference, amount_paise=entry.amount_paise))

    def _stands(self, item: Item) -> Item:
        """A line that says how an item stands."""
        entry = self.books.entries.get(item.reference)
        if entry is None:
            return replace(item, status="8", text="not known")
        status = {"processing": "9", "succeeded": "1", "failed": "0", "reversed": "R", "cancelled": "0"}[entry.state]
        code = "98" if status == "9" else CODES[entry.why] if status == "0" else ""
        bank_reference = f"UTR{entry.number:09d}" if status in ("1", "R") else ""
        today = self.books.today()
        return Item(
            reference=item.reference, amount_paise=entry.amount_paise, status=status, code=code,
            bank_reference=bank_reference, value_on=today if status in ("0", "1", "R") else None,
        )  # fmt: skip

    def _respond(self, items: Sequence[Item], *, about: str, kind: Kind = "RSP", certain: bool = False) -> None:
        """A file of these lines, if it is not lost, and perhaps not as it should be."""
        if not items:
            return
        lines = [f"{self.rounds} {about} {item.reference} {item.status}" for item in items]
        file = NachFile(
            kind=kind,
            reference=reference_of(kind, datetime.now(IST), lines),
            utility_code=self.utility_code,
            made_on=datetime.now(IST).date(),
            items=[replace(item, number=0) for item in items],
            about=about,
        )
        whole, name, about_it = written(file), name_of(file), lines[0]
        if certain:
            self._waiting.append((self.rounds, name, whole.encode("ascii")))
            return
        if self.books.happens("lost", about_it):
            return
        due = self.rounds + (2 if self.books.happens("late", about_it) else 0)
        if self.books.happens("contradicts", about_it):  # cut short on its way; sent again when somebody complains
            cut = whole[: len(whole) * 2 // 3]
            self._waiting.append((due, f"CUT-{name}", cut.encode("ascii")))
            due += 1
        if self.books.happens("garbage", about_it):  # one line is misprinted; an enquiry brings what it said
            rows = whole.split("\n")
            rows[1] = MISPRINT * 9 + rows[1][9:]
            whole = "\n".join(rows)
        self._waiting.append((due, name, whole.encode("ascii")))
        if self.books.happens("twice", about_it):
            self._waiting.append((due + 1, f"AGAIN-{name}", whole.encode("ascii")))
