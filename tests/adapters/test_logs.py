"""Logs: one JSON document a line, our libraries' lines included, and nobody's personal data."""

import json
import subprocess
import sys

import pytest

from adapters.logs import MASK, mask


def masked(**event):
    return dict(mask(None, "info", event))


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("cannot mail asha@example.com now", f"cannot mail {MASK} now"),
        ("paid by asha.rao@okhdfc", f"paid by {MASK}"),
        ("call +91 9876543210 or 9876543210", f"call {MASK} or {MASK}"),
        ("postgresql://qist:hunter2@127.0.0.1:5432/qist", f"postgresql://qist:{MASK}@127.0.0.1:5432/qist"),
        ("loan LN-9876543210 of 9876543210.5", "loan LN-9876543210 of 9876543210.5"),
        ("connected to kafka@127.0.0.1:9092", "connected to kafka@127.0.0.1:9092"),
        ("servicing.loan-events 7:9876543210123", "servicing.loan-events 7:9876543210123"),
    ],
)
def test_personal_data_in_a_sentence(said: str, written: str):
    assert masked(event=said) == {"event": written}


def test_personal_data_by_its_name_at_any_depth():
    event = masked(
        event="disbursed", payout={"holder": "Asha", "accounts": [{"account": "123", "ifsc": "HDFC0000001"}]}
    )
    assert event["payout"] == {"holder": MASK, "accounts": [{"account": MASK, "ifsc": "HDFC0000001"}]}


def test_what_is_not_there_needs_no_mask():
    assert masked(event="x", phone=None, loan_id="LN-1", amount_paise=9876543210) == {
        "event": "x",
        "phone": None,
        "loan_id": "LN-1",
        "amount_paise": 9876543210,
    }


def lines_of(code: str, **options: str) -> list[str]:
    setup = "from adapters.settings import Settings\nfrom adapters.logs import configure_logging\n"
    setup += f"configure_logging(Settings(**{options!r}), role='engine')\n"
    done = subprocess.run([sys.executable, "-c", setup + code], capture_output=True, text=True, check=True)
    assert done.stdout == ""  # stdout belongs to answers
    return done.stderr.splitlines()


def test_ours_and_the_libraries_lines_look_alike():
    ours, theirs, uvicorn = map(
        json.loads,
        lines_of(
            "import logging, structlog\n"
            "structlog.get_logger().info('batch committed', events=7, phone='9876543210')\n"
            "logging.getLogger('aiokafka.consumer').info('chatter')\n"
            "logging.getLogger('aiokafka.consumer').warning('lost %s', 'asha@example.com')\n"
            "logging.getLogger('uvicorn.error').error('down')\n"
        ),
    )
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {"event": "batch committed", "level": "info", "role": "engine", "events": 7, "phone": MASK}
    assert (theirs["event"], theirs["logger"], theirs["role"]) == (f"lost {MASK}", "aiokafka.consumer", "engine")
    assert uvicorn["level"] == "error"


def test_an_exception_is_one_line_with_its_traceback():
    [line] = lines_of(
        "import structlog\n"
        "try: 1/0\n"
        "except ZeroDivisionError: structlog.get_logger().exception('batch failed', at=object)\n"
    )
    said = json.loads(line)
    assert said["level"] == "error"
    assert "ZeroDivisionError" in said["exception"]


def test_console_lines_are_for_eyes():
    [line] = lines_of("import structlog; structlog.get_logger().warning('slow', seconds=3)", log_format="console")
    assert "slow" in line
    assert not line.startswith("{")


def test_the_level_is_obeyed_by_all():
    assert (
        lines_of(
            "import logging, structlog\nstructlog.get_logger().info('x')\nlogging.getLogger('any').info('x')",
            log_level="warning",
        )
        == []
    )
