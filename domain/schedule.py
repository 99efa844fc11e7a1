"""Terms in, instalment rows out: what the borrower pays on which day, and what it costs (rules 1 to 10)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from domain.amortisation import Line, Plan, Stretch, flat_principal, flat_shares, plan, rounded
from domain.apr import Flow, nominal_apr_percent, xirr_percent
from domain.calendar import DayCount, DueDates, year_fraction
from domain.ensure import ensure
from domain.money import Paise, RoundingMode, round_ratio, round_to_unit, split
from domain.periods import NO_HOLIDAYS, Layout, Period, Rates, Span, lay_out
from domain.terms import MAX_ROWS, ON_THE_FIRST_PRINCIPAL, Terms, TermsError, Tranche

__all__ = ["Row", "Schedule", "accrued_in_row", "build_schedule", "interest_for_days"]


MOST_INTEREST_PAISE: Final = 2**62  # with the principal it stays within 64 bits


@dataclass(frozen=True, slots=True)
class Row:
    """One instalment. `opening_paise` includes a tranche or capitalised interest that came before it, so that
    opening - principal = closing and principal + interest + fee = total; `days` are calendar days."""

    number: int
    due_on: date
    days: int
    opening_paise: Paise
    principal_paise: Paise
    interest_paise: Paise
    fee_paise: Paise
    total_paise: Paise
    closing_paise: Paise

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "number": self.number,
            "due_on": self.due_on.isoformat(),
            "days": self.days,
            "opening_paise": self.opening_paise,
            "principal_paise": self.principal_paise,
            "interest_paise": self.interest_paise,
            "fee_paise": self.fee_paise,
            "total_paise": self.total_paise,
            "closing_paise": self.closing_paise,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """A row as `to_dict` told it."""
        fields: dict[str, Any] = {**data, "due_on": date.fromisoformat(data["due_on"])}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All rows of a loan and what they add up to.

    `instalment_paise` is the regular instalment (without fees and broken interest), the first one where it
    changes. `total_interest_paise` is all interest the loan costs: in rows, capitalised, or deducted from the
    payout. `net_disbursed_paise` is what is paid out at first. `notes` say what had to be mended.
    """

    instalment_paise: Paise
    rows: tuple[Row, ...]
    total_interest_paise: Paise
    net_disbursed_paise: Paise
    apr_percent: Decimal
    capitalised_paise: Paise = 0
    interest_deducted_paise: Paise = 0
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `qist schedule` prints."""
        return {
            "instalment_paise": self.instalment_paise,
            "apr_percent": format(self.apr_percent, "f"),
            "total_interest_paise": self.total_interest_paise,
            "net_disbursed_paise": self.net_disbursed_paise,
            "capitalised_paise": self.capitalised_paise,
            "interest_deducted_paise": self.interest_deducted_paise,
            "notes": list(self.notes),
            "rows": [row.to_dict() for row in self.rows],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schedule:
        """A schedule as `to_dict` told it."""
        return cls(
            instalment_paise=data["instalment_paise"],
            rows=tuple(Row.from_dict(row) for row in data["rows"]),
            total_interest_paise=data["total_interest_paise"],
            net_disbursed_paise=data["net_disbursed_paise"],
            apr_percent=Decimal(data["apr_percent"]),
            capitalised_paise=data["capitalised_paise"],
            interest_deducted_paise=data["interest_deducted_paise"],
            notes=tuple(data["notes"]),
        )


def build_schedule(terms: Terms, holidays: Container[date] = NO_HOLIDAYS, carried: Fraction = Fraction(0)) -> Schedule:
    """The schedule that the terms ask for; holidays matter only where the terms let them move due dates.

    `carried` is exact interest of days before the first one, of a loan whose schedule changes inside a period: the
    first row has it too, inside its instalment and rounded once with its own; in a moratorium it waits like its own.
    """
    layout, draft = _drafted(terms, holidays, carried)
    deducted = _deducted_interest(terms, layout)
    rows = _rows(terms, layout, draft)
    net = terms.principal_paise - terms.fees_paise("deducted") - deducted
    if net <= 0:
        raise TermsError("/fees", "what is deducted leaves nothing to pay out")
    ensure(rows[-1].closing_paise == 0, "a schedule ends at nothing", rows=rows)
    interest = sum(row.interest_paise for row in rows) + draft.capitalised + deducted
    if interest > MOST_INTEREST_PAISE:
        raise TermsError("/annual_rate_percent", f"makes {interest} paise of interest: more than 64 bits hold")
    return Schedule(
        instalment_paise=draft.instalment,
        rows=rows,
        total_interest_paise=interest,
        net_disbursed_paise=net,
        apr_percent=_apr_percent(terms, net, _without(rows, rounded(terms, carried))),
        capitalised_paise=draft.capitalised,
        interest_deducted_paise=deducted,
        notes=tuple(dict.fromkeys(draft.notes)),
    )


def interest_for_days(
    principal_paise: Paise,
    annual_rate_percent: Decimal,
    from_day: date,
    to_day: date,
    day_count: DayCount,
    rounding: RoundingMode = "half_up",
    unit: Paise = 1,
) -> Paise:
    """Interest on a principal from `from_day` (excluded) to `to_day` (included), by the dates (rules 1-3)."""
    fraction = year_fraction(day_count, from_day, to_day)
    return round_to_unit(principal_paise * Fraction(annual_rate_percent) / 100 * fraction, rounding, unit)


def accrued_in_row(row: Row, day: date, rounding: RoundingMode = "half_up") -> Paise:
    """The part of a row's interest that has accrued by `day` (included); the row's days share it evenly."""
    elapsed = min(max(row.days - (row.due_on - day).days, 0), row.days)
    return round_ratio(row.interest_paise * elapsed, row.days, rounding)


# --- Repaying: the moratorium, then stretches from one change of the loan to the next -----------------------


@dataclass(slots=True)
class _Draft:
    """Lines as they are planned, with the opening balance of each."""

    balance: Paise
    openings: list[Paise]
    lines: list[Line]
    instalment: Paise = 0
    capitalised: Paise = 0
    notes: tuple[str, ...] = ()

    def take(self, opening: Paise, line: Line) -> None:
        self.openings.append(opening)
        self.lines.append(line)
        self.balance = opening - line.principal


def _drafted(terms: Terms, holidays: Container[date], carried: Fraction) -> tuple[Layout, _Draft]:
    """The periods and their lines; where the instalment is fixed, as many as it takes to repay."""
    count = terms.row_count
    while True:
        layout = lay_out(terms, count, holidays)
        draft = _repaid(terms, layout, carried)
        if not draft.balance:
            return layout, draft
        if count == MAX_ROWS:
            raise TermsError("/instalment_paise", f"does not repay the loan within {MAX_ROWS} rows")
        count = min(2 * count, MAX_ROWS)


def _repaid(terms: Terms, layout: Layout, carried: Fraction) -> _Draft:
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    draft = _Draft(terms.financed_paise, [], [])
    if layout.before and terms.broken_period == "separate":
        opening, interest = _interest(layout.before.spans, layout.before.inflows, draft.balance, rates)
        draft.take(opening, Line(0, rounded(terms, interest + carried)))
        carried = Fraction(0)
    if terms.rows:
        _repay_as_given(terms, layout, rates, draft)
    elif terms.interest_method in ON_THE_FIRST_PRINCIPAL:
        _repay_flat(terms, layout, rates, draft, carried)
    else:
        _repay_on_balance(terms, layout, rates, draft, carried)
    return draft


def _interest(
    spans: tuple[Span, ...], inflows: tuple[Tranche, ...], balance: Paise, rates: Rates
) -> tuple[Paise, Fraction]:
    """The balance with the tranches of a period, and the exact interest on both over its spans."""
    interest = balance * rates.factor(spans)
    for tranche in inflows:
        interest += tranche.amount_paise * rates.factor(spans, after=tranche.on)
        balance += tranche.amount_paise
    return balance, interest


def _repay_on_balance(terms: Terms, layout: Layout, rates: Rates, draft: _Draft, carried: Fraction) -> None:
    held, repaying = _divided(terms, layout)
    owed: list[Paise] = []
    for period in held:
        opening, interest = _interest(period.spans, period.inflows, draft.balance, rates)
        interest, carried = interest + carried, Fraction(0)
        owed.append(rounded(terms, interest))
        draft.take(opening, Line(0, owed[-1] if terms.moratorium_interest == "pay" else 0))
    _capitalise(terms, draft, owed)
    starts = [0, *_changed(repaying, terms)]
    for start, end in zip(starts, [*starts[1:], len(repaying)], strict=True):
        stretch = _stretch(terms, repaying[start:], draft.balance, rates, done=start, carried=carried)
        carried = Fraction(0)
        planned = plan(terms, stretch)
        _follow(draft, stretch, planned, rows=end - start)
        if not draft.balance:
            if any(period.inflows for period in repaying[end:]):
                raise TermsError("/tranches", "a tranche comes after the fixed instalment has repaid the loan")
            break
    _collect_accrued(terms, draft, owed)


def _repay_as_given(terms: Terms, layout: Layout, rates: Rates, draft: _Draft) -> None:
    for index, (row, period) in enumerate(zip(terms.rows, layout.rows, strict=True)):
        opening, by_days = _interest(period.spans, period.inflows, draft.balance, rates)
        if row.principal_paise > opening:
            message = f"{row.principal_paise} repays more than the {opening} paise that are owed"
            raise TermsError(f"/rows/{index}/principal_paise", message)
        interest = rounded(terms, by_days) if row.interest_paise is None else row.interest_paise
        draft.take(opening, Line(row.principal_paise, interest))
    if draft.balance:
        message = f"leaves {draft.balance} paise unpaid after the last row"
        raise TermsError(f"/rows/{len(terms.rows) - 1}/principal_paise", message)
    draft.instalment = sum(draft.lines[0])


def _repay_flat(terms: Terms, layout: Layout, rates: Rates, draft: _Draft, carried: Fraction) -> None:
    held, repaying = _divided(terms, layout)
    lent, first = draft.balance, layout.rows[0]
    regular = sum((rates.factor(period.regular) for period in layout.rows), Fraction(0))
    due, mended = flat_shares(terms, lent * regular, len(layout.rows))
    broken = rounded(terms, lent * rates.broken(first))
    owed = due[: len(held)]
    if held:
        owed[0] = max(owed[0] + broken + rounded(terms, carried), 0)
    for interest in owed:
        draft.take(draft.balance, Line(0, interest if terms.moratorium_interest == "pay" else 0))
    _capitalise(terms, draft, owed)
    parts, draft.instalment, notes = flat_principal(terms, draft.balance, due[len(held) :])
    draft.notes = mended + notes
    for part, interest in zip(parts, due[len(held) :], strict=True):
        draft.take(draft.balance, Line(part, interest))
    if not held:
        line = draft.lines[-len(repaying)]
        draft.lines[-len(repaying)] = line._replace(interest=max(line.interest + broken, 0))
    if carried and not held:
        line = draft.lines[0]
        draft.lines[0] = line._replace(interest=line.interest + rounded(terms, carried))
    _collect_accrued(terms, draft, owed)


def _divided(terms: Terms, layout: Layout) -> tuple[Sequence[Period], Sequence[Period]]:
    """The rows of the moratorium and those that repay (rule 8)."""
    return layout.rows[: terms.moratorium_instalments], layout.rows[terms.moratorium_instalments :]


def _capitalise(terms: Terms, draft: _Draft, owed: Sequence[Paise]) -> None:
    if terms.moratorium_interest == "capitalise":
        draft.capitalised = sum(owed)
        draft.balance += draft.capitalised


def _collect_accrued(terms: Terms, draft: _Draft, owed: Sequence[Paise]) -> None:
    """Interest that waited during the moratorium, on top of the instalments after it."""
    if terms.moratorium_interest != "accrue" or not owed:
        return
    first = len(draft.lines) - (terms.row_count - len(owed))
    count = len(draft.lines) - first if terms.moratorium_collected == "evenly" else 1
    for index, share in enumerate(split(sum(owed), [1] * count), start=first):
        line = draft.lines[index]
        draft.lines[index] = line._replace(interest=line.interest + share)


def _changed(periods: Sequence[Period], terms: Terms) -> Iterable[int]:
    """Rows after the first in which a tranche comes or the rate changes: there the instalment is anew."""
    if not terms.tranches and not terms.rate_changes:
        return
    for index, period in enumerate(periods[1:], start=1):
        if period.inflows or any(period.start <= change.from_day < period.due_on for change in terms.rate_changes):
            yield index


def _stretch(
    terms: Terms, periods: Sequence[Period], balance: Paise, rates: Rates, done: int, carried: Fraction
) -> Stretch:
    first, later = periods[0], periods[1:]
    known = rates.known_by(first.due_on)
    opening, interest = _interest(first.spans, first.inflows, balance, known)
    _, regular = _interest(first.regular, first.inflows, balance, known)
    return Stretch(
        balance=opening,
        interest=interest + carried,
        regular_interest=regular + carried,
        factors=[known.factor(period.spans) for period in later],
        done=done,
    )


def _follow(draft: _Draft, stretch: Stretch, planned: Plan, rows: int) -> None:
    opening = stretch.balance
    for line in planned.lines[:rows]:
        draft.take(opening, line)
        opening = draft.balance
    draft.instalment = draft.instalment or planned.instalment
    draft.notes += planned.notes


# --- From lines to rows -------------------------------------------------------------------------------------


def _deducted_interest(terms: Terms, layout: Layout) -> Paise:
    """Interest of a broken period that is taken from the payout (rule 7)."""
    if not layout.before or terms.broken_period != "deduct":
        return 0
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    return rounded(terms, terms.financed_paise * rates.factor(layout.before.spans))


def _rows(terms: Terms, layout: Layout, draft: _Draft) -> tuple[Row, ...]:
    separate = layout.before and terms.broken_period == "separate"
    periods = (layout.before, *layout.rows) if separate and layout.before else layout.rows
    fees = _fees_by_row(terms, last=len(draft.lines) - bool(separate))
    rows: list[Row] = []
    for period, opening, line in zip(periods, draft.openings, draft.lines, strict=False):
        fee = fees.get(period.number, 0)
        rows.append(
            Row(
                number=period.number,
                due_on=period.due_on,
                days=period.days,
                opening_paise=opening,
                principal_paise=line.principal,
                interest_paise=line.interest,
                fee_paise=fee,
                total_paise=line.principal + line.interest + fee,
                closing_paise=opening - line.principal,
            )
        )
    repaid = sum(row.principal_paise for row in rows)
    lent = terms.financed_paise + sum(tranche.amount_paise for tranche in terms.tranches) + draft.capitalised
    ensure(repaid == lent, "rows repay what was lent", repaid=repaid, lent=lent)
    return tuple(rows)


def _fees_by_row(terms: Terms, last: int) -> Mapping[int, Paise]:
    fees: dict[int, Paise] = {}
    for index, fee in enumerate(terms.fees):
        if fee.row is not None:
            if fee.row > last:
                raise TermsError(f"/fees/{index}/due_with_row", f"there are only {last} rows")
            fees[fee.row] = fees.get(fee.row, 0) + fee.total_paise
    return fees


def _without(rows: tuple[Row, ...], carried: Paise) -> tuple[Row, ...]:
    """The rows less interest of earlier days, which is no cost of theirs; where it waits, no row asks for it."""
    asks = next((index for index, row in enumerate(rows) if row.interest_paise >= carried > 0), None)
    if asks is None:
        return rows
    fewer = replace(rows[asks], total_paise=rows[asks].total_paise - carried)
    return (*rows[:asks], fewer, *rows[asks + 1 :])


# --- What it costs in a year (rule 10) ----------------------------------------------------------------------


def _apr_percent(terms: Terms, net: Paise, rows: Sequence[Row]) -> Decimal:
    got, paid = _borrowers_side(terms, net, rows)
    if terms.apr_method == "xirr":
        return xirr_percent(_flows_by_day(terms, got, paid, rows), terms.annual_rate_percent)
    days = (rows[-1].due_on - terms.disburse_on).days
    a_year = Fraction(365, days) if terms.frequency.unit == "bullet" else 1 / terms.frequency.year_share
    return nominal_apr_percent(_flows_by_period(terms, got, paid, rows), a_year, terms.annual_rate_percent)


def _borrowers_side(terms: Terms, net: Paise, rows: Sequence[Row]) -> tuple[Paise, list[Paise]]:
    """What counts as got at first, and as paid with each row: GST on fees is a cost, or is left out of both.

    A bank's statement may show fees without their GST; its APR then has to say which of the two it is.
    """
    paid = [row.total_paise for row in rows]
    if terms.apr_fees == "gross":
        return net, paid
    at_first = sum(fee.gst_paise for fee in terms.fees if fee.collection in ("deducted", "added_to_principal"))
    gst = [sum(fee.gst_paise for fee in terms.fees if fee.row == row.number) for row in rows]
    return net + at_first, [total - part for total, part in zip(paid, gst, strict=True)]


def _flows_by_day(terms: Terms, got: Paise, paid: Sequence[Paise], rows: Sequence[Row]) -> list[Flow]:
    def at(day: date) -> int:
        return (day - terms.disburse_on).days

    later = [Flow(at(tranche.on), -tranche.amount_paise) for tranche in terms.tranches]
    repaid = [Flow(at(row.due_on), total) for row, total in zip(rows, paid, strict=True)]
    return [Flow(0, -got), *later, *repaid]


def _flows_by_period(terms: Terms, got: Paise, paid: Sequence[Paise], rows: Sequence[Row]) -> list[Flow]:
    """Rows are a period apart, whatever its days; only an odd first period and tranches fall between."""
    at = _times(terms, rows)
    flows = [Flow(0, -got), *(Flow(time, total) for time, total in zip(at, paid, strict=True))]
    for tranche in terms.tranches:
        index = next(index for index, row in enumerate(rows) if tranche.on < row.due_on)
        before = Fraction((rows[index].due_on - tranche.on).days, rows[index].days)
        since = at[index] - (at[index - 1] if index else 0)
        flows.append(Flow(at[index] - before * since, -tranche.amount_paise))
    return flows


def _times(terms: Terms, rows: Sequence[Row]) -> list[Fraction | int]:
    """When each row falls due, in regular periods from the payout."""
    dates = terms.due_dates()
    if terms.rows and any(row.due_on != dates.nth(row.number) for row in rows):
        # Dates of their own: whole periods back from each, and the part of one that remains (Regulation Z).
        own = (DueDates.of(terms.frequency, row.due_on, row.due_on) or dates for row in rows)
        return [dates.periods_since(terms.disburse_on) for dates in own]
    first = _periods_to_first(terms)
    ahead = first + terms.row_count - 2 if terms.interest_method == "bullet" else first - 1
    return [ahead + row.number for row in rows]


def _periods_to_first(terms: Terms) -> Fraction | int:
    """Regular periods from the payout to the first due date."""
    dates = terms.due_dates()
    if terms.disburse_on == (terms.schedule_starts_on or dates.nth(0)):
        return 1
    if terms.schedule_starts_on is None:
        return dates.periods_since(terms.disburse_on)
    regular = (terms.first_due_on - terms.schedule_starts_on).days
    return Fraction((terms.first_due_on - terms.disburse_on).days, regular)
