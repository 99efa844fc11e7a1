"""The credit bureaus' file: accounts in the columns of the Uniform Credit Reporting Format (Consumer), validated.

Each figure follows from the loan as it stood at the reference date's end; particulars come from the vault. An account
with a fault is left out and told by the report `credit-bureau-rejects`: it goes with a later file (law R11.2).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import orjson

from adapters.reports.back_then import loans_at
from adapters.reports.money import GIVEN_UP
from adapters.reports.report import Ask, Books, Column, Report, Row
from adapters.vault import Vault
from domain.calendar import day_end
from domain.decisions.rules import Rules
from domain.decisions.terms_change import accrued_interest, rate_on
from domain.law.bureau import (
    ADDRESS_CATEGORY,
    GENDER,
    OCCUPATION,
    PAYMENT_FREQUENCY,
    Submission,
    asset_class_code,
    next_submission,
    submission_dates,
)
from domain.law.classification import asset_class
from domain.loan import Loan
from domain.product import Product
from domain.views import dpd_on, unpaid
from projections.ledger import CHARGES_RECEIVABLE, INTEREST_RECEIVABLE, PRINCIPAL, RECOVERY_INCOME

AT_ONCE = 500
INDIVIDUAL = "1"
NO_SUIT = "00"
PARTICULARS = ("pan", "passport", "voter_id", "driving_license", "ration_card", "universal_id", "ckyc")
"""Of these a person must have one."""
PAN = re.compile(r"[A-Z]{5}\d{4}[A-Z]")
PIN = re.compile(r"[1-9]\d{5}")
STATE = re.compile(r"\d{2}")


def code_of(codes: Mapping[str, str], name: str) -> str:
    """The code that means this; empty for none."""
    return next((code for code, meaning in codes.items() if meaning == name), "")


def rupees(paise: int) -> str:
    """Whole rupees, half up: files have no paise."""
    return str((paise + 50) // 100)


def written(day: date | None) -> str:
    return day.strftime("%d%m%Y") if day else ""


# --- An account ----------------------------------------------------------------------------------------------


class GivenUp(NamedTuple):
    """What a write-off or settlement gave up. Paise."""

    total: int = 0
    principal: int = 0
    recovered: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """One loan of one person, as it stood at the end of the day that the file speaks of."""

    loan: Loan
    product: Product
    on: date
    dpd: int
    balance_paise: int
    overdue_paise: int
    given_up: GivenUp
    member_code: str
    person: Mapping[str, Any]

    def address(self, number: int) -> Mapping[str, Any]:
        addresses = self.person.get("addresses", ())
        return addresses[number - 1] if len(addresses) >= number else {}

    @property
    def closed(self) -> bool:
        return self.loan.stage in ("closed", "cancelled")

    @property
    def high_credit_paise(self) -> int:
        """The sum sanctioned, with interest that joined the principal; it is never lowered."""
        return sum(tranche.amount for tranche in self.loan.tranches) + self.loan.capitalised_paise

    @property
    def status(self) -> str:
        """Written-off and settled status; empty where none applies."""
        if self.loan.stage == "written_off":
            return "02"
        if self.loan.closing == "settled":
            return "03"
        if self.loan.restructured_on is None:
            return ""
        return "14" if self.closed else "00"

    @property
    def last_payment(self) -> tuple[date | None, int]:
        """Value date and amount of the last money that stayed."""
        stayed = [(one.value_on, one.arrived, one.amount) for one in self.loan.receipts.values() if not one.reversed]
        day, _, paise = max(stayed, default=(None, 0, 0))
        return day, paise


def account_of(
    loan: Loan, on: date, rules: Rules, person: Mapping[str, Any], given_up: GivenUp, member_code: str
) -> Account:
    """What is owed at the day's end: principal, interest that is due and that has accrued, charges; no interest of
    days to come. Of a loan that is written off: what was given up, less what came in since."""
    owed, active = unpaid(loan), loan.stage == "active"
    dpd = dpd_on(loan, day_end(on), rules)
    accrued = accrued_interest(loan, loan.principal_not_due(), on) if active else 0
    lost = max(0, given_up.total - given_up.recovered) if loan.stage == "written_off" else 0
    return Account(
        loan=loan,
        product=rules.product_of(loan),
        on=on,
        dpd=dpd,
        balance_paise=loan.principal_paise + accrued + owed.interest + owed.charges + lost,
        overdue_paise=owed.total if dpd else lost,  # what is below the tolerance, or waits for a bank, is not overdue
        given_up=given_up,
        member_code=member_code,
        person=person,
    )


def account_type(account: Account) -> str:
    product = account.product
    if product.bureau_account_type:
        return product.bureau_account_type
    if product.purpose == "business":
        return "50" if product.secured else "61"
    return "00" if product.secured else "05"


def frequency(account: Account) -> str:
    said = account.loan.terms.get("frequency", "monthly")
    return code_of(PAYMENT_FREQUENCY, said) if isinstance(said, str) else ""


def of_person(name: str) -> Callable[[Account], str]:
    return lambda account: account.person.get(name, "")


def of_address(number: int, name: str) -> Callable[[Account], str]:
    return lambda account: account.address(number).get(name, "")


def nothing(account: Account) -> str:
    """The format has the column; the lender's servicing engine does not know of it."""
    return ""


