"""Gateways that lose answers, repeat themselves and lie: no debit twice, no success lost, whatever crashes when."""

from __future__ import annotations

import pytest

from adapters.gateways.simulators.books import GOOD, Mischief
from tests.conftest import MakeDatabase
from tests.integration.gateways import api_office, debit

VENDORS = ["banyan", "kestrel"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_debit_is_presented_once_and_its_success_is_told_with_the_gateways_reference(
    vendor: str, database: str
) -> None:
    async with api_office(vendor, database, 1, GOOD) as office:
        instruction = debit(office.topics, vendor, 1)
        async with office.at_work():
            await office.at_rest()
        ((kind, body),) = office.topics.told()[instruction]
        assert kind == "gateway.debit.succeeded.v1"
        assert (body["amount_paise"], body["rail"], body["gateway"], body["bank"]) == (499_300, "enach", vendor, "HDFC")
        assert body["gateway_reference"] == {"banyan": "BNY000000001", "kestrel": "KST000000001"}[vendor]
        (row,) = await office.rows()
        assert (row["state"], row["outcome"], row["presented"]) == ("answered", "succeeded", 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_whatever_goes_wrong_the_topic_says_what_the_gateways_books_say(
    vendor: str, seed: int, make_database: MakeDatabase
) -> None:
    mischief = Mischief.of_all(0.15)
    async with make_database() as dsn, api_office(vendor, dsn, seed, mischief) as office:
        orders = [debit(office.topics, vendor, number, paise=100_000 + number) for number in range(60)]
        async with office.at_work(crash_rate=0.02, seed=seed):
            await office.at_rest()
        assert office.sim is not None
        books = office.sim.books
        assert sorted(books.entries) == sorted(orders)
        assert [entry.reference for entry in books.entries.values() if entry.times > 1] == []
        assert office.topics.money() == books.moved()
        # The run was as bad as it was meant to be.
        assert office.crashes > 0
        assert min(books.did[what] for what in ("silent_after", "error_after", "lost", "contradicts", "forged")) > 0
