"""NACH-style files: what is written can be read, and what was changed on its way never makes or unmakes money."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateways.nach import NachFiles, unfit
from adapters.gateways.nach_format import WIDTH, Garbled, Item, NachFile, read, written
from adapters.gateways.port import UNMAPPED, Order

RESPONSE = NachFile(
    kind="RSP",
    reference="RSP-1",
    utility_code="NACH1",
    made_on=date(2026, 2, 6),
    about="PRS-1",
    items=[
        Item(reference="LN-1:1:1", amount_paise=499_300, status="1", bank_reference="UTR1", value_on=date(2026, 2, 5)),
        Item(reference="LN-2:1:1", amount_paise=100_000, status="0", code="04", value_on=date(2026, 2, 5)),
        Item(reference="LN-3:1:1", amount_paise=7, status="9", code="98", text="bank has not answered"),
    ],
)


def numbered(file: NachFile) -> NachFile:
    return replace(file, items=[replace(item, number=number) for number, item in enumerate(file.items, 1)])


def test_what_is_written_can_be_read() -> None:
    reading = read(written(RESPONSE).encode())
    assert (reading.file, reading.lines, reading.problem, reading.set_aside) == (numbered(RESPONSE), [2, 3, 4], "", [])


def test_a_line_is_as_the_bank_would_draw_it() -> None:
    lines = written(replace(RESPONSE, items=RESPONSE.items[:1])).splitlines()
    assert {len(line) for line in lines} == {WIDTH}
    assert [line.rstrip() for line in lines] == [
        f"H01RSP{'RSP-1':<30}{'NACH1':<18}{'PRS-1':<30}06022026000000100000000000499300",
        f"D0000001{'LN-1:1:1':<90}0000000004993001{'':<3}{'UTR1':<22}05022026",
        "T0000001000000000004993000000001" + "00000000000499300",
    ]


def test_windows_line_ends_and_blank_lines_at_the_end_are_no_fault() -> None:
    assert read((written(RESPONSE).replace("\n", "\r\n") + "\r\n\r\n").encode()).problem == ""


TOO_MUCH = 10**16


@pytest.mark.parametrize(
    ("item", "column"),
    [
        (Item(reference="LN-1:1:1" * 20, amount_paise=1), "reference"),
        (Item(reference="LN-1", amount_paise=TOO_MUCH), "amount_paise"),
        (Item(reference="LN-1", amount_paise=1, bank_reference="ऋण"), "bank_reference"),
        (Item(reference="LN-1", amount_paise=1, text="a\nb"), "text"),
        (Item(reference="LN-1", amount_paise=-1, status="1"), "amount_paise"),
    ],
)
def test_what_does_not_fit_its_column_is_refused_by_name(item: Item, column: str) -> None:
    with pytest.raises(Garbled, match=f"^{column}:"):
        written(replace(RESPONSE, items=[item]))


def garble(line: int, at: int, put: str) -> bytes:
    lines = written(RESPONSE).splitlines()
    lines[line] = lines[line][:at] + put + lines[line][at + len(put) :]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("line", "at", "put", "problem"),
    [
        (1, 98, "0000000004993091", "trailer says total_paise"),  # another amount
        (1, 113, "0", "trailer says succeeded 1"),  # a success unmade
        (2, 113, "1", "trailer says succeeded 1"),  # a success made
        (0, 0, "X", "no header"),
        (0, 3, "ZZZ", "no kind"),
        (0, 98, "9", "header says items"),
        (4, 0, "D", "no trailer"),
    ],
)
def test_a_file_whose_totals_disagree_counts_not_at_all(line: int, at: int, put: str, problem: str) -> None:
    assert problem in read(garble(line, at, put)).problem


def test_a_garbled_line_is_set_aside_by_its_number_and_the_others_count() -> None:
    reading = read(garble(2, 98, "O"))
    assert reading.problem == ""
    assert [(one.line, one.reason) for one in reading.set_aside] == [
        (3, "amount_paise: 'O00000000100000' is no number")
    ]
    assert reading.file is not None
    assert [item.reference for item in reading.file.items] == ["LN-1:1:1", "LN-3:1:1"]


@pytest.mark.parametrize("lines", [0, 1, 2, 4])
def test_a_file_that_was_cut_short_counts_not_at_all(lines: int) -> None:
    assert read("\n".join(written(RESPONSE).splitlines()[:lines]).encode()).problem != ""


def successes(content: bytes) -> set[tuple[int, int]]:
    reading = read(content)
    if reading.problem or reading.file is None:
        return set()
    return {(item.number, item.amount_paise) for item in reading.file.items if item.status == "1"}


@settings(max_examples=200)
@given(st.integers(0, 5 * (WIDTH + 1) - 2), st.integers(0, 255))
def test_no_changed_byte_makes_a_success_or_changes_its_amount(at: int, put: int) -> None:
    content = bytearray(written(RESPONSE).encode())
    content[at] = put
    assert successes(bytes(content)) <= {(1, 499_300)}


@given(st.binary(max_size=1_000))
def test_anything_at_all_can_be_read_without_a_crash(content: bytes) -> None:
    assert read(content).problem != ""


def test_98_is_pending_in_a_response_and_a_rejection_at_input(tmp_path: Path) -> None:
    bank = NachFiles("bank", tmp_path, "NACH1")
    item = Item(reference="LN-1:1:1", amount_paise=1, status="9", code="98")
    assert (bank.answer("RSP", item).state, bank.answer("RSP", item).code) == ("accepted", "98")
    rejected = bank.answer("ACK", replace(item, status="0"))
    assert (rejected.state, rejected.code) == ("failed", UNMAPPED)
    assert bank.answer("ACK", replace(item, status="0", code="31")).state == "unknown"  # had it before: enquire


async def test_the_same_orders_at_the_same_try_make_the_same_file_and_nothing_half_written_is_seen(
    tmp_path: Path,
) -> None:
    bank = NachFiles("bank", tmp_path, "NACH1")
    order = Order(instruction_id="LN-1:1:1", kind="debit", loan_id="LN-1", amount_paise=5, rail="enach", body={})
    assert (await bank.present([order]))["LN-1:1:1"].state == "unknown"  # written is not arrived
    (path,) = (tmp_path / "out").iterdir()
    reading = read(path.read_bytes())
    assert reading.problem == ""
    assert path.name.startswith("PRS-")


async def test_a_file_of_anothers_or_of_our_own_is_refused(tmp_path: Path) -> None:
    bank = NachFiles("bank", tmp_path, "NACH2")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(written(RESPONSE))
    (tmp_path / "in" / "b.txt").write_text(written(replace(RESPONSE, kind="PRS", utility_code="NACH2")))
    (tmp_path / "in" / "c.part").write_text("on its way")
    found = await bank.collect()
    assert [(one.name, one.problem) for one in found] == [
        ("a.txt", "it is for NACH1, and we are NACH2"),
        ("b.txt", "a file PRS is ours, and not the bank's"),
    ]
    await bank.done(found[0])
    assert [path.name[:2] for path in (tmp_path / "refused").iterdir()] == ["a."]


def test_what_a_file_cannot_hold_is_said_of_the_order() -> None:
    order = Order(instruction_id="LN-1:1:1", kind="debit", loan_id="LN-1", amount_paise=5, rail="enach", body={})
    assert unfit(order) == ""
    assert unfit(replace(order, rail="upi")) == "a NACH file holds debits by mandate, and this is a debit by upi"
    assert unfit(replace(order, body={"umrn": "U" * 40})).startswith("umrn: ")