def birth(account: Account) -> str:
    said = account.person.get("date_of_birth")
    return written(date.fromisoformat(said)) if said else ""


FIELDS: Mapping[str, Callable[[Account], str]] = {
    "consumer_name": lambda account: account.person.get("name", ""),
    "date_of_birth": birth,
    "gender": lambda account: code_of(GENDER, account.person.get("gender", "")),
    "income_tax_id": of_person("pan"),
    "passport_number": of_person("passport"),
    "passport_issue_date": nothing,
    "passport_expiry_date": nothing,
    "voter_id": of_person("voter_id"),
    "driving_license": of_person("driving_license"),
    "driving_license_issue_date": nothing,
    "driving_license_expiry_date": nothing,
    "ration_card": of_person("ration_card"),
    "universal_id": of_person("universal_id"),
    "additional_id_1": nothing,
    "additional_id_2": nothing,
    "telephone_mobile": lambda account: account.person.get("phone", ""),
    "telephone_residence": nothing,
    "telephone_office": nothing,
    "extension_office": nothing,
    "telephone_other": nothing,
    "extension_other": nothing,
    "email_1": lambda account: account.person.get("email", ""),
    "email_2": nothing,
    "address_1": of_address(1, "line"),
    "state_code_1": of_address(1, "state_code"),
    "pin_1": of_address(1, "pin"),
    "address_category_1": lambda account: code_of(ADDRESS_CATEGORY, account.address(1).get("category", "")),
    "residence_code_1": nothing,
    "address_2": of_address(2, "line"),
    "state_code_2": of_address(2, "state_code"),
    "pin_2": of_address(2, "pin"),
    "address_category_2": lambda account: code_of(ADDRESS_CATEGORY, account.address(2).get("category", "")),
    "residence_code_2": nothing,
    "member_code": lambda account: account.member_code,
    "member_short_name": lambda account: account.product.lender_name,
    "account_number": lambda account: account.loan.id,
    "account_type": account_type,
    "ownership": lambda account: INDIVIDUAL,
    "date_opened": lambda account: written(account.loan.disbursed_on),
    "date_of_last_payment": lambda account: written(account.last_payment[0]),
    "date_closed": lambda account: written(account.loan.closed_on) if account.closed else "",
    "date_reported": lambda account: written(account.on),
    "high_credit": lambda account: rupees(account.high_credit_paise),
    "current_balance": lambda account: rupees(account.balance_paise),
    "amount_overdue": lambda account: rupees(account.overdue_paise),
    "days_past_due": lambda account: f"{min(account.dpd, 999):03d}",
    "old_member_code": nothing,
    "old_member_short_name": nothing,
    "old_account_number": nothing,
    "old_account_type": nothing,
    "old_ownership": nothing,
    "suit_filed": lambda account: NO_SUIT,
    "written_off_and_settled_status": lambda account: account.status,
    "asset_classification": lambda account: asset_class_code(
        asset_class(account.loan.npa_since, account.on).value,
        account.loan.classification,  # pyright: ignore[reportArgumentType]
    ),
    "value_of_collateral": nothing,
    "type_of_collateral": lambda account: "" if account.product.secured else "00",
    "credit_limit": nothing,
    "cash_limit": nothing,
    "rate_of_interest": lambda account: format(rate_on(account.loan.agreed, account.on), "f"),
    "repayment_tenure": lambda account: str(len(account.loan.rows)),
    "emi_amount": lambda account: rupees(account.loan.instalment_paise),
    "written_off_amount_total": lambda account: rupees(account.given_up.total) if account.given_up.total else "",
    "written_off_amount_principal": lambda account: (
        rupees(account.given_up.principal) if account.given_up.total else ""
    ),
    "settlement_amount": lambda account: (
        rupees(account.loan.settlement["amount_paise"]) if account.status == "03" and account.loan.settlement else ""
    ),
    "payment_frequency": frequency,
    "actual_payment_amount": lambda account: rupees(account.last_payment[1]) if account.last_payment[0] else "",
    "occupation_code": lambda account: code_of(OCCUPATION, account.person.get("occupation", "")),
    "income": nothing,
    "net_or_gross_income": nothing,
    "monthly_or_annual_income": nothing,
    "ckyc_number": of_person("ckyc"),
}
"""Columns in the format's order, and what stands in them; all of them text, as the format has it."""

