"""What people do to a loan from its page: which commands, which of their fields, and how what was typed is read.

A command's fields and their kinds come from its message model, so a form cannot ask for what the command does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from adapters.http.commands import MODEL_OF
from adapters.http.rendering import words
from domain.decisions.rules import Rules
from domain.loan import Loan
from domain.money import RUPEE, format_rupees
from domain.parts import BY_CHARGE
from streams.wire import Inbound


@dataclass(frozen=True, slots=True)
class Action:
    """A command as it is offered on a loan's page."""

    command: str
    group: str
    title: str
    about: str
    fields: tuple[str, ...]

    @property
    def model(self) -> type[Inbound]:
        return MODEL_OF[f"servicing.{self.command}.v1"]

    @property
    def schema(self) -> dict[str, Any]:
        """The model as a JSON schema, by the names of its fields."""
        return schema_of(self.model)


@cache
def schema_of(model: type[Inbound]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=False)


def _action(group: str, command: str, title: str, about: str, *fields: str) -> tuple[str, Action]:
    return command, Action(command, group, title, about, fields)


_PAYMENT = ("amount_paise", "value_on", "method", "payment_reference")

ACTIONS: dict[str, Action] = dict(
    (
        _action("Money", "record-payment", "Record a payment", "Money that came in outside the streams.", *_PAYMENT),
        _action(
            "Money", "part-prepay", "Prepay a part",
            "Principal paid ahead of its time: a lower instalment, or fewer of them.", *_PAYMENT, "choice",
        ),
        _action("Money", "preclose", "Close early", "The whole amount of the pre-closure quote, paid.", *_PAYMENT),
        _action(
            "Money", "levy-charge", "Levy a charge", "One of the product's charges; GST is added by itself.",
            "kind", "amount_paise", "reason",
        ),
        _action(
            "Money", "waive", "Waive a charge", "All of a charge, or a part.",
            "charge_id", "amount_paise", "reason",
        ),
        _action("Money", "refund", "Send money back", "What is held for the borrower.", "amount_paise", "reason"),
        _action(
            "Terms", "restructure", "Restructure", "A new tenure, instalment or rate from a day on.",
            "effective_on", "instalments", "instalment_paise", "annual_rate_percent", "first_due_on",
            "capitalise_arrears", "hardship", "reason",
        ),
        _action(
            "Terms", "grant-relief", "Grant relief", "A moratorium or a payment holiday, and what its interest does.",
            "effective_on", "kind", "instalments", "interest", "extends_tenure", "reason",
        ),
        _action(
            "Terms", "reset-rate", "Reset the rate", "A new rate of a floating loan, and what gives way.",
            "effective_on", "annual_rate_percent", "option", "instalments", "instalment_paise", "reason",
        ),
        _action(
            "Collections", "promise-to-pay", "Note a promise", "What the borrower promised to pay, and until when.",
            "amount_paise", "by", "channel", "case_id",
        ),
        _action("Collections", "pause-collection", "Pause collection", "No debits until a day.", "until", "reason"),
        _action(
            "Collections", "hold-contact", "Hold contact", "Nobody asks for money from one day to another.",
            "reason", "from_on", "until", "note",
        ),
        _action("Collections", "raise-grievance", "Note a complaint", "Its clock runs from now.", "subject", "about"),
        _action(
            "Collections", "close-case", "Close a case", "With what came of it.",
            "case_id", "disposition", "outcome", "note",
        ),
        _action(
            "Collections", "offer-payment-link", "Offer a payment link", "For an instalment; 0: the oldest unpaid.",
            "instalment", "reason",
        ),
        _action("Mandate", "prefer-mandate", "Use another mandate first", "In the order of preference.", "mandate_id"),
        _action("Mandate", "pause-mandate", "Pause a mandate", "At the bank, until resumed.", "mandate_id", "reason"),
        _action("Mandate", "resume-mandate", "Resume a mandate", "One that was paused.", "mandate_id", "reason"),
        _action("Mandate", "cancel-mandate", "Cancel a mandate", "For good.", "mandate_id", "reason"),
        _action("Mandate", "resume-debits", "Let debits go on", "After they were stopped.", "reason"),
        _action("Ending", "settle", "Agree on a settlement", "Less than is owed, paid until a day, ends the loan.",
                "amount_paise", "pay_by", "reason"),
        _action("Ending", "write-off", "Write off", "What is owed leaves the books; collection goes on.", "reason"),
        _action("Ending", "record-recovery", "Record a recovery", "Money on a loan that was written off.", *_PAYMENT),
        _action(
            "Ending", "cancel-disbursal", "Cancel within the cooling-off period", "At the borrower's wish.", "reason"
        ),
    )
)  # fmt: skip
"""By command, in the order in which a page shows them."""

