"""Settings: where they come from, what they refuse, and what they become for the libraries."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from adapters.settings import Settings, unknown_variables


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"QIST_{field.upper()}", raising=False)


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_variable_wins_over_a_secret_file_and_an_option_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "qist_database_url").write_text("postgresql://from-file/\n")
    (tmp_path / "qist_kafka_bootstrap").write_text("from-file:9092")
    monkeypatch.setenv("QIST_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("QIST_KAFKA_BOOTSTRAP", "from-variable:9092")
    assert Settings.load().database_url == "postgresql://from-file/"
    assert Settings.load().kafka_bootstrap == "from-variable:9092"
    assert Settings.load(kafka_bootstrap="from-option:9092").kafka_bootstrap == "from-option:9092"
    assert Settings.load(kafka_bootstrap=None).kafka_bootstrap == "from-variable:9092"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QIST_HTTP_PORT", "")
    assert not Settings.load().is_explicit("http_port")
    monkeypatch.setenv("QIST_HTTP_PORT", "8081")
    assert Settings.load().is_explicit("http_port")


def test_what_was_chosen_survives_the_way_to_a_child_process(monkeypatch: pytest.MonkeyPatch):
    chosen = Settings(
        database_url="postgresql://u:p@h/d",
        vault_key=SecretStr("c2VjcmV0"),
        clock="simulated",
        clock_start=datetime(2026, 1, 1, tzinfo=UTC),
        clock_speed=3600,
        data_dir=Path("/srv/qist"),
        instance=None,
    )
    variables = chosen.environment()
    assert "QIST_PARTITIONS" not in variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    arrived = Settings.load()
    assert arrived.model_dump() == chosen.model_dump()


def test_secrets_do_not_show():
    settings = Settings(database_url="postgresql://u:hunter2@h/d", vault_key=SecretStr("hunter3"))
    assert "hunter" not in repr(settings)


def test_a_wrong_value_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QIST_PARTITIONS", "hunter2")
    with pytest.raises(ValidationError, match="partitions") as refused:
        Settings.load()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "kafka_sasl_username"),
        ({"clock": "simulated"}, "clock_start"),
        ({"partitions": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_work_is_refused(given: dict, needs: str):
    with pytest.raises(ValidationError, match=needs):
        Settings(**given)


def test_misspelt_variables_are_found():
    assert unknown_variables({"QIST_KAFKA_BOOTSTRAPS": "", "QIST_PARTITIONS": "4", "HOME": "/"}) == [
        "QIST_KAFKA_BOOTSTRAPS"
    ]


class TestKafka:
    def test_plaintext_needs_nothing(self):
        assert Settings().kafka_client_options() == {"security_protocol": "PLAINTEXT"}

    def test_sasl_over_tls(self):
        options = Settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="qist",
            kafka_sasl_password=SecretStr("hunter2"),
        ).kafka_client_options()
        context = options.pop("ssl_context")
        assert isinstance(context, ssl.SSLContext)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert options == {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "qist",
            "sasl_plain_password": "hunter2",
        }


class TestDatabase:
    def test_without_one_it_says_what_to_do(self):
        with pytest.raises(ValueError, match="QIST_DATABASE_URL"):
            Settings().database_dsn()

    @pytest.mark.parametrize(
        ("url", "dsn"),
        [
            ("postgresql://h/d", "postgresql://h/d?sslrootcert=%2Fca.pem&sslmode=verify-full"),
            ("postgresql://h/d?a=b", "postgresql://h/d?a=b&sslrootcert=%2Fca.pem&sslmode=verify-full"),
            ("postgresql://h/d?sslmode=verify-ca", "postgresql://h/d?sslmode=verify-ca&sslrootcert=%2Fca.pem"),
            ("postgresql://h/d?sslmode=require&sslrootcert=x", "postgresql://h/d?sslmode=require&sslrootcert=x"),
        ],
    )
    def test_trusted_certificates_go_into_the_url(self, url: str, dsn: str):
        assert Settings(database_url=url, database_ssl_root_cert=Path("/ca.pem")).database_dsn() == dsn
