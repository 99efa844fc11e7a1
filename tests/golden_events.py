"""Stored bytes of every event in every version ever written, and of a whole life; `python -m tests.golden_events` adds.

A file that exists is history: it is never written again. A new event, a new version of one, or one with new fields that
have defaults (`v1-2.json`), gets a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from adapters.house import load_rules
from domain import commands as c
from domain.calendar import IST
from domain.codec import encode
from domain.events import CATALOGUE, LoanEvent
from domain.views import loan_summary, schedule_rows
from tests.examples import (
    MANDATE,
    a_closed_loan,
    a_loan,
    a_loan_at_its_last_row,
    a_loan_paid_out_by_us,
    a_loan_without_mandate,
    by_the_calendar,
)
from tests.stories import (
    Story,
    asked,
    day,
    debit_failed,
    debit_succeeded,
    mandate_is,
    on,
    payment,
    payout_failed,
    payout_settled,
    rupees,
    taken_back,
)

GOLDEN = Path(__file__).parent / "golden" / "events"
LIFE = Path(__file__).parent / "golden" / "a_life.json"
FEES = [{"kind": "processing", "amount_paise": 200_000, "gst_percent": "18.00", "deducted": True}]


def a_long_life() -> Story:
    """Nearly everything that happens to one loan, from its booking until it is preclosed."""
    story = a_loan_paid_out_by_us(rules=by_the_calendar(), terms={"fees": FEES}, salary_day=7).when(
        on("7 Jan"), payout_settled()
    )
    story.when(on("10 Jan"), asked(c.UpdateBorrower, "C-1", vaulted=("phone",), facts={"language": "hi"}))
    story.when(on("20 Jan"), payment("2,000", "P-1"))
    story.when(on("5 Feb"), debit_failed(code="98")).when(on("5 Feb 18:00"), debit_failed())
    story.when(on("7 Feb"), debit_failed(attempt=2, code="59")).when(on("8 Feb"), debit_succeeded(attempt=3))
    story.when(on("20 Feb"), mandate_is("paused")).when(on("25 Feb"), mandate_is("active"))
    story.when(on("5 Mar"), debit_succeeded(2)).when(on("9 Mar"), taken_back("bank-LN-1:2:1", source="debit"))
    story.when(on("12 Mar"), debit_failed(2, 2, code="01"))
    story.when(on("20 Mar"), asked(c.LevyCharge, "C-2", kind="visit", reason="at home"))
    story.when(on("21 Mar"), asked(c.Waive, "C-3", charge_id="LN-1:charge:2", reason="he was ill"))
    story.when(on("22 Mar"), asked(c.PauseCollection, "C-4", until=day("31 Mar"), reason="flood"))
    story.when(on("8 Apr"), payment("12,000", "P-2", value="1 Apr"))
    story.when(on("20 Apr"), asked(c.RegisterMandate, "C-5", mandate={**MANDATE, "mandate_id": "M-2"}))
    story.when(on("21 Apr"), asked(c.Restructure, "C-6", effective_on=day("21 Apr"), instalments=30, reason="ill"))
    story.when(on("9 May"), payment("30,000", "P-3", intent="part-prepayment"))
    story.when(on("20 Jun"), asked(c.QuotePreclosure, "C-7"))
    quoted = story.the_loan.quote
    assert quoted is not None
    story.when(on("20 Jun 12:00"), payment(str((quoted["total_paise"] + 100) / 100), "P-4", intent="preclosure"))
    return story.when(on("21 Jun"), payout_settled(instruction="LN-1:refund:1"))


def other_lives() -> Iterator[Story]:
    """What the long life does not see."""
    later = asked(c.Restructure, "C-1", effective_on=day("20 Jan"), instalments=30, reason="ill")
    yield a_loan().when(on("10 Jan"), later).when(on("20 Jan"))
    yield a_loan_paid_out_by_us().when(on("6 Jan"), payout_failed())
    yield a_loan_paid_out_by_us().when(on("6 Jan"), payout_failed(code="08"))
    yield a_loan().when(on("12 Feb"))
    yield a_closed_loan().when(on("9 Feb"), taken_back("P-1"))
    yield a_loan().when(on("20 Jan"), asked(c.WriteOff, reason="fraud"))
    refunded = a_loan_at_its_last_row().when(on("5 Feb"), payment("1,02,000"))
    yield refunded.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1"))
    yield a_loan().when(on("20 Jan"), payment("20,000", value="12 Jan", intent="part-prepayment"))
    yield a_loan().when(on("10 Jan"), payment("500")).when(on("11 Jan"), asked(c.RefundExcess, reason="asked for"))
    yield a_loan().when(on("12 Jan"), asked(c.TellBorrowerStanding, npa=True, because="LN-9"))
    yield a_loan().when(on("12 Jan"), asked(c.HoldContact, reason="bereavement", until=day("31 Jan"), note="a death"))
    yield a_loan_without_mandate(product="two-wheeler-loan").when(on("2 Feb 10:00"))
    yield a_floating_life()
    yield a_grievance()
    yield a_mandate_that_ends()
    yield a_court_order()
    yield a_promise_that_is_kept()
    yield a_case_that_is_left_lying()
    yield a_settled_life()
    yield a_loan_given_back().when(on("20 Jan"))
    yield a_loan_with_papers()
    yield a_loan_that_recovers()


def a_promise_that_is_kept() -> Story:
    """Nothing is paid, half is promised and comes."""
    story = a_loan_without_mandate(rules=load_rules()).when(on("10 Feb"))
    story.when(on("10 Feb 11:00"), asked(c.PromiseToPay, "C-1", amount_paise=200_000, by=day("14 Feb"), channel="call"))
    return story.when(on("13 Feb"), payment("2,000"))


def a_case_that_is_left_lying() -> Story:
    """A promise is broken; the case is given to somebody, noted, and not done in time."""
    story = a_loan_without_mandate(rules=load_rules()).when(on("10 Feb"))
    story.when(on("10 Feb 11:00"), asked(c.PromiseToPay, "C-1", amount_paise=200_000, by=day("12 Feb"))).when(
        on("14 Feb")
    )
    case_id = story.the_loan.open_cases[-1]
    story.when(on("14 Feb 11:00"), asked(c.AssignCase, "C-2", case_id=case_id, assignee="E-7"))
    noted = asked(c.NoteCase, "C-3", case_id=case_id, note_token="LN-1:note:C-3", disposition="no-answer")
    return story.when(on("14 Feb 12:00"), noted).when(on("25 Feb"))


def a_floating_life() -> Story:
    """The rate is reset, relief is granted, and the quarter's statement comes."""
    story = a_loan(terms={"rate_type": "floating"})
    reset = asked(c.ResetRate, "C-1", effective_on=day("10 Jan"), annual_rate_percent="19.50", reason="repo rate")
    story.when(on("10 Jan"), reset)
    relief = asked(c.GrantRelief, "C-2", effective_on=day("15 Jan"), instalments=2, reason="flood")
    return story.when(on("15 Jan"), relief).when(on("10 Apr"))


