"""The borrowers of a simulation: who they are, what they owe, and how they will behave, all from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from domain.calendar import IST, add_months

Habit = Literal["steady", "thin", "late", "prepays", "precloses", "leaves"]

BANKS = (("HDFC", 24), ("SBIN", 30), ("ICIC", 18), ("UTIB", 12), ("KKBK", 8), ("BARB", 8))
HABITS: tuple[tuple[Habit, int], ...] = (
    ("steady", 62),  # the money is there, nearly always
    ("thin", 20),  # often not on the day, mostly on the salary day
    ("late", 8),  # the debit fails, and a transfer follows days later
    ("prepays", 3),  # pays a part of the principal ahead, once
    ("precloses", 3),  # asks for a quote, and pays it
    ("leaves", 4),  # the account is closed, or the mandate cancelled, at some point
)
FUNDS: dict[Habit, float] = {
    "steady": 0.97, "thin": 0.55, "late": 0.10, "prepays": 0.98, "precloses": 0.98, "leaves": 0.92,
}  # fmt: skip
"""How likely the account holds the money on an ordinary day."""


def identity(number: str) -> dict[str, Any]:
    """Made-up particulars of a person; one in twenty has no PAN, and waits for a later bureau file."""
    letters = "".join(chr(ord("A") + int(digit)) for digit in number[:6])
    return {
        "date_of_birth": f"19{60 + int(number[6]) * 4}-0{1 + int(number[7]) % 9}-1{number[8]}",
        "gender": "female" if int(number[9]) % 2 else "male",
        **({"pan": f"{letters[:3]}P{letters[3]}{number[4:8]}{letters[5]}"} if int(number[10:]) % 20 else {}),
        "occupation": "salaried",
        "addresses": [
            {"line": f"{number[:2]} Station Road", "state_code": "27", "pin": f"4{number[:5]}", "category": "residence"}
        ],
    }


@dataclass(frozen=True, slots=True)
class Borrower:
    """One loan and whose it is."""

    loan_id: str
    borrower_id: str
    habit: Habit
    bank: str
    rail: str
    salary_day: int
    principal_paise: int
    rate: str
    instalments: int
    disburse_on: date
    first_due_on: date
    event_month: int
    """When the habit's one event happens: months after the payout."""
    cancels_mandate: bool
    due_day: int

    def request(self) -> dict[str, Any]:
        """The `los.disbursal.requested.v1` body."""
        number = str(random.Random(self.loan_id).randrange(10**11, 10**12))
        account = {"number": number, "ifsc": f"{self.bank}0000001", "holder": f"Borrower {self.borrower_id}"}
        return {
            "loan_id": self.loan_id,
            "borrower": {
                "borrower_id": self.borrower_id,
                "name": f"Borrower {self.borrower_id}",
                "phone": "+91" + number[:10],
                "identity": identity(number),
                "language": "hi" if int(number[-1]) % 3 == 0 else "en",
                "segment": "salaried",
                "salary_day": self.salary_day,
            },
            "product": "personal-loan",
            "terms": {
                "principal_paise": self.principal_paise,
                "annual_rate_percent": self.rate,
                "instalments": self.instalments,
                "disburse_on": self.disburse_on.isoformat(),
                "first_due_on": self.first_due_on.isoformat(),
                "fees": [{"kind": "processing", "amount_paise": self.principal_paise // 50, "gst_percent": "18.00",
                          "deducted": True}],
            },
            "payout": {"rail": "auto", "account": account},
            "mandate": {
                "mandate_id": f"M-{self.loan_id}",
                "rail": self.rail,
                "umrn": f"{self.bank}70000{number}",
                "status": "active",
                "max_amount_paise": self.principal_paise,
                "valid_from": self.disburse_on.isoformat(),
                "valid_until": (self.disburse_on + timedelta(days=3650)).isoformat(),
                "bank": self.bank,
                "account": account,
            },
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outage:
    """A bank that does not answer for some hours."""

    bank: str
    begins: datetime
    ends: datetime
    fails: float


def pick(dice: random.Random, weighted: tuple[tuple[Any, int], ...]) -> Any:
    return dice.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def population(seed: int, loans: int, start: date, months: int) -> list[Borrower]:
    """So many borrowers; payouts are spread over the first month."""
    dice = random.Random(f"population:{seed}")
    return [borrower(dice, seed, number, start, months) for number in range(1, loans + 1)]


def borrower(dice: random.Random, seed: int, number: int, start: date, months: int) -> Borrower:
    disburse_on = start + timedelta(days=dice.randrange(28))
    due_day = dice.choice((1, 3, 5, 5, 7, 10, 15, 20, 25, 28))
    first_due = add_months(disburse_on.replace(day=due_day), 1)
    if (first_due - disburse_on).days < 20:
        first_due = add_months(first_due, 1)
    return Borrower(
        loan_id=f"LN-{seed}-{number:06d}",
        borrower_id=f"B-{seed}-{number - 1 if number % 10 == 0 else number:06d}",  # every tenth has two loans
        habit=pick(dice, HABITS),
        bank=pick(dice, BANKS),
        rail=pick(dice, (("enach", 70), ("upi", 25), ("card", 5))),
        salary_day=dice.choice((1, 1, 1, 5, 7, 30)),
        principal_paise=dice.randrange(20, 500) * 100_000,
        rate=f"{dice.randrange(1200, 2800, 25) / 100:.2f}",
        instalments=dice.choice((3, 6, 9, 12, 18, 24, 36)),
        disburse_on=disburse_on,
        first_due_on=first_due,
        event_month=dice.randrange(2, max(3, months)),
        cancels_mandate=dice.random() < 0.5,
        due_day=due_day,
    )


def outages(seed: int, start: date, months: int) -> list[Outage]:
    """Each bank is down now and then: two or three times in a year, for half a day to two days."""
    dice = random.Random(f"outages:{seed}")
    found: list[Outage] = []
    for bank, _ in BANKS:
        for _ in range(max(1, months // 5)):
            day = start + timedelta(days=dice.randrange(30, max(31, months * 30)))
            begins = datetime(day.year, day.month, day.day, dice.choice((0, 6)), tzinfo=IST)
            found.append(Outage(bank, begins, begins + timedelta(hours=dice.choice((12, 24, 48))), 0.7))
    return found
