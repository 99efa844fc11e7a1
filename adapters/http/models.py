"""What answers look like: the models of docs/openapi.yaml. Routes write JSON themselves; a test holds them to this."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from adapters.reconciliation.csv_file import FileMapping
from streams.topics import COMMANDS
from streams.wire import CARRIES

REF = "#/components/schemas/{model}"


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(Answer):
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null on the last page.")


class Fault(Answer):
    pointer: str = Field(description="JSON pointer to what is at fault.")
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details; further members give the figures that decided."""

    type: str = Field(description="Stable: `urn:qist:problem:...`")
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Fault] | None = None


# --- Loans ---------------------------------------------------------------------------------------------------


class ListedLoan(Answer):
    loan_id: str
    borrower_id: str
    product: str
    state: str
    closing: str
    disbursed_on: date | None
    closed_on: date | None
    disbursed_paise: int
    principal_paise: int
    payable_paise: int
    excess_paise: int
    received_paise: int
    instalment_paise: int
    instalments: int
    instalments_due: int
    next_due_on: date | None
    next_due_paise: int
    next_debit_at: datetime | None
    annual_rate_percent: str
    oldest_unpaid_due_on: date | None
    dpd: int
    bucket: str
    classification: str
    mandate_status: str
    bank: str
    version: int
    last_event: str
    last_event_at: datetime


class LoanPage(Page):
    as_of: datetime
    items: list[ListedLoan]


class Outstanding(Answer):
    principal_paise: int
    interest_due_paise: int
    interest_accrued_paise: int
    charges_paise: int
    excess_paise: int


class Mandate(Answer):
    mandate_id: str | None
    rail: str | None
    status: str | None
    max_amount_paise: int | None
    valid_from: date | None
    valid_until: date | None
    bank: str | None
    gateway: str | None


class PaymentLink(Answer):
    link_id: str
    number: int
    amount_paise: int
    expires_on: date


class InFlight(Answer):
    instruction_id: str
    instalment: int
    attempt: int
    amount_paise: int


class Loan(Answer):
    loan_id: str
    borrower_id: str
    product: str
    state: str
    version: int
    as_of: datetime
    dpd: int
    bucket: str
    classification: str
    classification_because: str
    asset_class: str
    npa_since: date | None
    restructured_on: date | None
    outstanding: Outstanding
    payable_paise: int
    penal_accruing_paise: int
    accrued_booked_paise: int
    provision_paise: int
    settlement: dict[str, Any] | None
    instalment_paise: int
    next_due_on: date | None
    next_due_paise: int
    instalments_due: int
    instalments: int
    annual_rate_percent: str
    apr_percent: str
    mandate_status: str
    received_paise: int
    refund_due_paise: int
    written_off_paise: int
    disbursed_on: date | None
    closed_on: date | None
    closing: str | None
    mandate: Mandate | None
    """The one in use."""
    mandates: list[Mandate]
    """All of them, in order of preference."""
    mandate_requested: str | None
    """The request that waits for an answer."""
    debits_stopped: str | None
    """Why no debit is allowed, if none is."""
    payment_links: list[PaymentLink]
    disbursed_paise: int
    schedule_version: int
    next_debit_at: datetime | None
    debits_in_flight: list[InFlight]
    paused_until: date | None
    cases_opened: int
    last_event_at: datetime


class ScheduleRow(Answer):
    number: int
    due_on: date
    days: int
    opening_paise: int
    principal_paise: int
    interest_paise: int
    fee_paise: int
    total_paise: int
    closing_paise: int
    principal_paid_paise: int
    interest_paid_paise: int
    charges_paid_paise: int
    paid_on: date | None


class ScheduleVersion(Answer):
    schedule_version: int
    version: int = Field(description="Of the loan, when this schedule came into force.")
    reason: str
    effective_on: date
    since: datetime
    instalment_paise: int
    instalments: int
    apr_percent: str


class Schedule(Answer):
    loan_id: str
    schedule_version: int
    instalment_paise: int
    apr_percent: str
    rows: list[ScheduleRow]
    versions: list[ScheduleVersion]


class LedgerLine(Answer):
    account: int
    name: str
    paise: int = Field(description="A debit is positive, a credit negative.")


