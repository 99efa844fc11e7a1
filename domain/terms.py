"""What was agreed with the borrower: the terms of a loan, read once, complete and without contradiction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, TypeVar, cast, get_args

from domain.calendar import WEEK, ClosedDays, DayCount, DueDates, Frequency, HolidayShift, MonthEnd, WeekDay
from domain.money import Paise, RoundingMode, round_to_unit

__all__ = [
    "ON_THE_FIRST_PRINCIPAL",
    "Fee",
    "GivenRow",
    "RateChange",
    "Terms",
    "TermsError",
    "Tranche",
    "read_term",
    "term_defaults",
]

RateType = Literal["fixed", "floating"]
InterestMethod = Literal[
    "reducing", "flat", "equal_principal", "interest_only", "bullet", "step_up", "step_down", "balloon", "rule_of_78"
]
BrokenPeriod = Literal["add_to_first", "spread", "separate", "deduct"]
InstalmentRounding = Literal["up", "nearest"]
MoratoriumInterest = Literal["pay", "capitalise", "accrue"]
AccruedCollection = Literal["evenly", "first_row"]
InterestAccrual = Literal["schedule", "daily"]
AprMethod = Literal["nominal", "xirr"]
AprFees = Literal["gross", "net_of_gst"]
ShiftMoves = Literal["debit", "due_date"]
FeeCollection = Literal["deducted", "added_to_principal", "due_with_row", "contingent"]

MAX_ROWS: Final = 3660  # ten years of daily instalments
MAX_PRINCIPAL_PAISE: Final = 10**15  # ten lakh crore rupees: more than any one loan, and within 64 bits
FIRST_YEAR, LAST_YEAR = 1900, 2200  # of days that are given; rows may go on to the last year that dates have
MAX_RATE_PERCENT: Final = Decimal(1000)
STANDARD_GST_PERCENT: Final = Decimal("18.00")  # rule 9
# Interest for the whole term, fixed at the start on the amount lent (rule 6).
ON_THE_FIRST_PRINCIPAL: Final[tuple[InterestMethod, ...]] = ("flat", "rule_of_78")


class TermsError(Exception):
    """These terms cannot be a loan; `field` is a JSON pointer under `terms`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field or '/'}: {self.message}"


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee with its GST (rule 9): deducted from the payout, financed, due with a row, or contingent.

    `amount_paise` is without GST. A contingent fee is disclosed but belongs to no row and not to the APR.
    """

    kind: str
    amount_paise: Paise
    gst_percent: Decimal = STANDARD_GST_PERCENT
    collection: FeeCollection = "deducted"
    row: int | None = None

    @property
    def gst_paise(self) -> Paise:
        """GST on the fee, to the nearest paisa."""
        return round_to_unit(self.amount_paise * self.gst_percent / 100)

    @property
    def total_paise(self) -> Paise:
        """The fee and its GST."""
        return self.amount_paise + self.gst_paise

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, in the words of the contract."""
        told: dict[str, Any] = {
            "kind": self.kind,
            "amount_paise": self.amount_paise,
            "gst_percent": format(self.gst_percent, "f"),
            "deducted": self.collection == "deducted",
        }
        if self.collection == "due_with_row":
            told["due_with_row"] = self.row
        elif self.collection != "deducted":
            told[self.collection] = True
        return told


@dataclass(frozen=True, slots=True)
class Tranche:
    """More of the loan paid out later; it bears interest from the day after `on` (rule 2)."""

    on: date
    amount_paise: Paise

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {"on": self.on.isoformat(), "amount_paise": self.amount_paise}


@dataclass(frozen=True, slots=True)
class RateChange:
    """Another rate for the days after `from_day`, just as a loan's first day is the day after its payout."""

    from_day: date
    annual_rate_percent: Decimal

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "from": self.from_day.isoformat(),
            "annual_rate_percent": format(self.annual_rate_percent, "f"),
        }


