"""How late a loan is: days past due, buckets, and the classes of the RBI (servicing rules 19 to 22)."""

from __future__ import annotations

from domain.commands import LevyCharge
from domain.events import DelinquencyChanged, PaymentReceived
from tests.examples import a_loan, a_loan_in_arrears, a_loan_without_mandate
from tests.stories import Story, a, asked, debit_failed, debit_succeeded, given, on, payment


def told(story: Story) -> list[tuple[str, int, str, str]]:
    """(recorded at, dpd, bucket, classification) of each change."""
    changes = story.all(DelinquencyChanged)
    return [
        (at, change.dpd, change.bucket, change.classification)
        for at, change in zip(story.at_of(DelinquencyChanged), changes, strict=True)
    ]


def test_the_rbi_example_of_12_november_2021() -> None:
    """Due on 31 March 2021 and not paid: SMA-1 on 30 April, SMA-2 on 30 May, NPA on 29 June 2021."""
    story = given(a_loan_without_mandate(at="28 Feb 2021", first_due="31 Mar 2021"))
    story.when(on("30 Jun 2021 12:00"))
    assert told(story) == [
        ("31 Mar 2021 23:59", 1, "1-30", "SMA-0"),
        ("30 Apr 2021 23:59", 31, "31-60", "SMA-1"),
        ("30 May 2021 23:59", 61, "61-90", "SMA-2"),
        ("29 Jun 2021 23:59", 91, "91+", "NPA"),
    ]


def test_the_due_day_is_day_one_at_its_own_end() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 23:59")).and_the_loan(dpd=0, classification="standard")
    story.when(on("6 Feb 00:00")).then(
        DelinquencyChanged(
            on="2026-02-05",
            dpd=1,
            bucket="1-30",
            classification="SMA-0",
            oldest_due_on="2026-02-05",
            overdue_paise=4_993_00,
        )
    ).and_the_loan(dpd=1)


def test_no_event_a_day_only_thresholds() -> None:
    story = given(a_loan_in_arrears(dpd=30))
    assert len(story.all(DelinquencyChanged)) == 1
    story.and_the_loan(dpd=30)


def test_paying_the_oldest_instalment_moves_the_count_to_the_next() -> None:
    story = given(a_loan_in_arrears(dpd=34)).and_the_loan(dpd=34, classification="SMA-1")
    story.when(on("11 Mar 12:00"), payment("4,993"))
    story.then(a(PaymentReceived), a(DelinquencyChanged, dpd=6, bucket="1-30", classification="SMA-0"))


def test_npa_is_left_only_when_all_arrears_are_paid() -> None:
    story = given(a_loan_in_arrears(dpd=91)).and_the_loan(classification="NPA", bucket="91+")
    story.when(on("7 May"), payment("14,979"))  # three of four: one instalment, of 5 May, is still owed
    story.and_the_loan(dpd=2, bucket="1-30", classification="NPA")
    story.when(on("7 May 12:00"), payment("4,993", "P-2"))
    story.and_the_loan(dpd=0, bucket="current", classification="standard")


def test_an_npa_loan_that_paid_in_part_still_moves_through_the_buckets() -> None:
    story = given(a_loan_in_arrears(dpd=91)).when(on("7 May"), payment("14,979")).when(on("5 Jun"))
    assert [(change.bucket, change.classification) for change in story.all(DelinquencyChanged)][-2:] == [
        ("1-30", "NPA"),
        ("31-60", "NPA"),
    ]


def test_an_amount_within_the_tolerance_is_not_overdue() -> None:
    given(a_loan_without_mandate()).when(on("5 Feb"), payment("4,992")).when(on("20 Feb")).then().and_the_loan(dpd=0)
    given(a_loan_without_mandate()).when(on("5 Feb"), payment("4,991.99")).when(on("20 Feb")).and_the_loan(dpd=15)


def test_a_charge_alone_is_overdue_from_its_own_day() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("22 Jan")).and_the_loan(dpd=2)


def test_while_the_bank_has_not_answered_nobody_is_late() -> None:
    story = given(a_loan()).when(on("7 Feb"))
    story.and_the_loan(dpd=0)
    assert told(story) == []
    story.when(on("7 Feb 12:00"), debit_succeeded()).and_the_loan(dpd=0)
    assert told(story) == []


def test_a_late_no_counts_the_days_that_passed() -> None:
    story = given(a_loan()).when(on("7 Feb 12:00"), debit_failed())
    assert told(story) == [("7 Feb 2026 12:00", 2, "1-30", "SMA-0")]


def test_a_backdated_payment_takes_the_class_back() -> None:
    story = given(a_loan_in_arrears(dpd=40)).and_the_loan(classification="SMA-1")
    story.when(on("17 Mar"), payment("9,986", value="5 Mar")).and_the_loan(classification="standard", dpd=0)


def test_a_bank_that_extends_its_time_starts_no_days_past_due_however_long_it_takes() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"), debit_failed(code="98"))
    story.when(on("20 Feb")).and_the_loan(dpd=0, bucket="current", classification="standard")
    story.when(on("20 Feb 11:00"), debit_failed(code="04")).and_the_loan(dpd=15)
