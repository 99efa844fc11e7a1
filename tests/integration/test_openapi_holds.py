"""The API is asked what its own description allows, and what it does not: it never breaks, and answers as described."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.access import keys, limits
from adapters.database import connect_pool
from adapters.http.answers import API
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own

pytestmark = pytest.mark.broker

SECONDS = 20
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"
STREAMS = "/dashboard/stream$"


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """One loan; whoever asks needs a key, and may ask often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SIGN_INS", "100000/second")
        more: dict[str, Any] = {"api_auth": "required", "rate_limit": "100000/second"}
        async with a_house_of_its_own(make_database, services_dir, **more) as house:
            await house.book("LN-1")
            await house.pay_out("LN-1")
            yield house


async def test_whatever_is_asked_is_answered_as_described(house: House):
    pool = await connect_pool(house.settings.database_dsn(), name="test", size=1)
    _, key = await keys.create(pool, "fuzz", ["admin"], by="test")
    await pool.close()
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"{house.url}{API}/openapi.json",
        "--checks", CHECKS, "--exclude-path-regex", STREAMS, "--phases", "coverage,fuzzing",
        "--max-time", str(SECONDS), "--max-examples", "4", "--seed", "7", "--generation-database", "none",
        "--request-timeout", "10", "--workers", "2", "--no-color", "--warnings", "off",
        "--header", f"Authorization: Bearer {key}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(started.communicate(), SECONDS * 4)
    assert started.returncode == 0, said.decode()[-6000:]
