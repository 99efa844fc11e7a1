"""The file of gateways, and `qist gateway` around it: what is wrong is named by its field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.cli.main import main
from adapters.gateways.config import Api, Files, GatewayRefused, read_gateways

GOOD = """
[sponsor-bank]
adapter = "nach-files"
folder = "/srv/nach"
utility_code = "NACH00000000012345"
mandates = ["enach"]

[banyan]
adapter = "banyan"
url = "https://api.banyan.example"
key = "k"
payouts = true
"""


def test_a_bank_is_more_patient_than_an_api() -> None:
    gateways = read_gateways(GOOD)
    bank, banyan = gateways["sponsor-bank"], gateways["banyan"]
    assert isinstance(bank, Files)
    assert isinstance(banyan, Api)
    assert (bank.patience.look_again[0], banyan.patience.look_again[0]) == (172_800, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "this is not TOML"),
        ("[A]\nadapter = 'banyan'", "[A]: a name has"),
        ("[a]\nadapter = 'carrier-pigeon'", "[a] adapter: Input tag 'carrier-pigeon'"),
        ("[a]\nadapter = 'banyan'\nkey = 'k'", "[a] url: Field required"),
        ("[a]\nadapter = 'banyan'\nkey = 'k'\nurl = 'ftp://x'", "[a] url: String should match"),
        ("[a]\nadapter = 'banyan'\nkey = 'k'\nurl = 'http://x'\nkeys = 1", "[a] keys: Extra inputs"),
        ("[a]\nadapter = 'nach-files'\nfolder = '/x'\nutility_code = 'n'", "[a] utility_code: String should match"),
        (GOOD.replace('adapter = "nach', 'payouts = true\nadapter = "nach'), "payouts: only one gateway"),
        (GOOD.replace("payouts = true", 'mandates = ["enach"]'), "mandates: only one gateway may take those of enach"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(GatewayRefused) as refused:
        read_gateways(text)
    assert said in str(refused.value)


def qist(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["gateway", *arguments])
    return int(str(ended.value.code))


def test_check_says_what_is_missing_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateways.toml"
    path.write_text(GOOD)
    monkeypatch.setenv("QIST_GATEWAYS_FILE", str(path))
    monkeypatch.setenv("QIST_GATEWAY_SECRETS", "banyan:s")
    assert qist("check") == 1
    assert capsys.readouterr().err == "banyan: no secret in QIST_WEBHOOK_SECRETS\n"
    monkeypatch.setenv("QIST_WEBHOOK_SECRETS", "banyan:s")
    assert qist("check") == 0


def test_a_file_made_by_hand_is_read_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = tmp_path / "items.json"
    items.write_text(json.dumps([{"reference": "LN-1:1:1", "amount_paise": 499_300, "status": "0", "code": "04"}]))
    made = ["files", "write", str(items), "--kind", "RSP", "--utility-code", "NACH1", "--out", str(tmp_path)]
    assert qist(*made) == 0
    path = Path(capsys.readouterr().out.strip())
    assert qist("files", "read", str(path), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["items"][0]["code"], said["problem"]) == ("RSP", "04", None)
    path.write_text(path.read_text()[:-150])
    assert qist("files", "read", str(path)) == 1
    assert "nothing of it counts" in capsys.readouterr().err


def test_an_item_that_cannot_stand_in_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = tmp_path / "items.json"
    for said, error in (
        ([{"reference": "LN-1", "amount_paise": "much"}], "item 1: /amount_paise: "),
        ([{"amount_paise": 5}], "item 1: /reference: "),
        ([{"reference": "LN-1" * 40, "amount_paise": 5}], "reference: "),
        ({"reference": 1}, "not a list"),
        ([5], "item 1: "),
    ):
        items.write_text(json.dumps(said))
        assert qist("files", "write", str(items), "--utility-code", "NACH1") == 1
        assert error in capsys.readouterr().err