LABELS = {
    "value_on": "Value date",
    "payment_reference": "Reference",
    "effective_on": "From",
    "from_on": "From",
    "first_due_on": "First due on",
    "charge_id": "Charge",
    "mandate_id": "Mandate",
    "case_id": "Case",
    "by": "Until",
    "pay_by": "To be paid until",
    "choice": "What gets less",
    "option": "What gives way",
    "extends_tenure": "The tenure grows by as much",
    "capitalise_arrears": "Arrears become principal",
    "hardship": "The borrower is in difficulty (the class falls)",
    "annual_rate_percent": "Rate, percent a year",
}


# --- A form ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form."""

    name: str
    label: str
    kind: str
    """`money` (rupees), `day`, `number`, `choice`, `flag` or `text`."""
    required: bool
    value: str
    options: tuple[tuple[str, str], ...] = ()
    fault: str = ""


def charges_of(loan: Loan, rules: Rules) -> Iterator[tuple[str, str]]:
    for due in loan.dues:
        if due.kind in BY_CHARGE and due.unpaid:
            yield str(due.of), f"{due.kind.replace('_', ' ')} of {due.due_on}, ₹{format_rupees(due.unpaid)} unpaid"


def mandates_of(loan: Loan, rules: Rules) -> Iterator[tuple[str, str]]:
    for known in loan.mandates:
        yield known["mandate_id"], f"{known['mandate_id']} ({known.get('rail', '')}, {known.get('status', '')})"


def cases_of(loan: Loan, rules: Rules) -> Iterator[tuple[str, str]]:
    return ((case_id, case_id) for case_id in loan.open_cases)


def charge_kinds(loan: Loan, rules: Rules) -> Iterator[tuple[str, str]]:
    return ((kind, kind.replace("_", " ")) for kind in rules.product_of(loan).charges)


Offer = Callable[[Loan, Rules], Iterator[tuple[str, str]]]
OFFERS: dict[tuple[str, str], Offer] = {
    ("*", "charge_id"): charges_of,
    ("*", "mandate_id"): mandates_of,
    ("*", "case_id"): cases_of,
    ("levy-charge", "kind"): charge_kinds,
}
"""(Command or *, field) -> what this loan has to choose from."""


def form(action: Action, loan: Loan, rules: Rules, typed: Mapping[str, str], faults: Mapping[str, str]) -> list[Input]:
    """The action's fields, with what was typed, and what is wrong with it."""
    schema = action.schema
    required = frozenset(schema["required"])
    made: list[Input] = []
    for name in action.fields:
        offer = OFFERS.get((action.command, name)) or OFFERS.get(("*", name))
        kind, options, default = shape_of(name, schema["properties"][name])
        if offer:
            kind, options = "choice", tuple(offer(loan, rules))
        elif kind == "choice":
            options = tuple((option, words(option)) for option, _ in options)
        must = name in required
        if kind == "flag" and typed:
            default = ""  # a box that is not ticked is not sent
        if kind == "choice" and not must and not default:
            options = (("", "–"), *options)
        made.append(Input(name, label_of(name), kind, must, typed.get(name, default), options, faults.get(name, "")))
    return made


def shape_of(name: str, schema: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """A field's kind, its choices and its default, from its JSON schema."""
    default = schema.get("default")
    plain = next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)
    if "enum" in plain:
        return "choice", tuple((one, one) for one in plain["enum"]), default or ""
    if plain.get("type") == "boolean":
        return "flag", (), "yes" if default else ""
    if plain.get("format") == "date":
        return "day", (), ""
    if plain.get("type") == "integer":
        return "money" if name.endswith("_paise") else "number", (), str(default or "")
    return "text", (), default or ""


def label_of(name: str) -> str:
    return LABELS.get(name) or words(name.removesuffix("_paise"))


# --- What was typed --------------------------------------------------------------------------------------------


def read(action: Action, typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The command's body, and what cannot be read, by field. What was left empty is not said."""
    schema = action.schema["properties"]
    body: dict[str, Any] = {"type": action.command}
    faults: dict[str, str] = {}
    for name in action.fields:
        kind = shape_of(name, schema[name])[0]
        said = typed.get(name, "").strip()
        if kind == "flag":
            body[name] = said == "yes"
        elif said:
            try:
                body[name] = READ.get(kind, str)(said)
            except (ValueError, InvalidOperation):
                faults[name] = NOT_READ[kind]
    return body, faults


def paise(said: str) -> int:
    """Rupees as people write them (`1,00,000.50`, `₹ 500`). `ValueError` for less than a paisa."""
    amount = Decimal(said.replace("₹", "").replace(",", "").strip()) * RUPEE
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(said)
    return int(amount)


READ: dict[str, Callable[[str], Any]] = {"money": paise, "number": int}
NOT_READ = {"money": "an amount in rupees, such as 1,00,000.50", "number": "a whole number"}
