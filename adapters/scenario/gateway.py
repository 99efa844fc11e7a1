"""The gateway of a scenario: what it says to each instruction, when, and counting from which day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from adapters.scenario.file import Gateway, Scripted
from adapters.simulator.world import CODES as SIMULATED
from domain.calendar import ist_day
from domain.failures import PENDING_CODES
from streams import wire

DEBIT_AFTER = timedelta(minutes=5)
"""A debit is answered so long after the attempt; a payout or a refund in the same moment."""
REVERSED_AFTER = timedelta(hours=24)


class Answer(NamedTuple):
    """A message that the gateway sends."""

    at: datetime
    type: str
    body: dict[str, Any]


class Asked(NamedTuple):
    """An instruction, as the gateway hears it."""

    kind: str
    number: int
    attempt: int
    at: datetime
    body: Mapping[str, Any]


KINDS = {
    "servicing.debit-instruction.v1": "debit",
    "servicing.payout-instruction.v1": "payout",
    "servicing.refund-instruction.v1": "refund",
}
"""Instructions that this gateway answers."""

TYPES: dict[str, type[wire.Inbound]] = {
    "succeeded": wire.DebitSucceeded,
    "partial": wire.DebitSucceeded,
    "failed": wire.DebitFailed,
    "pending": wire.DebitFailed,
    "reversed": wire.DebitReversed,
    "payout settled": wire.PayoutSettled,
    "payout failed": wire.PayoutFailed,
    "payout returned": wire.PayoutReturned,
}
"""Result -> the message that says so."""

DEFAULTS = {
    "succeed": Scripted(instalment=0, result="succeeded"),
    "fail": Scripted(instalment=0, result="failed"),
    "silent": Scripted(instalment=0, result="silent"),
}
PAID_OUT = Scripted(payout=0, result="settled")


def hear(kind: str, at: datetime, body: Mapping[str, Any]) -> Asked | None:
    """The instruction in a record; None for one that asks this gateway for nothing.

    Its id is `loan:instalment:attempt` for a debit, `loan:payout:tranche:attempt`, `loan:refund:number`.
    """
    if kind not in KINDS:
        return None
    numbers = [int(part) for part in body["instruction_id"].removeprefix(body["loan_id"]).split(":") if part.isdigit()]
    return Asked(KINDS[kind], numbers[0], numbers[1] if len(numbers) > 1 else 1, at, body)


class ScriptedGateway:
    """A gateway that does as the file says, and remembers which entries it used."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._used: set[int] = set()

    def unused(self) -> list[int]:
        """Entries of the script that no instruction ever asked for, by index."""
        return [index for index in range(len(self._gateway.script)) if index not in self._used]

    def answers(self, asked: Asked) -> Iterator[Answer]:
        """Everything that it says to an instruction, in order."""
        for scripted in self._scripted(asked):
            if scripted.result != "silent":
                yield said(scripted, asked)

    def _scripted(self, asked: Asked) -> list[Scripted]:
        """The most particular entries that speak of it: one instalment before a range, one attempt before all."""
        fitting = {index: entry for index, entry in enumerate(self._gateway.script) if fits(entry, asked)}
        best = max(map(particular, fitting.values()), default=None)
        chosen = {index: entry for index, entry in fitting.items() if particular(entry) == best}
        self._used |= chosen.keys()
        entries = list(chosen.values())
        if not entries:
            return [DEFAULTS[self._gateway.default] if asked.kind == "debit" else PAID_OUT]
        if entries[0].result == "reversed":  # what is taken back had come in first
            entries.insert(0, DEFAULTS["succeed"])
        if entries[0].result == "returned":
            entries.insert(0, PAID_OUT)
        return entries


def fits(entry: Scripted, asked: Asked) -> bool:
    if entry.asked_as != asked.kind or entry.attempt not in (None, asked.attempt):
        return False
    if entry.instalment is not None:
        return entry.instalment <= asked.number <= (entry.through or entry.instalment)
    return asked.number in (entry.payout, entry.refund)


def particular(entry: Scripted) -> tuple[bool, bool]:
    return entry.through is None, entry.attempt is not None


def said(entry: Scripted, asked: Asked) -> Answer:
    """One answer: for the amount that was asked and the day of the instruction, unless the script says otherwise."""
    body = asked.body
    debit = asked.kind == "debit"
    instruction_id, rail = body["instruction_id"], body.get("rail", "")
    late = REVERSED_AFTER if entry.result in ("reversed", "returned") else DEBIT_AFTER if debit else timedelta()
    at = asked.at + (late if entry.after_hours is None else timedelta(hours=entry.after_hours))
    counts_on = ist_day(at if entry.result in ("reversed", "returned") else asked.at)
    answer: dict[str, Any] = {
        "loan_id": body["loan_id"],
        "instruction_id": instruction_id,
        "amount_paise": body["amount_paise"] if entry.amount_paise is None else entry.amount_paise,
        **{name: body[name] for name in ("rail", "gateway", "bank") if debit},
        "gateway_reference": f"{'GW' if debit else 'UTR'}-{instruction_id}",
        "at": at.isoformat(),
        "value_on": (entry.value_on or counts_on).isoformat(),
    }
    if entry.result == "reversed" and entry.amount_paise is None:
        del answer["amount_paise"]  # all of what came in, which may be less than was asked
    if entry.result in CODES:
        answer["code"] = entry.code or CODES[entry.result](rail)
    if entry.message:
        answer["message"] = entry.message
    model = TYPES[entry.result if debit else f"payout {entry.result}"]
    return Answer(at, model.TYPE, answer)


CODES: dict[str, Callable[[str], str]] = {
    "failed": lambda rail: SIMULATED["soft"].get(rail, "04"),
    "pending": lambda rail: min(code for known, code in PENDING_CODES if known == rail),
    "returned": lambda rail: "returned",
}
"""Result -> the code that stands for it where the script names none: no funds; not decided yet."""
