"""Everything that can be configured, as one typed object that is built once and passed down."""

import os
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import AwareDatetime, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "QIST_"
SECRETS_DIR = Path("/run/secrets")

# Read elsewhere: where secrets are, and at which point a test wants a role to die.
_NO_SETTINGS = {PREFIX + "SECRETS_DIR", PREFIX + "CRASH_AT"}


def default_data_dir() -> Path:
    """Where a person's data belongs; for root, where a service's does."""
    # PostgreSQL refuses to run as root, and another user cannot pass through root's home of mode 700.
    if os.geteuid() == 0:
        return Path("/var/lib/qist")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "qist"


class Settings(BaseSettings):
    """Read from `QIST_*` variables, then files of the same name in the secrets folder, then the defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # so that `QIST_X=` in a compose file means "not set"
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # a value that is wrong may still be a password
    )

    kafka_bootstrap: str | None = None
    """Kafka's bootstrap servers, `host:port,host:port`. Not set: an embedded broker is started."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to speak to Kafka."""
    kafka_ssl_cafile: Path | None = None
    """Certificates to trust for Kafka. Not set: the system's."""
    kafka_ssl_certfile: Path | None = None
    """Our certificate for Kafka, where it asks clients for one."""
    kafka_ssl_keyfile: Path | None = None
    """The key of our certificate for Kafka."""
    kafka_ssl_password: SecretStr | None = None
    """The password of that key."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How to log in to Kafka."""
    kafka_sasl_username: str | None = None
    """The user to log in to Kafka as."""
    kafka_sasl_password: SecretStr | None = None
    """That user's password."""
    partitions: int = Field(16, ge=1, le=4096)
    """Partitions of each topic that is keyed by loan. Chosen once: a start with another count is refused."""
    replication_factor: int = Field(1, ge=1)
    """Copies that Kafka keeps of each topic. 3 in production."""

    database_url: str | None = Field(None, repr=False)
    """PostgreSQL's URL, `postgresql://user:password@host/database`. Not set: an embedded one is started."""
    database_ssl_root_cert: Path | None = None
    """Certificates to trust for PostgreSQL; turns `sslmode=verify-full` on unless the URL says otherwise."""
    database_pool_size: int = Field(8, ge=1)
    """Connections that one process keeps at most."""

    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder for the embedded services and logs. Not set: `~/.local/share/qist`; as root `/var/lib/qist`."""
    postgres_port: int = Field(5432, ge=0, le=65535)
    """Port of the embedded PostgreSQL on the loopback address; 0: only a socket in the data folder."""
    broker_port: int = Field(9092, ge=1, le=65535)
    """Port of the embedded broker on the loopback address."""
    http_host: str = "127.0.0.1"
    """Address that the API listens on."""
    http_port: int = Field(8080, ge=1, le=65535)
    """Port that the API listens on."""

    api_auth: Literal["required", "open"] | None = None
    """Who may use the API and the pages. `required`: whoever signs in, see docs/security.md. `open`: requests from
    this very machine need no sign-in and may do everything; only on a loopback address. Not set: `qist up` and `qist
    demo` with their own database on a loopback address are open, everything else requires."""
    metrics: Literal["open", "required"] = "open"
    """Whether `/metrics` is for all who reach it, or for those who signed in."""
    oidc_issuer: str | None = None
    """The identity provider as its tokens name it, `https://login.example.in/realms/lender`. Not set: API keys only."""
    oidc_audience: str | None = None
    """What bearer tokens for us have as `aud`."""
    oidc_client_id: str | None = None
    """Our client at the provider, for signing in to the pages. Not set: pages take API keys only."""
    oidc_client_secret: SecretStr | None = None
    """Its secret; a public client (PKCE alone) has none."""
    oidc_roles_claim: str = "roles"
    """The claim with a person's roles, or the path to it, such as `realm_access.roles`."""
    oidc_roles: str | None = None
    """Roles by the provider's names: `loan-ops:operator,risk:approver`. What is not named here counts as it is."""
    oidc_name_claim: str = "preferred_username"
    """The claim with the name that stands in events and in the access log, best an employee's number; without it,
    `sub`."""
    public_url: str | None = None
    """How browsers reach us, `https://qist.example.in`, for the way back from the provider. Not set: as they ask."""
    trusted_proxies: str = "127.0.0.1"
    """Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, separated by commas."""
    session_hours: int = Field(12, ge=1, le=24 * 30)
    """How long a browser stays signed in."""
    rate_limit: str = Field("3000/minute", pattern=r"^[1-9]\d{0,8}/(second|minute|hour)$")
    """How often one caller may ask each API server."""
    approval_above: str = "write-off:0,settle:0,waive:50000,refund:1000000"
    """Commands that a second person approves when they give up, or pay out, more than so many paise. `write-off:never`
    needs no second person; a command that is not named keeps its default."""
    approval_days: int = Field(7, ge=1, le=90)
    """Days after which a request that nobody decided on lapses."""

    engine_group: str = "qist-engine"
    """Consumer group of the servicing engines."""
    session_timeout_ms: int = Field(6_000, ge=1_000)
    """How long a group waits for a silent member. Short: a join takes half of it on the embedded broker."""
    batch_size: int = Field(2_000, ge=1)
    """Messages that an engine decides and commits together at most."""
    batch_wait_ms: int = Field(50, ge=1)
    """How long an engine waits for messages before it looks at its agenda."""
    instance: str | None = None
    """This replica's stable name. Makes it a static group member: a rolling restart moves no partition."""

    clock: Literal["system", "simulated", "stepped"] = "system"
    """Whose time counts. `simulated`: from `clock_start`, `clock_speed` times as fast. `stepped`: what a driver,
    such as `qist demo`, has written to the database."""
    clock_start: AwareDatetime | None = None
    """The simulated instant at `clock_anchor`."""
    clock_anchor: AwareDatetime | None = None
    """The real instant at which the simulated clock shows `clock_start`. Not set: when `qist up` starts."""
    clock_speed: float = Field(1.0, gt=0)
    """Simulated seconds per real second."""

    vault_key: SecretStr | None = None
    """Master key of the personal-data vault, 64 hex digits. Not set: made once and kept in `data_dir`."""

    webhook_secrets: SecretStr | None = None
    """Who may call our webhooks, and the secret that each signs with: `gateway:secret,gateway:secret`. A gateway that
    is named twice may use either, so that secrets can be changed without a gap. Not set: no webhook is served."""

    gateways_file: Path | None = None
    """TOML file of the gateways that `qist gateway` serves, and whose webhooks are taken. See docs/gateways.md."""
    gateway_secrets: SecretStr | None = None
    """What we log in to gateways with: `gateway:secret,gateway:secret`."""
    gateway_group: str = "qist-gateway"
    """Consumer group of the gateway role; the gateway's name is added, since each one reads all instructions."""
    lender_name: str = "Qist"
    """Who signs notices and documents."""
    lender_file: Path | None = None
    """TOML file with what documents say of the lender: address, registration, grievance officer. See
    docs/documents.md."""
    documents: Literal["issued", "on-demand"] = "issued"
    """`issued`: what events call for (key facts, no-dues certificate ...) is made by itself, by the notifier's process.
    `on-demand`: only when somebody asks."""
    payment_link: str | None = None
    """The page where a borrower pays, put into notices: `https://pay.example.in/{link_id}`, where `{link_id}`,
    `{loan_id}` and `{number}` are filled in. Not set: notices name no link."""
    smtp_url: SecretStr | None = None
    """The server for e-mail: `smtp+starttls://user:password@host:587`, `smtps://...` or, without TLS, `smtp://...`."""
    smtp_from: str = "loans@localhost"
    """The address that e-mail comes from."""
    notice_webhooks: str | None = None
    """Providers of other channels: `sms=https://...,whatsapp=https://...,voice=https://...`; each notice is one POST
    with an idempotency key."""
    notice_webhook_secret: SecretStr | None = None
    """What our calls to these providers are signed with. Not set: they are not signed."""
    notices_file: Path | None = None
    """Channels without a provider write here, one JSON document a line. For development: it holds personal data. `qist
    up` and `qist demo` use `notices.jsonl` in `data_dir`."""
    notices_dir: Path | None = None
    """Folder with the lender's own templates of notices (TOML), which replace the shipped ones of the same kind."""

    products_dir: Path | None = None
    """Folder with the lender's own products, one TOML file each, beside those that are shipped. Not set: only those."""

    reconciliation_grace_days: int = Field(2, ge=0, le=60)
    """Days that a gateway or bank has to report what moved; what no report has after them is missing."""
    reconciliation_date_days: int = Field(3, ge=0, le=60)
    """Days between the value dates of loan and report that are no difference."""
    reconciliation_hold_days: int = Field(1, ge=0, le=60)
    """Days that a credit which names only its loan waits, before it is booked, for the same money to be told under
    another reference."""
    reconciliation_case_days: int = Field(7, ge=0, le=365)
    """Days after which a difference of a loan that nobody resolved becomes a case; 0: never."""

    bureau_member_code: str = Field("", max_length=30)
    """The lender's member code in credit bureau files; they differ by bureau."""

    log_format: Literal["json", "console"] = "json"
    """`json`: one document a line. `console`: for a person's eyes."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """The settings of this process; an override that is None counts as not given."""
        secrets_dir = Path(os.environ.get(PREFIX + "SECRETS_DIR") or SECRETS_DIR)
        given = {name: value for name, value in overrides.items() if value is not None}
        return cls(_secrets_dir=secrets_dir if secrets_dir.is_dir() else None, **given)  # pyright: ignore[reportCallIssue]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                "kafka_security_protocol asks for a login: set kafka_sasl_username and kafka_sasl_password"
            )
        if self.clock == "simulated" and self.clock_start is None:
            raise ValueError("a simulated clock needs clock_start")
        if self.api_auth == "open" and not is_loopback(self.http_host):
            raise ValueError("api_auth=open lets in whoever reaches us: it needs a loopback http_host")
        if self.oidc_issuer is not None:
            url = urlsplit(self.oidc_issuer)
            if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
                raise ValueError("oidc_issuer is an https URL")
            if self.oidc_audience is None and self.oidc_client_id is None:
                raise ValueError("oidc_issuer needs oidc_audience (bearer tokens) or oidc_client_id (pages), or both")
        self.approval_limits()
        self.oidc_role_names()
        return self

    def is_explicit(self, field: str) -> bool:
        """Whether somebody chose this value, so that we must not choose another."""
        return field in self.model_fields_set

    def approval_limits(self) -> dict[str, int | None]:
        """Command -> paise above which a second person decides; None: never."""
        limits: dict[str, int | None] = {}
        for pair in f"{Settings.model_fields['approval_above'].default},{self.approval_above}".split(","):
            name, _, above = (part.strip() for part in pair.partition(":"))
            if name not in ("write-off", "settle", "waive", "refund") or not (above.isdecimal() or above == "never"):
                raise ValueError(f"approval_above: {pair!r} is not COMMAND:PAISE of write-off, settle, waive, refund")
            limits[name] = None if above == "never" else int(above)
        return limits

    def oidc_role_names(self) -> dict[str, str]:
        """The provider's name of a role -> ours."""
        pairs = [pair.rpartition(":") for pair in (self.oidc_roles or "").split(",") if pair.strip()]
        if any(not theirs.strip() or not ours.strip() for theirs, _, ours in pairs):
            raise ValueError("oidc_roles: pairs THEIRS:OURS, separated by commas")
        return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}

    def webhook_secrets_of(self, gateway: str) -> list[bytes]:
        """The secrets that a gateway may sign with; none for one that we do not know."""
        return [secret.encode() for secret in _secrets_of(self.webhook_secrets, gateway)]

    def gateway_secret_of(self, gateway: str) -> str | None:
        """What we log in to a gateway with."""
        return next(iter(_secrets_of(self.gateway_secrets, gateway)), None)

    def kafka_client_options(self) -> dict[str, Any]:
        """Security arguments for any aiokafka client, to be given beside `bootstrap_servers`."""
        options: dict[str, Any] = {"security_protocol": self.kafka_security_protocol}
        if self.kafka_security_protocol.endswith("SSL"):
            options["ssl_context"] = self.kafka_ssl_context()
        if self.kafka_security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_sasl_username
            options["sasl_plain_password"] = _reveal(self.kafka_sasl_password)
        return options

    def kafka_ssl_context(self) -> ssl.SSLContext:
        """Whom we trust as Kafka, and who we are."""
        from aiokafka.helpers import create_ssl_context  # only who needs it pays for the import

        return create_ssl_context(
            cafile=self.kafka_ssl_cafile,
            certfile=self.kafka_ssl_certfile,
            keyfile=self.kafka_ssl_keyfile,
            password=_reveal(self.kafka_ssl_password),
        )

    def database_dsn(self) -> str:
        """The URL for asyncpg, with the trusted certificates named in it."""
        if self.database_url is None:
            raise ValueError(f"no database: set {PREFIX}DATABASE_URL, or start everything together with `qist up`")
        if self.database_ssl_root_cert is None:
            return self.database_url
        given = parse_qs(urlsplit(self.database_url).query)
        extra = {"sslrootcert": str(self.database_ssl_root_cert), "sslmode": "verify-full"}
        added = "&".join(f"{key}={quote(value, safe='')}" for key, value in extra.items() if key not in given)
        return f"{self.database_url}{'&' if given else '?'}{added}" if added else self.database_url

    def environment(self) -> dict[str, str]:
        """What was chosen, as variables for a child process; secrets included, defaults left out."""
        chosen = self.model_dump(include=self.model_fields_set, exclude_none=True)
        return {PREFIX + name.upper(): _as_variable(value) for name, value in chosen.items()}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """`QIST_*` variables that mean nothing to us: most likely misspelt, and otherwise ignored in silence."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _NO_SETTINGS
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def settings_page() -> str:
    """The page docs/settings.md, from the fields above."""
    return "".join(_page_lines())


def _page_lines() -> Iterable[str]:
    yield "# Settings\n\n"
    yield "Made by `make docs` from `adapters/settings.py`; do not edit.\n\n"
    yield "Each setting is an environment variable, or a file of that name (in lower case) in the folder\n"
    yield "`QIST_SECRETS_DIR` (`/run/secrets` where it exists). A variable wins over a file.\n\n"
    yield "| variable | values | default | what it is |\n|---|---|---|---|\n"
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default is None else f"`{field.default}`"
        variable = f"`{PREFIX}{name.upper()}`"
        yield f"| {variable} | {_values(field.annotation)} | {default} | {_one_line(field.description)} |\n"


_PLAIN = {str: "text", int: "number", float: "number", Path: "path", SecretStr: "secret"}


def _values(annotation: Any) -> str:
    """How a person would name a type."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    inner = [one for one in getattr(annotation, "__args__", ()) if one is not type(None) and not hasattr(one, "gt")]
    if getattr(annotation, "__origin__", None) is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    return _values(inner[0]) if inner else "instant"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _as_variable(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _secrets_of(pairs: SecretStr | None, wanted: str) -> list[str]:
    """The secrets of one name in `name:secret,name:secret`."""
    split = (pair.partition(":") for pair in (_reveal(pairs) or "").split(","))
    return [secret.strip() for name, _, secret in split if name.strip() == wanted and secret.strip()]


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
