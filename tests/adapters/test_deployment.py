"""The compose file, the Dockerfile and the pom: no Docker needed to see that they fit the code."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.cli.main import COMMANDS
from adapters.settings import Settings, unknown_variables
from adapters.system import ROLES

ROOT = Path(__file__).parents[2]
ONE_SHOT = {"migrate": "db migrate", "topics": "topics create"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.kafka.yml").read_text())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in services.items() if one["image"].startswith("qist")}


def test_every_role_and_both_set_up_jobs_are_there(services: dict[str, Any]):
    assert services.keys() == {"kafka", "postgres", *ONE_SHOT, *(role.name for role in ROLES)}


def test_every_command_exists(services: dict[str, Any]):
    for name, service in ours(services).items():
        command = " ".join(service["command"])
        assert command == ONE_SHOT.get(name, name)
        assert command in COMMANDS


def test_every_variable_is_a_setting_with_a_valid_value(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    for service in ours(services).values():
        environment = {name: with_defaults(str(value)) for name, value in service["environment"].items()}
        assert unknown_variables(environment) == []
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            settings = Settings.load()
        assert settings.kafka_bootstrap == "kafka:19092"
        assert settings.database_dsn() == "postgresql://qist:qist@postgres:5432/qist"


def test_what_waits_for_health_waits_for_something_that_is_checked(services: dict[str, Any]):
    for service in services.values():
        for other, need in service.get("depends_on", {}).items():
            if need["condition"] == "service_healthy":
                assert services[other]["healthcheck"]["test"][0] == "CMD"
            else:
                assert need["condition"] == "service_completed_successfully"
                assert "restart" not in services[other], f"{other} would never be done"


def test_roles_start_after_both_set_up_jobs(services: dict[str, Any]):
    for role in ROLES:
        assert services[role.name]["depends_on"].keys() == ONE_SHOT.keys()


def test_nothing_is_open_to_the_network(services: dict[str, Any]):
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_data_lives_in_volumes(compose: dict[str, Any]):
    mounted = {name: compose["services"][name]["volumes"][0].split(":") for name in ("kafka", "postgres")}
    assert {volume for volume, _ in mounted.values()} == compose["volumes"].keys()
    # PostgreSQL 18's image keeps its data one folder up from where its predecessors did.
    assert mounted["postgres"][1] == "/var/lib/postgresql"
    assert mounted["kafka"][1] == compose["services"]["kafka"]["environment"]["KAFKA_LOG_DIRS"]


def test_kafka_s_listeners_agree(services: dict[str, Any]):
    environment = services["kafka"]["environment"]
    listeners = {one.split("://")[0] for one in environment["KAFKA_LISTENERS"].split(",")}
    protocols = {one.split(":")[0] for one in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    advertised = {one.split("://")[0] for one in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert listeners == protocols == advertised | {environment["KAFKA_CONTROLLER_LISTENER_NAMES"]}


def test_kafka_is_the_same_version_everywhere(services: dict[str, Any]):
    pom = re.search(r"<kafka.version>(.+)</kafka.version>", (ROOT / "ops/kafka/pom.xml").read_text())
    assert pom is not None
    assert services["kafka"]["image"] == f"apache/kafka:{pom[1]}"


def test_the_image_takes_only_files_that_exist_and_are_let_through():
    dockerfile = (ROOT / "Dockerfile").read_text()
    let_through = (ROOT / ".dockerignore").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert f"!{source}\n" in let_through


def test_the_image_does_not_run_as_root():
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)


def test_docker_itself_accepts_the_compose_file():
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no docker compose here")
    environment = os.environ | {"QIST_VAULT_KEY": "0" * 64}
    command = ["docker", "compose", "-f", "docker-compose.kafka.yml", "config", "--format=json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "engine" in json.loads(done.stdout)["services"]


def with_defaults(value: str) -> str:
    """What compose makes of `${NAME:-default}`; a required variable becomes a key."""
    value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "0" * 64, value)
