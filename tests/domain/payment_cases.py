"""Lives of loans as other systems publish them in their own tests, lived by Qist: words and settings are tables.

A case of tests/data/payments.json keeps the source's words and its figures, in units of currency. `qist` in it says
what the tables here cannot: settings of the product, and `unlike`: which figures mean something else there, why, and
what Qist has instead.

A down payment is not lent in Qist: the loan is for the rest, so its row and its money are left out on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.house import load_rules
from adapters.scenario import answer, live, read
from domain.calendar import IST
from domain.decisions.rules import Rules
from domain.product import Product, Products

Case = dict[str, Any]
Answer = dict[str, Any]
Said = Iterator[tuple[str, Any, Any]]
"""Path of a figure, what the source has, what Qist has."""

CASES: list[Case] = json.loads((Path(__file__).parents[1] / "data" / "payments.json").read_text())

# --- Their words, ours ---------------------------------------------------------------------------------------

METHODS = {
    ("declining_balance", "equal_instalments"): "reducing",
    ("declining_balance", "equal_principal"): "equal_principal",
    ("flat", "equal_instalments"): "flat",
}
"""(interest method, amortisation) -> `interest_method`."""

ORDERS = {
    "advanced payment allocation": ["penal", "charge", "fee", "principal", "interest"],
    "oldest instalment first; within it penalties,fees,interest,principal": [
        *("penal", "charge", "fee", "interest", "principal")
    ],
    "due: penalty,fee,interest,principal; then in advance: principal,penalty,fee,interest": [
        *("penal", "charge", "fee", "interest", "principal")
    ],
    "due: penalty,interest,principal,fee; then in advance: penalty,interest,principal,fee": [
        *("penal", "interest", "principal", "charge", "fee")
    ],
}
"""Repayment strategy -> `allocation.order`. What is paid in advance is settled in the same order in Qist."""

CHARGES = {"fee": "service", "penalty": "penal"}
"""Kind of charge -> kind in the product; both without GST."""

STEPS: dict[str, Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "repayment": lambda said: ("gateway.payment.received.v1", {**money(said), "payment_reference": paid_as(said)}),
    "goodwill_credit": lambda said: ("gateway.payment.received.v1", money(said)),
    "reverse": lambda said: ("gateway.payment.reversed.v1", {"payment_reference": paid_as(said)}),
    "charge": lambda said: (
        "servicing.levy-charge.v1",
        {"kind": CHARGES[said["kind"]], "amount_paise": paise(said["amount"])},
    ),
    "charge-adjustment": lambda said: ("servicing.waive.v1", {"amount_paise": paise(said["amount"])}),
    "charge-off": lambda said: ("servicing.write-off.v1", {}),
    "credit-balance-refund": lambda said: ("servicing.refund.v1", {"amount_paise": paise(said["amount"])}),
    "pay-off": lambda said: ("servicing.preclose.v1", money(said)),
    "re-amortise": lambda said: ("servicing.restructure.v1", restructured(said)),
    "re-age": lambda said: ("servicing.restructure.v1", restructured(said)),
    "reschedule": lambda said: ("servicing.restructure.v1", restructured(said)),
}
"""Action -> the message that says the same to Qist. A `chargeback` has none."""

STATES = {"ACTIVE": "active", "CLOSED_OBLIGATIONS_MET": "closed", "CLOSED": "closed", "OVERPAID": "closed"}


def paise(said: str) -> int:
    return int(Decimal(said) * 100)


def money(said: dict[str, Any]) -> dict[str, Any]:
    return {"amount_paise": paise(said["amount"]), "value_on": said["date"], "method": "neft"}


def paid_as(said: dict[str, Any]) -> str:
    """Repayments of these cases are told apart by their day."""
    return said.get("reference", f"paid-{said['date']}")


def restructured(said: dict[str, Any]) -> dict[str, Any]:
    return {"effective_on": said["date"], "hardship": False, **said["qist"]}


# --- A case as a scenario ------------------------------------------------------------------------------------


def without_down_payment(case: Case) -> Decimal:
    """What is lent, in units of currency."""
    percent = Decimal(case["terms"].get("down_payment_percent", "0"))
    return Decimal(case["steps"][0]["amount"]) * (100 - percent) / 100


def product_of(case: Case) -> dict[str, Any]:
    """A product made for the case, as its TOML file would have it."""
    theirs, ours = case["terms"], case.get("qist", {})
    free = {"amount_paise": 0, "gst_percent": "0.00"}
    return {
        "name": "as-published",
        "version": 1,
        "description": case["source_test"],
        "allocation": {
            **({"order": ORDERS[theirs["repayment_strategy"]]} if "repayment_strategy" in theirs else {}),
            **ours.get("allocation", {}),
        },
        "charges": {"service": free, "penal": free, "bounce": free},
        **ours.get("product", {}),
    }


def terms_of(case: Case) -> dict[str, Any]:
    theirs = case["terms"]
    unit = paise(str(theirs["instalment_in_multiples_of"])) if "instalment_in_multiples_of" in theirs else 1
    return {
        "principal_paise": paise(str(without_down_payment(case))),
        "annual_rate_percent": theirs.get("annual_rate_percent", "0"),
        "instalments": theirs["instalments"],
        "frequency": theirs["frequency"],
        "interest_method": METHODS[theirs["interest_method"], theirs["amortisation"]],
        "day_count": theirs["day_count"] if theirs["interest_calculation_period"] == "daily" else "period",
        "disburse_on": theirs["disburse_on"],
        "first_due_on": theirs["first_due_on"],
        "rounding_mode": theirs["rounding_mode"],
        "instalment_rounding_paise": unit,
        "instalment_rounding_mode": "nearest",
        **case.get("qist", {}).get("terms", {}),
    }


def scenario(case: Case, upto: int) -> dict[str, Any]:
    """The case's life up to one of its steps, to the end of that day."""
    until = date.fromisoformat(case["steps"][upto]["on_business_date"])
    booked_on = case["steps"][0]["on_business_date"]
    later = case.get("qist", {}).get("charges_levied") == "on their due day"
    steps: list[dict[str, Any]] = []
    for index, said in enumerate(case["steps"][1:upto], 1):
        if said.get("action") not in STEPS or is_down_payment(case, said):
            continue
        kind, data = STEPS[said["action"]](said)
        on = said["on_business_date"]
        if said["action"] == "charge":
            on = said["due"] if later else min(on, said["due"])
        steps.append({"at": moment(on, index), "type": kind, "data": data})
    return {
        "title": case["source_test"],
        "disbursal": {
            "loan_id": "LN-1",
            "borrower": {"borrower_id": "B-1"},
            "product": "as-published",
            "terms": terms_of(case),
            "payout": {"account": {"number": "50100000000042", "ifsc": "HDFC0000001"}},
        },
        "booked_at": moment(booked_on, 0),
        "gateway": {"script": [{"payout": 1, "result": "settled", "value_on": case["terms"]["disburse_on"]}]},
        "steps": [step for step in steps if step["at"][:10] <= until.isoformat()],
        "collect": False,
        "until": until.isoformat(),
    }


