"""A floating rate moves: what the borrower may choose, and what the schedule becomes (servicing rule 27).

Source: RBI, Reset of Floating Interest Rate on EMI based Personal Loans, RBI/2023-24/55, 18 August 2023: higher EMI,
longer tenor or both, or a switch to fixed; a longer tenor must not lead to negative amortisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.decisions.agreed import agree, is_for_later
from domain.decisions.downstream import follow
from domain.decisions.rules import Rules
from domain.decisions.terms_change import rate_on, reamortise
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan
from domain.product import Product
from domain.refusals import Refusal, Refused


def reset_rate(loan: Loan, command: c.ResetRate, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Another rate from a day on, by the option that was chosen, or by the product's."""
    once(loan, command)
    live(loan)
    if loan.terms["rate_type"] != "floating":
        raise Refused(Refusal.rate_is_fixed, "/loan_id")
    product = rules.product_of(loan)
    option = command.option or product.reset_option
    if option == "switch_to_fixed" and switches(loan) >= product.reset_fixed_switches:
        raise Refused(Refusal.no_switch_left, "/option", allowed=product.reset_fixed_switches)
    if is_for_later(loan, command.effective_on, now):
        yield from agree(loan, "rate-reset", reset_rate, command, rules)
        return
    if loan.next_row is None:
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    previous = rate_on(loan.agreed, command.effective_on)
    offered = offers(loan, command, product)
    schedule = rows_for(loan, command, option, product)
    yield e.RateReset(
        effective_on=command.effective_on.isoformat(),
        previous_rate_percent=format(previous, "f"),
        annual_rate_percent=command.annual_rate_percent,
        rate_type="fixed" if option == "switch_to_fixed" else "floating",
        option=option,
        asked={
            name: value
            for name, value in (("instalments", command.instalments), ("instalment_paise", command.instalment_paise))
            if value is not None
        },
        offered=offered,
        reason=command.reason,
        command_id=command.command_id,
    )
    yield schedule
    yield from follow(loan, "the rate was reset", now, rules)


def switches(loan: Loan) -> int:
    """How often the loan has switched to a fixed rate."""
    return sum(change.kind == "rate-reset" and change.asked["option"] == "switch_to_fixed" for change in loan.changes)


def offers(loan: Loan, command: c.ResetRate, product: Product) -> list[dict[str, Any]]:
    """Every option with what it comes to; one that cannot be (the instalment would not cover the interest) says why.
    What a fixed rate or a prepayment comes to is the borrower's to ask.
    """
    told: list[dict[str, Any]] = []
    for option in ("longer_tenure", "higher_emi"):
        try:
            schedule = rows_for(loan, command, option, product, as_offer=True)
        except Refused as refused:
            told.append({"option": option, "not_possible": refused.sentence()})
            continue
        told.append(
            {
                "option": option,
                "instalments": len(schedule.rows),
                "instalment_paise": schedule.instalment_paise,
                "total_interest_paise": sum(row["interest_paise"] for row in schedule.rows),
            }
        )
    if (left := product.reset_fixed_switches - switches(loan)) > 0:
        told.append({"option": "switch_to_fixed", "switches_left": left})
    return [*told, {"option": "part_prepayment"}]


def rows_for(
    loan: Loan, command: c.ResetRate, option: str, product: Product, *, as_offer: bool = False
) -> e.EmiScheduled:
    """The schedule under an option. Refused when the instalment would not cover the interest, or the tenure be longer
    than the product allows."""
    left = len(loan.rows) - loan.due_rows
    asked_instalment = None if as_offer else command.instalment_paise
    asked_rows = None if as_offer else command.instalments
    match option:
        case "longer_tenure":
            instalment, rows = asked_instalment or loan.instalment_paise, None
        case "both":
            instalment, rows = asked_instalment, asked_rows
            if instalment is None and rows is None:
                raise Refused(Refusal.nothing_to_change, "/instalments", option=option)
        case _:
            instalment, rows = asked_instalment, asked_rows or left
    too: dict[str, Any] = {"rate_type": "fixed"} if option == "switch_to_fixed" else {}
    schedule = reamortise(
        loan,
        effective_on=command.effective_on,
        principal=loan.principal_not_due(),
        reason="rate-reset",
        instalments=None if instalment else rows,
        instalment_paise=instalment if loan.terms["interest_method"] == "reducing" else None,
        annual_rate_percent=command.annual_rate_percent,
        **too,
    )
    count = loan.due_rows + len(schedule.rows)
    if product.reset_max_instalments and count > product.reset_max_instalments:
        raise Refused(Refusal.tenure_too_long, "/option", instalments=count, allowed=product.reset_max_instalments)
    return schedule
