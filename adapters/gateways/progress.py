"""What an answer makes of a call: its next state, when to look again, and what Qist is told. Pure.

Two rules stand above all others. An order whose presentation may have arrived is presented again only after the gateway
has said twice, and late enough, that it does not know it, and then under the same idempotency key. And what was told
is never untold: a success stays one until the gateway says that the money went back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from adapters.gateways.port import Answer, Order

CallState = Literal["requested", "sending", "sent", "unknown", "answered", "withdrawn", "held"]
Outcome = Literal["", "succeeded", "failed", "reversed"]
Asked = Literal["present", "enquire", "withdraw", "file"]
"""How the answer was got; `file`: it came by itself."""
LOOKS_BEFORE_AGAIN = 2
LOOKS_AFTER_TOLD = 5
"""How often a gateway may say that it does not know an order whose success was told, before that is taken for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds of real time."""

    look_again: Sequence[float] = (2, 5, 15, 60, 300, 900, 3600)
    """After the first, second, ... look that brought no news; the last one goes on for ever."""
    again_after: float = 120
    """So long after a presentation, and not earlier, "not found" may mean that it never arrived."""
    recheck: Sequence[float] = (3_600, 86_400)
    """A failure is looked at again so long after it was told: some gateways find the money later."""
    later: float = 30
    """After a refusal that was about us, or about the hour, and not about the order."""
    withdraw: float = 5
    """A withdrawal that brought no answer is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An order and how far it has come."""

    order: Order
    state: CallState = "requested"
    outcome: Outcome = ""
    withdrawal: bool = False
    """Qist wants it back."""
    turns: int = 0
    """How often it was taken in hand; whoever has an older number writes nothing."""
    looks: int = 0
    """Enquiries since the last news."""
    presented_at: datetime | None = None
    old: bool = False
    """The instruction was too old when it came: it is looked up and never presented."""
    answer: Answer | None = None
    """The one that the outcome was told from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What becomes of a call."""

    state: CallState
    outcome: Outcome = ""
    wait: float | None = None
    """Seconds until the next look; None: nothing is awaited."""
    looks: int = 0
    tell: tuple[Literal["pending", "succeeded", "failed", "reversed"], ...] = ()
    note: str = ""
    """Something that a person may want to know."""
    contradicts: bool = False
    """The note says that the gateway takes back its word about money: that is a case, and moves nothing."""


def what_to_ask(call: Call) -> Asked:
    """The next thing to ask about a call whose time has come."""
    if call.state == "requested" and not call.old:
        return "present"  # of one that is wanted back no turn begins: it is withdrawn at once
    if call.withdrawal and call.state in ("sending", "sent", "unknown"):
        return "withdraw"
    return "enquire"


def next_step(call: Call, asked: Asked, answer: Answer, now: datetime, patience: Patience) -> Step:
    """What the answer makes of the call."""
    match answer.state:
        case "unknown" | "later" | "not-found":
            return _no_news(call, asked, answer, now, patience)
        case "accepted" if call.outcome:
            return _as_it_was(call, patience)  # late, and of no interest any more
        case "accepted":
            tell = ("pending",) if answer.code and (call.answer is None or call.answer.code != answer.code) else ()
            looks = 0 if asked == "present" or tell else call.looks + 1
            return Step(state="sent", wait=_wait(looks, patience), looks=looks, tell=tell)
        case "withdrawn" if not call.outcome:
            return Step(state="withdrawn")
        case "succeeded":
            return _succeeded(call, answer, patience)
        case "failed":
            return _failed(call, answer, patience)
        case "reversed":
            return _reversed(call, patience)
        case _ if call.outcome == "succeeded":
            return _otherwise(call, patience, answer.state)
        case _:
            return _no_money_either_way(call, patience, answer.state)


def _no_news(call: Call, asked: Asked, answer: Answer, now: datetime, patience: Patience) -> Step:
    """Nothing was learnt. Only here may an order come to be presented once more."""
    if call.outcome:
        return _told_and_no_news(call, answer, patience)
    if asked == "present":
        if answer.state == "later":  # certainly not done
            return Step(state="requested", wait=patience.later, note=answer.message)
        return Step(state="unknown", wait=_wait(0, patience), note=answer.message)
    looks = call.looks + 1
    if answer.state == "not-found":
        if call.old:
            return Step(state="held", note="too old when it came, and the gateway does not know it")
        if call.state in ("sending", "unknown") and _never_arrived(call, looks, now, patience):
            if call.withdrawal:
                return Step(state="withdrawn")
            return Step(state="requested", wait=0, note="presented again under the same key: it had not arrived")
        note = "the gateway had accepted it, and does not know it" if call.state == "sent" else ""
        return Step(state=call.state, wait=_wait(looks, patience), looks=looks, note=note)
    wait = patience.withdraw if asked == "withdraw" else _wait(looks, patience)
    return Step(state=call.state, wait=wait, looks=looks, note=answer.message)


def _told_and_no_news(call: Call, answer: Answer, patience: Patience) -> Step:
    """Whatever made us look again, such as a webhook of a reversal, has still not been seen."""
    if answer.state != "not-found":
        return Step(state=call.state, outcome=call.outcome, wait=patience.later, looks=call.looks)
    if call.outcome == "failed":  # an order that was refused is in no books
        return _as_it_was(call, patience)
    if call.looks >= LOOKS_AFTER_TOLD:
        return _otherwise(call, patience, "that it does not know it")
    note = f"told {call.outcome}, and now the gateway does not know it"
    return Step(state=call.state, outcome=call.outcome, wait=patience.later, looks=call.looks + 1, note=note)


def _never_arrived(call: Call, looks: int, now: datetime, patience: Patience) -> bool:
    """Whether "not found" may be believed: asked often enough, and long enough after the presentation."""
    since = (now - call.presented_at).total_seconds() if call.presented_at else patience.again_after
    return looks >= LOOKS_BEFORE_AGAIN and since >= patience.again_after


def _succeeded(call: Call, answer: Answer, patience: Patience) -> Step:
    if call.outcome in ("", "failed"):  # after a failure, too: real money is never turned away
        return Step(state="answered", outcome="succeeded", tell=("succeeded",))
    told, now = (_paise(call, said) for said in (call.answer, answer))
    if call.outcome == "succeeded" and told == now:
        return _as_it_was(call, patience)
    return _otherwise(call, patience, f"that {now} paise succeeded", f" of {told} paise")


def _paise(call: Call, answer: Answer | None) -> int:
    paise = answer.amount_paise if answer else None
    return call.order.amount_paise if paise is None else paise


def _failed(call: Call, answer: Answer, patience: Patience) -> Step:
    if call.outcome == "":
        return Step(state="answered", outcome="failed", wait=_recheck(0, patience), tell=("failed",))
    if call.outcome == "failed":
        looks = call.looks + 1
        return Step(state="answered", outcome="failed", wait=_recheck(looks, patience), looks=looks)
    word = f"failed {answer.code}".rstrip()
    return (
        _otherwise(call, patience, word) if call.outcome == "succeeded" else _no_money_either_way(call, patience, word)
    )


def _reversed(call: Call, patience: Patience) -> Step:
    match call.outcome:
        case "":  # it came and went between two looks: both are told, in order
            return Step(state="answered", outcome="reversed", tell=("succeeded", "reversed"))
        case "succeeded":
            return Step(state="answered", outcome="reversed", tell=("reversed",))
        case "failed":
            return _otherwise(call, patience, "that it was reversed")
        case _:
            return _as_it_was(call, patience)


def _as_it_was(call: Call, patience: Patience, note: str = "") -> Step:
    """Nothing changes; a failure is still looked at until its rechecks are done."""
    looks = call.looks + 1
    wait = _recheck(looks, patience) if call.outcome == "failed" else None
    return Step(state=call.state, outcome=call.outcome, wait=wait, looks=looks, note=note)


def _otherwise(call: Call, patience: Patience, now: str, told: str = "") -> Step:
    """What was told stays told, and what the gateway says now moves nothing: a person asks what is true."""
    return replace(_as_it_was(call, patience, _told_and_now(call, now, told)), contradicts=True)


def _no_money_either_way(call: Call, patience: Patience, now: str) -> Step:
    """Another word for the same: nothing came, or it went back."""
    return _as_it_was(call, patience, _told_and_now(call, now))


def _told_and_now(call: Call, now: str, told: str = "") -> str:
    return f"told {call.outcome}{told}, and now the gateway says {now}"


def _wait(looks: int, patience: Patience) -> float:
    return patience.look_again[min(looks, len(patience.look_again) - 1)]


def _recheck(looks: int, patience: Patience) -> float | None:
    return patience.recheck[looks] if looks < len(patience.recheck) else None
