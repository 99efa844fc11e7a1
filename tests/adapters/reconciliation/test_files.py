"""Reports and statements as they come: what is read of them, and that a mistake is named and never half taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from adapters.reconciliation.camt053 import read_camt053
from adapters.reconciliation.csv_file import OUR_OWN, read_csv
from adapters.reconciliation.lines import FileRefused, paise_of, references
from adapters.reconciliation.mapping_file import mapping_from, read_mapping

SAMPLES = Path(__file__).parents[2] / "data/reconciliation"
CAMT = (SAMPLES / "statement.camt053.xml").read_bytes()
CSV = (SAMPLES / "settlement.csv").read_bytes()
MAPPING = read_mapping(SAMPLES / "settlement.toml")


class TestCamt053:
    def test_every_booked_entry_is_a_line_and_a_batch_that_is_itemised_is_one_each(self) -> None:
        read = read_camt053(CAMT)
        assert [(line.entry, line.paise, line.value_on) for line in read.lines] == [
            ("RAZRN26020600001", 9_974_20, date(2026, 2, 6)),
            ("IMPSP0042", -1_00_000_00, date(2026, 2, 6)),
            ("20260206-001/3#1", 4_000_00, date(2026, 2, 6)),  # an instant counts as its day in India
            ("20260206-001/3#2", 2_000_00, date(2026, 2, 6)),
        ]
        assert (read.statement, read.passed_over) == (True, 1)

    def test_every_reference_is_found_and_nothing_personal_is_kept(self) -> None:
        settled, payout, named, creditor = (line.refs for line in read_camt053(CAMT).lines)
        assert settled == ("RAZRN26020600001", "SETL0206")
        assert payout == ("IMPSP0042", "LN-7:payout:1:1")
        assert named == ("HDFCN52026020600017", "20260206-001/3#1", "LN-8")
        assert creditor == ("SBINN52026020600099", "LN-9", "20260206-001/3#2")

    @pytest.mark.parametrize("version", ["camt.053.001.02", "camt.053.001.06", "camt.053.001.13"])
    def test_the_version_does_not_matter(self, version: str) -> None:
        assert read_camt053(CAMT.replace(b"camt.053.001.08", version.encode())) == read_camt053(CAMT)

    def test_a_statement_that_does_not_lead_to_its_closing_balance_is_refused(self) -> None:
        with pytest.raises(FileRefused, match=r"^statement 20260206-001: Bal: opens with 50000000 paise, moves"):
            read_camt053(CAMT.replace(b"415974.20", b"415974.21"))

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda xml: xml[: len(xml) // 2], "the file: is not XML"),
            (lambda xml: b"", "the file: is not XML"),
            (lambda xml: b"<a/>", "the file: holds no Document/BkToCstmrStmt/Stmt"),
            (lambda xml: xml.replace(b'"INR">9974', b'"USD">9974'), "statement 20260206-001, entry 1: Amt: is in USD"),
            (lambda xml: xml.replace(b"9974.20", b"9974.2O"), "statement 20260206-001, entry 1: Amt: '9974.2O' is no"),
            (lambda xml: xml.replace(b"2026-02-06</Dt></ValDt>", b"soon</Dt></ValDt>"), ".*entry 1: ValDt/Dt: 'soon'"),
            (lambda xml: xml.replace(b"DBIT", b"OUT"), "statement 20260206-001, entry 2: CdtDbtInd: 'OUT'"),
        ],
    )
    def test_a_refusal_names_statement_entry_and_element(self, spoil: Callable[[bytes], bytes], said: str) -> None:
        with pytest.raises(FileRefused, match="^" + said):
            read_camt053(spoil(CAMT))

    @pytest.mark.parametrize(
        "attack",
        [
            '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Document>&b;</Document>',
            '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document>&a;</Document>',
            '<!DOCTYPE d SYSTEM "http://127.0.0.1:1/x.dtd"><Document/>',
        ],
    )
    def test_entities_and_document_types_are_refused_before_they_do_anything(self, attack: str) -> None:
        with pytest.raises(FileRefused, match="declares what no statement needs"):
            read_camt053(attack.encode())


class TestCsv:
    def test_a_report_is_read_by_its_declared_columns(self) -> None:
        read = read_csv(CSV, MAPPING)
        assert [(line.entry, line.paise, line.fee_paise, line.batch, line.refs) for line in read.lines] == [
            ("pay_00001", 4_993_00, 5_90, "SETL0206", ("pay_00001", "LN-1:1:1")),
            ("pay_00002", 4_993_00, 5_90, "SETL0206", ("pay_00002", "LN-2:1:1")),
        ]
        assert read.passed_over == 1  # the failed one

    def test_lines_without_a_reference_of_their_own_are_told_apart_by_what_they_say(self) -> None:
        rows = b"reference,amount,value_on\nU1,10,2026-02-05\nU1,10,2026-02-05\nU1,11,2026-02-05\n"
        assert [line.entry for line in read_csv(rows, OUR_OWN).lines] == [
            "U1:1000:2026-02-05",
            "U1:1000:2026-02-05#2",
            "U1:1100:2026-02-05",
        ]

    def test_money_goes_out_by_sign_or_by_direction(self) -> None:
        rows = b"entry,amount,direction,value_on\na,-5,,2026-02-05\nb,5,dr,2026-02-05\nc,5,CR,2026-02-05\n"
        assert [line.paise for line in read_csv(rows, OUR_OWN).lines] == [-500, -500, 500]

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (b"", "the header: column amount, value_on is missing; there are: none"),
            (b"a,a\n1,2\n", "the header: column amount, value_on is missing"),
            (b"amount,value_on,entry,entry\n1,2026-02-05,x,y", "the header: names a column twice"),
            (b"entry,amount,value_on\nx,1,2026-02-05,9\n", "row 2: has 4 fields where the header has 3"),
            (b'entry,amount,value_on\n"x,1,2026-02-05\n', "row 2: unexpected end of data"),
            (b"amount,value_on\n1,2026-02-05\n", "row 2: entry: the line has no reference"),
            (b"\xff\xfe\x00", "the file: is not utf-8-sig"),
            (b"entry,amount\0", "the file: holds NUL"),
        ],
    )
    def test_a_refusal_names_row_and_column(self, rows: bytes, said: str) -> None:
        with pytest.raises(FileRefused, match="^" + said):
            read_csv(rows, OUR_OWN)

    @pytest.mark.parametrize(
        ("declared", "said"),
        [
            ({}, "m.toml: columns: Field required"),
            (
                {"columns": {"value_on": "d", "amount": "a", "credit": "c", "entry": "e"}},
                "m.toml: columns: name either",
            ),
            ({"columns": {"value_on": "d", "amount": "a"}}, "m.toml: columns: name `entry`"),
            ({"columns": {"value_on": "d", "amount": "a", "entry": "e", "utr": "u"}}, "m.toml: columns.utr: Extra"),
        ],
    )
    def test_a_mapping_that_cannot_work_is_refused(self, declared: dict[str, object], said: str) -> None:
        with pytest.raises(FileRefused) as refused:
            mapping_from(declared, "m.toml")
        assert said.removeprefix("m.toml: columns: ") in str(refused.value)


@pytest.mark.parametrize(
    ("said", "paise"),
    [("1,23,456.70", 1_23_456_70), ("-4993", -4_993_00), ("(500.5)", -500_50), ("₹ 12", 12_00), ("INR 1e2", 100_00)],
)
def test_amounts_as_people_write_them(said: str, paise: int) -> None:
    assert paise_of(said) == paise


@pytest.mark.parametrize("said", ["", "NaN", "Infinity", "1.234", "12 rupees", "1e30"])
def test_what_is_no_amount_is_said(said: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        paise_of(said)


def test_free_text_gives_only_what_looks_like_a_reference() -> None:
    narration = "UPI/asha99@okaxis/9812345678/Asha Devi/50100123456789/LN-42. ref UTR-7X:1"
    assert references("U1", None, " ", text=(narration,)) == ("U1", "LN-42", "UTR-7X:1")
