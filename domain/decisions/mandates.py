"""The life of a loan's mandates: registered, checked, preferred, swapped, lost, asked for again; and what is done about
the debits that depended on one (servicing rules 16, 17, 29)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.cases import a_case, is_cured
from domain.decisions.once import once
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.failures import Diagnosis
from domain.loan import Loan
from domain.parts import InFlight, as_day
from domain.policies.mandates import AWAITED, CANCELLABLE, CHECKS, LOST, Needed, obstacle, problems
from domain.policies.retry import Tried, limit_reached
from domain.product import Product
from domain.refusals import Refusal, Refused, Repeated

# --- What people and banks say of a mandate ------------------------------------------------------------------


def register(loan: Loan, command: c.RegisterMandate, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Another mandate, at its place in the order of preference; in a swap the one before it goes when it is active."""
    once(loan, command)
    replaces = command.replaces or (loan.mandate.get("mandate_id", "") if command.swap else "")
    if replaces and loan.mandate_named(replaces) is None:
        raise Refused(Refusal.mandate_unknown, "/replaces", mandate_id=replaces)
    yield from known_of(loan, dict(command.mandate), replaces, command.position, command.command_id, now, rules)


def known_of(
    loan: Loan, mandate: dict[str, Any], replaces: str, position: int, command_id: str, now: datetime, rules: Rules
) -> Iterator[LoanEvent]:
    """A mandate and what follows from there being one."""
    if replaces == mandate["mandate_id"]:
        replaces = ""
    yield e.MandateRegistered(
        mandate=mandate, command_id=command_id, position=min(position, len(loan.mandates) + 1), replaces=replaces
    )
    if loan.stage not in ("booked", "active"):
        return
    yield from check(loan, rules)
    if mandate.get("status") == "active":
        yield from usable_again(loan, mandate["mandate_id"], now, rules)