class LedgerEntry(Answer):
    position: int
    event: str
    reference: str | None
    value_on: date
    booked_at: datetime
    lines: list[LedgerLine]


class Balance(LedgerLine):
    kind: Literal["asset", "liability", "income", "expense"]


class Ledger(Page):
    loan_id: str
    balances: list[Balance]
    trial_balance_paise: int = Field(description="0, or the books are wrong.")
    items: list[LedgerEntry]


class Event(Answer):
    version: int
    position: str
    type: str
    says: str
    occurred_at: datetime
    recorded_at: datetime
    causation_id: str
    correlation_id: str
    actor: str
    hash: str
    data: dict[str, Any]


class EventPage(Page):
    loan_id: str
    items: list[Event]


class NoticeTry(Answer):
    channel: str
    at: datetime
    outcome: str
    detail: str


class Notice(Answer):
    notice_id: str
    kind: str
    purpose: str | None
    state: str = Field(description="`planned`, `sending`, `sent`, `delivered`, `read`, `failed` or `suppressed`.")
    channel: str | None
    tone: str | None
    language: str | None
    reason: str | None = Field(description="Why by this channel, in this tone, at this hour; or why not at all.")
    rule: str | None = Field(description="The dated rule that moved it, if one did (docs/law.md).")
    provider_reference: str | None
    occurred_at: datetime = Field(description="Of the event that asked for it.")
    at: datetime = Field(description="Planned for, or sent at.")
    delivered_at: datetime | None
    read_at: datetime | None
    tries: list[NoticeTry] = Field(description="What did not go out, before this.")


class NoticePage(Page):
    loan_id: str
    items: list[Notice]


class Document(Answer):
    document_id: str = Field(description="Its reference, printed on it: kind, version, days, language, templates.")
    kind: str
    language: Literal["en", "hi"]
    since: date | None = Field(description="The first day of its period, where it is about one.")
    until: date = Field(description="The day it is about, or the last of its period.")
    version: int = Field(description="The loan's events up to this one are in it.")
    templates: str
    called_by: str = Field(description="The event that called for it, or who asked.")
    issued_at: datetime
    sha256: str | None = Field(description="Of the bytes.")
    bytes: int
    figures_sha256: str | None = Field(description="Of its figures, without personal data.")
    renderer: str
    void_since: datetime | None = Field(description="The loan opened again: what it says of an end holds no more.")
    flaw: str | None = Field(description="Why it could not be made.")


class PossibleDocument(Answer):
    kind: str
    says: str
    about: Literal["day", "period", "year"]


class DocumentPage(Page):
    loan_id: str
    possible: list[PossibleDocument]
    items: list[Document]


class QuoteParts(Answer):
    principal_paise: int
    interest_due_paise: int
    interest_accrued_paise: int
    charges_paise: int
    penal_charges_paise: int
    preclosure_charge_paise: int
    preclosure_gst_paise: int
    excess_paise: int = Field(description="Taken off the total.")


class Quote(Answer):
    loan_id: str
    on: date
    valid_until: date
    total_paise: int
    per_diem_paise: int
    parts: QuoteParts
    version: int
    as_of: datetime


# --- Commands and webhooks -----------------------------------------------------------------------------------


class Approval(Answer):
    """A command that a second person decides on."""

    command_id: str
    loan_id: str
    type: str
    state: Literal["awaiting", "approved", "declined", "lapsed"]
    reason: str | None
    amount_paise: int | None = Field(description="As the command says; null where it says none.")
    at_stake_paise: int = Field(description="What it would have given up or paid out when it was asked for.")
    requested_by: str
    requested_at: datetime
    lapses_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str


class ApprovalPage(Page):
    items: list[Approval]


