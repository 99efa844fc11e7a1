"""A command that was done is not done again, and its id stands for no other."""

from __future__ import annotations

from typing import Any

from domain import commands as c
from domain import events as e
from domain.loan import Loan
from domain.refusals import Refusal, Refused, Repeated

DOES: dict[type[Any], tuple[type[e.LoanEvent], ...]] = {
    c.RegisterMandate: (e.MandateRegistered,),
    c.ManageMandate: (e.MandateChanged, e.MandatePreferred, e.MandateCancelInstructed),
    c.OfferPaymentLink: (e.PaymentLinkOffered,),
    c.ResumeDebits: (e.DebitsResumed,),
    c.UpdateBorrower: (e.BorrowerChanged,),
    c.ReceivePayment: (e.PaymentReceived,),
    c.Restructure: (e.Restructured, e.ChangeAgreed),
    c.GrantRelief: (e.ReliefGranted, e.ChangeAgreed),
    c.ResetRate: (e.RateReset, e.ChangeAgreed),
    c.LevyCharge: (e.ChargeLevied,),
    c.Waive: (e.ChargeWaived,),
    c.PauseCollection: (e.CollectionPaused,),
    c.HoldContact: (e.ContactHeld,),
    c.QuotePreclosure: (e.PreclosureQuoted,),
    c.WriteOff: (e.WrittenOff,),
    c.Settle: (e.SettlementAgreed,),
    c.CancelDisbursal: (e.DisbursalCancelled,),
    c.RefundExcess: (e.RefundOwed,),
    c.OpenCase: (e.CaseOpened,),
    c.CloseCase: (e.CaseClosed,),
    c.AssignCase: (e.CaseAssigned,),
    c.NoteCase: (e.CaseNoted,),
    c.PromiseToPay: (e.PromiseMade,),
    c.RaiseGrievance: (e.GrievanceRaised,),
    c.ReleasePapers: (e.PapersReleased,),
    c.EraseBorrower: (e.BorrowerErased,),
    c.TellBorrowerStanding: (e.BorrowerStandingChanged,),
}
"""Command -> the events by which the loan knows that it was done."""


def once(loan: Loan, command: Any) -> None:
    """Raises `Repeated` for a command that the loan has done, and refuses one whose id did something else."""
    done = loan.command_ids.get(command.command_id)
    if done is None:
        return
    if any(done == event.TOPIC for event in DOES.get(type(command), ())):  # pyright: ignore[reportUnknownArgumentType]
        raise Repeated
    unused(loan, command)


def unused(loan: Loan, command: Any) -> None:
    """Refuses a command whose id was used, by both names."""
    done = loan.command_ids.get(command.command_id)
    if done is not None:
        raise Refused(
            Refusal.command_id_used_for_another,
            "/command_id",
            command_id=command.command_id,
            done=done,
            asked=type(command).__name__,
        )
