"""Whether, and when, to try a failed debit again.

Hard failures are never repeated; technical ones soon, after the outage; soft ones when money is likelier: on the
borrower's salary day where it comes soon, else after the product's wait. The answer carries its reason and what else
was weighed; both are recorded with the decision.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.calendar import IST, ist_day
from domain.failures import HARD, TECHNICAL, Diagnosis
from domain.law.debits import attempts_allowed
from domain.product import Product

SALARY_WITHIN_DAYS = 10
"""A salary day this near is worth waiting for: every other try before it is likely to bounce again."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that was weighed, and what speaks for or against it."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this moment, because; and what else was weighed."""

    at: datetime
    reason: str
    alternatives: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further automatic attempt: why, and what a person should do."""

    reason: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Tried:
    """How often an instalment was debited: in all (0 = never), and on the rail that would be used next."""

    attempts: int
    rail: str = ""
    on_rail: int = 0


def next_attempt(
    product: Product, diagnosis: Diagnosis, tried: Tried, due_on: date, salary_day: int, now: datetime
) -> RetryAt | GiveUp:
    """After so many tries, the last of which failed with `diagnosis`: when next, or why not."""
    if diagnosis.failure_class == HARD:
        return GiveUp(f"hard failure {diagnosis.code}: {diagnosis.meaning}", diagnosis.action)
    limit = limit_reached(product, tried, ist_day(now))
    if limit:
        return GiveUp(limit, "contact_borrower")
    last_day = due_on + timedelta(days=product.window_days)
    if diagnosis.failure_class == TECHNICAL:
        chosen = after_outage(product, diagnosis, tried.attempts, now)
    else:
        chosen = when_money_is_likely(product, diagnosis, tried.attempts, salary_day, now, last_day)
    if ist_day(chosen.at) > last_day:
        return GiveUp(f"the window of {product.window_days} days after the due day is over", "contact_borrower")
    return chosen


def limit_reached(product: Product, tried: Tried, on: date) -> str:
    """Which limit allows no further attempt, in words: the product's, the law's for the rail, or the product's for the
    rail (servicing rule 35); empty when none is reached."""
    by_law, rule = attempts_allowed(tried.rail, on)
    for made, most, whose in (
        (tried.attempts, product.max_attempts, "the product"),
        (tried.on_rail, by_law, rule),
        (tried.on_rail, product.rail_attempts.get(tried.rail), f"the product for {tried.rail}"),
    ):
        if most is not None and made >= most:
            return f"{made} attempts made, {whose} allows {most}"
    return ""


def after_outage(product: Product, diagnosis: Diagnosis, attempt: int, now: datetime) -> RetryAt:
    """A bank or switch was down: the money may well be there, so try again within hours."""
    hours = step(product.technical_retry_after_hours, attempt)
    return RetryAt(now + timedelta(hours=hours), f"technical failure {diagnosis.code}: again after {hours} hours")


def when_money_is_likely(
    product: Product, diagnosis: Diagnosis, attempt: int, salary_day: int, now: datetime, last_day: date
) -> RetryAt:
    """No funds today: the salary day if it is near and still in the window, else the product's wait."""
    today = ist_day(now)
    days = step(product.soft_retry_after_days, attempt)
    waited = datetime.combine(today + timedelta(days=days), product.debit_at, IST)
    payday = next_payday(today, salary_day) if salary_day else None
    if payday is None or (payday - today).days > SALARY_WITHIN_DAYS:
        return RetryAt(waited, f"no funds ({diagnosis.code}): again after {days} days")
    if payday > last_day:
        too_late = Moment(
            datetime.combine(payday, product.debit_at, IST),
            f"salary day {salary_day} is after {last_day}, the window's last day",
        )
        return RetryAt(waited, f"no funds ({diagnosis.code}): again after {days} days", (too_late,))
    return RetryAt(
        datetime.combine(payday, product.debit_at, IST),
        f"no funds ({diagnosis.code}): salary day {salary_day} is {(payday - today).days} days away",
        (Moment(waited, f"{days} days' wait, the product's default, is not the salary day"),),
    )


def next_payday(today: date, salary_day: int) -> date:
    """The first salary day after today; a month without that day pays on its last."""
    in_month = min(salary_day, monthrange(today.year, today.month)[1])
    if in_month > today.day:
        return today.replace(day=in_month)
    first_of_next = today.replace(day=1) + timedelta(days=monthrange(today.year, today.month)[1])
    return first_of_next.replace(day=min(salary_day, monthrange(first_of_next.year, first_of_next.month)[1]))


def step(table: tuple[int, ...], attempt: int) -> int:
    """The entry for an attempt (1-based; before any, the first); the last one goes on."""
    return table[min(max(attempt, 1), len(table)) - 1]
