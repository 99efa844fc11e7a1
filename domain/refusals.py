"""Every way in which the rules say no, each a phrase that tells the caller what is wrong, and what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Refusal(StrEnum):
    """The catalogue. The value is stable (dead letters, HTTP problems and the CLI show it)."""

    # the message
    malformed = "malformed"
    unknown_type = "unknown_type"
    missing_type = "missing_type"
    loan_id_invalid = "loan_id_invalid"
    # already there, but different
    loan_exists_with_other_content = "loan_exists_with_other_content"
    reference_used_with_other_content = "reference_used_with_other_content"
    outcome_contradicts_the_settled_one = "outcome_contradicts_the_settled_one"
    # booking
    product_unknown = "product_unknown"
    terms_invalid = "terms_invalid"
    instalment_differs = "instalment_differs"
    # money
    amount_must_be_positive = "amount_must_be_positive"
    value_date_in_the_future = "value_date_in_the_future"
    value_date_before_disbursal = "value_date_before_disbursal"
    receipt_unknown = "receipt_unknown"
    reversal_amount_differs = "reversal_amount_differs"
    reversal_needs_a_person = "reversal_needs_a_person"
    instruction_unknown = "instruction_unknown"
    # state
    loan_not_disbursed = "loan_not_disbursed"
    loan_closed = "loan_closed"
    loan_written_off_use_record_recovery = "loan_written_off_use_record_recovery"
    loan_not_written_off = "loan_not_written_off"
    mandate_unknown = "mandate_unknown"
    mandate_status_forbids = "mandate_status_forbids"
    debits_are_not_stopped = "debits_are_not_stopped"
    charge_unknown = "charge_unknown"
    # limits
    charge_not_in_product = "charge_not_in_product"
    waiver_exceeds_unpaid = "waiver_exceeds_unpaid"
    prepayment_exceeds_principal = "prepayment_exceeds_principal"
    prepayment_below_arrears = "prepayment_below_arrears"
    nothing_to_change = "nothing_to_change"
    instalment_below_interest = "instalment_below_interest"
    effective_date_not_ahead = "effective_date_not_ahead"
    # changes and the end
    scheme_unknown = "scheme_unknown"
    holiday_asks_for_nothing = "holiday_asks_for_nothing"
    relief_leaves_no_instalment = "relief_leaves_no_instalment"
    rate_is_fixed = "rate_is_fixed"
    no_switch_left = "no_switch_left"
    tenure_too_long = "tenure_too_long"
    settlement_gives_up_nothing = "settlement_gives_up_nothing"
    settlement_is_open = "settlement_is_open"
    payout_is_out = "payout_is_out"
    cooling_off_is_over = "cooling_off_is_over"
    cancellation_is_open = "cancellation_is_open"
    papers_before_closure = "papers_before_closure"
    refund_exceeds_excess = "refund_exceeds_excess"
    nothing_to_retry = "nothing_to_retry"
    case_unknown = "case_unknown"
    notice_unknown = "notice_unknown"
    disposition_unknown = "disposition_unknown"
    outcome_missing = "outcome_missing"
    nothing_is_owed = "nothing_is_owed"
    debit_is_out = "debit_is_out"
    no_link_possible = "no_link_possible"
    promise_day_not_possible = "promise_day_not_possible"
    no_papers_wait = "no_papers_wait"
    borrower_is_needed = "borrower_is_needed"
    borrower_is_erased = "borrower_is_erased"
    charge_above_key_facts = "charge_above_key_facts"
    payee_not_allowed = "payee_not_allowed"
    command_id_used_for_another = "command_id_used_for_another"


EXPLAINED: dict[Refusal, str] = {
    Refusal.malformed: "The record is not what its type says. Correct the named field and send it again.",
    Refusal.unknown_type: "This topic does not carry this type of message.",
    Refusal.missing_type: "The record has no ce_type header. Send CloudEvents 1.0 in binary mode.",
    Refusal.loan_id_invalid: "A loan id is 1 to 64 of A-Z a-z 0-9 . _ -.",
    Refusal.loan_exists_with_other_content: "This loan exists with other terms. Restructure it, or send a new loan id.",
    Refusal.reference_used_with_other_content: "This reference was booked with another amount or value date.",
    Refusal.outcome_contradicts_the_settled_one: "This instruction has another outcome. Check with the gateway.",
    Refusal.product_unknown: "There is no such product. Add its TOML file, or correct the name.",
    Refusal.terms_invalid: "The terms cannot make a schedule.",
    Refusal.instalment_differs: "The instalment differs from the computed one by more than the product allows.",
    Refusal.amount_must_be_positive: "An amount is a positive whole number of paise.",
    Refusal.value_date_in_the_future: "Money cannot count from a day that has not come.",
    Refusal.value_date_before_disbursal: "Money cannot count from before the loan was paid out.",
    Refusal.receipt_unknown: "No receipt of this loan has that reference.",
    Refusal.reversal_amount_differs: "A reversal takes back the whole receipt: the amounts differ.",
    Refusal.reversal_needs_a_person: "This receipt closed the loan or changed its schedule: undo that first.",
    Refusal.instruction_unknown: "Qist never issued this instruction, and no money moved by it.",
    Refusal.loan_not_disbursed: "The loan is not paid out yet.",
    Refusal.loan_closed: "The loan is closed.",
    Refusal.loan_written_off_use_record_recovery: "The loan is written off. Send record-recovery.",
    Refusal.loan_not_written_off: "The loan is not written off. Send record-payment.",
    Refusal.mandate_unknown: "The loan has no mandate with that id.",
    Refusal.mandate_status_forbids: "The mandate's status does not allow that: an active one can be paused, a paused "
    "one resumed, one that stands at the bank cancelled.",
    Refusal.debits_are_not_stopped: "Nothing has stopped the debits of this loan.",
    Refusal.charge_unknown: "The loan has no charge with that id.",
    Refusal.charge_not_in_product: "The product has no such charge; what the KFS does not show cannot be levied.",
    Refusal.waiver_exceeds_unpaid: "More cannot be waived than the charge is now.",
    Refusal.prepayment_exceeds_principal: "The prepayment is not below the principal left. Ask for a quote.",
    Refusal.prepayment_below_arrears: "Money settles what is overdue first; nothing is left to prepay.",
    Refusal.nothing_to_change: "Name what changes: instalments, instalment, rate, due days, moratorium, arrears.",
    Refusal.instalment_below_interest: "The instalment would not cover the interest (no negative amortisation).",
    Refusal.effective_date_not_ahead: "A change takes effect today or later.",
    Refusal.scheme_unknown: "The product names no such resolution scheme.",
    Refusal.holiday_asks_for_nothing: "A payment holiday asks for nothing: capitalise its interest, or accrue it.",
    Refusal.relief_leaves_no_instalment: "Relief leaves no instalment to repay in: grant fewer, or extend the tenure.",
    Refusal.rate_is_fixed: "The loan's rate is fixed. Restructure it to change it.",
    Refusal.no_switch_left: "The product allows no further switch to a fixed rate.",
    Refusal.tenure_too_long: "The tenure would be longer than the product allows. Choose a higher EMI.",
    Refusal.settlement_gives_up_nothing: "A settlement is for less than what closes the loan. Send preclose.",
    Refusal.settlement_is_open: "A settlement is agreed on and open: it is paid or lapses first.",
    Refusal.payout_is_out: "The payout is with the gateway: wait for its outcome.",
    Refusal.cancellation_is_open: "The borrower is leaving already: the loan is cancelled when the money is back.",
    Refusal.papers_before_closure: "Papers go back after the loan's end, and not on a day to come.",
    Refusal.cooling_off_is_over: "The cooling-off days are over, or the loan is in use. Ask for a quote.",
    Refusal.refund_exceeds_excess: "More cannot go back than is held for the borrower.",
    Refusal.nothing_to_retry: "No payout or refund of this loan has failed.",
    Refusal.case_unknown: "The loan has no open case with that id.",
    Refusal.notice_unknown: "The loan has no notice with that id.",
    Refusal.disposition_unknown: "The lender's table has no such disposition.",
    Refusal.outcome_missing: "Say how the case ended: a disposition, or an outcome in words.",
    Refusal.nothing_is_owed: "Nothing is owed now that could be promised or paid by a link.",
    Refusal.debit_is_out: "A debit of this instalment is with the bank: wait for its outcome.",
    Refusal.no_link_possible: "The product offers no payment links, or debits of the loan are stopped.",
    Refusal.promise_day_not_possible: "A promise is for today or one of the next days; for later, restructure.",
    Refusal.no_papers_wait: "No papers wait to be released: the loan is not repaid, or they are with the borrower.",
    Refusal.borrower_is_needed: "Personal data is kept while a loan, a complaint or a refund is open: end them first.",
    Refusal.borrower_is_erased: "The borrower's personal data was destroyed: nothing of it is kept any more.",
    Refusal.charge_above_key_facts: "The charge is more than the Key Facts Statement shows.",
    Refusal.payee_not_allowed: "The law lets no money go there: pay the borrower's own account.",
    Refusal.command_id_used_for_another: "This command id was used for another command. Send a new one.",
}


class Refused(Exception):
    """The rules say no. `field` is a JSON pointer into the message where one field is at fault."""

    def __init__(self, refusal: Refusal, field: str = "", **facts: Any) -> None:
        self.refusal = refusal
        self.field = field
        self.facts = facts
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The phrase, what to do, and the figures that decided."""
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.refusal.value}: {EXPLAINED[self.refusal]}" + (f" ({facts})" if facts else "")


class Repeated(Exception):
    """The loan has done this already, with the same content: nothing more to do."""