class ApprovalDecision(BaseModel):
    """A second person's word."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    decision: Literal["approve", "decline"]
    note: Annotated[str, Field(max_length=500)] = ""


class CommandAccepted(Answer):
    command_id: str
    loan_id: str
    type: str
    status: Literal["pending", "awaiting_approval", "declined", "lapsed"]
    detail: str | None = None
    approval: Approval | None = Field(None, description="Of a command that a second person decides on.")


class CommandResult(Answer):
    command_id: str
    loan_id: str
    type: str
    status: Literal["pending", "done", "repeated", "refused", "failed", "awaiting_approval", "declined", "lapsed"]
    refusal: str | None = Field(None, description="The phrase that says why not.")
    detail: str | None = None
    version: int = Field(0, description="Of the loan, after it.")
    decided_at: datetime | None = None
    sent_at: datetime | None = None
    approval: Approval | None = Field(None, description="Of a command that a second person decides on.")


class Picture(Answer):
    loan: Loan
    rows: list[ScheduleRow]


class Change(Answer):
    field: str
    """A JSON pointer into `loan`."""
    before: Any
    after: Any


class EventToCome(Answer):
    type: str
    says: str
    data: dict[str, Any]


class Preview(Answer):
    loan_id: str
    type: str
    status: Literal["would-be-done", "repeated", "refused"]
    refusal: str | None = Field(description="The phrase that says why not.")
    detail: str | None
    pointer: str | None = Field(description="The field at fault, if it is one alone.")
    as_of: datetime
    before: Picture
    after: Picture
    changes: list[Change]
    events: list[EventToCome]


class WebhookAccepted(Answer):
    event_id: str
    type: str
    topic: str
    known: bool = False
    """Of a gateway with its own form: whether this event was taken before."""


# --- Portfolio -----------------------------------------------------------------------------------------------


class Late(Answer):
    loan_id: str
    borrower_id: str
    product: str
    oldest_unpaid_due_on: date
    dpd: int
    overdue_principal_paise: int
    overdue_interest_paise: int
    overdue_charges_paise: int
    overdue_paise: int
    excess_paise: int
    principal_paise: int
    classification: str
    bucket: str


class Ageing(Answer):
    bucket: str
    classification: str
    loans: int
    principal_paise: int
    overdue_paise: int
    dpd_max: int


class DelinquencyPage(Page):
    as_of: date
    ageing: list[Ageing]
    items: list[Late]


class Clock(Answer):
    kind: Literal["system", "simulated", "stepped"]
    speed: float | None


class LoansByStage(Answer):
    total: int
    by_stage: dict[str, int]


class Failed(Answer):
    soft: int
    hard: int
    technical: int


class Debits(Answer):
    attempted: int
    succeeded: int
    failed: Failed
    success_percent: str | None


class Today(Answer):
    disbursed_paise: int
    collected_paise: int
    fell_due_paise: int
    recovered_after_retry_paise: int
    debits: Debits


class Share(Answer):
    loans: int
    principal_paise: int
    overdue_paise: int


class BucketShare(Share):
    bucket: str


class ClassShare(Share):
    classification: str


class FailureCode(Answer):
    rail: str
    code: str
    failure_class: str
    count: int
    paise: int
    meaning: str


class Bank(Answer):
    bank: str
    succeeded: int
    failed: int
    success_percent: str | None


class Day(Answer):
    day: date
    fell_due_paise: int
    collected_paise: int
    disbursed_paise: int
    succeeded: int
    failed: int


class SetAside(Answer):
    parked: int
    dead_letters: int


class Lag(Answer):
    engine: int | None
    publisher: int
    projector: int | None


class TickerEvent(Answer):
    position: str
    loan_id: str
    type: str
    says: str
    tone: Literal["good", "bad", "note", "plain"]
    occurred_at: datetime


class Events(Answer):
    total: int
    latest: list[TickerEvent]


class Dashboard(Answer):
    as_of: datetime
    day: date
    clock: Clock
    loans: LoansByStage
    principal_outstanding_paise: int
    overdue_paise: int
    disbursed_paise: int
    collected_paise: int
    recovered_after_retry_paise: int
    today: Today
    debits: Debits
    buckets: list[BucketShare]
    classifications: list[ClassShare]
    failure_codes: list[FailureCode]
    collections: list[Arm]
    """What each arm of each strategy brought so far."""
    banks: list[Bank]
    days: list[Day]
    set_aside: SetAside
    lag: Lag
    events: Events


class Recovered(Answer):
    failed: int
    failed_paise: int
    retried: int | None = Field(description="Answered debits after the first of their instalment; null by class.")
    recovered: int = Field(description="Those of them that succeeded.")
    recovered_paise: int
    percent: str | None = Field(description="Recovered of retried; by class, of failed.")


class RecoveredByClass(Recovered):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    class_: str = Field(alias="class", description="Of the failure made good: soft, hard or technical.")


class RecoveredByBank(Recovered):
    bank: str


class RecoveredByHour(Recovered):
    hour: int = Field(ge=0, le=23, description="In Asia/Kolkata, of the outcome.")


class RecoveredByAttempt(Recovered):
    attempt: int


class Recovery(Recovered):
    since: date | None
    until: date | None
    by_class: list[RecoveredByClass]
    by_bank: list[RecoveredByBank]
    by_hour: list[RecoveredByHour]
    by_attempt: list[RecoveredByAttempt]


class FailuresBy(Answer):
    answered: int
    failed: int
    failed_paise: int
    percent: str | None
    code: str | None = None
    meaning: str | None = None
    failure_class: str | None = None
    class_: str | None = Field(None, alias="class")
    bank: str | None = None
    rail: str | None = None
    gateway: str | None = None
    hour: int | None = None
    attempt: int | None = None
    day: date | None = None


class Failures(Answer):
    since: date
    until: date
    by: str
    answered: int
    failed: int
    failed_paise: int
    percent: str | None = Field(description="Of all that was answered.")
    items: list[FailuresBy]


class FailedByCode(Answer):
    code: str
    failed: int


class Pattern(Answer):
    group: dict[str, str | int]
    """What the debits have in common: bank, rail, gateway, hour."""
    class_: str = Field(alias="class")
    code: str | None = Field(description="Null: whatever the code.")
    answered: int
    failed: int
    more_than_usual: int
    percent: str
    usual_percent: str
    sure_percent: str
    since: date
    codes: list[FailedByCode]


class PatternList(Answer):
    as_of: date
    items: list[Pattern]


class Case(Answer):
    case_id: str
    loan_id: str
    kind: str
    reason: str
    instalment: int | None
    about: str
    team: str
    state: str
    assignee: str
    level: int
    notes: int
    opened_at: datetime
    due_at: datetime | None
    overdue: bool
    closed_at: datetime | None
    disposition: str
    outcome: str
    version: int


class CasePage(Page):
    items: list[Case]


class CaseStep(Answer):
    at: datetime
    what: str
    by: str
    assignee: str | None = None
    disposition: str | None = None
    note_token: str | None = None
    words: str | None = None
    level: int | None = None
    to: str | None = None
    outcome: str | None = None
    note: str | None = None


class CaseHistory(Case):
    history: list[CaseStep]


class Promised(Answer):
    promise_id: str
    loan_id: str
    amount_paise: int
    received_paise: int
    pay_by: date
    channel: str
    arm: str
    state: str


class PromiseList(Answer):
    items: list[Promised]


class Arm(Answer):
    strategy: str
    arm: str
    entered: int
    entered_paise: int
    cured: int
    contact: int
    task: int
    promised: int
    promised_paise: int
    kept: int
    broken: int
    kept_percent: str | None
    recovered: int
    recovered_paise: int
    recovered_percent: str | None


class ArmList(Answer):
    items: list[Arm]


class ReadCode(Answer):
    rail: str
    code: str
    known: bool
    class_: Annotated[str, Field(alias="class")]
    action: str
    charge_bounce: bool
    pending: bool
    meaning: str
    source: str


class FailureCodeList(Answer):
    version: str
    items: list[ReadCode]


class CodeWord(Answer):
    number: int
    rail: str
    code: str
    class_: Annotated[str, Field(alias="class")]
    action: str
    meaning: str
    charge_bounce: bool
    classified_by: str
    classified_at: datetime


class FailureCodeHistory(ReadCode):
    version: str
    history: list[CodeWord]


class Classified(Answer):
    rail: str
    code: str
    number: int
    new: bool
    cases_closed: list[str]


# --- Set aside -----------------------------------------------------------------------------------------------


class SetAsideRecord(Answer):
    loan_id: str | None
    type: str | None
    event_id: str | None
    topic: str
    partition: int
    offset: int
    bytes: int


class ListedDeadLetter(SetAsideRecord):
    id: int
    reason: str
    detail: str
    field: str | None
    set_aside_at: datetime
    retried_at: datetime | None


class DeadLetter(ListedDeadLetter):
    key: str | None
    headers: dict[str, str | None]
    body: Any = Field(description="Without personal data; null when the value is not JSON.")
    value_sha256: str


class DeadLetterPage(Page):
    items: list[ListedDeadLetter]


class ParkedRecord(SetAsideRecord):
    parked_at: datetime


class ParkedPage(Page):
    items: list[ParkedRecord]


class Sent(Answer):
    topic: str
    partition: int
    offset: int
    loan_id: str | None


class SentAgain(Sent):
    id: int


class AllSentAgain(Answer):
    sent: list[Sent]


# --- Reconciliation ------------------------------------------------------------------------------------------

ComparisonState = Literal["missing", "extra", "amount_differs", "date_differs", "awaited", "resolved", "matched"]


class File(Answer):
    id: int
    source: str
    statement: bool = Field(description="Of a bank; else a gateway's settlement report.")
    format: str
    name: str
    sha256: str
    lines: int
    repeated: int = Field(description="Lines that were known before.")
    paise: int
    taken_at: datetime
    taken_by: str


class TakenFile(File):
    already_taken: bool
    passed_over: int = Field(description="Lines that the mapping does not take, or that are not booked yet.")
    checked: list[str]


class FilePage(Page):
    items: list[File]


class DeclaredSource(Answer):
    source: str
    mapping: dict[str, Any]


class Comparison(Answer):
    subject: str
    level: Literal["item", "settlement"]
    kind: str
    state: ComparisonState
    loan_id: str | None
    source: str | None
    reference: str
    ours_paise: int = Field(description="What the loans say; of a settlement, what the report promises the bank.")
    theirs_paise: int = Field(description="What is reported; of a settlement, what the bank has.")
    difference_paise: int
    ours_on: date | None
    theirs_on: date | None
    since: datetime
    age_days: int
    advice: str | None
    ways: list[Literal["accept", "book", "reverse", "same"]]


class ComparisonPage(Page):
    items: list[Comparison]


class Movement(Answer):
    loan_id: str
    what: Literal["booked", "asked", "moved", "failed"]
    paise: int
    value_on: date
    at: datetime
    reference: str
    gateway_reference: str


class ReportLine(Answer):
    source: str
    entry: str
    paise: int
    fee_paise: int
    value_on: date
    batch: str
    refs: list[str]
    file: str
    taken_at: datetime


class Decision(Answer):
    way: str
    note: str
    state: str
    ours_paise: int
    theirs_paise: int
    other: str
    resolved_at: datetime
    resolved_by: str


class Booked(Answer):
    id: str
    type: str
    loan_id: str
    made_at: datetime
    sent_at: datetime | None


class ComparisonInFull(Comparison):
    movements: list[Movement]
    report_lines: list[ReportLine]
    resolutions: list[Decision]
    bookings: list[Booked]


class Resolution(Answer):
    """What a person decides."""

    way: Literal["accept", "book", "reverse", "same", "apart"]
    note: str = Field(min_length=1, max_length=2000)
    by: str | None = Field(None, min_length=1, max_length=100, description="Who decides; only where nobody signs in.")
    loan_id: str = Field("", max_length=64, description="Of `book`: on which loan, where the line names none.")
    other: str = Field("", max_length=300, description="Of `same`: the subject of the movement.")


class Resolved(Answer):
    subject: str
    way: str
    other: str | None
    resolved_by: str


class StateSum(Answer):
    level: str
    state: ComparisonState
    count: int
    ours_paise: int
    theirs_paise: int
    oldest_days: int


class ReconciliationTotals(Answer):
    files: int
    lines: int
    ledger_bank_paise: int
    not_compared_paise: int
    differences_paise: int
    reported_paise: int
    direct_paise: int
    settled_gross_paise: int
    fees_paise: int
    settled_net_paise: int
    in_transit_paise: int
    banked_paise: int
    reconciles: bool
    states: list[StateSum]


FILE_TYPES = ("text/csv", "application/xml", "text/xml", "application/octet-stream")


# --- Access --------------------------------------------------------------------------------------------------


class Access(Answer):
    number: int
    at: datetime = Field(description="Real time.")
    who: str
    subject: str = Field(description="The credential: `key:ID`, `oidc:SUBJECT`, or `open` for this machine.")
    what: str = Field(description="The route, such as `GET /api/v1/loans/{loan_id}/ledger`.")
    loan_id: str | None
    borrower_id: str | None
    detail: dict[str, str]


class AccessPage(Page):
    items: list[Access]


class Me(Answer):
    name: str = Field(description="As events and the access log have it.")
    signed_in: bool
    roles: list[str]
    permissions: list[str]


# --- Operations ----------------------------------------------------------------------------------------------


class Alive(Answer):
    status: Literal["alive"]


class Ready(Answer):
    ready: bool
    checks: dict[str, str]
    lag: dict[str, int | None]


# --- For the routes ------------------------------------------------------------------------------------------


# --- Reports -------------------------------------------------------------------------------------------------


class ReportColumn(Answer):
    name: str
    kind: Literal["text", "day", "instant", "count", "number", "paise", "percent", "flag"]
    says: str


class ReportAbout(Answer):
    name: str
    title: str
    says: str
    of: Literal["day", "month", "comparison", "loan"]
    personal: bool = Field(description="It holds personal data, and is not given over HTTP.")
    columns: list[ReportColumn]
    reconciles: list[str] = Field(description="What is compared with the ledger.")


class ReportList(Answer):
    items: list[ReportAbout]


class ReportProof(Answer):
    says: str
    report_paise: int
    not_in_the_report_paise: int
    ledger_paise: int
    ledger_says: str
    difference_paise: int


class ReportAnswer(Answer):
    report: str
    title: str
    on: date
    from_: date | None = Field(None, alias="from", description="Of a period or comparison.")
    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    count: int
    totals: dict[str, int]
    reconciliation: list[ReportProof]
    reconciles: bool
    flaws: list[str]
    notes: list[str]


def ok(
    model: type[BaseModel], *, status: int = 200, tagged: bool = False, also: dict[int, type[BaseModel]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """A route's answers: what it gives, and that a "no" is always a problem."""
    told: dict[int | str, dict[str, Any]] = {status: {"model": model}}
    for code, other in (also or {}).items():
        told[code] = {"model": other}
    if tagged:
        told[304] = {"description": "Nothing has changed since the version in If-None-Match."}
    return told


