"""A second calculator of whole lives: day by day, in exact fractions, from the dated facts alone.

It is written from the words of the servicing rules, not from the code that it checks, and knows nothing of events,
arrival or corrections: what it is given are the facts as they turned out to be, and the order in which they were
learnt counts within one day only. Each day: rows fall due and money held is used; then what happened, charges first;
at the day's end penal charges are earned and the class is noted. Amounts are paise.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.domain.naive_schedule import (
    DEFAULTS,
    METHODS,
    ONE_DAY,
    NaiveRow,
    Piece,
    by_dates,
    factor,
    lay_out,
    meant_day,
    naive_schedule,
    rate_on,
    to_multiple,
    to_paisa,
    with_accrued,
)


class CannotBe(Exception):
    """A change that the rules do not allow any more: it is left out."""


class NothingToCompare(Exception):
    """Rounding left no proper last row: the schedule is mended, and says so (rule 5)."""


@dataclass(frozen=True, kw_only=True)
class House:
    """What the lender's product says."""

    order: tuple[str, ...] = ("interest", "principal", "fee", "charge", "penal")
    by: str = "instalment"
    npa_order: tuple[str, ...] = ()
    excess: str = "hold"
    penal_percent: str = "0"
    penal_grace_days: int = 0
    prepayment_percent: str = "0"
    preclosure_percent: str = "0"
    tolerance: int = 100


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A dated fact. `on` is the day from which it counts."""

    on: date
    arrived: int


@dataclass(frozen=True, kw_only=True)
class Paid(Happened):
    paise: int
    intent: str = "dues"
    choice: str = "reduce_tenure"


@dataclass(frozen=True, kw_only=True)
class Charged(Happened):
    """A charge as levied by somebody, its GST included."""

    kind: str
    paise: int


@dataclass(frozen=True, kw_only=True)
class Returned(Happened):
    """Money held for the borrower went back to him."""

    paise: int


@dataclass(frozen=True, kw_only=True)
class Changed(Happened):
    """New terms from that day (`restructure`, `rate-reset`), or relief in the next rows (`relief`)."""

    kind: str
    asked: dict[str, Any]


@dataclass
class Owed:
    """What is owed since a day."""

    kind: str
    of: Any
    due_on: date
    paise: int
    paid: int = 0

    @property
    def unpaid(self) -> int:
        return self.paise - self.paid


@dataclass
class Coming:
    """A row that is not due yet.

    `plan` is what it asks for as scheduled; `rests`: it repays nothing (a moratorium); `waits`: its interest is not
    asked for either; `whole` is what its days bear (`bears` before rounding), `joins` what becomes principal with it.
    """

    number: int
    due_on: date
    start: date
    pieces: list[Piece]
    principal: int
    interest: int
    rests: bool = False
    waits: bool = False
    whole: int = 0
    joins: int = 0
    bears: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self.plan = self.principal + self.interest


@dataclass
class NaiveLife:
    """The loan at a day, its day's end not yet come."""

    terms: dict[str, Any]
    house: House
    today: date = date.min
    coming: list[Coming] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    principal: int = 0
    excess: int = 0
    since: date = date.min
    """Interest that is not due yet runs from here..."""
    carried: Fraction = Fraction(0)
    """... on top of what had accrued when the schedule changed."""
    held: int = 0
    npa: bool = False
    penal: Fraction = Fraction(0)
    """Earned, not levied yet."""
    instalment: int = 0
    principal_at: dict[date, int] = field(default_factory=dict)
    """Principal outstanding at each day's end."""
    closed: bool = False
    prepaid: int = 0

    # --- a day -----------------------------------------------------------------------------------------------

    def begin(self, facts: list[Happened]) -> None:
        """Rows fall due, then what happened on this day."""
        while self.coming and self.coming[0].due_on <= self.today:
            self.fall_due()
        for fact in facts:
            match fact:
                case Charged():
                    self.owe(fact.kind, fact.arrived, self.today, fact.paise)
                case Returned():
                    self.excess -= fact.paise
                    if self.excess < 0:
                        raise NothingToCompare  # it is not there any more: a person looks
                case Paid():
                    self.levy(self.today)
                    self.pay(fact)
                case Changed():
                    if fact.kind == "restructure":
                        self.levy(self.today)
                    self.change(fact)
                case _:
                    raise AssertionError(fact)
            self.settle()
            self.leave_npa()

    def finish(self) -> None:
        """Nothing is owed and nothing will be: closed, and what is held goes back (rules 12 and 18)."""
        if not self.coming and not self.principal and not self.payable():
            self.closed, self.excess = True, 0

    def end(self) -> None:
        """The day's end."""
        self.principal_at[self.today] = self.principal
        if self.days_past_due(self.today) > 90:
            self.npa = True
        for due in self.owed:
            if due.kind in ("principal", "interest"):
                overdue_since = due.due_on + timedelta(days=self.house.penal_grace_days)
                if overdue_since <= self.today:
                    self.penal += due.unpaid * Fraction(self.house.penal_percent) / 100 / 365
        if (self.today + ONE_DAY).day == 1:
            self.levy(self.today)
        self.leave_npa()

    # --- dues and money (rules 11 and 12) ----------------------------------------------------------------------

    def owe(self, kind: str, of: Any, due_on: date, paise: int) -> None:
        if paise:
            self.owed.append(Owed(kind, of, due_on, paise))

    def in_order(self) -> list[Owed]:
        """What money settles first: the oldest day, then the kind, or the kind and then the day."""
        order = self.house.npa_order if self.npa and self.house.npa_order else self.house.order
        if self.house.by == "kind":
            return sorted(self.owed, key=lambda due: (order.index(due.kind), due.due_on))
        return sorted(self.owed, key=lambda due: (due.due_on, order.index(due.kind)))

    def settle(self) -> None:
        """Money held settles whatever is owed."""
        for due in self.in_order():
            part = min(self.excess, due.unpaid)
            due.paid += part
            self.excess -= part
            if due.kind == "principal":
                self.principal -= part

    def payable(self) -> int:
        return sum(due.unpaid for due in self.owed)

    def unpaid(self, *kinds: str) -> int:
        return sum(due.unpaid for due in self.owed if due.kind in kinds)

    @property
    def not_due(self) -> int:
        """Principal that no row has asked for yet."""
        return self.principal - self.unpaid("principal")

    def oldest(self) -> date | None:
        """The oldest day of which more than the tolerance is unpaid (rule 19)."""
        by_day: dict[date, int] = {}
        for due in self.owed:
            by_day[due.due_on] = by_day.get(due.due_on, 0) + due.unpaid
        return min((day for day, unpaid in by_day.items() if unpaid > self.house.tolerance), default=None)

    def days_past_due(self, day: date) -> int:
        oldest = self.oldest()
        return max(0, (day - oldest).days + 1) if oldest else 0

    def leave_npa(self) -> None:
        """NPA ends when all arrears are paid (rule 21)."""
        if self.oldest() is None:
            self.npa = False

    def levy(self, due_on: date) -> None:
        """Rule 25: what was earned up to now is levied before money moves, and at a month's end."""
        self.owe("penal", len(self.owed), due_on, to_multiple(self.penal, 1, "half_up"))
        self.penal = Fraction(0)

    def pay(self, fact: Paid) -> None:
        intent = fact.intent
        if intent == "dues":
            intent = {"advance": "advance", "prepay": "part-prepayment"}.get(self.house.excess, "dues")
        if intent == "advance" and self.daily:
            intent = "part-prepayment"
        if intent == "part-prepayment" != fact.intent and fact.paise >= self.quote():
            intent = "preclosure"
        self.excess += fact.paise
        match intent:
            case "advance":
                left = self.excess - self.payable()
                while self.coming and 0 < self.coming[0].principal + self.coming[0].interest <= left:
                    left -= self.coming[0].principal + self.coming[0].interest
                    self.fall_due()
            case "part-prepayment":
                self.prepay(fact)
            case "preclosure":
                if fact.paise >= self.quote() + fact.paise:  # the payment itself is held already
                    self.preclose()
            case _:
                pass

    # --- interest (rules 2, 3, 14) -----------------------------------------------------------------------------

    @property
    def daily(self) -> bool:
        return self.terms["interest_accrual"] == "daily"

    def by_days(self, row: Coming, until: date) -> Fraction:
        """Each day after `since` bears its share of the row on the principal at the end of the day before."""
        total = Fraction(0)
        for piece in row.pieces:
            day, length = piece.start, (piece.end - piece.start).days
            while day < piece.end:
                day += ONE_DAY
                if self.since < day <= until:
                    out = self.principal_at.get(day - ONE_DAY, self.principal)
                    total += out * piece.year / length * rate_on(self.terms, day)
        return total

    def earned(self) -> Fraction:
        """Interest of the running row that is not due yet, to today inclusive: exact."""
        if not self.coming or self.today <= self.since:
            return self.carried
        row = self.coming[0]
        if self.terms["interest_method"] == "flat":
            own = row.whole - to_paisa(self.carried, self.terms)
            return self.carried + Fraction(own * (self.today - self.since).days, (row.due_on - self.since).days)
        if self.daily:
            return self.carried + self.by_days(row, self.today)
        year = by_dates(self.terms["day_count"], self.since, self.today)
        exact = factor(self.terms, [Piece(self.since, self.today, year)]) * self.not_due
        return self.carried + (min(exact, Fraction(row.whole)) if self.waiting else exact)

    def accrued(self) -> int:
        """The same rounded, no more than the row will ask for, with what waits since a moratorium."""
        earned = to_paisa(self.earned(), self.terms)
        if self.coming and not self.waiting and not self.daily:
            earned = min(earned, max(self.coming[0].interest, to_paisa(self.carried, self.terms)))
        return self.held + earned

    @property
    def waiting(self) -> bool:
        """Whether the terms in force have interest that waits."""
        return bool(self.terms["moratorium_instalments"]) and self.terms["moratorium_interest"] != "pay"

    def by_the_day(self) -> None:
        """Rule 14: the rows to come as today's principal makes them, what is overdue being paid by then."""
        balance, waiting = self.not_due, self.held
        kept: list[Coming] = []
        for index, row in enumerate(self.coming):
            exact = (
                self.by_days(row, row.due_on) + self.carried if index == 0 else balance * factor(self.terms, row.pieces)
            )
            interest = to_paisa(exact, self.terms)
            kept.append(row)
            if row.waits:
                row.whole, waiting = interest, waiting + interest
                row.joins = 0 if self.coming[index + 1].waits else waiting
                balance += row.joins
                continue
            row.interest = interest
            last = row is self.coming[-1]
            equal = self.terms["interest_method"] == "reducing" and row.principal
            wanted = row.plan - row.interest if equal else row.principal
            row.principal = balance if last else min(max(wanted, 0), balance)
            balance -= row.principal
            if not balance:
                break
        self.coming = kept

    # --- rows --------------------------------------------------------------------------------------------------

    def plan(self, terms: dict[str, Any], number: int, rows: list[NaiveRow], joins: int = 0) -> None:
        """The rows to come from `number` on; `joins`: what is capitalised at a moratorium's end."""
        check(rows, terms)
        before, periods = lay_out({**terms, "instalment_fixed": False, "instalments": len(rows)})
        assert before is None, "lives have no row 0"
        self.terms, self.coming = terms, []
        held, balance = terms["moratorium_instalments"], terms["principal_paise"]
        for index, (row, period) in enumerate(zip(rows, periods, strict=False)):
            coming = Coming(
                number + index, period.due, period.start, period.borne, row.principal_paise, row.interest_paise
            )
            coming.rests = index < held
            coming.waits = index < held and self.waiting
            coming.whole = row.interest_paise
            if self.waiting:
                coming.bears = balance * factor(terms, period.borne)
                coming.whole = to_paisa(coming.bears, terms)
            balance -= row.principal_paise
            if index == held - 1:
                coming.joins = joins
                balance += joins
            self.coming.append(coming)

    def fall_due(self) -> None:
        """The first row to come is owed."""
        if self.daily:
            self.by_the_day()
        row = self.coming.pop(0)
        if row.waits:
            self.principal += row.joins
            self.held += (row.whole if self.daily else to_paisa(row.bears + self.carried, self.terms)) - row.joins
        elif self.held:
            self.held -= min(self.held, max(0, row.interest - row.whole))
        self.since, self.carried = row.due_on, Fraction(0)
        self.owe("interest", row.number, row.due_on, row.interest)
        self.owe("principal", row.number, row.due_on, row.principal)
        self.settle()

    def again(self, number: int, first_due: date, effective: date, principal: int, **changed: Any) -> None:
        """New rows for what is left, on the old due days, from a day on; no day whose interest was paid ahead bears it
        again."""
        start = max(effective, self.since)
        accrued = (self.earned() if effective == self.today else self.carried) + self.held
        terms = {
            **self.terms,
            "principal_paise": principal,
            "annual_rate_percent": str(rate_on(self.terms, start + ONE_DAY) * 100),
            "rate_changes": [],
            "instalments": len(self.coming),
            "disburse_on": start.isoformat(),
            "first_due_on": first_due.isoformat(),
            "due_day": self.due_day if self.terms["frequency"] == "monthly" else None,
            "instalment_fixed": False,
            "instalment_paise": None,
            "broken_period": "spread" if self.terms["interest_method"] == "reducing" else "add_to_first",
            "moratorium_instalments": min(sum(row.rests for row in self.coming), len(self.coming) - 1),
            "moratorium_extends_tenure": False,
            **changed,
        }
        rows, joins, instalment = anew(terms, accrued)
        self.plan(terms, number, rows, joins)
        self.instalment = instalment
        self.since, self.carried, self.held = start, accrued, 0

    due_day: int = 0

    # --- changes (rules 15, 16, 17, 27) ------------------------------------------------------------------------

    def prepay(self, fact: Paid) -> None:
        """Arrears first; what is left reduces principal, less the charge for it."""
        left = fact.paise - min(fact.paise, self.payable())
        charge, gst = self.charge_on(left)
        ahead = left - charge - gst
        if not self.coming or not 0 < ahead < self.not_due:
            return
        before = self.not_due
        if before - ahead < 100 * len(self.coming):
            raise NothingToCompare
        keeps = fact.choice == "reduce_tenure" and self.terms["interest_method"] == "reducing"
        kept = {"instalment_fixed": True, "instalment_paise": self.instalment} if keeps else {}
        try:
            self.again(self.coming[0].number, self.coming[0].due_on, self.today, before - ahead, **kept)
        except CannotBe:
            return
        self.owe("charge", ("prepayment", fact.arrived), self.today, charge + gst)
        self.principal -= ahead
        self.excess -= ahead
        self.prepaid += ahead

    def charge_on(self, left: int) -> tuple[int, int]:
        """Percent of what is prepaid, with 18% GST, out of the money itself; barred on floating rates (rule 24)."""
        percent = Fraction(self.house.prepayment_percent)
        if not percent or not left or self.terms["rate_type"] == "floating":
            return 0, 0
        ahead = int(left * 100 / (100 + percent * Fraction(118, 100)))
        charge = to_multiple(ahead * percent / 100, 1, "half_up")
        return charge, to_multiple(Fraction(charge * 18, 100), 1, "half_up")

    def change(self, fact: Changed) -> None:
        if not self.coming:
            raise NothingToCompare  # a loan past its last row is another story
        happen = {"restructure": self.restructure, "relief": self.relieve, "rate-reset": self.reset}[fact.kind]
        with suppress(CannotBe):
            happen(**fact.asked)

    def restructure(
        self,
        *,
        instalments: int | None = None,
        annual_rate_percent: str | None = None,
        capitalise_arrears: bool = False,
    ) -> None:
        arrears = self.unpaid("interest", "principal") if capitalise_arrears else 0
        first, joins = self.coming[0], self.unpaid("interest") if capitalise_arrears else 0
        changed: dict[str, Any] = {"instalments": instalments or len(self.coming)}
        if annual_rate_percent:
            changed["annual_rate_percent"] = annual_rate_percent
        self.again(first.number, first.due_on, self.today, self.not_due + arrears, **changed)
        if capitalise_arrears:
            for due in self.owed:
                if due.kind in ("interest", "principal"):
                    due.paise = due.paid
            self.principal += joins

    def relieve(self, *, instalments: int, interest: str, extends_tenure: bool) -> None:
        if not extends_tenure and instalments >= len(self.coming):
            raise CannotBe
        first = self.coming[0]
        self.again(
            first.number,
            first.due_on,
            self.since,
            self.not_due,
            moratorium_instalments=instalments,
            moratorium_interest=interest,
            moratorium_extends_tenure=extends_tenure,
        )

    def reset(self, *, annual_rate_percent: str, option: str) -> None:
        kept: dict[str, Any] = {}
        if option == "longer_tenure" and self.terms["interest_method"] == "reducing":
            kept = {"instalment_fixed": True, "instalment_paise": self.instalment}
        first = self.coming[0]
        changed = {"annual_rate_percent": annual_rate_percent, **kept}
        self.again(first.number, first.due_on, self.today, self.not_due, **changed)

    def preclosure_charge(self) -> int:
        percent = Fraction(self.house.preclosure_percent)
        if self.terms["rate_type"] == "floating":
            return 0
        charge = to_multiple(self.not_due * percent / 100, 1, "half_up")
        return charge + to_multiple(Fraction(charge * 18, 100), 1, "half_up")

    def quote(self) -> int:
        """Rule 16: what closes the loan today."""
        penal = self.unpaid("penal") + to_multiple(self.penal, 1, "half_up")
        parts = self.principal, self.unpaid("interest"), self.accrued(), self.unpaid("charge", "fee"), penal
        return sum(parts) + self.preclosure_charge() - self.excess

    def preclose(self) -> None:
        accrued, charge = self.accrued(), self.preclosure_charge()
        number, left = self.coming[0].number if self.coming else 0, self.not_due
        if not self.coming:
            return
        self.owe("interest", number, self.today, accrued)
        self.owe("principal", number, self.today, left)
        self.owe("charge", ("preclosure", number), self.today, charge)
        self.coming, self.held, self.carried, self.since = [], 0, Fraction(0), self.today


