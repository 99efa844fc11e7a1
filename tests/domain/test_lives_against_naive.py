"""Whole lives agree with a second, independent calculator, whatever the order in which the facts were learnt.

Servicing rule 13.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from domain import commands as c
from domain.calendar import IST
from tests.domain.naive_life import Changed, Charged, Happened, House, NothingToCompare, Paid, naive_life
from tests.domain.value_dated import (
    Lived,
    a_life_of,
    back,
    check_whole,
    differences,
    naive_state,
    paid,
    state_of,
)

KINDS = (("principal", "interest", "fee", "charge", "penal"), ("charge", "fee", "penal", "interest", "principal"))


@dataclass
class Told:
    """A message: when it comes, what it says, and the fact that it is (a reversal takes its payment's fact away)."""

    at: datetime
    command: c.Command
    fact: Happened | None
    name: str


def random_house(pick: random.Random) -> House:
    return House(
        order=pick.choice([House().order, House().order, *KINDS]),
        by=pick.choice(["instalment", "instalment", "kind"]),
        npa_order=pick.choice([(), (), *KINDS]),
        excess=pick.choice(["hold", "hold", "hold", "advance", "prepay"]),
        penal_percent=pick.choice(["0", "24", "36"]),
        penal_grace_days=pick.choice([0, 0, 3]),
        prepayment_percent=pick.choice(["0", "0", "2"]),
        preclosure_percent=pick.choice(["0", "4"]),
    )


def random_terms(pick: random.Random) -> dict[str, Any]:
    out = date(2025, 1, 1) + timedelta(days=pick.randrange(400))
    first = pick.choice([out + timedelta(days=pick.randrange(20, 50)), next_month(out)])
    accrual = pick.choice(["schedule", "schedule", "daily"])
    method = pick.choice(["reducing"] * 4 + ["equal_principal", "interest_only"])
    if accrual == "schedule" and pick.random() < 0.1:
        method = "flat"
    return {
        "principal_paise": pick.randrange(5_000_000, 50_000_000),
        "annual_rate_percent": pick.choice(["12", "18", "23.5"]),
        "rate_type": pick.choice(["fixed", "fixed", "floating"]),
        "instalments": pick.choice([3, 6, 12, 24]),
        "frequency": pick.choice(["monthly", "monthly", "monthly", "fortnightly"]),
        "interest_method": method,
        "interest_accrual": accrual,
        "day_count": pick.choice(["30/360", "ACT/365", "ACT/360", "ACT/ACT", "30E/360"]),
        "disburse_on": out.isoformat(),
        "first_due_on": first.isoformat(),
    }


def next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=min(day.day, 28))


def a_moment(day: date, pick: random.Random) -> datetime:
    return datetime.combine(day, time(pick.randrange(10, 20), pick.randrange(60)), IST)


def random_facts(pick: random.Random, terms: dict[str, Any], days: int) -> list[Told]:
    """What happens in so many days, each fact with the moment at which it is learnt; in the order of learning."""
    start = date.fromisoformat(terms["disburse_on"])
    instalment = terms["principal_paise"] // terms["instalments"]
    told: list[Told] = []
    for serial in range(pick.choice([1, 3, 5, 8])):
        on = start + timedelta(days=pick.randrange(1, days))
        learnt = min(on + timedelta(days=pick.choice([0, 0, 1, 5, 40])), start + timedelta(days=days))
        name, paise = f"P{serial}", pick.choice([instalment, instalment * 2, pick.randrange(1_000, instalment * 3)])
        intent = pick.choice(["dues"] * 5 + ["part-prepayment"] * 2 + ["advance"])
        choice = pick.choice(["reduce_tenure", "reduce_emi"])
        at = a_moment(learnt, pick)
        fact = Paid(on=on, arrived=0, paise=paise, intent=intent, choice=choice)
        told.append(Told(at, paid(name, paise, on, intent, choice), fact, name))
        if pick.random() < 0.2:
            later = min(learnt + timedelta(days=pick.choice([0, 2, 30])), start + timedelta(days=days))
            told.append(Told(max(at, a_moment(later, pick)), back(name, later), None, name))
        if pick.random() < 0.1:
            told.append(Told(at + timedelta(minutes=1), paid(name, paise, on, intent, choice), None, f"again {name}"))
    for serial in range(pick.choice([0, 0, 1, 2])):
        told.append(a_change(pick, terms, start + timedelta(days=pick.randrange(1, days)), serial))
    return sorted(told, key=lambda message: message.at)


