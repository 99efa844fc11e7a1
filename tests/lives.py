"""Random lives of loans, by seed: what a lender, a gateway and a borrower might do, decided by the domain itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from adapters.house import load_rules
from domain import commands as c
from domain.agenda import next_task
from domain.calendar import IST, ist_day
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.life import handle
from domain.loan import Loan
from domain.policies.collections import Casework, Strategies
from domain.product import Product, Products
from domain.refusals import Refused, Repeated

HOUSE = load_rules()
BY_THE_DAY = Product.parse(
    {
        "name": "by-the-day",
        "version": 1,
        "description": "Everything that needs hindsight: interest and penal charges by the day, a waterfall by kind",
        "lender": {"kind": "nbfc-middle"},
        "loan": {"purpose": "business", "borrower": "other", "secured": True, "papers_held": True},
        "terms": {
            "rate_type": "floating",
            "interest_method": "reducing",
            "day_count": "ACT/365",
            "interest_accrual": "daily",
        },
        "allocation": {
            "order": ["charge", "penal", "interest", "principal", "fee"],
            "by": "kind",
            "npa_order": ["principal", "interest", "fee", "charge", "penal"],
        },
        "debits": {"at": "07:00"},
        "charges": {
            "bounce": {"amount_paise": 40_000},
            "penal": {"percent_per_annum": "24.00", "grace_days": 2},
            "visit": {"amount_paise": 20_000},
        },
        "prepayment": {"charge_percent": "2.00"},
        "preclosure": {"charge_percent": "3.00"},
        "restructuring": {"schemes": ["flood-2026"]},
        "rate_reset": {"statement_months": 3},
    }
)
COLLECTING = replace(
    HOUSE, products=Products({**HOUSE.products.by_version, (BY_THE_DAY.name, BY_THE_DAY.version): BY_THE_DAY})
)
"""The house's products, and one of the tests' own; arrears are treated by the shipped strategy..."""
RULES = replace(COLLECTING, strategies=Strategies(), casework=Casework())
"""... or by people alone."""
SHIPPED = ("personal-loan", "two-wheeler-loan", "home-loan")
PRODUCTS = (*SHIPPED, BY_THE_DAY.name)
BANKS = ("HDFC", "SBI", "ICIC")
FAILURES = {"enach": ("04", "04", "01", "78", "98"), "upi": ("U30", "U30", "Z9")}


def a_life(
    seed: int,
    loan_id: str = "",
    *,
    steps: int = 60,
    eventful: float = 0.25,
    products: tuple[str, ...] = SHIPPED,
    rules: Rules = RULES,
    doings: Doings | None = None,
    terms: dict[str, Any] | None = None,
) -> list[LoanEvent]:
    """The events of one loan from its booking on, under one of these products and these rules; where people do other
    things than usual (`doings`), or the loan has terms of its own."""
    random = Random(seed)
    loan_id = loan_id or f"LN-{seed}"
    booked = datetime(2026, 1, random.randint(1, 20), 10, tzinfo=IST)
    events: list[LoanEvent] = []
    booking = a_booking(random, loan_id, booked, random.choice(products))
    loan = handle(None, replace(booking, terms={**booking.terms, **(terms or {})}), booked, rules)
    events += loan.take_events()
    now = booked
    for step in range(steps):
        task = next_task(loan, rules)
        answer = an_answer(random, loan, now)
        if answer is not None:
            now += timedelta(minutes=random.randint(1, 400))
            command: c.Command = answer
        elif random.random() < eventful or task is None:
            now += timedelta(hours=random.randint(1, 72))
            command = something(
                random, loan, now, f"c{step}", doings or (COLLECTORS if rules is COLLECTING else DOINGS)
            )
        else:
            now = max(now, task.at)
            command = c.WakeUp(now=now)
        with suppress(Refused, Repeated):
            handle(loan, command, now, rules)
        events += loan.take_events()
    return events


def a_booking(random: Random, loan_id: str, at: datetime, product: str) -> c.BookLoan:
    disburse_on = at.date() + timedelta(days=random.choice([0, 0, 0, 3]))
    fee = {"kind": "processing", "amount_paise": 200_000, "gst_percent": "18.00"}
    fees = random.choice(
        [[], [{**fee, "deducted": True}], [{**fee, "deducted": True}], [{**fee, "collection": "due_with_row"}]]
    )
    rail = random.choice(["enach", "upi"])
    terms: dict[str, Any] = {
        "principal_paise": random.randint(10, 500) * 100_000,
        "annual_rate_percent": random.choice(["12.00", "18.00", "24.00"]),
        "instalments": random.choice([3, 6, 12, 24]),
        "disburse_on": disburse_on.isoformat(),
        "first_due_on": date(2026, 2, random.choice([1, 5, 10])).isoformat(),
        "fees": fees,
        "broken_period": random.choice(["add_to_first", "deduct"]),
    }
    if product == "home-loan" and terms["instalments"] > 3 and random.random() < 0.5:
        terms["tranches"] = [{"on": f"2026-0{random.randint(3, 5)}-15", "amount_paise": 50_000_000}]
    if random.random() < 0.2:
        interest = random.choice(["capitalise", "pay" if product == BY_THE_DAY.name else "accrue", "pay"])
        terms |= {"moratorium_instalments": random.randint(1, 2), "moratorium_interest": interest}
    return c.BookLoan(
        loan_id=loan_id,
        borrower_id=f"B-{random.randint(1, 50)}",
        product=product,
        terms=terms,
        request_hash=loan_id,
        segment=random.choice(["salaried", "self-employed"]),
        salary_day=random.choice([0, 1, 7]),
        payout=random.choice(
            [{}, {"rail": "auto", "account_token": f"{loan_id}:payout-account", "ifsc": "HDFC0000001"}]
        ),
        mandate=a_mandate(random, f"M-{loan_id}", rail),
    )


def a_mandate(random: Random, mandate_id: str, rail: str) -> dict[str, Any]:
    return {
        "mandate_id": mandate_id,
        "rail": rail,
        "status": "active",
        "max_amount_paise": 10**10,
        "valid_from": "2026-01-01",
        "valid_until": "2032-01-01",
        "bank": random.choice(BANKS),
        "gateway": random.choice(["sponsor-bank", "razor"]),
    }


def an_answer(random: Random, loan: Loan, now: datetime) -> c.Command | None:
    """What a gateway says to what it was asked, most of the time."""
    if random.random() < 0.1:
        return None
    for instruction_id in (*loan.payouts, *loan.refunds):
        if instruction_id not in loan.outcomes:
            if random.random() < 0.1:
                return c.FailPayout(instruction_id=instruction_id, code="R01", reason="closed", returned=False)
            return c.SettlePayout(
                instruction_id=instruction_id, amount_paise=None, value_on=ist_day(now), reference="U1"
            )
        if loan.outcomes[instruction_id].startswith("succeeded") and random.random() < 0.01:
            return c.FailPayout(instruction_id=instruction_id, code="R02", reason="returned", returned=True)
    for instruction_id, debit in loan.in_flight.items():
        common: dict[str, Any] = {
            "instruction_id": instruction_id,
            "value_on": ist_day(now),
            "reference": f"G-{instruction_id}",
            "rail": loan.mandate["rail"],
            "gateway": loan.mandate["gateway"],
            "bank": loan.mandate["bank"],
        }
        if random.random() < 0.5:
            paid = debit.amount if random.random() < 0.9 else max(1, debit.amount // 3)
            return c.RecordDebitSuccess(amount_paise=paid, **common)
        code = random.choice(FAILURES[loan.mandate["rail"]])
        return c.RecordDebitFailure(amount_paise=debit.amount, code=code, message="", **common)
    return None


# --- What people do ------------------------------------------------------------------------------------------


def pays(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    amount = random.choice([loan.payable_paise() or 1, random.randint(1, 600_000)])
    return c.ReceivePayment(
        reference=name,
        method="upi",
        amount_paise=amount,
        value_on=today - timedelta(days=random.choice([0, 0, 0, 3, 40])),
        intent=random.choice(["dues", "dues", "dues", "advance"]),
    )


def prepays(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.ReceivePayment(
        reference=name,
        method="neft",
        amount_paise=random.randint(1, max(2, loan.principal_paise)),
        value_on=today - timedelta(days=random.choice([0, 0, 2, 35])),
        intent="part-prepayment",
        prepay_choice=random.choice(["reduce_emi", "reduce_tenure"]),
    )


def levies(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    kind = random.choice(["visit", "penal", "bounce"])
    return c.LevyCharge(command_id=name, kind=kind, reason="visit", amount_paise=3_333)


def waives(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.Waive(
        command_id=name,
        charge_id=random.choice([*loan.levied, "none"]),
        reason="goodwill",
        amount_paise=random.choice([None, None, 100]),
    )


def takes_back(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    known = [key for key in loan.receipts if not loan.receipts[key].reversed]
    source, _, reference = (random.choice(known) if known else "debit:none").partition(":")
    return c.ReverseReceipt(reference=reference, amount_paise=None, value_on=today, source=source, reason="bounced")


def restructures(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.Restructure(
        command_id=name,
        effective_on=today + timedelta(days=random.choice([0, 0, 10])),
        reason="hardship",
        instalments=random.choice([12, 24]),
        capitalise_arrears=random.random() < 0.5,
        moratorium_instalments=random.choice([0, 0, 2]),
        moratorium_interest=random.choice(["pay", "capitalise", "accrue"]),
        hardship=random.random() < 0.5,
        scheme=random.choice(["", "", "flood-2026"]),
    )


def relieves(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.GrantRelief(
        command_id=name,
        effective_on=today + timedelta(days=random.choice([0, 5, 40])),
        instalments=random.randint(1, 3),
        reason="flood",
        kind=random.choice(["moratorium", "payment-holiday"]),
        interest=random.choice(["pay", "capitalise", "accrue"]),
        extends_tenure=random.random() < 0.5,
    )


def resets(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.ResetRate(
        command_id=name,
        effective_on=today + timedelta(days=random.choice([0, 7])),
        annual_rate_percent=random.choice(["9.00", "13.50", "20.00"]),
        reason="the benchmark moved",
        option=random.choice(["", "longer_tenure", "higher_emi", "both", "switch_to_fixed"]),
        instalments=random.choice([None, None, 18]),
    )


def closes(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    back = timedelta(days=random.choice([0, 0, 0, 4]))
    return c.ReceivePayment(
        reference=name, method="neft", amount_paise=10**10, value_on=today - back, intent="preclosure"
    )


def settles(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    if loan.settlement is not None:
        return c.ReceivePayment(
            reference=name, method="neft", amount_paise=loan.settlement["amount_paise"], value_on=today
        )
    return c.Settle(command_id=name, amount_paise=max(1, loan.principal_paise * 6 // 10), reason="lost the job")


def cancels(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    if loan.cancelling is not None:
        return pays(random, loan, today, name)
    return c.CancelDisbursal(command_id=name, reason="changed my mind")


def tells_standing(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.TellBorrowerStanding(command_id=name, npa=not loan.borrower_npa, because="LN-0")


def changes_mandate(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    if random.random() < 0.5:
        return c.RegisterMandate(command_id=name, mandate=a_mandate(random, f"M-{name}", "enach"))
    return c.ChangeMandate(mandate_id=loan.mandate["mandate_id"], status=random.choice(["active", "paused"]))


def recovers(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    amount = random.randint(1, 500_000)
    return c.ReceivePayment(
        reference=name, method="cash", amount_paise=amount, value_on=today, command_id=name, recovery=True
    )


def writes_off(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.WriteOff(command_id=name, reason="lost") if random.random() < 0.5 else pays(random, loan, today, name)


def closes_a_case(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.CloseCase(command_id=name, case_id=random.choice([*loan.open_cases, "none"]), outcome="done")


def promises(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    by = today + timedelta(days=random.randint(-1, 20))
    return c.PromiseToPay(command_id=name, amount_paise=random.randint(0, 500_000), by=by, channel="call")


def assigns_a_case(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.AssignCase(command_id=name, case_id=random.choice([*loan.open_cases, "none"]), assignee="E-7")


def pauses(random: Random, loan: Loan, today: date, name: str) -> c.Command:
    return c.PauseCollection(command_id=name, until=today + timedelta(days=5), reason="dispute")


Doings = tuple[tuple[int, Callable[[Random, Loan, date, str], c.Command]], ...]
DOINGS: Doings = (
    (12, pays),
    (5, prepays),
    (3, levies),
    (3, waives),
    (5, takes_back),
    (3, restructures),
    (3, relieves),
    (4, resets),
    (1, closes),
    (2, settles),
    (3, cancels),
    (2, tells_standing),
    (2, changes_mandate),
    (2, recovers),
    (1, writes_off),
    (2, lambda random, loan, today, name: c.RefundExcess(command_id=name, reason="asked for")),
    (2, lambda random, loan, today, name: c.RetryPayout(command_id=name)),
    (1, lambda random, loan, today, name: c.RaiseGrievance(command_id=name, subject="the app")),
    (2, closes_a_case),
    (1, pauses),
    (2, lambda random, loan, today, name: c.QuotePreclosure(command_id=name)),
    (1, lambda random, loan, today, name: c.ReleasePapers(command_id=name)),
    (1, lambda random, loan, today, name: c.UpdateBorrower(command_id=name, vaulted=(), facts={"language": "hi"})),
)  # fmt: skip
"""What people do, and how often; much of it is refused, as in life."""
COLLECTORS = ((12, promises), (4, assigns_a_case), *DOINGS)
"""The same, where arrears are collected."""

CHANGING: Doings = (
    (10, prepays),
    (8, relieves),
    (8, takes_back),
    (8, pays),
    (6, restructures),
    (6, resets),
    (3, waives),
    (2, levies),
    (1, closes),
    (1, cancels),
    (1, writes_off),
)
"""Changes of the schedule and money from earlier days, close together: where hindsight has most to do."""


def something(random: Random, loan: Loan, now: datetime, name: str, doings: Doings) -> c.Command:
    """What people do."""
    [doing] = random.choices([doing for _, doing in doings], [weight for weight, _ in doings])
    return doing(random, loan, ist_day(now), name)


def the_loan(events: list[LoanEvent]) -> Loan:
    """The loan that these events make."""
    loan = Loan.shell(events[0].originator_id)
    for event in events:
        loan.evolve(event)
    return loan