def moment(day: str, index: int) -> str:
    at = datetime.combine(date.fromisoformat(day), time(10), IST) + timedelta(minutes=index)
    return at.isoformat()


def down_payment(case: Case) -> int:
    """Paise; 0 where there is none."""
    return paise(str(Decimal(case["steps"][0]["amount"]) - without_down_payment(case)))


def is_down_payment(case: Case, said: dict[str, Any]) -> bool:
    """The first money on the day of payout, where there is a down payment."""
    that_day = [each for each in case["steps"] if each.get("date") == case["terms"]["disburse_on"]]
    return bool(down_payment(case)) and said in that_day[1:2]


def lived(case: Case, upto: int) -> Answer:
    rules = rules_for(product_of(case))
    told = read(scenario(case, upto))
    return answer(told, live(told, rules), rules)


def rules_for(product: dict[str, Any]) -> Rules:
    made = Product.parse(product)
    return Rules(Products({(made.name, made.version): made}), load_rules().codes)


# --- Their figures beside ours -------------------------------------------------------------------------------

MONEY_IN = ("Repayment", "Goodwill Credit", "Charge Adjustment")
"""Transactions that repay; a down payment is left out."""


def figures(case: Case, upto: int, ours: Answer) -> Said:
    """Every figure of an expectation that means the same in Qist. Paise."""
    said = case["steps"][upto]["expect"]
    yield from rows(case, said.get("schedule", []), ours)
    yield from totals(case, said, ours)
    if "transactions" in said:
        yield from repaid(case, upto, ours)
        yield from written_off(said["transactions"], ours)
    if "status" in said:
        yield "status", STATES[said["status"]], ours["loan"]["state"]
    if "overpaid" in said:
        owed_back = -sum(
            entry["paise"]
            for entry in ours["ledger"]["entries"]
            if entry["name"] == "Refunds payable" and entry["paise"] < 0
        )
        yield "overpaid", paise(said["overpaid"]), owed_back
    if "preclosure_quote" in said:
        yield "preclosure_quote", paise(said["preclosure_quote"]), ours["preclosure"]["total_paise"]


