"""Which gateways there are: a TOML file, one table a gateway, checked before anything is asked of anybody.

[sponsor-bank]                      # the name that mandates and debits bear
adapter = "nach-files"
folder = "/srv/nach/sponsor-bank"
utility_code = "NACH00000000012345"

[banyan]
adapter = "banyan"
url = "https://api.banyan.example"
key = "rzk_live_1"                  # the secret beside it: QIST_GATEWAY_SECRETS=banyan:SECRET
payouts = true
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.errors import Explained
from adapters.gateways.api import ApiGateway, Vendor
from adapters.gateways.banyan import Banyan
from adapters.gateways.kestrel import Kestrel
from adapters.gateways.nach import NachFiles
from adapters.gateways.port import Gateway
from adapters.gateways.progress import Patience
from adapters.settings import Settings

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
VENDORS: Mapping[str, type[Banyan] | type[Kestrel]] = {"banyan": Banyan, "kestrel": Kestrel}

Seconds = Annotated[float, Field(gt=0)]


class GatewayRefused(Explained):
    """The file of gateways cannot be used: what is wrong, by its field."""


class Common(BaseModel):
    """What every gateway has."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    payouts: bool = False
    """Takes the payouts and refunds that name no gateway. One gateway may."""
    links: bool = False
    """Makes the payment links. One gateway may."""
    mandates: tuple[str, ...] = ()
    """Takes the mandate instructions of these rails (`any`: of no rail) that name no gateway. Each rail once."""
    oldest_hours: Annotated[int, Field(ge=1)] = 48
    """An instruction that is older when it comes is looked up and never presented."""
    at_once: Annotated[int, Field(ge=1, le=500)] = 20
    """Orders in hand at the same time."""
    look_again_seconds: tuple[Seconds, ...] = (2, 5, 15, 60, 300, 900, 3_600)
    """Between enquiries; the last one goes on for ever."""
    again_after_seconds: Annotated[float, Field(ge=0)] = 120
    """So long after a presentation "not found" may mean that it never arrived."""
    recheck_seconds: tuple[Seconds, ...] = (3_600, 86_400)
    """A failure is looked at again so long after it was told."""
    later_seconds: Seconds = 30
    """After a rate limit or a refused login."""

    @property
    def patience(self) -> Patience:
        return Patience(
            look_again=self.look_again_seconds,
            again_after=self.again_after_seconds,
            recheck=self.recheck_seconds,
            later=self.later_seconds,
            withdraw=self.look_again_seconds[0],
        )

    lease_seconds: Seconds = 60
    """A turn that has not ended by then was lost, and the order is enquired about."""
    every_seconds: Seconds = 0.2
    """How often to look for work."""


class Api(Common):
    """A gateway with an HTTP API."""

    adapter: Literal["banyan", "kestrel"]
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    key: Annotated[str, Field(min_length=1)]
    """The id that goes with the secret in QIST_GATEWAY_SECRETS."""
    timeout_seconds: Annotated[float, Field(gt=0, le=50)] = 10
    """Without an answer by then the outcome is unknown, and is enquired about."""


class Files(Common):
    """A bank that takes NACH-style files."""

    adapter: Literal["nach-files"]
    folder: Path
    """Has `out` (what we present), `in` (what the bank answers), `done` and `refused`."""
    utility_code: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,18}$")]
    """Who we are at the bank."""
    look_again_seconds: tuple[Seconds, ...] = (172_800, 86_400)
    """Two days without a response, then every day: an enquiry file."""
    again_after_seconds: Annotated[float, Field(ge=0)] = 172_800
    recheck_seconds: tuple[Seconds, ...] = ()
    at_once: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    """Items of one file at most."""
    lease_seconds: Seconds = 600
    every_seconds: Seconds = 900
    """How often a file is made, and responses are looked for."""


Config = Annotated[Api | Files, Field(discriminator="adapter")]
CONFIG: TypeAdapter[Api | Files] = TypeAdapter(Config)


def load_gateways(settings: Settings) -> dict[str, Api | Files]:
    """The gateways of the file that QIST_GATEWAYS_FILE names; none without one."""
    path = settings.gateways_file
    if path is None:
        return {}
    try:
        return read_gateways(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayRefused(f"{path}: cannot be read: {error}") from None
    except GatewayRefused as error:
        raise GatewayRefused("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def read_gateways(text: str) -> dict[str, Api | Files]:
    """`GatewayRefused` with a line for each thing that is wrong."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GatewayRefused(f"this is not TOML: {error}") from None
    gateways: dict[str, Api | Files] = {}
    wrong: list[str] = []
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            wrong.append(f"[{name}]: a name has 1 to 40 of a-z 0-9 . _ -")
            continue
        try:
            gateways[name] = CONFIG.validate_python(table)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                field = ".".join(str(part) for part in one["loc"] if part not in ("banyan", "kestrel", "nach-files"))
                wrong.append(f"[{name}] {field or 'adapter'}: {one['msg']}")
    for what in ("payouts", "links"):
        taking = [name for name, gateway in gateways.items() if getattr(gateway, what)]
        if len(taking) > 1:
            wrong.append(f"{what}: only one gateway may take them, and {', '.join(taking)} do")
    rails = [(rail, name) for name, gateway in gateways.items() for rail in gateway.mandates]
    for rail in sorted({rail for rail, _ in rails}):
        names = [name for known, name in rails if known == rail]
        if len(names) > 1:
            wrong.append(f"mandates: only one gateway may take those of {rail}, and {', '.join(names)} do")
    if wrong:
        raise GatewayRefused("\n".join(wrong))
    return gateways


def vendor_of(config: Api) -> Vendor:
    return VENDORS[config.adapter]()


def open_gateway(name: str, config: Api | Files, settings: Settings) -> Gateway:
    """The adapter, ready to be asked."""
    if isinstance(config, Files):
        return NachFiles(name, config.folder, config.utility_code)
    secret = settings.gateway_secret_of(name)
    if not secret:
        raise GatewayRefused(f"[{name}]: no secret; set QIST_GATEWAY_SECRETS={name}:SECRET")
    return ApiGateway(
        name,
        vendor_of(config),
        url=config.url,
        key=config.key,
        secret=secret,
        timeout_seconds=config.timeout_seconds,
    )
