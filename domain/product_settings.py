"""The settings of a product, one table: path in the TOML file, kind, default, what it does, the servicing rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from domain.calendar import Frequency
from domain.law.bureau import ACCOUNT_TYPE
from domain.law.classification import AssetClass
from domain.law.dated import Lender
from domain.law.prepayment import BorrowerKind, Purpose
from domain.setting import (
    REQUIRED,
    Kind,
    Setting,
    Wrong,
    bands,
    choice,
    clock,
    flag,
    order_of,
    per,
    percent,
    several,
    text,
    whole,
)
from domain.terms import Terms, TermsError, read_term, term_defaults

DUE_KINDS: Final = ("interest", "principal", "fee", "charge", "penal")
RAILS: Final = ("enach", "nach", "upi", "card")
PAYOUT_RAILS: Final = ("imps", "rtgs", "neft", "upi")

_S = Setting

_paise = whole(0, 10**12, "paise")
_days = whole(0, 366, "days")
_hours = whole(1, 24 * 30, "hours")
_gst = percent(40)  # The highest rate of GST since 22 September 2025.
_charge = percent(100)

OF_A_LOAN: Final = (
    "principal_paise",
    "annual_rate_percent",
    "instalments",
    "instalment_paise",
    "disburse_on",
    "first_due_on",
    "schedule_starts_on",
    "tranches",
    "rate_changes",
    "rows",
)
"""Terms that differ from loan to loan: a product cannot give them."""
GIVEN_ELSEWHERE: Final = {f"terms.{name}": "Give it with each loan, in the LOS's message" for name in OF_A_LOAN}

# What each term means, for the explanation. A term that is not named here is explained by its name alone.
_TERMS_SAY: Final[dict[str, str]] = {
    "rate_type": "Whether the rate may change with a benchmark (floating) or not (fixed).",
    "frequency": "How often an instalment falls due.",
    "interest_method": "How instalments are made of principal and interest; where nothing is said, reducing.",
    "day_count": "How days become a part of the year for interest.",
    "due_day": "Day of the month on which instalments fall due; where nothing is said, the first due date's.",
    "month_end": "Where a due day that a month does not have falls.",
    "holiday_shift": "Where a due date on a bank holiday moves.",
    "holidays": "Days on which the lender's banks settle nothing.",
    "weekly_holidays": "Days of every week on which they settle nothing, such as sunday.",
    "holiday_moves": "Whether a holiday moves only the debit or the due date too.",
    "instalment_fixed": "Whether the instalment is kept and the number of instalments follows.",
    "instalment_rounding_paise": "The unit, in paise, to which the instalment is rounded.",
    "instalment_rounding_mode": "Whether the instalment is rounded up or to the nearest unit.",
    "amount_rounding_paise": "The unit, in paise, to which interest is rounded.",
    "rounding_mode": "How a half is rounded.",
    "level_last_instalment": "Whether the instalment is corrected once so that the last one is nearly as large.",
    "broken_period": "What becomes of interest for the days before the first regular period.",
    "moratorium_instalments": "How many first rows bear no principal.",
    "moratorium_interest": "Whether interest in a moratorium is paid, added to the principal, or collected later.",
    "moratorium_extends_tenure": "Whether the moratorium comes on top of the instalments.",
    "moratorium_collected": "Whether interest accrued in a moratorium is spread over the rest or due at once.",
    "step_percent": "By how many percent the instalment steps up or down.",
    "step_every": "After how many instalments it steps.",
    "balloon_paise": "The principal of the last row, in paise.",
    "fees": "Fees of every loan with their GST and how they are collected.",
    "apr_method": "How the APR is worked out: monthly IRR times 12 (nominal) or by actual days (xirr).",
    "apr_fees": "Whether the APR counts fees with their GST (gross) or without it (net_of_gst).",
    "interest_accrual": "Interest between due dates: as the schedule has it, or by the day on what is still owed.",
}
_TERM_RULES: Final[dict[str, str]] = {
    "day_count": "3",
    "frequency": "4",
    "month_end": "4",
    "holiday_shift": "4",
    "holiday_moves": "4",
    "holidays": "4",
    "weekly_holidays": "4",
    "instalment_rounding_paise": "5",
    "level_last_instalment": "5",
    "interest_method": "5, 6",
    "broken_period": "7",
    "moratorium_instalments": "8",
    "moratorium_interest": "8",
    "fees": "9",
    "apr_method": "10",
    "interest_accrual": "14",
    "rate_type": "24, 27",
}
_FEES: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
_FREQUENCIES: Final[dict[str, Any]] = {"type": ["string", "object"]}
_TERM_SCHEMAS: Final[dict[object, tuple[str, dict[str, Any]]]] = {
    bool: ("true or false", {"type": "boolean"}),
    int: ("a whole number", {"type": "integer"}),
    str: ("a text", {"type": "string"}),
    Decimal: ('a percentage in quotes, such as "18.00"', {"type": ["string", "integer"]}),
    tuple[date, ...]: ('a list of days, such as ["2026-01-26"]', {"type": "array", "items": {"type": "string"}}),
    Frequency: ('"monthly" or another frequency, or {every = 10, unit = "days"}', _FREQUENCIES),
}


def _term_settings() -> list[Setting]:
    """Defaults for terms, as `domain.terms` reads them."""
    hints = get_type_hints(Terms)
    return [
        Setting(
            path=f"terms.{name}",
            attribute="",
            kind=_term_kind(name, hints[name]),
            default=default,
            says=_TERMS_SAY.get(name, f"The term `{name}` of a loan."),
            rule=_TERM_RULES.get(name, ""),
        )
        for name, default in term_defaults().items()
        if name not in OF_A_LOAN
    ]


def _term_kind(name: str, hint: Any) -> Kind:
    options = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is not Literal and options and get_origin(hint) is not tuple:
        hint = options[0]  # of `X | None`
    words, schema = _TERM_SCHEMAS.get(hint, ("a list of tables", _FEES))
    if get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is Literal:
        named = [str(option) for option in get_args(get_args(hint)[0])]
        words, schema = f"a list of {', '.join(named)}", {"type": "array", "items": {"type": "string", "enum": named}}
    if get_origin(hint) is Literal:
        named = [str(option) for option in get_args(hint)]
        words, schema = f"one of {', '.join(named)}", {"type": "string", "enum": named}

    def read_one(value: Any) -> Any:
        if value is None:
            return None
        try:
            return read_term(name, value)
        except TermsError as error:
            raise Wrong(error.message, error.field.removeprefix(f"/{name}").replace("/", ".")) from None

    return Kind(words, schema, read_one)


# The order is the order of the explanation, and of what is complained about first.
SETTINGS: Final[tuple[Setting, ...]] = (
    _S(
        "name",
        "name",
        text("a name of lower-case letters, digits and hyphens", "[a-z][a-z0-9]*(-[a-z0-9]+)*"),
        REQUIRED,
        "What the LOS calls the product; versions of one product share it.",
    ),
    _S(
        "version",
        "version",
        whole(1, 9999),
        REQUIRED,
        "The newest version is used for new loans; a loan keeps the one that it was booked under.",
    ),
    _S("description", "description", text("one line that is not empty", ".+"), REQUIRED, "The product in one line."),
    _S(
        "lender.kind",
        "lender_kind",
        choice(*get_args(Lender)),
        "nbfc-middle",
        "What the lender is in RBI's eyes; decides which rules hold.",
        "24",
    ),
    _S("lender.name", "lender_name", text("a text"), "", "The lender's name on documents; empty: left out."),
    _S(
        "loan.purpose",
        "purpose",
        choice(*get_args(Purpose)),
        "personal",
        "What the money is for; decides whether pre-payment may cost anything.",
        "24",
    ),
    _S(
        "loan.borrower",
        "borrower_kind",
        choice(*get_args(BorrowerKind)),
        "individual",
        "Who borrows: a person, a micro or small enterprise, or somebody else.",
        "24",
    ),
    _S("loan.secured", "secured", flag(), False, "Whether the loan is secured; decides its provisions.", "23"),
    _S(
        "loan.papers_held",
        "papers_held",
        flag(),
        False,
        "Whether original papers are held, to be released within 30 days of full repayment.",
        "31",
    ),
    *_term_settings(),
    _S(
        "booking.instalment_tolerance_paise",
        "instalment_tolerance_paise",
        _paise,
        100,
        "By how many paise the LOS's instalment may differ from ours; more is refused.",
        "5",
    ),
    _S(
        "allocation.order",
        "allocation_rank",
        order_of(DUE_KINDS),
        list(DUE_KINDS),
        "What a payment settles first among the dues of one day.",
        "11",
    ),
    _S(
        "allocation.npa_order",
        "allocation_rank_npa",
        order_of(DUE_KINDS, or_none=True),
        [],
        "The order while the loan is NPA; empty: the same.",
        "11",
    ),
    _S(
        "allocation.by",
        "allocation_by",
        choice("instalment", "kind"),
        "instalment",
        "Whether a payment settles the oldest instalment first, or one kind of due in all of them before the next.",
        "11",
    ),
    _S(
        "allocation.excess",
        "excess_use",
        choice("hold", "advance", "prepay"),
        "hold",
        "What money above what is due does when it does not say: wait, pay coming instalments, or reduce principal.",
        "11, 12",
    ),
    _S(
        "allocation.overdue_tolerance_paise",
        "overdue_tolerance_paise",
        _paise,
        100,
        "Up to how many unpaid paise a due starts no days past due.",
        "19",
    ),
    _S(
        "debits.automatic",
        "debits_automatic",
        flag(),
        True,
        "Whether instalments are debited at all; if not, borrowers pay by themselves, whatever the mandate allows.",
        "29",
    ),
    _S("debits.at", "debit_at", clock(), "07:00", "Time of the due day (Asia/Kolkata) at which it is debited.", "29"),
    _S(
        "debits.max_attempts",
        "max_attempts",
        whole(1, 20, "attempts"),
        3,
        "How often an instalment is debited at most, the first presentation included.",
        "29",
    ),
    _S(
        "debits.rail_attempts",
        "rail_attempts",
        per(RAILS, whole(1, 20, "attempts")),
        {"upi": 4},
        "How often an instalment is debited at most on a rail, where the rail itself has a limit.",
        "35",
    ),
    _S(
        "debits.soft_retry_after_days",
        "soft_retry_after_days",
        several(whole(1, 366, "days"), least=1),
        [3, 7],
        "Days to wait after a debit failed for want of funds, by attempt; the last one goes on.",
        "29",
    ),
    _S(
        "debits.technical_retry_after_hours",
        "technical_retry_after_hours",
        several(_hours, least=1),
        [6, 24],
        "Hours to wait after a bank or switch was down, by attempt; the last one goes on.",
        "29",
    ),
    _S(
        "debits.retry",
        "retry",
        choice("adaptive", "calendar"),
        "adaptive",
        "How a failed debit is tried again: when money is likely by all that is known, or always after these waits.",
        "29",
    ),
    _S(
        "debits.retry_at",
        "retry_at",
        several(clock(), least=1),
        ["07:00", "14:00"],
        "Times of a day (Asia/Kolkata) at which an adaptive retry may be made.",
        "29",
    ),
    _S(
        "debits.attempt_paise",
        "attempt_paise",
        _paise,
        500,
        "What an attempt costs the lender: adaptive retries that are not worth it are not made.",
        "29",
    ),
    _S(
        "debits.explore_percent",
        "explore_percent",
        whole(0, 10, "percent"),
        2,
        "How many adaptive retries are made at the second best moment where that is nearly as good, so as to learn.",
        "29",
    ),
    _S(
        "debits.bounce_risk_percent",
        "bounce_risk_percent",
        whole(0, 100, "percent"),
        50,
        "From which likelihood of a bounce, foreseen after an earlier one, the borrower is told ahead; 0: never look.",
        "29",
    ),
    _S(
        "debits.bounce_risk_days",
        "bounce_risk_days",
        whole(1, 30, "days"),
        5,
        "Days before the due day at which the next debit is looked at ahead.",
        "29",
    ),
    _S(
        "debits.outcome_within_hours",
        "outcome_within_hours",
        _hours,
        72,
        "Hours after which a debit without an outcome becomes a case for a person.",
        "34",
    ),
    _S(
        "debits.window_days",
        "window_days",
        _days,
        25,
        "Days after the due day in which an instalment is still debited automatically.",
        "29",
    ),
    _S(
        "debits.notice_hours",
        "notice_hours",
        per(RAILS, whole(0, 240, "hours")),
        {"upi": 24, "card": 24, "enach": 24},
        "Hours before a debit at which the borrower is told, by rail; rails not named need no notice.",
        "29",
    ),
    _S(
        "debits.remind_days",
        "remind_days",
        whole(0, 30, "days"),
        0,
        "Days ahead at which a borrower whom no debit is told of is reminded of an instalment; 0: not at all.",
        "30",
    ),
    _S(
        "mandates.check",
        "mandate_check",
        flag(),
        True,
        "Whether a mandate whose limit, validity, bank or holder does not fit becomes a case.",
        "17, 29",
    ),
    _S(
        "mandates.ready_days",
        "mandate_ready_days",
        _days,
        7,
        "Days before the first instalment at which a mandate that is not active becomes a case.",
        "29",
    ),
    _S(
        "mandates.expiry_notice_days",
        "mandate_expiry_days",
        several(whole(1, 366, "days")),
        [60, 30, 7],
        "Days before a mandate's end, where instalments go on, at which the borrower is told and asked for another.",
        "29",
    ),
    _S(
        "mandates.payment_link_days",
        "link_days",
        whole(0, 366, "days"),
        7,
        "Days for which a payment link is good, given where no debit can bring an instalment; 0: no links.",
        "29",
    ),
    _S(
        "routing.gateways",
        "gateways",
        per(RAILS, several(text("a gateway's name", r"[A-Za-z0-9._-]{1,64}"))),
        {},
        "Gateways by rail that can debit each other's mandates, in order, besides the mandate's own.",
        "29",
    ),
    _S(
        "routing.payout_gateways",
        "payout_gateways",
        per(PAYOUT_RAILS, several(text("a gateway's name", r"[A-Za-z0-9._-]{1,64}"))),
        {},
        "Gateways by rail that can send payouts and refunds, in order; none: the gateway that takes what names none.",
        "29",
    ),
    _S(
        "routing.cost_paise",
        "debit_cost_paise",
        per(RAILS, _paise),
        {"enach": 500, "nach": 500, "upi": 300, "card": 1500},
        "What one debit costs the lender, by rail.",
        "29",
    ),
    _S(
        "routing.margin_percent",
        "routing_margin_percent",
        percent(100),
        "2",
        "By what part of the amount another mandate or gateway must be expected to bring more, to go before the first.",
        "29",
    ),
    _S(
        "charges.bounce.amount_paise",
        "",
        _paise,
        0,
        "Paise, once an instalment, when a debit fails because the borrower lacks funds; 0: nothing.",
        "25",
    ),
    _S("charges.bounce.gst_percent", "", _gst, "18.00", "GST on the bounce charge, in percent.", "25"),
    _S(
        "charges.penal.amount_paise",
        "",
        _paise,
        0,
        "Paise, once for each overdue instalment after the days of grace; 0: nothing.",
        "25",
    ),
    _S("charges.penal.gst_percent", "", _gst, "0.00", "GST on penal charges: there is none, by law.", "25"),
    _S(
        "charges.penal.percent_per_annum",
        "penal_percent",
        _charge,
        "0.00",
        "Penal charge by the day on overdue principal and interest, never on charges, in percent a year; 0: nothing.",
        "25",
    ),
    _S(
        "charges.penal.grace_days",
        "penal_grace_days",
        _days,
        0,
        "Days after the due day before a penal charge begins.",
        "25",
    ),
    _S("charges.*.amount_paise", "", _paise, REQUIRED, "Paise of this charge, levied by command, without GST.", "32"),
    _S("charges.*.gst_percent", "", _gst, "18.00", "GST on this charge, in percent.", "9"),
    _S(
        "prepayment.choice",
        "prepayment_choice",
        choice("reduce_tenure", "reduce_emi"),
        "reduce_tenure",
        "What a part-prepayment reduces when the borrower does not say: the number of instalments or their amount.",
        "15",
    ),
    _S(
        "prepayment.charge_percent",
        "prepayment_percent",
        _charge,
        "0.00",
        "Charge on a part-prepayment, in percent of the principal prepaid.",
        "15, 24",
    ),
    _S("prepayment.gst_percent", "prepayment_gst_percent", _gst, "18.00", "GST on that charge, in percent.", "15"),
    _S(
        "prepayment.minimum_paise",
        "prepayment_minimum_paise",
        _paise,
        0,
        "The least part-prepayment, in paise; 0: any.",
        "15",
    ),
    _S(
        "preclosure.charge_percent",
        "preclosure_percent",
        _charge,
        "0.00",
        "Charge on pre-closure, in percent of the principal closed early.",
        "16, 24",
    ),
    _S("preclosure.gst_percent", "preclosure_gst_percent", _gst, "18.00", "GST on that charge, in percent.", "16"),
    _S(
        "preclosure.quote_valid_days",
        "quote_valid_days",
        whole(0, 90, "days"),
        3,
        "Days for which a pre-closure quote holds after the day that it is for.",
        "16",
    ),
    _S(
        "settlement.valid_days",
        "settlement_valid_days",
        whole(1, 366, "days"),
        30,
        "Days for which an offer of one-time settlement holds.",
        "18",
    ),
    _S(
        "cooling_off.days",
        "cooling_off_days",
        whole(0, 30, "days"),
        3,
        "Days after the payout in which the borrower may give the loan back for principal and proportionate APR.",
        "28",
    ),
    _S(
        "cooling_off.keeps_processing_fee",
        "cooling_off_fee_kept",
        flag(),
        False,
        "Whether the processing fee is kept then; only if the KFS shows it.",
        "28",
    ),
    _S(
        "cooling_off.short_days",
        "cooling_off_short_days",
        whole(0, 30, "days"),
        3,
        "Days for the rest, from the first money for such an exit that is not enough.",
        "28",
    ),
    _S(
        "rate_reset.option",
        "reset_option",
        choice("longer_tenure", "higher_emi"),
        "longer_tenure",
        "What a higher floating rate does when the borrower does not choose.",
        "27",
    ),
    _S(
        "rate_reset.max_instalments",
        "reset_max_instalments",
        whole(0, 3660, "instalments"),
        0,
        "The most instalments, in all, that a reset may lengthen the loan to; 0: no limit.",
        "27",
    ),
    _S(
        "rate_reset.fixed_switches",
        "reset_fixed_switches",
        whole(0, 20, "times"),
        1,
        "How many times the borrower may switch to a fixed rate.",
        "27",
    ),
    _S(
        "rate_reset.statement_months",
        "statement_months",
        whole(1, 12, "months"),
        3,
        "Months between statements of a floating-rate loan.",
        "27",
    ),
    _S(
        "delinquency.buckets",
        "buckets",
        bands(),
        [[0, "current"], [1, "1-30"], [31, "31-60"], [61, "61-90"], [91, "91+"]],
        "Buckets of days past due for reports, each from its first day.",
        "19",
    ),
    _S(
        "delinquency.classes",
        "classes",
        bands(),
        [[0, "standard"], [1, "SMA-0"], [31, "SMA-1"], [61, "SMA-2"], [91, "NPA"]],
        "Classes by days past due, each from its first day at the day's end.",
        "20",
    ),
    _S(
        "restructuring.schemes",
        "restructuring_schemes",
        several(text("a name in quotes", ".+")),
        [],
        "Names of resolution schemes under which a restructured loan keeps its class; others make it sub-standard.",
        "22",
    ),
    _S(
        "restructuring.upgrade_after_months",
        "restructured_months",
        whole(1, 120, "months"),
        12,
        "Months of satisfactory performance before a restructured loan is standard again.",
        "22",
    ),
    _S(
        "restructuring.upgrade_repaid_percent",
        "restructured_repaid_percent",
        _charge,
        "0.00",
        "Percent of the restructured principal to be repaid before that.",
        "22",
    ),
    _S(
        "restructuring.dpd",
        "restructuring_dpd",
        choice("keep", "reset"),
        "keep",
        "Whether days past due go on counting through a restructuring or begin anew.",
        "17",
    ),
    _S(
        "accounting.accrual",
        "accrual",
        choice("month_end", "none"),
        "month_end",
        "When accrued interest and provisions are booked; none: never.",
        "23",
    ),
    _S(
        "accounting.provisions",
        "provisions",
        per(get_args(AssetClass), _charge),
        {},
        "Provision in percent of the principal outstanding, by asset class; where not named, as the law has it.",
        "23",
    ),
    _S(
        "refunds.retry_after_hours",
        "refund_retry_after_hours",
        _hours,
        24,
        "Hours after which a refund that failed is sent again.",
        "12, 16",
    ),
    _S(
        "refunds.max_attempts",
        "refund_max_attempts",
        whole(1, 20, "attempts"),
        3,
        "How often a refund that fails is sent in all; each failure is a case besides.",
        "12, 16",
    ),
    _S(
        "grievance.answer_within_days",
        "grievance_days",
        whole(1, 365, "days"),
        30,
        "Days in which a grievance is to be answered before it is escalated.",
        "31",
    ),
    _S(
        "bureau.account_type",
        "bureau_account_type",
        choice("", *ACCOUNT_TYPE),
        "",
        "The account type in credit bureau files; empty: by purpose and security (05 personal, 50 and 61 business).",
        "31",
    ),
)
