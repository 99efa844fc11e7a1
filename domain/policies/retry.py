"""Whether, and when, to try a failed debit again.

Hard failures are never repeated. For others the model (`likelihood`, `timing`, `weighing`) chooses the moments at which
the money is likeliest to be there, within the attempts, the window and the notice that product and rail leave; where no
moment is worth its cost, it stops. Of a borrower of whom nothing is known (no salary day, no segment, hardly a debit),
and where the product says `calendar`, the product's waits decide: a technical failure is tried again within hours, want
of funds on a near salary day or after some days. The answer carries its reason, what it went by and what else was
weighed; all are recorded with the decision.
"""

from __future__ import annotations

from binascii import crc32
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from domain.calendar import IST, at_hour, ist_day
from domain.failures import HARD, SUCCESS, TECHNICAL, Diagnosis
from domain.law.debits import attempts_allowed, notice_hours, outside_peak
from domain.parts import Answered
from domain.policies.insight import Insight
from domain.policies.likelihood import MODEL, PRIORS, Belief, Borrower
from domain.policies.timing import Choice, Stakes
from domain.policies.weighing import Question, Weighed, percent, price_of_a_day, weigh
from domain.product import Product

SALARY_WITHIN_DAYS = 10
"""A salary day this near is worth waiting for: every other try before it is likely to bounce again."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that was weighed, what speaks for or against it, and its likelihood where the model weighed it."""

    at: datetime
    reason: str
    likelihood_percent: int = 0


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this moment, because; and what else was weighed."""

    at: datetime
    reason: str
    alternatives: tuple[Moment, ...] = ()
    likelihood_percent: int = 0
    model: str = ""
    """Empty = the calendar decided."""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    explored: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The instalment whose debit failed, and what is known of who pays it."""

    loan_id: str
    number: int
    due_on: date
    amount_paise: int
    """What the next attempt would ask for."""
    bank: str
    borrower: Borrower
    answers: Sequence[Answered]
    """Of all the loan's debits, the failure last."""


def next_attempt(
    product: Product, diagnosis: Diagnosis, tried: Tried, failed: Failed, now: datetime, insight: Insight
) -> RetryAt | GiveUp:
    """After so many tries, the last of which failed with `diagnosis`: when next, or why not."""
    if diagnosis.failure_class == HARD:
        return GiveUp(f"hard failure {diagnosis.code}: {diagnosis.meaning}", diagnosis.action)
    limit = limit_reached(product, tried, ist_day(now))
    if limit:
        return GiveUp(limit, "contact_borrower")
    if product.retry == "adaptive" and is_known(failed):
        return by_likelihood(product, diagnosis, tried, failed, now, insight)
    last_day = failed.due_on + timedelta(days=product.window_days)
    if diagnosis.failure_class == TECHNICAL:
        chosen = after_outage(product, diagnosis, tried.attempts, now)
    else:
        salary_day = failed.borrower.salary_day
        chosen = when_money_is_likely(product, diagnosis, tried.attempts, salary_day, now, last_day)
    if ist_day(chosen.at) > last_day:
        return over(product)
    return chosen


def over(product: Product) -> GiveUp:
    return GiveUp(f"the window of {product.window_days} days after the due day is over", "contact_borrower")


KNOWN_FROM = 3
"""Other instalments with an answered debit, from which on the model has something to go by."""


def is_known(failed: Failed) -> bool:
    """Whether the model has anything to go by: a salary day, a segment that it has a prior for, or debits enough."""
    others = {answer.number for answer in failed.answers} - {failed.number}
    return bool(failed.borrower.salary_day) or failed.borrower.segment in PRIORS or len(others) >= KNOWN_FROM


# --- by the model ------------------------------------------------------------------------------------------------

EXPLORE_FROM_PERCENT = 80
"""Another moment is tried, to learn, only where it is worth at least this much of the best."""


def by_likelihood(
    product: Product, diagnosis: Diagnosis, tried: Tried, failed: Failed, now: datetime, insight: Insight
) -> RetryAt | GiveUp:
    """The first of the moments that together bring the most, or the reason why none is worth it."""
    moments = moments_allowed(product, diagnosis, tried, failed, now)
    if not moments:
        return over(product)
    question = Question(
        borrower=failed.borrower,
        bank=failed.bank,
        rail=tried.rail,
        number=failed.number,
        due_day=failed.due_on.toordinal(),
        answers=failed.answers,
        moments=moments,
        tries=tries_left(product, tried, ist_day(now)),
        gap_hours=GAP_HOURS,
        stakes=Stakes(
            failed.amount_paise,
            product.attempt_paise,
            product.charges["bounce"].amount_paise,
            price_of_a_day(insight),
        ),
    )
    weighed = weigh(question, insight)
    if not weighed.moments:
        likeliest = f"{percent(weighed.others[0].likely)} % likely at best" if weighed.others else "unlikely throughout"
        return GiveUp(f"no moment until {ist_day(moments[-1])} is worth an attempt: {likeliest}", "contact_borrower")
    chosen, others = weighed.moments[0], weighed.others
    explored = (
        explores(product, tried, failed)
        and others != []
        and others[0].worth * 100 >= EXPLORE_FROM_PERCENT * chosen.worth
    )
    if explored:
        chosen, others = others[0], [chosen, *others[1:]]
    return RetryAt(
        at=chosen.at,
        reason=reason_of(diagnosis, chosen, weighed, explored=explored),
        alternatives=tuple(Moment(other.at, why_not(other, chosen), percent(other.likely)) for other in sorted(others)),
        likelihood_percent=percent(chosen.likely),
        model=MODEL,
        inputs=inputs_of(question, weighed, insight),
        explored=explored,
    )


