"""What holds for the schedule of any terms at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.calendar import DayCount
from domain.periods import NO_HOLIDAYS
from domain.schedule import Row, Schedule, accrued_in_row, build_schedule
from domain.terms import BrokenPeriod, MoratoriumInterest, Terms, TermsError

FREQUENCIES: list[Any] = [
    *["monthly"] * 3,
    "daily",
    "weekly",
    "fortnightly",
    "monthly",
    "quarterly",
    "half-yearly",
    "yearly",
    {"every": 15, "unit": "days"},
    {"every": 2, "unit": "months"},
]


METHODS = [
    *["reducing"] * 3,
    *["flat", "rule_of_78", "equal_principal", "interest_only", "bullet"],
    *["step_up", "step_down", "balloon"],
]

FEE_COLLECTIONS: list[dict[str, Any]] = [
    {"deducted": True},
    {"added_to_principal": True},
    {"contingent": True},
    {"deducted": False, "due_with_row": 1},
]


@st.composite
def fees(draw: st.DrawFn) -> dict[str, Any]:
    amount = draw(st.integers(1, 20_000))
    return {"kind": "processing", "amount_paise": amount, **draw(st.sampled_from(FEE_COLLECTIONS))}


@st.composite
def any_terms(draw: st.DrawFn) -> Terms:
    start = draw(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
    count = draw(st.one_of(st.integers(1, 12), st.integers(1, 120)))
    data: dict[str, Any] = {
        "principal_paise": draw(st.one_of(st.integers(200, 100_000), st.integers(100_000, 10**10))),
        "annual_rate_percent": str(draw(st.decimals(0, 60, places=2))),
        "instalments": count,
        "frequency": draw(st.sampled_from(FREQUENCIES)),
        "interest_method": draw(st.sampled_from(METHODS)),
        "day_count": draw(st.sampled_from(["30/360", "30E/360", "ACT/365", "ACT/360", "ACT/364", "ACT/ACT", "period"])),
        "disburse_on": start.isoformat(),
        "first_due_on": (start + timedelta(days=draw(st.integers(1, 120)))).isoformat(),
        "month_end": draw(st.sampled_from(["last_day", "first_of_next"])),
        "instalment_rounding_paise": draw(st.sampled_from([1, 100, 10_000])),
        "instalment_rounding_mode": draw(st.sampled_from(["up", "nearest", None])),
        "amount_rounding_paise": draw(st.sampled_from([1, 1, 100])),
        "rounding_mode": draw(st.sampled_from(["half_up", "half_even", "up"])),
        "level_last_instalment": draw(st.booleans()),
        "broken_period": draw(st.sampled_from(["add_to_first", "spread", "separate", "deduct"])),
        "moratorium_instalments": draw(st.sampled_from([0, 0, 0, 1, 3])),
        "moratorium_interest": draw(st.sampled_from(["pay", "capitalise", "accrue"])),
        "moratorium_extends_tenure": draw(st.booleans()),
        "moratorium_collected": draw(st.sampled_from(["evenly", "first_row"])),
        "step_percent": "7.5",
        "step_every": 3,
        "fees": draw(st.lists(fees(), max_size=2)),
        "apr_method": draw(st.sampled_from(["nominal", "xirr"])),
        "apr_fees": draw(st.sampled_from(["gross", "net_of_gst"])),
    }
    data["balloon_paise"] = data["principal_paise"] // 3
    if draw(st.booleans()) and data["interest_method"] not in ("flat", "rule_of_78", "bullet") and count > 2:
        later = start + timedelta(days=draw(st.integers(0, 400)))
        data["tranches"] = [{"on": later.isoformat(), "amount_paise": draw(st.integers(1, 10**7))}]
        data["rate_changes"] = [{"from": later.isoformat(), "annual_rate_percent": "11.25"}]
    if draw(st.integers(0, 6)) == 0:
        give_rows(draw, data, start)
    try:
        return Terms.parse(data)
    except TermsError:
        assume(False)
        raise


def give_rows(draw: st.DrawFn, data: dict[str, Any], start: date) -> None:
    """The lender's own dates and principal instead of a tenure."""
    for name in ("instalments", "first_due_on", "tranches"):
        data.pop(name, None)
    data |= {"interest_method": "reducing", "moratorium_instalments": 0, "broken_period": "add_to_first", "fees": []}
    left, day = data["principal_paise"], start
    gaps = draw(st.lists(st.integers(1, 200), min_size=1, max_size=8))
    data["rows"] = []
    for index, gap in enumerate(gaps):
        day += timedelta(days=gap)
        part = left if index + 1 == len(gaps) else draw(st.integers(0, left // 2))
        left -= part
        data["rows"].append({"due_on": day.isoformat(), "principal_paise": part})


def built(terms: Terms) -> Schedule:
    """Terms may still prove contradictory when rows are laid out: a tranche after the last row, or an instalment
    that would not cover its interest."""
    try:
        return build_schedule(terms)
    except TermsError as refused:
        uncovered = {"rule_of_78": "/interest_method", "step_up": "/step_percent"}.get(terms.interest_method)
        assert refused.field == uncovered or refused.field.startswith(("/tranches", "/fees"))  # noqa: PT017
        assume(False)
        raise


@settings(max_examples=max(300, settings().max_examples), deadline=None)
@given(any_terms())
def test_money_is_conserved_in_every_row(terms: Terms) -> None:
    schedule = built(terms)
    rows = schedule.rows
    lent = terms.financed_paise + sum(tranche.amount_paise for tranche in terms.tranches)
    assert sum(row.principal_paise for row in rows) == lent + schedule.capitalised_paise
    assert rows[-1].closing_paise == 0
    assert rows[-1].principal_paise > 0 or terms.rows
    for row in rows:
        assert row.total_paise == row.principal_paise + row.interest_paise + row.fee_paise
        assert row.closing_paise == row.opening_paise - row.principal_paise
        assert min(row.principal_paise, row.interest_paise, row.fee_paise, row.closing_paise) >= 0
    assert sum(row.fee_paise for row in rows) == terms.fees_paise("due_with_row")


@settings(max_examples=max(150, settings().max_examples), deadline=None)
@given(any_terms())
def test_rows_are_numbered_and_dated_in_order(terms: Terms) -> None:
    rows = built(terms).rows
    assert [row.number for row in rows] == list(range(rows[0].number, rows[0].number + len(rows)))
    assert rows[0].number in (0, 1)
    assert rows[-1].number == (1 if terms.interest_method == "bullet" else terms.row_count)
    dues = [row.due_on for row in rows]
    assert dues == sorted(set(dues))
    assert dues[0] > terms.disburse_on
    assert_as_asked(terms, dues[rows[0].number == 0 :])
    if terms.broken_period != "deduct":  # There, the broken period's days are in no row.
        assert sum(row.days for row in rows) == (dues[-1] - terms.disburse_on).days


def assert_as_asked(terms: Terms, dues: list[date]) -> None:
    """The dates that the terms ask for are the ones got, whatever else they say."""
    if terms.rows:
        assert dues == [row.due_on for row in terms.rows]
    elif terms.interest_method == "bullet":
        assert dues == [terms.due_dates().nth(terms.row_count)]
    else:
        assert dues[0] == terms.first_due_on
        assert dues == [terms.due_dates().nth(number) for number in range(1, terms.row_count + 1)]


BY_DAY: dict[str, int] = {"ACT/360": 360, "ACT/364": 364, "ACT/365": 365}


@settings(max_examples=max(200, settings().max_examples), deadline=None)
@given(any_terms(), st.sampled_from(list(BY_DAY)))
def test_interest_by_days_adds_up(terms: Terms, day_count: DayCount) -> None:
    """Day by day from the payout: what is out x that day's rate / the year's days, rounded once for each row."""
    assume(terms.interest_method not in ("flat", "rule_of_78"))
    assume(terms.moratorium_instalments == 0 and terms.broken_period != "deduct" and terms.amount_rounding_paise == 1)
    terms = replace(terms, day_count=day_count, schedule_starts_on=None)
    made = built(terms)
    assume((made.rows[-1].due_on - terms.disburse_on).days < 2_000)
    rates = sorted((change.from_day, change.annual_rate_percent) for change in terms.rate_changes)
    for row in made.rows:
        late = {tranche.on: tranche.amount_paise for tranche in terms.tranches if row_has(row, tranche.on)}
        exact = Fraction(0)
        for back in range(row.days):
            day = row.due_on - timedelta(days=back)
            rate = [terms.annual_rate_percent, *(percent for since, percent in rates if since < day)][-1]
            out = row.opening_paise - sum(amount for on, amount in late.items() if on >= day)
            exact += out * Fraction(rate) / 100 / BY_DAY[day_count]
        assert abs(row.interest_paise - exact) <= (1 if terms.rounding_mode == "up" else Fraction(1, 2))


def row_has(row: Row, day: date) -> bool:
    return row.due_on - timedelta(days=row.days) <= day < row.due_on


@settings(max_examples=max(100, settings().max_examples), deadline=None)
@given(any_terms())
def test_what_is_written_reads_back_the_same(terms: Terms) -> None:
    assert Terms.parse(json.loads(json.dumps(terms.to_dict()))) == terms
    schedule = built(terms)
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    assert Row.from_dict(schedule.rows[0].to_dict()) == schedule.rows[0]
    assert build_schedule(terms, NO_HOLIDAYS) == schedule


@settings(max_examples=max(100, settings().max_examples), deadline=None)
@given(any_terms())
def test_the_borrower_never_pays_a_negative_rate(terms: Terms) -> None:
    schedule = built(terms)
    assert schedule.apr_percent >= 0
    if terms.annual_rate_percent == 0 and not terms.fees and not terms.rate_changes:
        assert schedule.apr_percent == Decimal(0)


@settings(max_examples=50, deadline=None)
@given(any_terms())
def test_a_rows_interest_has_accrued_on_its_due_date_and_not_before_its_start(terms: Terms) -> None:
    for row in built(terms).rows:
        assert accrued_in_row(row, row.due_on) == row.interest_paise
        assert accrued_in_row(row, row.due_on - timedelta(days=row.days)) == 0
        assert accrued_in_row(row, row.due_on + timedelta(days=9)) == row.interest_paise


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["2026-02-30", "2200-12-31", "1e5", "bullet", "accrue", "18.00", "first_of_next"]),
    st.lists(st.dictionaries(st.sampled_from(["on", "from", "amount_paise", "kind"]), st.integers()), max_size=2),
    st.dictionaries(st.sampled_from(["every", "unit"]), st.one_of(st.integers(1, 400), st.just("months"))),
)


