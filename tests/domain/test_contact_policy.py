"""Whether, when, how and in which words a borrower is told (servicing rules 29 and 30)."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import pytest

from domain import commands as c
from domain import events as e
from domain.law.contact import Hold
from domain.policies.contact import (
    CHANNELS,
    ENDS,
    MANNERS,
    ORDERS,
    PURPOSES,
    SUPERSEDES,
    TONES,
    Asked,
    Contact,
    History,
    Tell,
    Withhold,
    decide,
)
from domain.refusals import Refusal
from tests.examples import a_loan, a_loan_without_mandate
from tests.stories import a, day, on
from tests.stories import asked as asked_of

ALL = frozenset(CHANNELS)


def asked(kind: str, at: str = "10 Mar 10:00", **more: Any) -> Asked:
    return Asked(kind=kind, occurred_at=on(at), **more)


def asha(**more: Any) -> Contact:
    return Contact(**{"reachable": ALL, "language": "hi", **more})


def told(what: Asked, who: Contact | None = None, seen: History | None = None, now: datetime | None = None) -> Tell:
    answer = decide(what, who or asha(), seen or History(), ALL, now or what.occurred_at)
    assert isinstance(answer, Tell), answer
    return answer


def withheld(what: Asked, who: Contact | None = None, seen: History | None = None, now: datetime | None = None) -> str:
    answer = decide(what, who or asha(), seen or History(), ALL, now or what.occurred_at)
    assert isinstance(answer, Withhold), answer
    return answer.reason


def test_the_tables_are_whole() -> None:
    assert set(PURPOSES.values()) == set(MANNERS)
    assert ENDS.keys() <= PURPOSES.keys()
    assert SUPERSEDES.keys() <= PURPOSES.keys()
    assert all(kinds <= PURPOSES.keys() for kinds in SUPERSEDES.values())
    for purpose in MANNERS:
        assert [row for row in ORDERS if row[0] == purpose][-1][1:3] == ("", None), f"any {purpose} has a channel order"
    for purpose in {row[0] for row in TONES}:
        assert [row for row in TONES if row[0] == purpose][-1][1:3] == (0, 0), f"any {purpose} has a tone"


@pytest.mark.parametrize(
    ("kind", "at", "goes_at"),
    [
        ("debit-succeeded", "10 Mar 03:00", "10 Mar 03:00"),  # the borrower's own money: at once, at any hour
        ("debit-ahead", "10 Mar 02:00", "10 Mar 02:00"),  # the law sets the hour
        ("debit-failed", "10 Mar 07:01", "10 Mar 07:01"),  # within seconds of the outcome
        ("debit-failed", "10 Mar 23:00", "11 Mar 07:00"),  # nobody is woken for it
        ("overdue", "10 Mar 23:59", "11 Mar 08:00"),  # contact for recovery from 8:00...
        ("overdue", "10 Mar 18:59", "10 Mar 18:59"),
        ("overdue", "10 Mar 19:00", "11 Mar 08:00"),  # ... and until but not at 19:00
        ("promise-reminder", "10 Mar 08:00", "10 Mar 09:00"),  # a nudge is later than the law asks for
    ],
)
def test_each_purpose_has_its_hours(kind: str, at: str, goes_at: str) -> None:
    assert told(asked(kind, at)).at == on(goes_at)


def test_the_rule_that_moved_a_notice_is_named() -> None:
    moved = told(asked("overdue", "10 Mar 23:59"))
    assert moved.rule.startswith("R9")
    assert "contact hours" in moved.reason
    assert told(asked("overdue", "10 Mar 12:00")).rule == ""


def test_at_most_three_contacts_a_day_and_ten_a_week() -> None:
    today = History(contacts=tuple(on(f"10 Mar {hour}:00") for hour in ("09", "10", "11")))
    assert told(asked("overdue", "10 Mar 12:00"), seen=today).at == on("11 Mar 08:00")
    week = History(contacts=tuple(on(f"{date} Mar {hour}:00") for date in range(5, 10) for hour in (10, 15)))
    assert told(asked("overdue", "10 Mar 12:00"), seen=week).at == on("12 Mar 10:00")
    assert told(asked("debit-succeeded", "10 Mar 12:00"), seen=week).at == on("10 Mar 12:00"), (
        "no contact in that sense"
    )


def test_nobody_is_asked_for_money_during_a_bereavement_and_the_words_are_warm_after_it() -> None:
    mourning = asha(holds=(Hold("bereavement", day("8 Mar"), day("12 Mar")),))
    late = asked("overdue", "10 Mar 12:00", facts={"dpd": 45})
    assert told(late, mourning).at == on("13 Mar 08:00")
    assert told(late, mourning).tone == "warm"
    assert told(late).tone == "firm"
    assert told(asked("debit-succeeded"), mourning).at == on("10 Mar 10:00"), "a receipt asks for nothing"
    until_may = asha(holds=(Hold("calamity", day("8 Mar"), day("1 May")),))
    assert withheld(late, until_may) == "too-late"


def test_what_helps_no_more_is_not_sent() -> None:
    ahead = asked("debit-ahead", "9 Mar 07:00", facts={"debit_at": on("10 Mar 07:00").isoformat()})
    assert told(ahead, now=on("10 Mar 06:00")).at == on("10 Mar 06:00")
    assert withheld(ahead, now=on("10 Mar 08:00")) == "too-late"
    assert withheld(asked("debit-failed", "10 Mar 10:00"), now=on("13 Mar 10:00")) == "too-late"


def test_the_borrower_s_choice_comes_first_and_an_opt_out_is_kept() -> None:
    assert told(asked("overdue"), asha(channel="email")).channel == "email"
    assert told(asked("overdue"), asha(opted_out=frozenset({"whatsapp"}))).channel == "sms"
    assert withheld(asked("bounce-risk"), asha(opted_out=frozenset({"reminders"}))) == "opted-out"
    nothing = asha(opted_out=ALL)
    assert withheld(asked("debit-succeeded"), nothing) == "opted-out"
    assert told(asked("restructured"), nothing).channel == "sms", "what the law makes the lender say is said"


def test_a_channel_needs_an_address_and_a_provider() -> None:
    assert told(asked("overdue"), asha(reachable=frozenset({"email"}))).channel == "email"
    assert withheld(asked("overdue"), asha(reachable=frozenset())) == "no-channel"
    assert isinstance(decide(asked("overdue"), asha(), History(), {"email"}, on("10 Mar 10:00")), Tell)
    assert isinstance(decide(asked("overdue"), asha(), History(), (), on("10 Mar 10:00")), Withhold)


def test_a_channel_that_failed_for_this_notice_is_left_out_and_one_that_keeps_failing_comes_last() -> None:
    assert told(asked("overdue", tried=frozenset({"whatsapp"}))).channel == "sms"
    assert told(asked("overdue"), seen=History(failed_on={"whatsapp": 2})).channel == "sms"
    assert told(asked("overdue"), seen=History(failed_on={"whatsapp": 1})).channel == "whatsapp"
    assert withheld(asked("overdue", tried=ALL)) == "no-channel"


def test_words_grow_firm_with_days_and_failures() -> None:
    assert told(asked("debit-failed"), seen=History(failures=1)).tone == "warm"
    assert told(asked("debit-failed"), seen=History(failures=3)).tone == "firm"
    assert told(asked("overdue", facts={"dpd": 29})).tone == "warm"
    assert told(asked("overdue", facts={"dpd": 30})).tone == "firm"
    assert told(asked("debit-succeeded"), seen=History(failures=9)).tone == "plain"


def test_reminders_come_when_the_segment_reads_or_when_the_borrower_does_or_wishes() -> None:
    nudge = asked("promise-reminder", "10 Mar 08:00")
    assert told(nudge, asha(segment="gig")).at == on("10 Mar 12:00")
    assert told(nudge, asha(segment="gig"), History(read_at={18: 3, 10: 2})).at == on("10 Mar 18:00")
    assert told(nudge, asha(hours=(time(16), time(17)))).at == on("10 Mar 16:00")
    assert told(nudge, asha(hours=(time(20), time(22)))).at == on("10 Mar 09:00"), "a wish does not break the law"


def test_every_answer_has_its_reason() -> None:
    told_so = told(asked("overdue", "10 Mar 23:59", facts={"dpd": 45}), asha(channel="sms"))
    assert told_so.reason == (
        "recovery; sms: the borrower's choice; firm: 45 days past due; contact hours, holds and caps (rule 30)"
    )
    assert told_so.language == "hi"
    assert withheld(asked("gossip")) == "unknown-kind"
    assert withheld(asked("overdue"), asha(erased=True)) == "borrower-erased"


# --- On the loan ---------------------------------------------------------------------------------------------


def test_a_hold_is_on_record_and_another_one_ends_it() -> None:
    story = a_loan().when(on("12 Jan"), asked_of(c.HoldContact, "C-1", reason="bereavement", until=day("31 Jan")))
    story.then(a(e.ContactHeld, reason="bereavement", from_on="12 Jan", until_on="31 Jan"))
    story.when(on("20 Jan"), asked_of(c.HoldContact, "C-2", reason="bereavement", until=day("19 Jan")))
    story.then(a(e.ContactHeld, from_on="19 Jan", until_on="19 Jan"))


def test_a_hold_that_is_over_before_it_begins_is_refused() -> None:
    story = a_loan().when(on("12 Jan"), asked_of(c.HoldContact, "C-1", reason="calamity", until=day("2 Jan")))
    story.refused(Refusal.effective_date_not_ahead)


# --- Before an instalment ------------------------------------------------------------------------------------


def test_a_borrower_who_is_not_debited_is_reminded_some_days_ahead_once() -> None:
    story = a_loan_without_mandate(product="two-wheeler-loan").when(on("2 Feb 09:59")).then()
    story.when(on("2 Feb 10:00")).then(a(e.InstalmentAnnounced, number=1, due_on="5 Feb"))
    assert [one.number for one in story.when(on("4 Feb 23:00")).all(e.InstalmentAnnounced)] == [1]


def test_a_borrower_who_is_told_of_the_debit_needs_no_reminder() -> None:
    story = a_loan(product="two-wheeler-loan").when(on("5 Feb 06:00"))
    assert story.all(e.InstalmentAnnounced) == []
    assert [told.number for told in story.all(e.DebitNotified)] == [1]