FAULTS: tuple[tuple[str, Callable[[Account], bool], str], ...] = (
    ("consumer_name", lambda account: not account.person.get("name"), "the name is not known, or was erased"),
    ("date_of_birth", lambda account: not account.person.get("date_of_birth"), "is not known"),
    ("gender", lambda account: not account.person.get("gender"), "is not known"),
    (
        "income_tax_id",
        lambda account: not any(account.person.get(name) for name in PARTICULARS),
        "neither PAN nor any other document is known",
    ),
    (
        "income_tax_id",
        lambda account: bool(pan := account.person.get("pan")) and not PAN.fullmatch(pan),
        "a PAN is five letters, four digits and a letter",
    ),
    ("address_1", lambda account: not account.address(1).get("line"), "no address is known"),
    ("pin_1", lambda account: not PIN.fullmatch(account.address(1).get("pin") or ""), "a PIN has six digits"),
    (
        "state_code_1",
        lambda account: not STATE.fullmatch(account.address(1).get("state_code") or ""),
        "a state's code has two digits",
    ),
    (
        "days_past_due",
        lambda account: account.loan.stage == "active" and (account.overdue_paise > 0) != (account.dpd > 0),
        "overdue and days past due contradict each other",
    ),
    (
        "current_balance",
        lambda account: account.closed and account.balance_paise > 0,
        "something is owed on a closed account",
    ),
    (
        "written_off_amount_total",
        lambda account: account.loan.stage == "written_off" and account.given_up.total <= 0,
        "written off, and no amount",
    ),
    (
        "high_credit",
        lambda account: account.high_credit_paise < account.loan.principal_paise,
        "more principal is outstanding than was ever lent",
    ),
)
"""Field, when it is at fault, and how that is told."""


def faults_of(account: Account) -> Iterator[tuple[str, str]]:
    return ((field, says) for field, wrong, says in FAULTS if wrong(account))


# --- Which accounts ------------------------------------------------------------------------------------------


def no_file_of(on: date) -> str:
    """Why no file speaks of a day; empty when one does."""
    if any(file.as_on == on for file in submission_dates(on.year, on.month).value):
        return ""
    following = next_submission(on).value
    return f"bureau files do not speak of {on}" + (f"; the next speaks of {following.as_on}" if following else "")


def submission_on(on: date) -> tuple[Submission, date]:
    """The file that speaks of a day, and the day of the one before it: of a full file, the full one before."""
    files = [*submission_dates(*before(on)).value, *submission_dates(on.year, on.month).value]
    this = next(file for file in files if file.as_on == on)
    earlier = [file.as_on for file in files if file.as_on < on and this.kind in (file.kind, "incremental")]
    return this, earlier[-1] if earlier else on.replace(day=1) - timedelta(days=1)