def rows(case: Case, theirs: list[dict[str, Any]], ours: Answer) -> Said:
    """Instalments by their due day. What is paid of a row is compared without its charges, where that can be told."""
    by_day = {row["due_on"]: row for row in ours["schedule"]}
    for row in theirs:
        if row["due_on"] == case["terms"]["disburse_on"] or (row["principal"], row["interest"]) == ("0.0", "0.0"):
            continue  # the down payment, and rows that are for a charge alone
        path, mine = f"rows.{row['number']}", by_day.get(row["due_on"], {})
        yield f"{path}.due_on", row["due_on"], mine.get("due_on")
        for name in ("principal", "interest", "closing"):
            if name in row:
                yield f"{path}.{name}", paise(row[name]), mine.get(f"{name}_paise")
        if "paid" in row:
            charges = paise(row["fee"]) + paise(row["penalty"])
            settled = mine.get("principal_paid_paise", 0) + mine.get("interest_paid_paise", 0)
            if not charges or row["outstanding"] in ("0.0", "0") or row["paid"] in ("0.0", "0"):
                yield f"{path}.paid", max(0, paise(row["paid"]) - charges), settled
            yield f"{path}.paid_on", row["paid_on"], mine.get("paid_on")


def totals(case: Case, said: dict[str, Any], ours: Answer) -> Said:
    """Of the whole schedule; of the outstanding alone, where nothing else is said."""
    theirs = said.get("schedule_totals", {})
    down = down_payment(case)
    mine = {name: sum(row[f"{name}_paise"] for row in ours["schedule"]) for name in ("principal", "interest")}
    levied = sum(row["data"]["amount_paise"] for row in ours["events"] if row["type"] == "loan.charge-levied.v1")
    paid = sum(paid_by_kind(ours).values())
    if theirs:
        yield "totals.principal", paise(theirs["principal"]) - down, mine["principal"]
        yield "totals.interest", paise(theirs["interest"]), mine["interest"]
        yield "totals.charges", paise(theirs["fee"]) + paise(theirs["penalty"]), levied
        yield "totals.paid", max(0, paise(theirs["paid"]) - down), paid
    if "outstanding" in (theirs or said):
        unpaid_down = down if theirs and paise(theirs["paid"]) == 0 else 0
        left = mine["principal"] + mine["interest"] + levied - paid
        yield "totals.outstanding", paise((theirs or said)["outstanding"]) - unpaid_down, left


def repaid(case: Case, upto: int, ours: Answer) -> Said:
    """What the money that was not taken back has repaid, by kind."""
    back = {said["date"] for said in case["steps"][:upto] if said.get("action") == "reverse"}
    theirs = [
        row
        for row in case["steps"][upto]["expect"]["transactions"]
        if row["type"] in MONEY_IN
        and not row.get("reverted")
        and not (row["type"] == "Repayment" and row["date"] in back)
        and not (down_payment(case) and row["date"] == case["terms"]["disburse_on"])
    ]
    for name, kinds in (("principal", ("principal",)), ("interest", ("interest",)), ("charges", ("fee", "penalty"))):
        wanted = sum(paise(row[kind]) for row in theirs for kind in kinds)
        yield f"repaid.{name}", wanted, paid_by_kind(ours)[name]


def written_off(theirs: list[dict[str, Any]], ours: Answer) -> Said:
    """What a charge-off gave up, by kind."""
    gave_up = next((row["data"] for row in ours["events"] if row["type"] == "loan.written-off.v1"), None)
    for row in theirs:
        if row["type"] == "Charge-off" and gave_up:
            yield "written_off.principal", paise(row["principal"]), gave_up["principal_paise"]
            yield "written_off.interest", paise(row["interest"]), gave_up["interest_paise"]
            yield "written_off.charges", paise(row["fee"]) + paise(row["penalty"]), gave_up["charges_paise"]


def paid_by_kind(ours: Answer) -> dict[str, int]:
    """What has been paid of the rows and the charges, by kind. Paise."""
    kinds = ("principal", "interest", "charges")
    return {name: sum(row[f"{name}_paid_paise"] for row in ours["schedule"]) for name in kinds}