@settings(max_examples=max(400, settings().max_examples), deadline=None)
@given(st.dictionaries(st.sampled_from(list(Terms.__dataclass_fields__)), JUNK, max_size=4))
def test_terms_are_a_schedule_or_a_refusal_that_names_a_field(junk: dict[str, Any]) -> None:
    plain = {
        "principal_paise": 100_000_00,
        "annual_rate_percent": "18.00",
        "instalments": 12,
        "disburse_on": "2026-01-31",
        "first_due_on": "2026-02-28",
    }
    try:
        schedule = build_schedule(Terms.parse({**plain, **junk}))
    except TermsError as refused:
        assert refused.field.split("/")[1] in Terms.__dataclass_fields__  # noqa: PT017
    else:
        assert schedule.rows[-1].closing_paise == 0


EXTREMES: dict[str, list[Any]] = {
    "principal_paise": [1, 2, 3_660, 10**5, 10**15],
    "annual_rate_percent": ["0", "0.01", "12", "360", "1000"],
    "instalments": [1, 2, 30, 480, 3_660],
    "frequency": ["daily", "monthly", "yearly", {"every": 366, "unit": "days"}, {"every": 300, "unit": "months"}],
    "interest_method": METHODS,
    "day_count": list(get_args(DayCount)),
    "first_due_on": ["2026-02-01", "2026-03-31", "2037-01-31", "2199-12-31"],
    "rounding_mode": ["half_up", "up"],
    "instalment_rounding_paise": [1, 100, 10**6],
    "amount_rounding_paise": [1, 10**4],
    "level_last_instalment": [False, True],
    "broken_period": list(get_args(BrokenPeriod)),
    "moratorium_instalments": [0, 0, 1, 29],
    "moratorium_interest": list(get_args(MoratoriumInterest)),
    "step_percent": ["0.5", "99.9", "100"],
    "step_every": [1, 12],
    "balloon_paise": [1, 10**14],
    "tranches": [[], [], [{"on": "2026-06-30", "amount_paise": 10**15}]],
    "apr_method": ["nominal", "xirr"],
}


@settings(max_examples=max(300, settings().max_examples), deadline=None)
@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in EXTREMES.items()}))
def test_the_most_extreme_terms_are_a_schedule_in_64_bits_or_a_refusal(extreme: dict[str, Any]) -> None:
    try:
        schedule = build_schedule(Terms.parse({**extreme, "disburse_on": "2026-01-31"}))
    except TermsError as refused:
        assert refused.field.split("/")[1] in Terms.__dataclass_fields__  # noqa: PT017
    else:
        assert all(
            -(2**63) < amount < 2**63
            for row in schedule.rows
            for amount in row.to_dict().values()
            if type(amount) is int
        )
        assert min(min(row.principal_paise, row.interest_paise) for row in schedule.rows) >= 0
        assert schedule.total_interest_paise < 2**63