def command_body() -> dict[str, Any]:
    """The body of a command, for OpenAPI: any one of the commands of servicing.commands."""
    names = [model.__name__ for model in CARRIES[COMMANDS.name]]
    schema = {
        "oneOf": [{"$ref": REF.format(model=f"Command{name}")} for name in names],
        "discriminator": {
            "propertyName": "type",
            "mapping": {model.TYPE: REF.format(model=f"Command{model.__name__}") for model in CARRIES[COMMANDS.name]},
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def webhook_body() -> dict[str, Any]:
    """The body of a webhook: what the topic of its `Ce-Type` carries."""
    carried = [model for topic, models in CARRIES.items() if topic.startswith("gateway.") for model in models]
    schema = {"anyOf": [{"$ref": REF.format(model=model.__name__)} for model in carried]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def file_body() -> dict[str, Any]:
    """The body of a file, for OpenAPI: bytes as they are."""
    return {
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES},
        }
    }


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """A body of this model, for OpenAPI."""
    schema = {"$ref": REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def wire_schemas() -> dict[str, Any]:
    """The schemas that those bodies refer to. A command's `loan_id` is in the address, its `command_id` in a header."""
    carried = [model for topic, models in CARRIES.items() if topic.startswith("gateway.") for model in models]
    commands = CARRIES[COMMANDS.name]
    bodies = (*carried, *commands, FileMapping, Resolution, ApprovalDecision)
    _, told = models_json_schema([(model, "validation") for model in bodies], ref_template=REF)
    schemas: dict[str, Any] = told["$defs"]
    for model in commands:
        schema = schemas.pop(model.__name__)
        schema["required"] = ["type", *(name for name in schema["required"] if name not in ("loan_id", "command_id"))]
        short = model.TYPE.split(".")[1]
        kind = {"type": "string", "enum": [model.TYPE, short]}
        schemas[f"Command{model.__name__}"] = {**schema, "properties": {"type": kind, **schema["properties"]}}
    return schemas
