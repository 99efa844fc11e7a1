"""Random lives of loans, by seed: what a lender, a gateway and a borrower might do, decided by the domain itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from adapters.house import load_rules
from domain import commands as c
from domain.agenda import next_task
from domain.calendar import IST, ist_day
from domain.ensure import InvariantBroken
from domain.events import LoanEvent
from domain.life import handle
from domain.loan import Loan
from domain.refusals import Refused, Repeated

RULES = load_rules()
BANKS = ("HDFC", "SBI", "ICIC")
FAILURES = (("enach", "04"), ("enach", "01"), ("enach", "78"), ("upi", "U30"), ("upi", "Z9"))


def a_life(seed: int, loan_id: str = "", *, steps: int = 60, eventful: float = 0.25) -> list[LoanEvent]:
    """The events of one loan from its booking on."""
    random = Random(seed)
    loan_id = loan_id or f"LN-{seed}"
    booked = datetime(2026, 1, random.randint(1, 20), 10, tzinfo=IST)
    events: list[LoanEvent] = []
    loan = handle(None, a_booking(random, loan_id, booked), booked, RULES)
    events += loan.take_events()
    now = booked
    for step in range(steps):
        task = next_task(loan, RULES)
        answer = an_answer(random, loan, now)
        if answer is not None:
            now += timedelta(minutes=random.randint(1, 400))
            command: c.Command = answer
        elif random.random() < eventful or task is None:
            now += timedelta(hours=random.randint(1, 72))
            command = something(random, loan, now, step)
        else:
            now = max(now, task.at)
            command = c.WakeUp(now=now)
        try:
            handle(loan, command, now, RULES)
        except (Refused, Repeated):
            pass
        except InvariantBroken:
            break  # nothing is committed then; the life ends with what was
        events += loan.take_events()
    return events


def a_booking(random: Random, loan_id: str, at: datetime) -> c.BookLoan:
    disburse_on = at.date() + timedelta(days=random.choice([0, 0, 0, 3]))
    fee = {"kind": "processing", "amount_paise": 200_000, "gst_percent": "18.00"}
    fees = random.choice([[], [{**fee, "deducted": True}], [{**fee, "deducted": True}]])
    rail = random.choice(["enach", "upi"])
    return c.BookLoan(
        loan_id=loan_id,
        borrower_id=f"B-{random.randint(1, 50)}",
        product="personal-loan",
        terms={
            "principal_paise": random.randint(10, 500) * 100_000,
            "annual_rate_percent": random.choice(["12.00", "18.00", "24.00"]),
            "instalments": random.choice([3, 6, 12, 24]),
            "disburse_on": disburse_on.isoformat(),
            "first_due_on": date(2026, 2, random.choice([1, 5, 10])).isoformat(),
            "fees": fees,
            "broken_period": random.choice(["add_to_first", "deduct"]),
        },
        request_hash=loan_id,
        segment=random.choice(["salaried", "self-employed"]),
        salary_day=random.choice([0, 1, 7]),
        payout=random.choice(
            [{}, {"rail": "auto", "account_token": f"{loan_id}:payout-account", "ifsc": "HDFC0000001"}]
        ),
        mandate={
            "mandate_id": f"M-{loan_id}",
            "rail": rail,
            "status": "active",
            "max_amount_paise": 10**10,
            "valid_from": "2026-01-01",
            "valid_until": "2032-01-01",
            "bank": random.choice(BANKS),
            "gateway": random.choice(["sponsor-bank", "razor"]),
        },
    )


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
        if random.random() < 0.6:
            paid = debit.amount if random.random() < 0.9 else max(1, debit.amount // 3)
            return c.RecordDebitSuccess(amount_paise=paid, **common)
        code = random.choice([code for rail, code in FAILURES if rail == loan.mandate["rail"]])
        return c.RecordDebitFailure(amount_paise=debit.amount, code=code, message="", **common)
    return None


def something(random: Random, loan: Loan, now: datetime, step: int) -> c.Command:
    """What people do."""
    command_id = f"c{step}"
    today = ist_day(now)
    match random.randint(0, 11):
        case 0 | 1 | 2:
            amount = random.choice([loan.payable_paise() or 1, random.randint(1, 600_000)])
            back = timedelta(days=random.choice([0, 0, 3]))
            return c.ReceivePayment(reference=f"P{step}", method="upi", amount_paise=amount, value_on=today - back)
        case 3:
            return c.ReceivePayment(
                reference=f"P{step}",
                method="neft",
                amount_paise=random.randint(1, max(2, loan.principal_paise)),
                value_on=today,
                intent="part-prepayment",
                prepay_choice=random.choice(["reduce_emi", "reduce_tenure"]),
            )
        case 4:
            return c.LevyCharge(
                command_id=command_id, kind=random.choice(["visit", "penal"]), reason="visit", amount_paise=3_333
            )
        case 5:
            return c.Waive(
                command_id=command_id, charge_id=f"{loan.id}:charge:{max(1, loan.charges)}", reason="goodwill"
            )
        case 6:
            known = [key for key in loan.receipts if not loan.receipts[key].reversed]
            source, _, reference = (random.choice(known) if known else "debit:none").partition(":")
            return c.ReverseReceipt(
                reference=reference, amount_paise=None, value_on=today, source=source, reason="bounced"
            )
        case 7:
            return c.Restructure(
                command_id=command_id,
                effective_on=today,
                reason="hardship",
                instalments=random.choice([12, 24]),
                capitalise_arrears=random.random() < 0.5,
            )
        case 8 if random.random() < 0.3:
            return c.ReceivePayment(
                reference=f"P{step}", method="neft", amount_paise=10**9, value_on=today, intent="preclosure"
            )
        case 9 if random.random() < 0.2:
            return c.WriteOff(command_id=command_id, reason="lost")
        case 10:
            return c.PauseCollection(command_id=command_id, until=today + timedelta(days=5), reason="dispute")
        case _:
            return c.QuotePreclosure(command_id=command_id)


def the_loan(events: list[LoanEvent]) -> Loan:
    """The loan that these events make."""
    loan = Loan.shell(events[0].originator_id)
    for event in events:
        loan.evolve(event)
    return loan