def first_instalment(rows: list[NaiveRow]) -> int:
    """The regular instalment: that of the second row, for a broken period makes the first another."""
    return rows[min(1, len(rows) - 1)].principal_paise + rows[min(1, len(rows) - 1)].interest_paise


def anew(terms: dict[str, Any], carried: Fraction) -> tuple[list[NaiveRow], int, int]:
    """Rows of a schedule that begins inside a period, what a moratorium capitalises, and the instalment: the interest
    of the days before is inside the first instalment that asks for interest, rounded once with its own (rule 1)."""
    if terms["interest_method"] == "flat":
        rows = list(naive_schedule(terms).rows)
        rows[0] = rows[0]._replace(interest_paise=rows[0].interest_paise + to_paisa(carried, terms))
        return rows, 0, 0
    held, pays = terms["moratorium_instalments"], terms["moratorium_interest"] == "pay"
    accrues = held and terms["moratorium_interest"] == "accrue"
    if accrues and (terms["instalment_fixed"] or terms["interest_accrual"] == "daily"):
        raise CannotBe  # what was accrued would come on top of an instalment that is to stay
    count = 40 * terms["instalments"] if terms["instalment_fixed"] else terms["instalments"]
    if terms["moratorium_extends_tenure"]:
        count += held
    _, periods = lay_out({**terms, "instalment_fixed": False, "instalments": min(count, 400), **NOTHING_HELD})
    balance = terms["principal_paise"]
    due: list[tuple[int, int]] = []
    owed: list[int] = []
    for period in periods[:held]:
        owed.append(to_paisa(balance * factor(terms, period.borne) + carried, terms))
        carried = Fraction(0)
        due.append((0, owed[-1] if pays else 0))
    joins = sum(owed) if terms["moratorium_interest"] == "capitalise" else 0
    balance += joins
    rest = periods[held:]
    first = balance * factor(terms, rest[0].regular) + carried
    keeps = terms["instalment_fixed"]
    later = [] if keeps else [factor(terms, period.borne) for period in rest[1:]]
    amounts = METHODS[terms["interest_method"]](terms, balance, first, later, 0)
    equal = terms["interest_method"] == "reducing"
    for k, period in enumerate(rest):
        own = carried if k == 0 else Fraction(0)
        interest = to_paisa(balance * factor(terms, period.borne) + own, terms)
        amount = amounts[0] if keeps else amounts[k]
        part = amount - to_paisa(balance * factor(terms, period.regular) + own, terms) if equal else amount
        if keeps and part <= 0:
            raise CannotBe
        if (k == len(rest) - 1 and not keeps) or (keeps and part > balance):
            part = balance
        due.append((part, interest))
        balance -= part
        if not balance:
            break
    if balance:
        raise NothingToCompare
    due = with_accrued(terms, due, sum(owed))
    rows = [
        NaiveRow(k + 1, period.due.isoformat(), 0, part, interest)
        for k, (period, (part, interest)) in enumerate(zip(periods, due, strict=False))
    ]
    return rows, joins, amounts[0] if equal else 0


