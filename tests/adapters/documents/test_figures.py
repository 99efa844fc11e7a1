"""What documents say, against figures worked out by hand, and against the ledger in any life."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from adapters.documents import figures as f
from adapters.documents.account import account_of
from adapters.documents.recipes import KINDS
from domain.calendar import ist_day
from domain.ensure import InvariantBroken
from domain.events import Closed, DebitSucceeded, Reopened
from domain.refusals import Refused
from tests.adapters.documents.stories import LENDER, RULES, facts, known_on, life, until_the_quote
from tests.examples import a_closed_loan, a_loan_without_mandate, a_request
from tests.lives import PRODUCTS, a_life
from tests.lives import RULES as RULES_OF_LIVES
from tests.stories import Story, on, payment, rupees, taken_back

APRIL = date(2026, 4, 30)


class TestStatementOfAccount:
    def test_shows_each_movement_and_the_balance_after_it(self):
        said = f.statement_of_account(facts(known_on(life(), APRIL), APRIL))
        assert [
            (row["on"][5:], row["debit_paise"], row["credit_paise"], row["balance_paise"]) for row in said["rows"]
        ] == [
            ("01-05", rupees("1,00,000"), 0, rupees("1,00,000")),
            ("02-05", rupees("1,500"), 0, rupees("1,01,500")),
            ("02-05", 0, rupees("4,993"), rupees("96,507")),
            ("03-05", rupees("1,447.61"), 0, rupees("97,954.61")),  # 1.5 % of 96,507
            ("03-05", rupees("590"), 0, rupees("98,544.61")),  # the bounce, 500 and 90 GST
            ("03-20", 0, rupees("6,000"), rupees("92,544.61")),
            ("04-05", rupees("1,394.42"), 0, rupees("93,939.03")),  # 1.5 % of 92,961.61
        ]
        assert said["debits_paise"] == rupees("1,04,932.03")
        assert said["credits_paise"] == rupees("10,993")
        assert said["closing_paise"] == rupees("93,939.03") == sum(said["standing"].values())

    def test_begins_with_what_was_owed_before_its_first_day(self):
        said = f.statement_of_account(facts(known_on(life(), APRIL), APRIL, date(2026, 4, 1)))
        assert said["opening_paise"] == rupees("92,544.61")
        assert [row["what"] for row in said["rows"]] == ["loan.instalment-due.v1"]

    def test_of_a_period_that_is_over_never_changes(self):
        """A payment that is learnt of later stands in the later statement, with its value date."""
        story = a_loan_without_mandate().when(on("28 Feb"))
        until = date(2026, 2, 28)
        before = f.statement_of_account(facts(story.events, until))
        story.when(on("10 Mar"), payment("4,993", value="5 Feb"))
        after = f.statement_of_account(facts(known_on(tuple(story.events), until), until))
        assert after == before
        march = f.statement_of_account(facts(story.events, date(2026, 3, 31), date(2026, 3, 1)))
        [received] = [row for row in march["rows"] if row["what"] == "loan.payment-received.v1"]
        assert (received["on"], received["value_on"]) == ("2026-03-10", "2026-02-05")

    def test_what_the_lender_wrote_off_stays_owed_and_goes_down_with_what_is_recovered(self):
        for seed in (131, 5, 17, 23):
            events = a_life(seed, products=PRODUCTS)
            account = account_of(events, RULES_OF_LIVES)
            if account.loan.stage == "written_off":
                written_off = next(one for one in account.movements if one.what == "loan.written-off.v1")
                assert written_off.paise == 0
                assert account.balance_paise < written_off.balance_paise
                return
        pytest.fail("none of these lives has a write-off")


class TestInterestCertificate:
    YEAR = (date(2025, 4, 1), date(2026, 3, 31))

    def test_splits_what_was_paid_in_the_year(self):
        since, until = self.YEAR
        said = f.interest_certificate(facts(known_on(life(), until), until, since))
        # 4,993 on 5 Feb; of 6,000 on 20 Mar: row 2 (1,447.61 and 3,545.39), the bounce 590; 417 waits
        assert said["interest_paid_paise"] == rupees("2,947.61")
        assert said["principal_paid_paise"] == rupees("7,038.39")
        assert said["charges_paid_paise"] == rupees("590")
        assert said["total_paise"] == rupees("10,576")
        assert said["interest_due_paise"] == rupees("2,947.61")
        assert said["principal_outstanding_paise"] == rupees("92,961.61")
        assert [(one["month"], one["total_paise"]) for one in said["months"]] == [
            ("2026-02-01", rupees("4,993")),
            ("2026-03-01", rupees("5,583")),
        ]

    def test_a_payment_that_is_learnt_of_late_counts_in_the_year_of_its_value_date(self):
        story = a_loan_without_mandate().when(on("10 Apr"))
        assert f.interest_certificate(facts(story.events, self.YEAR[1], self.YEAR[0]))["interest_paid_paise"] == 0
        story.when(on("11 Apr"), payment("4,993", value="5 Feb"))
        said = f.interest_certificate(facts(story.events, self.YEAR[1], self.YEAR[0]))
        assert said["interest_paid_paise"] == rupees("1,500")

    def test_is_provisional_while_the_year_runs(self):
        assert f.interest_certificate(facts(known_on(life(), date(2026, 3, 1)), self.YEAR[1], self.YEAR[0]))[
            "provisional"
        ]
        assert not f.interest_certificate(facts(life(), self.YEAR[1], self.YEAR[0]))["provisional"]

    @pytest.mark.parametrize(
        ("day", "year"),
        [
            (date(2026, 3, 31), (date(2025, 4, 1), date(2026, 3, 31))),
            (date(2026, 4, 1), (date(2026, 4, 1), date(2027, 3, 31))),
            (date(2028, 2, 29), (date(2027, 4, 1), date(2028, 3, 31))),
        ],
    )
    def test_the_financial_year_begins_in_april(self, day: date, year: tuple[date, date]):
        assert f.financial_year(day) == year


class TestRestructuringLetter:
    def test_puts_the_old_instalments_beside_the_new_ones(self):
        said = f.restructuring_letter(facts(known_on(life(), date(2026, 4, 10)), date(2026, 4, 10)))
        assert said["asked"] == {"instalments": 30}
        assert (said["before"]["instalment_paise"], said["before"]["instalments"]) == (rupees("4,993"), 21)
        assert (said["after"]["instalment_paise"], said["after"]["instalments"]) == (rupees("3,722"), 30)
        assert said["after"]["interest_paise"] == sum(row["interest_paise"] for row in said["rows"])
        assert said["overdue_paise"] == rupees("4,576")  # row 3, less the 417 that waited

    def test_there_is_none_of_a_loan_that_was_never_restructured(self):
        with pytest.raises(f.NotPossible, match="never restructured"):
            f.restructuring_letter(facts(known_on(life(), date(2026, 3, 1)), date(2026, 3, 1)))


class TestPreClosureQuote:
    def test_a_recorded_quote_is_shown_as_it_was_recorded(self):
        events = known_on(life(), date(2026, 5, 1))
        said = f.pre_closure_quote(facts(events, date(2026, 5, 1)))
        assert said["quote_id"].endswith(f":{events[-1].originator_version}")
        assert said["total_paise"] == rupees("97,209.72")
        assert said["valid_until"] == "2026-05-04"  # the next instalment is due on the 5th

    def test_on_demand_it_says_what_any_later_day_would_cost(self):
        events = until_the_quote().events
        quoted, later = (f.pre_closure_quote(facts(events, date(2026, 5, day))) for day in (1, 3))
        assert later["total_paise"] == quoted["total_paise"] + 2 * quoted["per_diem_paise"]
        assert later["quote_id"] == ""

    def test_there_is_none_for_a_day_that_is_over_or_a_loan_that_has_ended(self):
        with pytest.raises(f.NotPossible, match="before the loan's last event"):
            f.pre_closure_quote(facts(until_the_quote().events, date(2026, 4, 1)))
        with pytest.raises(f.NotPossible, match="closed"):
            f.pre_closure_quote(facts(life(), date(2026, 6, 1)))


class TestTheEnd:
    def test_a_no_dues_certificate_says_what_came_in_and_that_nothing_is_owed(self):
        said = f.no_dues_certificate(facts(life(), date(2026, 5, 2)))
        assert (said["closing"], said["refund_paise"], said["given_up_paise"]) == ("preclosed", 0, 0)
        assert said["received_paise"] == rupees("4,993") + rupees("6,000") + rupees("97,209.72")

    def test_there_is_none_before_the_end(self):
        with pytest.raises(f.NotPossible, match="it has not ended"):
            f.no_dues_certificate(facts(until_the_quote().events, date(2026, 5, 1)))

    def test_a_loan_that_opened_again_has_none(self):
        story = a_closed_loan()
        f.no_dues_certificate(facts(story.events, date(2026, 2, 5)))
        story.when(on("10 Feb"), taken_back("P-1"))
        assert any(isinstance(event, Reopened) for event in story.events)
        with pytest.raises(f.NotPossible):
            f.no_dues_certificate(facts(story.events, date(2026, 2, 10)))

    def test_a_closure_statement_ends_at_zero(self):
        said = f.closure_statement(facts(life(), date(2026, 5, 2)))
        sums = {one["what"]: one["paise"] for one in said["sums"]}
        assert sums["lent"] == rupees("1,00,000")
        assert sums["received"] == -rupees("1,08,202.72")
        assert sum(sums.values()) == said["balance_paise"] == said["rows"][-1]["balance_paise"] == 0

    def test_money_that_goes_back_is_named_and_owed_by_the_lender(self):
        story = a_closed_loan()
        story.when(on("10 Feb"), payment("700", ref="P-2"))
        said = f.no_dues_certificate(facts(story.events, date(2026, 2, 10)))
        assert said["refund_paise"] == rupees("700")
        assert f.closure_statement(facts(story.events, date(2026, 2, 10)))["balance_paise"] == -rupees("700")


class TestKeyFacts:
    def test_are_those_of_the_booking_whatever_came_later(self):
        early = f.key_facts(facts(known_on(life(), date(2026, 1, 5)), date(2026, 1, 5)))
        assert early == f.key_facts(facts(life(), date(2026, 5, 2)))
        assert early["part_1"]["5_instalments"]["amount_rupees"] == 4_993
        assert early["apr_computation"]["7_net_disbursed"]["amount_rupees"] == 97_640
        assert early["part_2"]["3_grievance_officer"]["name"] == "Meera Nair"

    def test_show_the_charges_that_the_los_showed_to_the_borrower(self):
        booked = Story(RULES).book(on("5 Jan"), a_request(shown_charges=[{"kind": "bounce", "amount_paise": 400_00}]))
        [bounce] = f.key_facts(facts(booked.events, date(2026, 1, 5)))["part_1"]["10_contingent_charges"]
        assert (bounce["kind"], bounce["amount_paise"]) == ("bounce", 400_00)

    def test_of_a_floating_rate_name_the_benchmark_of_the_lenders_file(self):
        request = a_request(product="home-loan", principal="20,00,000", rate="8.75 %", months=120)
        said = f.told(
            Story(RULES).book(on("5 Jan"), request).events,
            RULES,
            f.Lender(name="A", benchmarks={"home-loan": {"name": "RBI repo rate", "spread_percent": "2.25"}}),
            None,
            date(2026, 1, 5),
        )
        floats = f.key_facts(said)["part_1"]["7_floating"]
        assert (floats["benchmark"], floats["benchmark_percent"], floats["final_percent"]) == (
            "RBI repo rate",
            "6.50",
            "8.75",
        )


class TestRepaymentSchedule:
    def test_says_of_each_row_whether_it_is_paid(self):
        said = f.repayment_schedule(facts(known_on(life(), date(2026, 4, 10)), date(2026, 4, 10)))
        assert [row["state"] for row in said["rows"][:5]] == ["paid", "paid", "part", "to-come", "to-come"]
        assert said["principal_paise"] == rupees("1,00,000")


@pytest.mark.parametrize("seed", range(24))
def test_every_document_of_any_life_agrees_with_the_ledger(seed: int):
    """The figures hold their own sums against the ledger and the loan's state; no life breaks one."""
    events = a_life(seed, products=PRODUCTS, steps=40)
    until = ist_day(events[-1].timestamp)
    made = 0
    for name, kind in KINDS.items():
        since, last = f.financial_year(until) if kind.about == "year" else (None, until)
        try:
            said = kind.figures(f.told(events, RULES_OF_LIVES, LENDER, since, last))
        except (f.NotPossible, Refused):
            continue
        made += 1
        assert said, name
    assert made >= 4


def test_a_document_that_contradicts_the_books_is_not_made():
    """Money that an event says came in, and its lines do not settle, would be such a contradiction."""
    events = list(known_on(life(), date(2026, 2, 28)))
    place = next(place for place, event in enumerate(events) if isinstance(event, DebitSucceeded))
    fields = {**events[place].__dict__, "lines": [{"for": "excess", "paise": rupees("4,992")}]}
    broken = object.__new__(DebitSucceeded)
    broken.__dict__.update(fields)
    events[place] = broken
    with pytest.raises(InvariantBroken):
        facts(events, date(2026, 2, 28))


def test_a_year_of_certificates_is_the_whole_loan():
    """What the years' certificates say was paid is all that the loan was paid for interest, principal and charges."""
    closed = next(event for event in life() if isinstance(event, Closed))
    years, day = [], date(2026, 1, 5)
    while day <= date.fromisoformat(closed.on):
        since, until = f.financial_year(day)
        years.append(f.interest_certificate(facts(life(), until, since)))
        day = until + timedelta(days=1)
    assert len(years) == 2
    assert sum(year["total_paise"] for year in years) == rupees("1,08,202.72")
    assert sum(year["principal_paid_paise"] for year in years) == rupees("1,00,000")