GAP_HOURS = 24
"""Hours between two attempts for want of funds: an account that is debited twice a day bounces twice."""


def moments_allowed(
    product: Product, diagnosis: Diagnosis, tried: Tried, failed: Failed, now: datetime
) -> list[datetime]:
    """The product's times of each day of the window: after the wait that the failure asks for and the notice that the
    law asks for, outside the rail's peak hours; after a technical failure also the first moment of all."""
    today, last_day = ist_day(now), failed.due_on + timedelta(days=product.window_days)
    begins = max(today, failed.due_on)
    technical = diagnosis.failure_class == TECHNICAL
    wait = step(product.technical_retry_after_hours, tried.attempts) if technical else GAP_HOURS
    earliest = now + timedelta(hours=max(wait, notice_hours(tried.rail, today).value))
    if not technical:
        earliest = min(earliest, at_hour(today + timedelta(days=1), min(product.retry_at)))
        earliest = max(earliest, now + timedelta(hours=notice_hours(tried.rail, today).value))
    days = (begins + timedelta(days=ahead) for ahead in range((last_day - begins).days + 1))
    found = {outside_peak(tried.rail, at_hour(day, time)).value for day in days for time in product.retry_at}
    if technical:
        found.add(outside_peak(tried.rail, earliest).value)
    return sorted(at for at in found if at >= earliest and ist_day(at) <= last_day)


def tries_left(product: Product, tried: Tried, on: date) -> int:
    """Attempts that product, law and rail all allow still."""
    by_law, _ = attempts_allowed(tried.rail, on)
    limits = [product.max_attempts - tried.attempts]
    limits += [most - tried.on_rail for most in (by_law, product.rail_attempts.get(tried.rail)) if most is not None]
    return min(limits)


def explores(product: Product, tried: Tried, failed: Failed) -> bool:
    """Whether this decision is one of the few that try another moment: by a hash, so that the same decision always
    falls out the same."""
    return crc32(f"{failed.loan_id}:{failed.number}:{tried.attempts}".encode()) % 100 < product.explore_percent


EVEN = 50
"""Percent: what is likelier than not."""


def reason_of(diagnosis: Diagnosis, chosen: Choice, weighed: Weighed, *, explored: bool) -> str:
    """In words: what was believed, and what follows."""
    habit = habit_of(weighed.belief)
    learns = "; a little less than the best, to learn" if explored else ""
    return (
        f"{what_failed(diagnosis)} ({diagnosis.code}): {habit}, money is {percent(chosen.likely)} % likely then{learns}"
    )


def what_failed(diagnosis: Diagnosis) -> str:
    """In words; a limit, a wrong PIN or a paused mandate is no want of funds: the code table says what it is."""
    if diagnosis.failure_class == TECHNICAL:
        return "technical failure"
    return "no funds" if diagnosis.action == "retry_after_funds" or not diagnosis.meaning else diagnosis.meaning


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def habit_of(belief: Belief) -> str:
    """The likeliest habit, in words."""
    payday, sure = belief.payday()
    if percent(belief.regular) >= EVEN:
        return f"income around day {payday} of the month ({percent(sure)} % sure)"
    if percent(belief.periodic) >= EVEN:
        return f"income on {WEEKDAYS[belief.weekday()]}s ({percent(belief.periodic)} % sure)"
    return f"income at no certain time ({percent(1 - belief.regular - belief.periodic)} % sure)"


def why_not(other: Choice, chosen: Choice) -> str:
    """What speaks against a moment that was weighed."""
    if other.at < chosen.at:
        return f"{percent(other.likely)} % likely: better kept for later"
    if percent(other.likely) <= percent(chosen.likely):
        return f"{percent(other.likely)} % likely: no better, and later"
    return f"{percent(other.likely)} % likely, but later: kept for the next attempt"


def inputs_of(question: Question, weighed: Weighed, insight: Insight) -> dict[str, Any]:
    """What the model went by, in whole percent."""
    payday, sure = weighed.belief.payday()
    return {
        "segment": question.borrower.segment,
        "salary_day": question.borrower.salary_day,
        "debits_seen": len(question.answers),
        "debits_funded": sum(answer.outcome == SUCCESS for answer in question.answers),
        "payday": payday,
        "payday_percent": percent(sure),
        "regular_percent": percent(weighed.belief.regular),
        "periodic_percent": percent(weighed.belief.periodic),
        "through_percent": percent(weighed.through),
        "tries_left": question.tries,
        "moments": len(question.moments),
        "day_price_bps": round(10_000 * question.stakes.wait),
        "insight_as_of": insight.as_of.isoformat() if insight.as_of else "",
    }


# --- by the calendar ---------------------------------------------------------------------------------------------


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
        return RetryAt(waited, f"{what_failed(diagnosis)} ({diagnosis.code}): again after {days} days")
    if payday > last_day:
        too_late = Moment(
            datetime.combine(payday, product.debit_at, IST),
            f"salary day {salary_day} is after {last_day}, the window's last day",
        )
        return RetryAt(waited, f"{what_failed(diagnosis)} ({diagnosis.code}): again after {days} days", (too_late,))
    return RetryAt(
        datetime.combine(payday, product.debit_at, IST),
        f"{what_failed(diagnosis)} ({diagnosis.code}): salary day {salary_day} is {(payday - today).days} days away",
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
