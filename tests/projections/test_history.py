"""History: a loan's row of a day is the loan at that day's end, and the portfolio's cells are the sum of such rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from domain.loan import Loan
from projections.base import Recorded, booked_on
from projections.history import LOANS, MOVES, PORTFOLIO, ROLLS, STANDING, History, row_of
from projections.ledger import BY_CODE, PENAL_INCOME, PRINCIPAL, PROVISIONS, post
from tests.lives import PRODUCTS, RULES, a_life
from tests.projections.test_read_models import folded, named, recorded

SEEDS = range(8)
NAMES = [name for name, _ in STANDING]


def a_log(seed: int) -> list[Recorded]:
    return recorded(a_life(seed, products=PRODUCTS, steps=80))


def standing(log: Sequence[Recorded], day: date) -> list[dict[str, Any]]:
    rows = sorted((named(LOANS, row) for row in folded(History(RULES), log).of(LOANS).values()), key=lambda r: r["day"])
    return [row for row in rows if row["day"] <= day][-1:]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_days_row_is_the_loan_folded_up_to_that_days_end(seed: int) -> None:
    log = a_log(seed)
    for day in sorted({booked_on(one.event) for one in log})[::5]:
        loan = Loan.shell(log[0].loan_id)
        until = [one for one in log if booked_on(one.event) <= day]
        for one in until:
            loan.evolve(one.event)
        for row in standing(log, day):
            expected = named(LOANS, row_of(until[-1], day, loan, RULES))
            assert {name: row[name] for name in NAMES} == {name: expected[name] for name in NAMES}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_event_that_is_not_among_the_moves_leaves_the_row_as_it_was(seed: int) -> None:
    loan, day = Loan.shell(f"LN-{seed}"), date(2026, 1, 1)
    for one in a_log(seed):
        before = row_of(one, day, loan, RULES) if loan.version else None
        loan.evolve(one.event)
        if before is not None and type(one.event) not in MOVES:
            assert row_of(one, day, loan, RULES) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_every_days_row_agrees_with_the_ledger_of_that_day(seed: int) -> None:
    log = a_log(seed)
    loan, balances = Loan.shell(log[0].loan_id), Counter[int]()
    by_day: dict[date, Counter[int]] = {}
    for one in log:
        balances.update(post(one.event, loan))
        loan.evolve(one.event)
        by_day[booked_on(one.event)] = balances.copy()
    for row in folded(History(RULES), log).of(LOANS).values():
        told, books = named(LOANS, row), by_day[row[2]]
        said = {
            PRINCIPAL: told["principal_paise"],
            PROVISIONS: -told["provision_paise"],
            PENAL_INCOME: -told["penal_levied_paise"],
        }
        for account, paise in said.items():
            assert books[account] == paise, f"{BY_CODE[account].name} on {row[2]}"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_portfolios_cells_add_up_to_the_loan_and_do_not_depend_on_how_the_log_is_cut(seed: int) -> None:
    log = a_log(seed)
    memory = folded(History(RULES), log)
    assert folded(History(RULES), log, range(3, len(log), 7)).rows == memory.rows
    for day in sorted({booked_on(one.event) for one in log})[::9]:
        cells = Counter[tuple[Any, ...]]()
        for cell in (named(PORTFOLIO, row) for row in memory.of(PORTFOLIO).values()):
            if cell["day"] <= day:
                cells["loans", cell["stage"], cell["bucket"]] += cell["loans"]
                cells["principal"] += cell["principal_paise"]
                cells["disbursed"] += cell["disbursed_paise"]
        now = standing(log, day)
        out = [row for row in now if row["disbursed_on"] is not None]
        held = {key[1:]: loans for key, loans in cells.items() if key[0] == "loans" and loans}
        assert held == {(row["stage"], row["bucket"] if row["stage"] == "active" else ""): 1 for row in out}
        assert cells["principal"] == sum(row["principal_paise"] for row in now)
        assert cells["disbursed"] == sum(row["disbursed_paise"] for row in now)


def test_a_loan_rolls_from_bucket_to_bucket_on_the_days_on_which_it_does() -> None:
    for seed in SEEDS:
        rolls = folded(History(RULES), a_log(seed)).of(ROLLS)
        if rolls:
            first = named(ROLLS, min(rolls.values(), key=lambda row: row[1]))
            assert (first["from_bucket"], first["loans"]) == ("current", 1)
            return
    raise AssertionError("none of these lives was ever late")