def a_mandate_that_ends() -> Story:
    """The mandate ends before the loan; another one takes its place, by a swap and by preference; a link is paid."""
    story = a_loan(mandate={**MANDATE, "valid_until": "2026-03-01"}).when(on("30 Jan"))
    other = {**MANDATE, "mandate_id": "M-2", "rail": "upi"}
    story.when(on("31 Jan"), asked(c.RegisterMandate, "C-1", mandate=other, position=2))
    story.when(on("1 Feb"), asked(c.ManageMandate, "C-2", mandate_id="M-1", what="prefer", reason="asked for"))
    story.when(on("5 Feb"), debit_failed(code="70")).when(on("6 Feb"), payment("4,993"))
    return story.when(on("7 Feb"), asked(c.ManageMandate, "C-3", mandate_id="M-2", what="cancel", reason="asked for"))


def a_court_order() -> Story:
    """A court stops the account; later a person lets debits go on."""
    story = a_loan().when(on("5 Feb"), debit_failed(code="07"))
    return story.when(on("20 Feb"), asked(c.ResumeDebits, "C-1", reason="the order was lifted"))


def a_grievance() -> Story:
    """A complaint that waits for too long, and is answered."""
    story = a_loan().when(on("10 Jan"), asked(c.RaiseGrievance, "C-1", subject="the app does not open"))
    story.when(on("20 Feb"))
    return story.when(on("21 Feb"), asked(c.CloseCase, "C-2", case_id="LN-1:case:1", outcome="answered"))