@dataclass(frozen=True, slots=True)
class GivenRow:
    """A row as lender and borrower agreed on it; without an amount, its interest is by days on the balance."""

    due_on: date
    principal_paise: Paise
    interest_paise: Paise | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        told: dict[str, Any] = {"due_on": self.due_on.isoformat(), "principal_paise": self.principal_paise}
        return told if self.interest_paise is None else {**told, "interest_paise": self.interest_paise}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one loan, every default resolved. Paise, percent a year, Asia/Kolkata days.

    `rows`, where given, are the schedule: `instalments` is how many, `first_due_on` the first of them.
    `apr_fees` says whether the GST on fees is a cost in the APR. `interest_accrual` says what servicing does
    between due dates (rule 14); the schedule is the same either way.
    """

    principal_paise: Paise
    annual_rate_percent: Decimal
    rate_type: RateType
    instalments: int
    frequency: Frequency
    interest_method: InterestMethod
    day_count: DayCount
    disburse_on: date
    first_due_on: date
    due_day: int | None
    schedule_starts_on: date | None
    month_end: MonthEnd
    holiday_shift: HolidayShift
    holiday_moves: ShiftMoves
    holidays: tuple[date, ...]
    weekly_holidays: tuple[WeekDay, ...]
    instalment_paise: Paise | None
    instalment_fixed: bool
    instalment_rounding_paise: Paise
    instalment_rounding_mode: InstalmentRounding
    amount_rounding_paise: Paise
    rounding_mode: RoundingMode
    level_last_instalment: bool
    broken_period: BrokenPeriod
    moratorium_instalments: int
    moratorium_interest: MoratoriumInterest
    moratorium_extends_tenure: bool
    moratorium_collected: AccruedCollection
    step_percent: Decimal | None
    step_every: int | None
    balloon_paise: Paise | None
    tranches: tuple[Tranche, ...]
    rate_changes: tuple[RateChange, ...]
    fees: tuple[Fee, ...]
    apr_method: AprMethod
    apr_fees: AprFees
    rows: tuple[GivenRow, ...]
    interest_accrual: InterestAccrual

    @classmethod
    def parse(cls, data: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Terms:
        """Terms from JSON-like data over a product's defaults; raises `TermsError` naming the field."""
        terms = cls._unchecked(_merged(data, defaults))
        for check in _CHECKS:
            check(terms)
        return terms

    @classmethod
    def problems(cls, data: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> tuple[TermsError, ...]:
        """All that is wrong, where `parse` stops at the first: fields that cannot be read, else contradictions."""
        try:
            given = _merged(data, defaults)
        except TermsError as error:
            return (error,)
        unread = _raised(partial(field.read, given, name) for name, field in _FIELDS.items())
        if unread:
            return unread
        terms = cls._unchecked(given)
        return _raised(partial(check, terms) for check in _CHECKS)

    @classmethod
    def _unchecked(cls, given: Mapping[str, Any]) -> Terms:
        values: dict[str, Any] = {name: field.read(given, name) for name, field in _FIELDS.items()}
        values["instalment_rounding_mode"] = values["instalment_rounding_mode"] or (
            "nearest" if values["instalment_rounding_paise"] == 1 else "up"
        )
        values["interest_method"] = values["interest_method"] or (
            "bullet" if values["frequency"].unit == "bullet" else "reducing"
        )
        values["due_day"] = values["due_day"] or _meant_due_day(values)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, fully resolved; parses back to the same terms."""
        return {name: _written(getattr(self, name)) for name in _FIELDS}

    @property
    def row_count(self) -> int:
        """Rows that the terms ask for, without a broken period's row 0."""
        return self.instalments + (self.moratorium_instalments if self.moratorium_extends_tenure else 0)

    @property
    def financed_paise(self) -> Paise:
        """The principal that is repaid: the amount lent and the fees that were added to it."""
        return self.principal_paise + self.fees_paise("added_to_principal")

    def fees_paise(self, collection: FeeCollection) -> Paise:
        """All fees collected in that way, with their GST."""
        return sum(fee.total_paise for fee in self.fees if fee.collection == collection)

    @property
    def starts_on(self) -> date:
        """The day that regular periods are measured from."""
        return self.schedule_starts_on or self.disburse_on

    @property
    def closed_days(self) -> ClosedDays:
        """Days that a holiday shift looks at."""
        return ClosedDays(frozenset(self.holidays), frozenset(WEEK.index(name) for name in self.weekly_holidays))

    def due_dates(self) -> DueDates:
        """The regular due dates, before any holiday moves them."""
        dates = DueDates.of(
            self.frequency, self.first_due_on, self.starts_on, month_end=self.month_end, due_day=self.due_day
        )
        if dates is None:
            raise TermsError("/due_day", f"{self.first_due_on} is not day {self.due_day} of a month")
        return dates


# --- Reading one field: a value of JSON in, a value of ours out, or the field's name and what is wrong ------

_T = TypeVar("_T")
_Reader = Callable[[Any, str], Any]
_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DECIMAL: Final = re.compile(r"-?\d{1,12}(\.\d{1,12})?")


def _integer(value: Any, at: str, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TermsError(at, f"must be a whole number, not {value!r}")
    if not least <= value <= most:
        raise TermsError(at, f"must be from {least} to {most}, not {value}")
    return value


def _percent(value: Any, at: str, *, most: Decimal = MAX_RATE_PERCENT) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TermsError(at, f'must be a decimal string in percent such as "18.00", not {value!r}')
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not _DECIMAL.fullmatch(text):
        raise TermsError(at, f'must be a decimal string in percent such as "18.00", not {value!r}')
    percent = Decimal(text)
    if not 0 <= percent <= most:
        raise TermsError(at, f"must be from 0 to {most} percent, not {text}")
    return percent


def _day(value: Any, at: str) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str) and _ISO_DAY.fullmatch(value):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise TermsError(at, f"there is no such day: {value}") from None
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise TermsError(at, f"must be in the years {FIRST_YEAR} to {LAST_YEAR}, not {value}")
        return day
    raise TermsError(at, f"must be a date YYYY-MM-DD, not {value!r}")


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise TermsError(at, f"must be true or false, not {value!r}")
    return value


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise TermsError(at, f"must be a text that is not empty, not {value!r}")
    return value


def _choice(options: object) -> _Reader:
    allowed: tuple[str, ...] = get_args(options)

    def read(value: Any, at: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise TermsError(at, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    return read


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TermsError(at, f"must be an object, not {value!r}")
    return cast("Mapping[str, Any]", value)


def _list_of(read_one: _Reader) -> _Reader:
    def read(value: Any, at: str) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TermsError(at, f"must be a list, not {value!r}")
        return tuple(read_one(item, f"{at}/{i}") for i, item in enumerate(cast("Sequence[Any]", value)))

    return read


def _many(read_one: Callable[[Mapping[str, Any], str], _T]) -> Callable[[Any, str], tuple[_T, ...]]:
    def read(value: Any, at: str) -> tuple[_T, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TermsError(at, f"must be a list, not {value!r}")
        items = cast("Sequence[Any]", value)
        return tuple(read_one(_mapping(item, f"{at}/{i}"), f"{at}/{i}") for i, item in enumerate(items))

    return read


_NAMED_FREQUENCIES: Final = {
    "daily": Frequency(1, "days"),
    "weekly": Frequency(1, "weeks"),
    "fortnightly": Frequency(2, "weeks"),
    "monthly": Frequency(1, "months"),
    "quarterly": Frequency(3, "months"),
    "half-yearly": Frequency(6, "months"),
    "yearly": Frequency(12, "months"),
    "bullet": Frequency(1, "bullet"),
}
_FREQUENCY_NAMES: Final = {frequency: name for name, frequency in _NAMED_FREQUENCIES.items()}
_UNITS: Final = Literal["days", "weeks", "months"]


def _frequency(value: Any, at: str) -> Frequency:
    if isinstance(value, str) and (named := _NAMED_FREQUENCIES.get(value.replace("_", "-"))):
        return named
    if not isinstance(value, Mapping):
        names = ", ".join(_NAMED_FREQUENCIES)
        raise TermsError(at, f'must be one of {names}, or {{"every": N, "unit": "days"}}, not {value!r}')
    parts = cast("Mapping[str, Any]", value)
    return Frequency(_EVERY.read(parts, "every", at), _UNIT.read(parts, "unit", at))


def _tranche(item: Mapping[str, Any], at: str) -> Tranche:
    return Tranche(_ON.read(item, "on", at), _AMOUNT.read(item, "amount_paise", at))


def _given_row(item: Mapping[str, Any], at: str) -> GivenRow:
    return GivenRow(
        _ON.read(item, "due_on", at),
        _FROM_NOTHING.read(item, "principal_paise", at),
        _OR_BY_DAYS.read(item, "interest_paise", at),
    )


def _rate_change(item: Mapping[str, Any], at: str) -> RateChange:
    return RateChange(_ON.read(item, "from", at), _RATE.read(item, "annual_rate_percent", at))


def _fee(item: Mapping[str, Any], at: str) -> Fee:
    row = _ROW.read(item, "due_with_row", at)
    named: list[FeeCollection] = [
        way for way in ("deducted", "added_to_principal", "contingent") if _OFF.read(item, way, at)
    ]
    if row is not None:
        named.append("due_with_row")
    if len(named) > 1:
        raise TermsError(at, f"a fee is collected in one way, not as {' and '.join(named)}")
    # What is said not to be deducted, and nothing else, falls due with the first row.
    unnamed: FeeCollection = "due_with_row" if item.get("deducted") is False else "deducted"
    collection = named[0] if named else unnamed
    return Fee(
        kind=_KIND.read(item, "kind", at),
        amount_paise=_AMOUNT.read(item, "amount_paise", at),
        gst_percent=_GST.read(item, "gst_percent", at),
        collection=collection,
        row=(row or 1) if collection == "due_with_row" else None,
    )


_REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is read, and what it is when nothing is given."""

    reader: _Reader
    default: Any = _REQUIRED

    def read(self, data: Mapping[str, Any], name: str, at: str = "") -> Any:
        value = data.get(name)
        if value is not None:
            return self.reader(value, f"{at}/{name}")
        if self.default is _REQUIRED:
            raise TermsError(f"{at}/{name}", "is missing")
        return self.default


_paise = partial(_integer, least=1, most=MAX_PRINCIPAL_PAISE)
_count = partial(_integer, least=1, most=MAX_ROWS)

_EVERY: Final = _Field(partial(_integer, least=1, most=366))
_UNIT: Final = _Field(_choice(_UNITS))
_ON: Final = _Field(_day)
_AMOUNT: Final = _Field(_paise)
_RATE: Final = _Field(_percent)
_KIND: Final = _Field(_text)
_FROM_NOTHING: Final = _Field(partial(_integer, least=0, most=MAX_PRINCIPAL_PAISE))
_OR_BY_DAYS: Final = _Field(partial(_integer, least=0, most=MAX_PRINCIPAL_PAISE), None)
_GST: Final = _Field(partial(_percent, most=Decimal(100)), STANDARD_GST_PERCENT)
_ROW: Final = _Field(_count, None)
_OFF: Final = _Field(_flag, False)
_ROWS: Final = _Field(_many(_given_row), ())

# The order is the order of the answer, and of what is complained about first.
_FIELDS: Final[dict[str, _Field]] = {
    "principal_paise": _Field(_paise),
    "annual_rate_percent": _RATE,
    "rate_type": _Field(_choice(RateType), "fixed"),
    "instalments": _Field(_count),
    "frequency": _Field(_frequency, Frequency(1, "months")),
    "interest_method": _Field(_choice(InterestMethod), None),
    "day_count": _Field(_choice(DayCount), "30/360"),
    "disburse_on": _ON,
    "first_due_on": _ON,
    "due_day": _Field(partial(_integer, least=1, most=31), None),
    "schedule_starts_on": _Field(_day, None),
    "month_end": _Field(_choice(MonthEnd), "last_day"),
    "holiday_shift": _Field(_choice(HolidayShift), "none"),
    "holiday_moves": _Field(_choice(ShiftMoves), "debit"),
    "holidays": _Field(_list_of(_day), ()),
    "weekly_holidays": _Field(_list_of(_choice(WeekDay)), ()),
    "instalment_paise": _Field(_paise, None),
    "instalment_fixed": _OFF,
    "instalment_rounding_paise": _Field(_paise, 100),
    "instalment_rounding_mode": _Field(_choice(InstalmentRounding), None),
    "amount_rounding_paise": _Field(_paise, 1),
    "rounding_mode": _Field(_choice(RoundingMode), "half_up"),
    "level_last_instalment": _OFF,
    "broken_period": _Field(_choice(BrokenPeriod), "add_to_first"),
    "moratorium_instalments": _Field(partial(_integer, least=0, most=MAX_ROWS), 0),
    "moratorium_interest": _Field(_choice(MoratoriumInterest), "pay"),
    "moratorium_extends_tenure": _OFF,
    "moratorium_collected": _Field(_choice(AccruedCollection), "evenly"),
    "step_percent": _Field(partial(_percent, most=Decimal(100)), None),
    "step_every": _Field(_count, None),
    "balloon_paise": _Field(_paise, None),
    "tranches": _Field(_many(_tranche), ()),
    "rate_changes": _Field(_many(_rate_change), ()),
    "fees": _Field(_many(_fee), ()),
    "apr_method": _Field(_choice(AprMethod), "nominal"),
    "apr_fees": _Field(_choice(AprFees), "gross"),
    "rows": _ROWS,
    "interest_accrual": _Field(_choice(InterestAccrual), "schedule"),
}


def _written(value: Any) -> Any:
    """A value of ours as JSON has it."""
    match value:
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case Frequency():
            return _FREQUENCY_NAMES.get(value) or {"every": value.every, "unit": value.unit}
        case (date() | str(), *_):
            return [_written(item) for item in cast("tuple[date | str, ...]", value)]
        case tuple():
            return [item.to_dict() for item in cast("tuple[Fee | Tranche | RateChange | GivenRow, ...]", value)]
        case _:
            return value


def term_defaults() -> dict[str, Any]:
    """Each term by name, JSON-safe, when nobody gives it; None where it must be given or follows from the others."""
    return {name: None if field.default is _REQUIRED else _written(field.default) for name, field in _FIELDS.items()}


def read_term(name: str, value: Any) -> Any:
    """One term without the others, as a product gives it; raises `TermsError` naming the field."""
    return _FIELDS[name].reader(value, f"/{name}")


def _merged(data: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What was given over a product's defaults; null is not given."""
    given = {**(defaults or {}), **{name: value for name, value in data.items() if value is not None}}
    if data.get("instalment_rounding_paise") is not None and data.get("instalment_rounding_mode") is None:
        # A product's "up" was meant for its own unit: 1 means to the paisa, nearest (rule 5).
        given.pop("instalment_rounding_mode", None)
    if given.get("interest_method") == "rule_of_78" != data.get("interest_method"):
        raise TermsError("/interest_method", "rule_of_78 is for reading old books: only a loan's own terms name it")
    return _with_given_rows(given) if given.get("rows") else given


def _raised(steps: Iterable[Callable[[], object]]) -> tuple[TermsError, ...]:
    found: list[TermsError] = []
    for step in steps:
        try:
            step()
        except TermsError as error:
            found.append(error)
    return tuple(found)


def _with_given_rows(given: Mapping[str, Any]) -> dict[str, Any]:
    """What given rows say of themselves need not be said again; where it is, it has to be the same."""
    rows: tuple[GivenRow, ...] = _ROWS.read(given, "rows")
    return {"instalments": len(rows), "first_due_on": rows[0].due_on, **given}


def _meant_due_day(values: Mapping[str, Any]) -> int | None:
    """The day of month that the first two dates mean, so that another payout day later does not change it."""
    if values["frequency"].unit != "months" or values["rows"]:
        return None
    start = values["schedule_starts_on"] or values["disburse_on"]
    dates = DueDates.of(values["frequency"], values["first_due_on"], start, month_end=values["month_end"])
    return dates and dates.due_day


# --- Contradictions: each check looks at two or more fields and blames one ----------------------------------


def _check_dates(terms: Terms) -> None:
    if terms.first_due_on <= terms.disburse_on:
        raise TermsError("/first_due_on", f"must be after disburse_on {terms.disburse_on}")
    if terms.schedule_starts_on and terms.schedule_starts_on >= terms.first_due_on:
        raise TermsError("/schedule_starts_on", f"must be before first_due_on {terms.first_due_on}")
    terms.due_dates()


def _check_rows(terms: Terms) -> None:
    if terms.principal_paise < terms.row_count and not terms.rows:
        raise TermsError("/instalments", f"{terms.row_count} rows cannot share {terms.principal_paise} paise")
    if terms.row_count > MAX_ROWS:
        raise TermsError("/moratorium_instalments", f"makes more than {MAX_ROWS} rows")
    if terms.moratorium_instalments and terms.moratorium_instalments >= terms.row_count:
        raise TermsError("/moratorium_instalments", f"leaves none of {terms.row_count} rows to repay in")
    if terms.frequency.unit == "bullet" and terms.instalments != 1:
        raise TermsError("/instalments", "must be 1 where the frequency is bullet")
    if terms.interest_method == "bullet" and terms.moratorium_instalments:
        raise TermsError("/moratorium_instalments", "a bullet loan has one row, nothing comes before it")


def _check_method(terms: Terms) -> None:
    steps = terms.interest_method in ("step_up", "step_down")
    if steps and terms.step_percent is None:
        raise TermsError("/step_percent", f"is missing: {terms.interest_method} changes the instalment by it")
    if steps and terms.step_every is None:
        raise TermsError("/step_every", f"is missing: {terms.interest_method} steps every so many rows")
    if terms.interest_method == "step_down" and terms.step_percent == 100:
        raise TermsError("/step_percent", "a step down of 100 percent leaves no instalment")
    if terms.interest_method == "balloon":
        if terms.balloon_paise is None:
            raise TermsError("/balloon_paise", "is missing: it is the principal of the last row")
        if terms.row_count < 2 or terms.principal_paise - terms.balloon_paise < terms.row_count:
            raise TermsError("/balloon_paise", "leaves nothing to repay before the last row")
    if terms.interest_method in ON_THE_FIRST_PRINCIPAL:
        for name in ("tranches", "rate_changes"):
            if getattr(terms, name):
                method = terms.interest_method
                raise TermsError(f"/{name}", f"{method} interest is fixed on the first principal and rate (rule 6)")


def _check_given_rows(terms: Terms) -> None:
    if not terms.rows:
        return
    for name, contradicts in _NOT_WITH_ROWS.items():
        if contradicts(terms):
            value = _written(getattr(terms, name))
            raise TermsError(f"/{name}", f"{value} does not go with given rows: they say it all")
    if terms.instalments != len(terms.rows):
        raise TermsError("/instalments", f"is {terms.instalments}, but {len(terms.rows)} rows are given")
    if terms.first_due_on != terms.rows[0].due_on:
        raise TermsError("/first_due_on", f"is {terms.first_due_on}, but rows/0 is due on {terms.rows[0].due_on}")
    before = terms.disburse_on
    for index, row in enumerate(terms.rows):
        if row.due_on <= before:
            raise TermsError(f"/rows/{index}/due_on", f"{row.due_on} must be after {before}, the date before it")
        if row.interest_paise is None and terms.interest_method in ON_THE_FIRST_PRINCIPAL:
            message = f"is missing: {terms.interest_method} interest is not by days on the balance"
            raise TermsError(f"/rows/{index}/interest_paise", message)
        before = row.due_on


# What contradicts given rows: where they start, end and step is theirs to say (and no holiday moves them).
_NOT_WITH_ROWS: Final[dict[str, Callable[[Terms], bool]]] = {
    "interest_method": lambda terms: terms.interest_method == "bullet",
    "instalment_fixed": lambda terms: terms.instalment_fixed,
    "schedule_starts_on": lambda terms: terms.schedule_starts_on is not None,
    "moratorium_instalments": lambda terms: terms.moratorium_instalments > 0,
    "broken_period": lambda terms: terms.broken_period in ("separate", "deduct"),
}


_BY_DAY: Final[tuple[InterestMethod, ...]] = ("reducing", "equal_principal", "interest_only")


def _check_holidays(terms: Terms) -> None:
    if len(set(terms.weekly_holidays)) == len(WEEK):
        raise TermsError("/weekly_holidays", "leaves no day of the week to pay on")


def _check_accrual(terms: Terms) -> None:
    if terms.interest_accrual == "daily" and terms.interest_method not in _BY_DAY:
        methods = ", ".join(_BY_DAY)
        raise TermsError("/interest_accrual", f"daily goes with {methods}, not with {terms.interest_method} (rule 14)")
    if terms.interest_accrual == "daily" and terms.moratorium_instalments and terms.moratorium_interest == "accrue":
        raise TermsError("/moratorium_interest", "interest by the day is paid or capitalised, not collected in parts")


def _check_fixed_instalment(terms: Terms) -> None:
    if not terms.instalment_fixed:
        return
    if terms.instalment_paise is None:
        raise TermsError("/instalment_paise", "is missing: instalment_fixed holds it and lets the tenure follow")
    if terms.interest_method != "reducing":
        raise TermsError("/instalment_fixed", f"does not go with interest_method {terms.interest_method}")
    if terms.moratorium_interest == "accrue" and terms.moratorium_instalments:
        raise TermsError("/instalment_fixed", "does not go with accrued moratorium interest on top")


def _check_changes(terms: Terms) -> None:
    for name, days in (
        ("tranches", [(tranche.on, "on") for tranche in terms.tranches]),
        ("rate_changes", [(change.from_day, "from") for change in terms.rate_changes]),
    ):
        for index, (day, key) in enumerate(days):
            at = f"/{name}/{index}/{key}"
            if day < terms.disburse_on:
                raise TermsError(at, f"must not be before disburse_on {terms.disburse_on}")
            if index and day < days[index - 1][0]:
                raise TermsError(at, "must not be before the one before it")
            if index and day == days[index - 1][0] and name == "rate_changes":
                raise TermsError(at, "must be later than the one before: a day has one rate")


def _check_fees(terms: Terms) -> None:
    if terms.fees_paise("deducted") >= terms.principal_paise:
        raise TermsError("/fees", "what is deducted leaves nothing to pay out")
    for index, fee in enumerate(terms.fees):
        if fee.row is not None and fee.row > terms.row_count and not terms.instalment_fixed:
            raise TermsError(f"/fees/{index}/due_with_row", f"there are only {terms.row_count} rows")


_CHECKS: Final[tuple[Callable[[Terms], None], ...]] = (
    _check_given_rows,
    _check_dates,
    _check_rows,
    _check_method,
    _check_accrual,
    _check_holidays,
    _check_fixed_instalment,
    _check_changes,
    _check_fees,
)