def a_change(pick: random.Random, terms: dict[str, Any], on: date, serial: int) -> Told:
    """A decision, taken and known on its day."""
    command_id, at = f"C{serial}", datetime.combine(on, time(9, 30), IST)
    what = pick.choice(["charge", "charge", "restructure", "capitalise", "rate-reset", "relief"])
    common: dict[str, Any] = {"command_id": command_id, "reason": "asked"}
    if what == "rate-reset" and terms["rate_type"] == "floating":
        asked = {
            "annual_rate_percent": pick.choice(["11", "19"]),
            "option": pick.choice(["higher_emi", "longer_tenure"]),
        }
        command: c.Command = c.ResetRate(effective_on=on, **asked, **common)
        return Told(at, command, Changed(on=on, arrived=0, kind="rate-reset", asked=asked), command_id)
    if what == "relief" and terms["interest_method"] != "flat":
        asked = {"instalments": pick.choice([1, 2]), "interest": pick.choice(["pay", "capitalise", "accrue"])}
        asked |= {"extends_tenure": pick.random() < 0.5}
        command = c.GrantRelief(effective_on=on, **asked, **common)
        return Told(at, command, Changed(on=on, arrived=0, kind="relief", asked=asked), command_id)
    if what in ("restructure", "capitalise"):
        asked = {"instalments": pick.choice([8, 18, 30])}
        if what == "capitalise":
            asked["capitalise_arrears"] = True
        elif pick.random() < 0.5:
            asked["annual_rate_percent"] = "15"
        command = c.Restructure(effective_on=on, hardship=False, **asked, **common)
        return Told(at, command, Changed(on=on, arrived=0, kind="restructure", asked=asked), command_id)
    command = c.LevyCharge(kind="visit", amount_paise=20_000, **common)
    return Told(at, command, Charged(on=on, arrived=0, kind="charge", paise=23_600), command_id)


def lived(seed: int) -> tuple[Lived, list[Happened], dict[str, Any], House]:
    """A life as its messages came, and the facts as they turned out to be."""
    pick = random.Random(seed)
    house, terms = random_house(pick), random_terms(pick)
    days = pick.choice([40, 90, 200, 400])
    life = a_life_of(terms, house)
    facts: dict[str, Happened] = {}
    for arrived, message in enumerate(random_facts(pick, terms, days)):
        life.tell(message.at, c.WakeUp(now=message.at))
        if life.loan.stage != "active":
            break
        if life.tell(message.at, message.command):
            if message.fact is None:
                facts.pop(message.name, None)
            else:
                facts[message.name] = replace(message.fact, arrived=arrived)
        check_whole(life)
    end = life.now.date() if life.loan.stage != "active" else date.fromisoformat(terms["disburse_on"])
    if life.loan.stage == "active":
        life.until(end + timedelta(days=days))
    return life, list(facts.values()), terms, house


def agrees(seed: int) -> bool:
    """False where there is nothing to compare: rounding that was mended."""
    life, facts, terms, house = lived(seed)
    try:
        naive = naive_life(terms, facts, life.now.date(), house)
    except NothingToCompare:
        return False
    found = differences(state_of(life), naive_state(naive))
    assert not found, (seed, found, terms, house, facts)
    return True


@pytest.mark.parametrize("block", range(6))
def test_a_life_agrees_with_the_naive_one(block: int) -> None:
    compared = sum(agrees(seed) for seed in range(block * 50, block * 50 + 50))
    assert compared > 40


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_thousands_of_lives_agree_with_the_naive_ones(block: int) -> None:
    seeds = int(os.environ.get("QIST_NAIVE_SEEDS", "500"))
    compared = sum(agrees(1_000_000 + seed) for seed in range(block * seeds, block * seeds + seeds))
    assert compared > seeds * 4 // 5
