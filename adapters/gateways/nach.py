"""The file rail: a presentation file goes to the sponsor bank's folder, acknowledgements and responses come back.

    FOLDER/out       ours: PRS-... to present, ENQ-... to enquire; whatever moves files (sftp) takes them from here
    FOLDER/in        the bank's: ACK-... and RSP-...; put them here under another name first, then rename
    FOLDER/done      files that were read, FOLDER/refused those that do not hold

A file appears whole or not at all (written beside, synced, renamed). What was perhaps presented is enquired about in
an ENQ file: the bank answers with a response, where status 8 means that it never had the item. The bank in turn refuses
a reference that it has seen, so that a file that arrives twice debits once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path

import structlog

from adapters.gateways.nach_format import Garbled, Item, Kind, NachFile, Reading, name_of, read, reference_of, written
from adapters.gateways.port import UNKNOWN, UNMAPPED, Answer, FileAnswer, FileRead, Order
from adapters.gateways.reasons import failure, vocabulary
from domain.calendar import IST

log = structlog.get_logger("gateway")

NAME = "nach-files"
RAILS = ("enach", "nach")


class NachFiles:
    """`port.Gateway` over a folder of files."""

    together = True

    def __init__(self, name: str, folder: Path, utility_code: str) -> None:
        self.name = name
        self._out, self._in, self._done, self._refused = (folder / part for part in ("out", "in", "done", "refused"))
        self._utility_code = utility_code
        self._words = vocabulary(NAME)

    async def present(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """All in one file. What a file cannot hold is refused: it will not fit tomorrow either."""
        answers: dict[str, Answer] = {}
        fit: list[Order] = []
        for order in orders:
            wrong = unfit(order)
            if wrong:
                answers[order.instruction_id] = Answer(state="failed", code=UNMAPPED, message=wrong)
            else:
                fit.append(order)
        return {**answers, **await self._send("PRS", fit)}

    async def enquire(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Asks in a file, too: the answer comes by itself, so there is no news yet."""
        return await self._send("ENQ", orders)

    async def withdraw(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Nothing can be taken back from a file that has gone; what became of it is awaited."""
        return {}

    async def collect(self) -> Sequence[FileRead]:
        return await asyncio.to_thread(self._collected)

    async def done(self, file: FileRead) -> None:
        await asyncio.to_thread(self._put_away, file)

    async def close(self) -> None:
        """Nothing is open."""

    async def _send(self, kind: Kind, orders: Sequence[Order]) -> Mapping[str, Answer]:
        if not orders:
            return {}
        now = datetime.now(IST)
        names = [f"{order.instruction_id} {order.presented}" for order in orders]
        file = NachFile(
            kind=kind,
            reference=reference_of(kind, now, names),
            utility_code=self._utility_code,
            made_on=now.date(),
            items=[item_of(order) for order in orders],
        )
        try:
            await asyncio.to_thread(put, self._out, name_of(file), written(file).encode("ascii"))
        except OSError as error:  # no file has appeared
            message = f"no file could be written: {error.strerror}"
            log.error("cannot present", gateway=self.name, folder=str(self._out), error=message)
            return {order.instruction_id: Answer(state="later", message=message) for order in orders}
        log.info("file made", gateway=self.name, file=name_of(file), items=len(orders))
        # A file that was written is not yet a file that arrived: the bank's acknowledgement says so.
        return {order.instruction_id: UNKNOWN for order in orders}

    def _collected(self) -> list[FileRead]:
        if not self._in.is_dir():
            return []
        return [self._read(path) for path in sorted(self._in.glob("*.txt"))]

    def _read(self, path: Path) -> FileRead:
        content = path.read_bytes()
        reading = read(content)
        file = reading.file
        problem = reading.problem
        if file is not None and not problem:
            if file.kind not in ("ACK", "RSP"):
                problem = f"a file {file.kind} is ours, and not the bank's"
            elif file.utility_code != self._utility_code:
                problem = f"it is for {file.utility_code}, and we are {self._utility_code}"
        return FileRead(
            name=path.name,
            sha256=hashlib.sha256(content).hexdigest(),
            reference=file.reference if file else "",
            answers=() if problem else list(self._answers(reading)),
            set_aside=reading.set_aside,
            problem=problem,
            lines=reading.counted,
        )

    def _answers(self, reading: Reading) -> Iterator[FileAnswer]:
        assert reading.file is not None
        for line, item in zip(reading.lines, reading.file.items, strict=True):
            yield FileAnswer(line=line, instruction_id=item.reference, answer=self.answer(reading.file.kind, item))

    def answer(self, kind: Kind, item: Item) -> Answer:
        """What one line says."""
        state = self._words.state("debit", item.status)
        at = datetime.combine(item.value_on, time(18), IST) if item.value_on else None
        if state != "failed":
            code = item.code if state == "accepted" and kind == "RSP" else ""
            return Answer(
                state=state,
                code=code,
                amount_paise=item.amount_paise,
                reference=item.bank_reference,
                at=at,
                value_on=item.value_on,
            )
        if kind == "ACK" and item.code == "98":  # the same number means "no answer yet" in a response
            return Answer(state="failed", code=UNMAPPED, message=f"rejected at input with 98 {item.text}".strip())
        said = failure(self._words, "enach", code=item.code, text=item.text)
        return Answer(
            state=said.state, code=said.code, message=said.message, amount_paise=item.amount_paise, at=at,
            reference=item.bank_reference, value_on=item.value_on,
        )  # fmt: skip

    def _put_away(self, file: FileRead) -> None:
        """Out of the way, under a name that no other file of that name takes."""
        target = self._refused if file.problem else self._done
        target.mkdir(parents=True, exist_ok=True)
        (self._in / file.name).replace(target / f"{Path(file.name).stem}.{file.sha256[:8]}.txt")


def unfit(order: Order) -> str:
    """Why an order cannot stand in a file; empty when it can."""
    if order.kind != "debit" or order.rail not in RAILS:
        return f"a NACH file holds debits by mandate, and this is a {order.kind} by {order.rail or 'no rail'}"
    try:
        written(
            NachFile(
                kind="PRS", reference="X", utility_code="X", made_on=datetime.now(IST).date(), items=[item_of(order)]
            )
        )
    except Garbled as error:
        return str(error)
    return ""


def item_of(order: Order) -> Item:
    body = order.body
    due_on = body.get("due_on")
    return Item(
        reference=order.instruction_id,
        amount_paise=order.amount_paise,
        umrn=str(body.get("umrn") or ""),
        due_on=datetime.fromisoformat(due_on).date() if due_on else None,
        bank=str(body.get("bank") or "")[:11],
    )


def put(folder: Path, name: str, content: bytes) -> None:
    """A file that is there whole, or not at all, whatever happens meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{name}.part"
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / name)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the name itself, too
    finally:
        os.close(descriptor)