def a_settled_life() -> Story:
    """A settlement that lapses, and one that is paid."""
    settle = {"amount_paise": rupees("60,000"), "reason": "lost the job"}
    story = a_loan_without_mandate().when(on("10 Feb"), asked(c.Settle, "C-1", pay_by=day("20 Feb"), **settle))
    story.when(on("25 Feb"), asked(c.Settle, "C-2", pay_by=day("5 Mar"), **settle))
    return story.when(on("1 Mar"), payment("60,000"))


def a_loan_given_back() -> Story:
    """The borrower leaves within the cooling-off days, and not all of the money comes back."""
    story = a_loan(terms={"fees": FEES}).when(on("6 Jan"), asked(c.CancelDisbursal, reason="changed my mind"))
    return story.when(on("8 Jan"), payment("1,000"))


def a_loan_with_papers() -> Story:
    """Closed, its papers late, then with the borrower; and at last the borrower is forgotten."""
    story = a_loan_without_mandate(product="home-loan").when(on("20 Jan"), payment("2,00,000", intent="preclosure"))
    story.when(on("21 Jan"), payout_settled(instruction="LN-1:refund:1"))
    story.when(on("25 Feb"), asked(c.ReleasePapers, "C-1"))
    for known in list(story.the_loan.refunds):
        if known not in story.the_loan.outcomes:
            story.when(on("26 Feb"), payout_settled(instruction=known))
    return story.when(on("1 Mar"), asked(c.EraseBorrower, "C-2", reason="asked for"))


def a_loan_that_recovers() -> Story:
    """Restructured in hardship, paid well for a year, standard again."""
    story = a_loan_without_mandate()
    story.when(on("10 Jan"), asked(c.Restructure, effective_on=day("10 Jan"), instalments=24, reason="ill"))
    for month in range(2, 16):
        at = datetime(2026 + (month - 1) // 12, (month - 1) % 12 + 1, 5, 10, tzinfo=IST)
        story.when(at, payment("6,000", f"P-{month}"))
    return story


def examples() -> dict[str, LoanEvent]:
    """Topic -> an event as a life brought it."""
    found: dict[str, LoanEvent] = {}
    for story in (a_long_life(), *other_lives()):
        for event in story.events:
            found.setdefault(event.TOPIC, event)
    return found


def path_of(topic: str, version: int) -> Path:
    return GOLDEN / topic / f"v{version}.json"


def files_of(topic: str, version: int) -> list[Path]:
    """The golden files of a version: the first, and one for each time that it got new fields."""
    return sorted([*GOLDEN.glob(f"{topic}/v{version}.json"), *GOLDEN.glob(f"{topic}/v{version}-*.json")])


def stored() -> list[tuple[str, int, bytes]]:
    """(topic, version, bytes) of every golden file."""
    files = sorted(GOLDEN.glob("*/v*.json"))
    return [(path.parent.name, int(path.stem[1:].partition("-")[0]), path.read_bytes()) for path in files]


def is_told(event: LoanEvent) -> bool:
    """Whether a golden file has the fields of today."""
    names = set(orjson.loads(encode(event)))
    return any(set(orjson.loads(path.read_bytes())) == names for path in files_of(event.TOPIC, event.class_version))


def add_missing() -> list[Path]:
    """Write the files that are not there yet."""
    added: list[Path] = []
    known = examples()
    for topic, event in CATALOGUE.items():
        if not is_told(known[topic]):
            version, there = event.class_version, len(files_of(topic, event.class_version))
            path = GOLDEN / topic / (f"v{version}-{there + 1}.json" if there else f"v{version}.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(known[topic]))
            added.append(path)
    if not LIFE.exists():
        story = a_long_life()
        told = {
            "events": [[event.TOPIC, encode(event).decode()] for event in story.events],
            "as_of": story.now.isoformat(),
            "loan": loan_summary(story.the_loan, story.now, story.rules),
            "schedule": schedule_rows(story.the_loan),
        }
        LIFE.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        added.append(LIFE)
    return added


if __name__ == "__main__":
    for path in add_missing():
        print(f"added {path}")