NOTHING_HELD = {"moratorium_extends_tenure": False}
"""The rows of a moratorium are counted already."""


def check(rows: list[NaiveRow], terms: dict[str, Any]) -> None:
    """Rule 5 mends a last row that is nothing, or more than one instalment over."""
    asking = [row.principal_paise + row.interest_paise for row in rows[terms["moratorium_instalments"] :]]
    if terms["interest_method"] == "interest_only":
        return
    odd = len(asking) > 1 and asking[-1] > 2 * asking[-2]
    if rows[-1].principal_paise <= 0 or odd or any(row.principal_paise < 0 for row in rows):
        raise NothingToCompare


def naive_life(given: dict[str, Any], facts: list[Happened], until: date, house: House | None = None) -> NaiveLife:
    """The loan on a day, all of `facts` known from the beginning."""
    terms = {"interest_accrual": "schedule", "rate_type": "fixed", **DEFAULTS, "instalment_paise": None, **given}
    life = NaiveLife(terms, house or House())
    life.today = life.since = date.fromisoformat(terms["disburse_on"])
    life.principal = terms["principal_paise"]
    first = date.fromisoformat(terms["first_due_on"])
    life.due_day = meant_day(first, life.today, 1, None, "last_day")[1]
    rows = list(naive_schedule(terms).rows)
    life.instalment = first_instalment(rows)
    life.plan(terms, 1, rows)
    charges_first = sorted(facts, key=lambda fact: (fact.on, not isinstance(fact, Charged), fact.arrived))
    while True:
        life.begin([fact for fact in charges_first if fact.on == life.today])
        if life.today == until:
            life.finish()
            return life
        life.end()
        life.today += ONE_DAY