def before(on: date) -> tuple[int, int]:
    last = on.replace(day=1) - timedelta(days=1)
    return last.year, last.month


COMPARED = ("stage", "principal_paise", "overdue_paise", "oldest_unpaid_due_on", "classification", "npa_since",
            "restructured_on", "excess_paise")  # fmt: skip
"""What makes an account part of an incremental file when it changed."""
CHANGED = " OR ".join(f"n.{name} IS DISTINCT FROM w.{name}" for name in COMPARED)
WANTED = {
    "full": "n.stage IN ('active', 'written_off') OR (n.stage IN ('closed', 'cancelled') AND n.since > '{previous}')",
    "incremental": f"n.stage <> 'booked' AND ({CHANGED})",
}


async def accounts(ask: Ask) -> AsyncIterator[Account]:
    """Every account that the file should hold, in the order of the log's partitions."""
    vault = ask.vault
    assert vault is not None, "whoever asks for a bureau file opens the vault"
    file, previous = submission_on(ask.on)
    ask.notes.append(
        f"a file of {'all accounts' if file.kind == 'full' else f'what changed since {previous}'},"
        f" to be sent by {file.due_by}"
    )
    if not ask.member_code:
        ask.notes.append("no member code: QIST_BUREAU_MEMBER_CODE names the lender's")
    both = f"{await ask.standing(ask.on)} n LEFT JOIN {await ask.standing(previous)} w USING (partition, loan_id)"
    wanted = WANTED[file.kind].format(previous=previous)
    left: Any = await ask.connection.fetchrow(
        "SELECT coalesce(sum(n.principal_paise), 0)::bigint AS principal,"
        " coalesce(sum(n.overdue_interest_paise), 0)::bigint AS interest,"
        " coalesce(sum(n.overdue_charges_paise), 0)::bigint AS charges"
        f" FROM {both} WHERE NOT coalesce({wanted}, false)"
    )
    for name in ("principal", "interest", "charges"):
        ask.sums[f"unreported_{name}_paise"] = left[name]
    query = f"SELECT n.partition, n.loan_id FROM {both} WHERE {wanted} ORDER BY 1, 2"
    waiting: dict[str, int] = {}
    async for partition, loan_id in ask.connection.cursor(query, prefetch=AT_ONCE):
        waiting[loan_id] = partition
        if len(waiting) == AT_ONCE:
            for account in await made(ask, vault, waiting):
                yield account
            waiting = {}
    for account in await made(ask, vault, waiting):
        yield account


async def made(ask: Ask, vault: Vault, homes: Mapping[str, int]) -> list[Account]:
    loans = await loans_at(ask.connection, homes, day_end(ask.on).replace(microsecond=999_999))
    tokens = {f"{loan.borrower_id}:person" for loan in loans.values()}
    people = await vault.gathered(ask.connection, tokens)  # pyright: ignore[reportArgumentType]
    given = await given_up(ask, [loan_id for loan_id, loan in loans.items() if loan.written_off_paise], homes)
    return [
        account_of(
            loan,
            ask.on,
            ask.rules,
            people.get(f"{loan.borrower_id}:person", {}),
            given.get(loan_id, GivenUp()),
            ask.member_code,
        )
        for loan_id, loan in sorted(loans.items())
    ]


