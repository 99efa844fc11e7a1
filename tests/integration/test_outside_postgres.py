"""PostgreSQL from outside: any server from version 15 on, with a login that is no superuser."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.broker]

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def as_server(*command: str | Path) -> None:
    """PostgreSQL refuses to run as root."""
    drop = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*drop, *map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def outside() -> Iterator[str]:
    """The URL of a database that belongs to an ordinary login which may make roles and no more."""
    if not SERVERS:
        pytest.skip("no PostgreSQL server of the system (Debian: apt install postgresql)")
    programs, port = SERVERS[0], free_port()
    folder = Path(tempfile.mkdtemp(prefix="qist-pg-"))
    folder.chmod(0o777)
    data = folder / "data"
    as_server(programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    as_server(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        admin = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-qc"]
        subprocess.run([*admin, "CREATE ROLE lender LOGIN CREATEROLE"], check=True)
        subprocess.run([*admin, "CREATE DATABASE book OWNER lender"], check=True)
        yield f"postgresql://lender@127.0.0.1:{port}/book"
    finally:
        as_server(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_a_book_lives_on_a_server_from_outside(outside: str) -> None:
    command = [sys.executable, "-m", "adapters.cli.main", "demo", "--loans", "20", "--months", "2", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "QIST_DATABASE_URL": outside}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert summary["reconciles"]
    assert summary["loans"] == 20
