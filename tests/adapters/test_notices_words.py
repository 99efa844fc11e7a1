"""The words of notices: all there, in both languages, short enough, in Indian digit groups; what is wrong is named."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from adapters.notices.wording import TemplatesRefused, fields_of, load, read, sample, segments, undescribed
from domain.policies.contact import PURPOSES
from streams.outbound import CONSEQUENCES, NOTICE

SHIPPED = load(None, "Sahaj Finance", "https://pay.example.in/{link_id}")


def asked_for() -> set[str]:
    """Every kind of notice that an event leads to."""
    return {
        one.body(_AnyEvent())["template"]
        for followers in CONSEQUENCES.values()
        for one in followers
        if one.type == NOTICE
    }


class _AnyEvent(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name


def test_every_notice_that_an_event_asks_for_has_a_purpose_and_words() -> None:
    """A new kind wants a row in domain/policies/contact.py and texts in adapters/notices/templates/."""
    assert undescribed(asked_for()) == []
    assert SHIPPED.kinds.keys() == PURPOSES.keys()


def test_the_shipped_words_have_no_flaw() -> None:
    assert read(None)[1] == []


def test_amounts_are_in_indian_digit_groups_and_days_read_alike_in_both_languages() -> None:
    facts = {"number": 3, "amount_paise": 1_23_456_00, "value_on": "2026-02-05"}
    english = SHIPPED.render("debit-succeeded", "sms", "plain", "en", "LN-1", facts)
    assert english.body == ("Thank you: Rs 1,23,456 for EMI 3 of loan LN-1 was received on 05-02-2026. -Sahaj Finance")
    hindi = SHIPPED.render("debit-succeeded", "sms", "plain", "hi", "LN-1", {**facts, "amount_paise": 50})
    assert "रु 0.50" in hindi.body
    assert "05-02-2026" in hindi.body


def test_a_long_channel_greets_and_says_more() -> None:
    facts = {name: sample(name) for name in fields_of("debit-failed")}
    mail = SHIPPED.render("debit-failed", "email", "warm", "en", "LN-1", facts, "Asha")
    assert mail.subject == "Your EMI was not debited"
    assert mail.body.startswith("Dear Asha,\n\nEMI 120 of Rs 12,34,567.89")
    assert "Your bank said: Insufficient balance." in mail.body
    assert "Asha" not in SHIPPED.render("debit-failed", "sms", "warm", "en", "LN-1", facts, "Asha").body


def test_every_action_of_the_code_tables_has_a_next_step_in_words() -> None:
    tables = (item.read_text() for item in files("domain.reference").iterdir() if item.name.endswith(".csv"))
    actions = {row["action"] for table in tables for row in csv.DictReader(table.splitlines())} - {"none"}
    facts = {name: sample(name) for name in fields_of("debit-failed")}
    for action in actions:
        for language in ("en", "hi"):
            text = SHIPPED.render("debit-failed", "sms", "warm", language, "LN-1", {**facts, "action": action})  # type: ignore[arg-type]
            assert action.replace("_", " ") not in text.body, f"words.toml: next-step.{action}.{language}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[closed]\nsubject.en = "x"\nsubject.hi = "x"\nplain.en = "x"', "[closed] plain.hi is missing"),
        ('[closed]\nsubject.en="x"\nsubject.hi="x"\nplain.en="{{ amount }}"\nplain.hi="x"', "amount is no field of it"),
        ('[closed]\nsubject.en="x"\nsubject.hi="x"\nplain.en="{{ on "\nplain.hi="x"', "plain.en: "),
        ('[closed]\nsubject.en="x"\nsubject.hi="x"\nwarm.en="x"\nwarm.hi="x"', "[closed] has no plain"),
        ("[gossip]", "[gossip] is no kind of notice"),
        ("[closed", "this is not TOML"),
        (
            f'[closed]\nsubject.en="x"\nsubject.hi="x"\nplain.en="{"word " * 80}"\nplain.hi="x"',
            "plain.en takes 3 SMS segments, at most 2",
        ),
    ],
)
def test_a_flaw_is_named_with_its_file_and_kind(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TemplatesRefused) as refused:
        load(tmp_path)
    [line, *_] = str(refused.value).splitlines()
    assert line.startswith(f"{tmp_path}/own.toml: ")
    assert said in line


def test_a_lender_s_own_words_replace_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[papers-released]\nsubject.en="p"\nsubject.hi="p"\nplain.en="Your papers, {{ on | day }}"\nplain.hi="कागज़ात"',
        encoding="utf-8",
    )
    own = load(tmp_path, "Us")
    assert own.render("papers-released", "sms", "plain", "en", "LN-1", {"on": "2026-03-01"}).body == (
        "Your papers, 01-03-2026 -Us"
    )


def test_an_sms_is_counted_as_networks_count_it() -> None:
    assert [segments("a" * length) for length in (160, 161, 306, 307)] == [1, 2, 2, 3]
    assert [segments("क" * length) for length in (70, 71, 134, 135)] == [1, 2, 2, 3]
    assert segments("₹" + "a" * 69) == 1
    assert segments("₹" + "a" * 70) == 2, "one letter outside the alphabet of 7 bits makes all of them wide"