async def given_up(ask: Ask, loan_ids: list[str], homes: Mapping[str, int]) -> dict[str, GivenUp]:
    """What was given up, which later receipts do not lower, and these."""
    rows = await ask.connection.fetch(
        "SELECT j.loan_id, j.topic, e.state, j.accounts, j.amounts FROM unnest($1::int[], $2::text[]) AS w (p, l)"
        " JOIN ledger.journal j ON j.partition = w.p AND j.loan_id = w.l AND (j.topic = ANY($4) OR j.accounts && $5)"
        " JOIN events e ON e.partition = j.partition AND e.position = j.position WHERE e.occurred_at <= $3",
        [homes[loan_id] for loan_id in loan_ids],
        loan_ids,
        day_end(ask.on).replace(microsecond=999_999),
        list(GIVEN_UP),
        [RECOVERY_INCOME],
    )
    found: dict[str, GivenUp] = {}
    for loan_id, topic, state, accounts, amounts in rows:
        total, principal, recovered = found.get(loan_id, GivenUp())
        if topic in GIVEN_UP:
            said = orjson.loads(state)
            total += said["principal_paise"] + said["interest_paise"] + said["charges_paise"]
            principal += said["principal_paise"]
        recovered -= dict(zip(accounts, amounts, strict=True)).get(RECOVERY_INCOME, 0)
        found[loan_id] = GivenUp(total, principal, recovered)
    return found


def count(ask: Ask, account: Account, where: str) -> None:
    owed = unpaid(account.loan)
    ask.sums[f"{where}_principal_paise"] += account.loan.principal_paise
    ask.sums[f"{where}_interest_paise"] += owed.interest
    ask.sums[f"{where}_charges_paise"] += owed.charges


async def bureau(ask: Ask) -> AsyncIterator[Row]:
    rejected = 0
    async for account in accounts(ask):
        if any(faults_of(account)):
            rejected += 1
            count(ask, account, "rejected")
        else:
            count(ask, account, "reported")
            yield tuple(value(account) for value in FIELDS.values())
    if rejected:
        ask.notes.append(f"{rejected} accounts are left out: `credit-bureau-rejects` says why")


async def rejects(ask: Ask) -> AsyncIterator[Row]:
    async for account in accounts(ask):
        faults = list(faults_of(account))
        count(ask, account, "rejected" if faults else "reported")
        for field, says in faults:
            yield account.loan.id, field, says


CHECKS = tuple(
    Books((f"reported_{name}_paise", f"rejected_{name}_paise", f"unreported_{name}_paise"), account)
    for name, account in (
        ("principal", PRINCIPAL),
        ("interest", INTEREST_RECEIVABLE),
        ("charges", CHARGES_RECEIVABLE),
    )
)
"""By the loans' own account of themselves, not by the read model."""

SAYS = {
    "consumer_name": "and what follows: from the vault, as the LOS sent it",
    "date_of_birth": "dates are ddmmyyyy",
    "high_credit": "sanctioned, with interest that joined the principal; amounts are whole rupees",
    "current_balance": "principal, interest due and accrued, charges: no interest of days to come",
    "amount_overdue": "0 where no day is past due",
    "date_of_last_payment": "value date of the last money that was not taken back",
    "repayment_tenure": "instalments, as now in force",
    "member_short_name": "the product's lender.name",
    "account_type": "the product's bureau.account_type, else by purpose and security",
    "written_off_and_settled_status": "00 restructured, 02 written off, 03 settled, 14 restructured and closed",
    "asset_classification": "01 standard, 02 sub-standard, 03 doubtful, 04 loss, 05 special mention",
}
BUREAU = Report(
    name="credit-bureau",
    title="Credit bureau file",
    says="What a file to the bureaus holds, in the columns of the Uniform Credit Reporting Format (Consumer). It speaks"
    " of the days that the law names (since July 2026 the 9th, 16th and 23rd for what changed, the month's last for all"
    " accounts). An account with a fault is left out. Columns that the servicing engine knows nothing of are empty.",
    columns=tuple(Column(name, "text", SAYS.get(name, "")) for name in FIELDS),
    rows=bureau,
    checks=CHECKS,
    reads=("history",),
    refuses=no_file_of,
    personal=True,
)
REJECTS = Report(
    name="credit-bureau-rejects",
    title="Accounts left out of the credit bureau file",
    says="Each fault of each account that the file of that day leaves out. Corrected, it goes with the next file at the"
    " latest.",
    columns=(Column("loan_id", "text"), Column("field", "text", "of the file"), Column("says", "text")),
    rows=rejects,
    checks=CHECKS,
    reads=("history",),
    refuses=no_file_of,
    personal=True,
)
REPORTS: tuple[Report, ...] = (BUREAU, REJECTS)