def change(loan: Loan, command: c.ChangeMandate, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The bank says what became of a mandate. One that is lost is asked for again where no other one can be used."""
    mandate = loan.mandate_named(command.mandate_id)
    if mandate is None and not command.mandate:
        raise Refused(Refusal.mandate_unknown, "/mandate_id", mandate_id=command.mandate_id)
    facts = {**(mandate or {}), **command.mandate, "mandate_id": command.mandate_id, "status": command.status}
    if facts == mandate or over_before(facts, now):
        raise Repeated
    if mandate is None or any(mandate.get(name) != facts[name] for name in command.mandate if name != "status"):
        position = loan.mandates.index(mandate) + 1 if mandate is not None else 1
        in_use = loan.mandate
        before = in_use.get("mandate_id", "") if mandate is None and in_use.get("status") == "failed" else ""
        yield from known_of(loan, facts, before, position, "", now, rules)
        if command.status in LOST:
            yield from lost(loan, command.mandate_id, f"is {command.status} {command.reason}".strip(), rules)
        return
    yield e.MandateChanged(
        mandate_id=command.mandate_id, status=command.status, code=command.code, reason=command.reason
    )
    yield from status_moved(loan, command.mandate_id, command.status, command.reason, now, rules)


def over_before(facts: dict[str, Any], now: datetime) -> bool:
    """Whether a mandate is called active although its last day is over: it had expired then."""
    ends = as_day(facts.get("valid_until") or "")
    return facts["status"] == "active" and ends is not None and ist_day(now) > ends


def status_moved(
    loan: Loan, mandate_id: str, status: str, reason: str, now: datetime, rules: Rules
) -> Iterator[LoanEvent]:
    """What follows from a status that was just recorded."""
    if loan.stage not in ("booked", "active"):
        return
    if status == "active":
        yield from usable_again(loan, mandate_id, now, rules)
    else:
        yield from lost(loan, mandate_id, f"is {status} {reason}".strip(), rules)


def manage(loan: Loan, command: c.ManageMandate, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A person prefers, pauses, resumes or cancels a mandate."""
    once(loan, command)
    mandate = loan.mandate_named(command.mandate_id)
    if mandate is None:
        raise Refused(Refusal.mandate_unknown, "/mandate_id", mandate_id=command.mandate_id)
    status, known = mandate.get("status", ""), command.mandate_id
    allowed = FROM[command.what]
    if allowed and status not in allowed:
        raise Refused(Refusal.mandate_status_forbids, "/mandate_id", mandate_id=known, status=status)
    match command.what:
        case "prefer":
            yield e.MandatePreferred(mandate_id=known, reason=command.reason, command_id=command.command_id)
        case "cancel":
            yield cancel(loan, mandate, command.reason or "a person asked for it", command.command_id)
            yield from lost(loan, known, "is being cancelled", rules)
        case _:
            now_is = {"pause": "paused", "resume": "active"}[command.what]
            yield e.MandateChanged(
                mandate_id=known, status=now_is, reason=command.reason, command_id=command.command_id
            )
            yield from status_moved(loan, known, now_is, command.reason, now, rules)


FROM: dict[str, tuple[str, ...]] = {
    "prefer": (),
    "pause": ("active",),
    "resume": ("paused",),
    "cancel": CANCELLABLE,
}
"""What a person asks for -> the statuses in which it can be done; empty = in any."""


def cancel(loan: Loan, mandate: dict[str, Any], reason: str, command_id: str = "") -> e.MandateCancelInstructed:
    """Ask the bank to cancel it."""
    return e.MandateCancelInstructed(
        instruction_id=f"{loan.id}:mandate-cancel:{mandate['mandate_id']}",
        mandate_id=mandate["mandate_id"],
        rail=mandate["rail"],
        reason=reason,
        umrn=mandate.get("umrn", ""),
        command_id=command_id,
    )


# --- Does it fit? --------------------------------------------------------------------------------------------


def needed(loan: Loan, product: Product) -> Needed | None:
    """What a mandate must carry from now on; None when no instalment is to come."""
    coming = loan.rows[loan.due_rows :]
    if not coming:
        return None
    last = coming[-1].due_on
    return Needed(max(row.total for row in coming), coming[0].due_on, last, last + timedelta(days=product.window_days))


def check(loan: Loan, rules: Rules) -> Iterator[LoanEvent]:
    """A case for each way in which no mandate carries what is to come, and the request for one that does: at booking,
    when one is registered, and when the schedule changes (servicing rules 17 and 29)."""
    product = rules.product_of(loan)
    wanted = needed(loan, product)
    if not product.mandate_check or not loan.mandates or wanted is None:
        return
    awaited = [mandate for mandate in loan.mandates if mandate.get("status", "active") in AWAITED]
    if any(next(problems(mandate, wanted), None) is None for mandate in awaited):
        yield from is_cured(loan, MISFITS, "a mandate carries what is to come")
        return
    found = list(problems((awaited or loan.mandates)[0], wanted))
    for problem in found:
        yield a_case(loan, kind=problem.kind, reason=problem.reason)
    if found:
        yield from request(loan, found[0].reason, product, replaces=loan.mandate["mandate_id"])


def not_ready_at(loan: Loan, product: Product) -> date | None:
    """The day on which a mandate that is not active yet is looked at, ahead of the first instalment."""
    row = loan.next_row
    if loan.due_rows or row is None or not loan.mandates or loan.mandate_request or not product.mandate_check:
        return None
    if loan.mandate.get("status") == "active":
        return None
    return row.due_on - timedelta(days=product.mandate_ready_days)


def not_ready(loan: Loan, product: Product) -> Iterator[LoanEvent]:
    """The first instalment is near and nothing can be debited (servicing rule 29)."""
    mandate = loan.mandate
    reason = f"mandate {mandate['mandate_id']} is {mandate.get('status')} and the first instalment is near"
    yield a_case(loan, kind="mandate-not-ready", reason=reason, number=1)
    yield from request(loan, reason, product)


def request(loan: Loan, reason: str, product: Product, *, rail: str = "", replaces: str = "") -> Iterator[LoanEvent]:
    """Ask for another mandate, once until there is an answer."""
    wanted = needed(loan, product)
    if loan.mandate_request or wanted is None or loan.debits_stopped:
        return
    yield e.MandateRequested(
        request_id=f"{loan.id}:mandate:{loan.mandate_requests + 1}",
        reason=reason,
        rail=rail,
        max_amount_paise=wanted.largest_paise,
        valid_until=wanted.debited_until.isoformat(),
        replaces=replaces,
    )


# --- Its end in time -----------------------------------------------------------------------------------------


def is_needed_after(loan: Loan, day: date) -> bool:
    """Whether instalments, or what is unpaid of them, outlast a mandate that ends on a day."""
    rows = loan.rows[loan.due_rows :]
    return bool(rows and rows[-1].due_on > day) or next(loan.open_dues(), None) is not None


def next_expiry_notice(loan: Loan, product: Product) -> tuple[date, int] | None:
    """When the end of the mandate in use is told of next, and how many days before it; None when there is nothing to
    tell. A notice whose day has passed when the mandate became known is not made up for by more than one."""
    ends = as_day(loan.mandate.get("valid_until") or "")
    rows = loan.rows[loan.due_rows :]
    if ends is None or loan.mandate.get("status") != "active" or not rows or rows[-1].due_on <= ends:
        return None
    told: int = loan.mandate.get("told_days", 10**6)
    left = [days for days in product.mandate_expiry_days if days < told]
    if not left:
        return None
    today = ist_day(loan.known_at)
    passed = [days for days in left if ends - timedelta(days=days) <= today]
    days = min(passed) if passed else max(left)
    return ends - timedelta(days=days), days


def expiring(loan: Loan, days: int, product: Product) -> Iterator[LoanEvent]:
    """Tell of the end, and ask for the next one."""
    mandate = loan.mandate
    yield e.MandateExpiring(
        mandate_id=mandate["mandate_id"],
        valid_until=mandate["valid_until"],
        days_left=days,
        last_due_on=loan.rows[-1].due_on.isoformat(),
    )
    reason = f"mandate {mandate['mandate_id']} ends on {mandate['valid_until']}, instalments go on"
    yield from request(loan, reason, product, rail=mandate["rail"], replaces=mandate["mandate_id"])


def expired(loan: Loan, mandate_id: str, rules: Rules) -> Iterator[LoanEvent]:
    """Its last day is over while money is still to come."""
    mandate = loan.mandate_named(mandate_id)
    assert mandate is not None
    reason = f"valid until {mandate['valid_until']}"
    yield e.MandateChanged(mandate_id=mandate_id, status="expired", reason=reason)
    yield from lost(loan, mandate_id, f"is expired, {reason}", rules)


WITHOUT_MANDATE = ("mandate-lost", "mandate-not-ready", "no-usable-mandate")
"""Cases that need nobody any more when a mandate is active..."""
MISFITS = frozenset(kind for kind, _ in CHECKS)
"""... and those when one carries what is to come."""


# --- Lost, and found again -----------------------------------------------------------------------------------


def usable(loan: Loan, day: date) -> list[dict[str, Any]]:
    """Mandates by which money can be asked for on a day, in order of preference."""
    return [mandate for mandate in loan.mandates if not obstacle(mandate, day)]


def lost(loan: Loan, mandate_id: str, what: str, rules: Rules) -> Iterator[LoanEvent]:
    """A mandate fell away. While another one is active nothing more happens than that it is used; else a person is
    told, and the borrower is asked for a new one."""
    mandate = loan.mandate_named(mandate_id)
    if mandate is None or any(each.get("status") == "active" for each in loan.mandates):
        return
    yield a_case(loan, kind="mandate-lost", reason=f"mandate {mandate_id} {what}")
    if mandate["status"] in LOST or mandate["status"] == "cancelling":
        yield from request(
            loan, f"mandate {mandate_id} {what}", rules.product_of(loan), rail=mandate["rail"], replaces=mandate_id
        )


def usable_again(loan: Loan, mandate_id: str, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A mandate is active: the one that it replaces is cancelled, and what waited for a mandate is asked for."""
    mandate = loan.mandate_named(mandate_id)
    before = loan.mandate_named(mandate.get("replaces", "")) if mandate is not None else None
    if before is not None and before.get("status") in CANCELLABLE:
        yield cancel(loan, before, f"mandate {mandate_id} took its place")
    yield from is_cured(loan, WITHOUT_MANDATE, f"mandate {mandate_id} is active")
    yield from ask_for_what_waits(loan, f"mandate {mandate_id} is active", now, rules)


def ask_for_what_waits(loan: Loan, reason: str, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Debits of due instalments for which no debit is planned or out, while limits and window allow one."""
    product, today = rules.product_of(loan), ist_day(now)
    if loan.stage != "active" or loan.debits_stopped or not product.debits_automatic or not usable(loan, today):
        return
    out = {debit.number for debit in loan.in_flight.values() if not debit.withdrawn}
    for row in loan.rows[: loan.due_rows]:
        waits = row.number not in loan.opportunities and row.number not in out and loan.unpaid_of_row(row.number)
        if waits and not why_no_other(loan, row.number, row.due_on, product, today):
            yield e.RetryScheduled(
                number=row.number,
                attempt=loan.attempts.get(row.number, 0) + 1,
                at=now.isoformat(),
                reason=reason,
                alternatives=[],
            )


def why_no_other(loan: Loan, number: int, due_on: date, product: Product, today: date) -> str:
    """Why an instalment gets no further debit by the mandate in use: limits of product and rail, or the window."""
    rail = loan.mandate.get("rail", "")
    tried = Tried(loan.attempts.get(number, 0), rail, loan.rail_attempts.get(f"{number}:{rail}", 0))
    if limit := limit_reached(product, tried, today):
        return limit
    if today > due_on + timedelta(days=product.window_days):
        return f"the window of {product.window_days} days after the due day is over"
    return ""


# --- After a hard failure ------------------------------------------------------------------------------------


def failed_hard(loan: Loan, debit: InFlight, diagnosis: Diagnosis, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """No debit by this mandate can succeed, of any instalment: it is used no more. The next one is tried at once; where
    there is none, the borrower gets a link for this instalment and is asked for a new mandate."""
    product, number = rules.product_of(loan), debit.number
    said = f"hard failure {diagnosis.code}: {diagnosis.meaning}"
    mandate = loan.mandate_named(debit.mandate_id) or loan.mandate
    known = mandate.get("mandate_id", "")
    if mandate and mandate.get("status") not in LOST:
        yield e.MandateChanged(mandate_id=known, status="failed", code=diagnosis.code, reason=diagnosis.meaning)
    others = usable(loan, ist_day(now))
    row = next((row for row in loan.rows if row.number == number), None)
    if row is not None and loan.payable_paise() and product.debits_automatic:
        why_not = why_no_other(loan, number, row.due_on, product, ist_day(now))
        if others and not why_not:
            yield e.RetryScheduled(
                number=number,
                attempt=loan.attempts.get(number, debit.attempt) + 1,
                at=now.isoformat(),
                reason=f"{said}; by mandate {loan.mandate['mandate_id']} ({loan.mandate['rail']}) instead",
                alternatives=[],
            )
        else:
            yield from give_up(loan, number, f"{said}; {why_not}" if others else said, diagnosis.action, now, product)
    if not others:
        rail = mandate.get("rail", "") if diagnosis.action == "fix_mandate" else ""
        yield from request(loan, f"mandate {known}: {said}", product, rail=rail, replaces=known)


def another_way(loan: Loan, debit: InFlight, diagnosis: Diagnosis, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """This mandate cannot carry this debit (`needs_another_way`): another one goes first from now on, and at once;
    where there is none, the borrower gets a link. The mandate stands."""
    product, number, today = rules.product_of(loan), debit.number, ist_day(now)
    row = next((row for row in loan.rows if row.number == number), None)
    if row is None or loan.payable_paise() == 0 or not product.debits_automatic:
        return
    said = f"{diagnosis.code}: {diagnosis.meaning}"
    most = loan.instalment_paise
    carries = [each for each in usable(loan, today) if (each.get("max_amount_paise") or most) >= most]
    other = next((each for each in carries if each["mandate_id"] != debit.mandate_id), None)
    if other is None:
        yield from give_up(loan, number, said, diagnosis.action, now, product)
        return
    yield e.MandatePreferred(mandate_id=other["mandate_id"], reason=f"mandate {debit.mandate_id} failed: {said}")
    if why_not := why_no_other(loan, number, row.due_on, product, today):
        yield from give_up(loan, number, f"{said}; {why_not}", diagnosis.action, now, product)
        return
    yield e.RetryScheduled(
        number=number,
        attempt=loan.attempts.get(number, debit.attempt) + 1,
        at=now.isoformat(),
        reason=f"{said}; by mandate {other['mandate_id']} ({other['rail']}) instead",
        alternatives=[],
    )


def taken_before(loan: Loan, debit: InFlight, diagnosis: Diagnosis) -> Iterator[LoanEvent]:
    """An earlier debit may have brought the money: nothing is asked for again, by debit or link, and a person looks."""
    reason = f"{diagnosis.code}: {diagnosis.meaning}"
    yield e.CollectionExhausted(number=debit.number, attempts=debit.attempt, reason=reason, next_step=diagnosis.action)
    yield a_case(loan, kind="debit-outcome-unknown", reason=f"find the earlier debit: {reason}", number=debit.number)


def stopped_by_payer(loan: Loan, debit: InFlight, diagnosis: Diagnosis) -> Iterator[LoanEvent]:
    """The mandate rests until a person resumes it: another debit would bounce as well, and cost the payer again."""
    mandate = loan.mandate_named(debit.mandate_id)
    if mandate is not None and mandate.get("status") == "active":
        yield e.MandateChanged(
            mandate_id=debit.mandate_id, status="paused", code=diagnosis.code, reason=diagnosis.meaning
        )


def stop(loan: Loan, debit: InFlight, diagnosis: Diagnosis) -> Iterator[LoanEvent]:
    """A court, an authority or a death: no debit by any mandate, no link, and a person decides."""
    reason = f"{diagnosis.code}: {diagnosis.meaning}"
    yield e.DebitsStopped(number=debit.number, mandate_id=debit.mandate_id, code=diagnosis.code, reason=reason)
    yield e.CollectionExhausted(
        number=debit.number, attempts=debit.attempt, reason=f"debits are stopped by {reason}", next_step="stop"
    )
    yield a_case(loan, kind="debits-stopped", reason=reason, number=debit.number)


def resume_debits(loan: Loan, command: c.ResumeDebits, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A person has looked: debits go on."""
    once(loan, command)
    if not loan.debits_stopped:
        raise Refused(Refusal.debits_are_not_stopped, "/loan_id")
    yield e.DebitsResumed(reason=command.reason, command_id=command.command_id)
    yield from ask_for_what_waits(loan, f"debits go on: {command.reason}", now, rules)


def give_up(
    loan: Loan, number: int, reason: str, next_step: str, now: datetime, product: Product
) -> Iterator[LoanEvent]:
    """No further debit of this instalment: a person is told, and the borrower gets a link."""
    attempts = loan.attempts.get(number, 0)
    yield e.CollectionExhausted(number=number, attempts=attempts, reason=reason, next_step=next_step)
    yield a_case(loan, kind="collection-exhausted", reason=reason, number=number)
    yield from offer_link(loan, number, reason, now, product)


# --- Payment links -------------------------------------------------------------------------------------------


def offer_link(
    loan: Loan, number: int, reason: str, now: datetime, product: Product, command_id: str = ""
) -> Iterator[LoanEvent]:
    """A link for what is unpaid of an instalment and of the charges, unless one is open or the product gives none."""
    today = ist_day(now)
    amount = min(loan.unpaid_of_row(number) + loan.unpaid_of("charge", "penal"), loan.payable_paise())
    amount -= loan.excess_paise
    is_open = any(
        link["number"] == number and link["amount_paise"] == amount and date.fromisoformat(link["expires_on"]) >= today
        for link in loan.links.values()
    )
    if product.link_days and amount > 0 and not is_open and not loan.debits_stopped:
        yield e.PaymentLinkOffered(
            link_id=f"{loan.id}:{number}:{loan.links_offered.get(number, 0) + 1}",
            number=number,
            amount_paise=amount,
            expires_on=(today + timedelta(days=product.link_days)).isoformat(),
            reason=reason,
            command_id=command_id,
        )


def offer_on_request(loan: Loan, command: c.OfferPaymentLink, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A link for whoever opens the address of a notice, or asks support for one. None while a debit of the instalment
    is out: the borrower would pay twice."""
    once(loan, command)
    number = command.number or next((row.number for row in loan.rows if loan.unpaid_of_row(row.number)), 0)
    if not loan.unpaid_of_row(number):
        raise Refused(Refusal.nothing_is_owed, "/instalment" if command.number else "", instalment=number)
    if any(debit.number == number and not debit.withdrawn for debit in loan.in_flight.values()):
        raise Refused(Refusal.debit_is_out, instalment=number)
    product = rules.product_of(loan)
    offered = list(offer_link(loan, number, command.reason or "asked for", now, product, command.command_id))
    if not offered and any(link["number"] == number for link in loan.links.values()):
        raise Repeated
    if not offered:
        raise Refused(Refusal.no_link_possible, instalment=number)
    yield from offered


def rest_by_link(loan: Loan, debit: InFlight, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """What a debit up to the mandate's limit leaves of its instalment comes by a link: no debit can bring it."""
    limit = (loan.mandate_named(debit.mandate_id) or {}).get("max_amount_paise")
    if limit == debit.amount and loan.unpaid_of_row(debit.number):
        reason = f"mandate {debit.mandate_id} carries {limit} paise only"
        yield from offer_link(loan, debit.number, reason, now, rules.product_of(loan))


def withdraw_links(loan: Loan, reason: str = "") -> Iterator[LoanEvent]:
    """Links whose instalment is paid are taken back, so that nobody pays twice; with a reason, all links."""
    for link_id, link in list(loan.links.items()):
        if reason or loan.unpaid_of_row(link["number"]) == 0:
            why = reason or f"instalment {link['number']} is paid"
            yield e.PaymentLinkWithdrawn(link_id=link_id, number=link["number"], reason=why)
