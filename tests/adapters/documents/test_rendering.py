"""The PDFs: the same bytes for good, real words in both languages, and nothing of a person who was erased."""

from __future__ import annotations

import tomllib
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.main import main
from adapters.documents import rendering
from adapters.documents.lender import Lender, LenderRefused, lender_of
from adapters.documents.recipes import KINDS, LANGUAGES, Language, Recipe
from adapters.documents.rendering import HERE, RENDERER
from adapters.settings import Settings
from tests.adapters.documents.stories import DAYS, ask
from tests.golden_documents import golden, rendered

DEVANAGARI = range(0x0900, 0x0980)


def test_the_bytes_of_each_kind_and_language_are_those_of_the_day_it_was_made():
    """By another process, perhaps on another machine, at another time."""
    assert rendered() == golden()["documents"][RENDERER]


def test_another_name_or_lender_makes_other_bytes_of_the_same_figures():
    asked = ask("no-dues-certificate")
    named, erased = asked.make(), asked.make(name=None)
    other = asked.make(lender=Lender(name="Another Lender"))
    assert len({named.pdf, erased.pdf, other.pdf}) == 3
    assert named.figures_sha256 == erased.figures_sha256 == other.figures_sha256


def test_it_is_an_archive_file_with_the_fonts_inside_and_the_time_of_its_last_event():
    asked = ask("statement-of-account", "hi")
    pdf = asked.make().pdf
    assert pdf.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"NotoSansDevanagari-Bold" in pdf
    assert f"<xmp:CreateDate>{asked.origin.known_at.astimezone(UTC):%Y-%m-%dT%H:%M}".encode() in pdf


class TestWords:
    def words(self, language: Language) -> dict[str, Any]:
        return tomllib.loads((HERE / "templates" / "v1" / f"words.{language}.toml").read_text(encoding="utf-8"))

    def keys(self, table: dict[str, Any], at: str = "") -> set[str]:
        return {
            key
            for name, value in table.items()
            for key in (self.keys(value, f"{at}{name}/") if isinstance(value, dict) else [at + name])
        }

    def test_each_language_has_them_all(self):
        english, hindi = (self.keys(self.words(language)) for language in LANGUAGES)
        assert english == hindi
        assert {f"{kind}/title" for kind in KINDS} <= english

    def test_hindi_is_hindi(self):
        def check(table: dict[str, Any]) -> None:
            for name, value in table.items():
                for said in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
                    assert any(ord(letter) in DEVANAGARI for letter in said), (name, said)
                if isinstance(value, dict):
                    check(value)

        check(self.words("hi"))

    def test_both_languages_fill_in_the_same_figures(self):
        def named(table: dict[str, Any], at: str = "") -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for name, value in table.items():
                if isinstance(value, dict):
                    found |= named(value, f"{at}{name}/")
                elif isinstance(value, str):
                    found[at + name] = {part.split("}")[0] for part in value.split("{")[1:]}
            return found

        assert named(self.words("en")) == named(self.words("hi"))

    def test_every_kind_of_charge_and_way_of_paying_that_ships_has_a_word(self):
        from typing import get_args

        from adapters.house import load_rules
        from streams.wire import Method

        products = load_rules().products.by_version.values()
        charges = {charge for product in products for charge in product.charges} | {"penal", "preclosure"}
        for language in LANGUAGES:
            words = self.words(language)
            assert charges <= words["charges"].keys()
            assert {*get_args(Method)} <= words["methods"].keys()
            assert {product.name for product in products} <= words["products"].keys()

    def test_every_movement_of_the_ledger_has_a_word(self):
        from projections.ledger import POSTINGS

        without = {"loan.delinquency-changed.v1", "loan.month-closed.v1"}  # between the lender's own accounts
        for language in LANGUAGES:
            assert {kind.TOPIC for kind in POSTINGS} - without <= self.words(language)["movements"].keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_is_the_whole_recipe(kind: str):
    recipe = ask(kind, "hi").recipe
    assert Recipe.parse(recipe.document_id) == recipe
    assert recipe.until == DAYS[kind] or KINDS[kind].about == "year"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "statement-of-account",
        "will.1.2026-01-01.en.v1",
        "key-facts.0.2026-01-01.en.v1",
        "key-facts.1.2026-02-30.en.v1",
        "key-facts.1.2026-01-01.fr.v1",
        "key-facts.1.2026-01-01.en.v1/../x",
    ],
)
def test_what_is_no_reference_names_no_document(said: str):
    assert Recipe.parse(said) is None


def test_a_template_with_a_defect_says_so_and_gives_no_document(monkeypatch: pytest.MonkeyPatch):
    asked = ask("no-dues-certificate")
    monkeypatch.setattr(rendering, "of_loan", lambda told: {"loan_id": "LN-1"})
    with pytest.raises(RuntimeError, match="dictionary does not contain key"):
        asked.make()


class TestTheLendersFile:
    def lender(self, folder: Path, text: str) -> Lender:
        path = folder / "lender.toml"
        path.write_text(text, encoding="utf-8")
        return lender_of(Settings(lender_name="By Setting", lender_file=path))

    def test_says_what_documents_say_of_the_lender(self, tmp_path: Path):
        lender = self.lender(
            tmp_path,
            'address = "Nehru Place"\n[key_facts]\ngrievance_officer = "Meera Nair"\n'
            '[benchmarks.home-loan]\nname = "RBI repo rate"\nspread_percent = "2.50"\n',
        )
        assert (lender.name, lender.address, lender.grievance_officer) == ("By Setting", "Nehru Place", "Meera Nair")
        assert lender.benchmarks["home-loan"]["spread_percent"] == "2.50"
        assert lender.missing == ["recovery_clause", "grievance_clause", "grievance_phone", "grievance_email"]
        assert Lender.load(lender.dump()) == lender

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("adress = 'x'", "adress: is none of"),
            ("phone = 12", "phone: must be a str"),
            ("[key_facts]\nmay_be_transferred = 'no'", "may_be_transferred: must be a bool"),
            ("key_facts = 1", "key_facts: must be a table"),
            ("name =", "not TOML"),
        ],
    )
    def test_a_flaw_is_named(self, tmp_path: Path, text: str, says: str):
        with pytest.raises(LenderRefused, match=says):
            self.lender(tmp_path, text)

    def test_one_that_is_not_there_is_named_too(self, tmp_path: Path):
        with pytest.raises(LenderRefused, match="No such file"):
            lender_of(Settings(lender_file=tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("LN-1", "will"), "statement-of-account   Every movement of what is owed in a period."),
        (("LN-1", "key-facts", "--on", "yesterday"), "--on yesterday: not a day"),
        (("LN-1", "statement-of-account", "--from", "1 May"), "--from 1 May: not a day"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["document", *arguments])
    assert left.value.code == 2
    assert says in capsys.readouterr().err
