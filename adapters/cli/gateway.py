"""`qist gateway`: the gateway role, and what to look at, send again or read by hand around it."""

from __future__ import annotations

import json as jsonlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from adapters.cli.arguments import Count, FileOrStdin, read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_or_exit, settings_with_services

if TYPE_CHECKING:
    from adapters.gateways.nach_format import Item
    from adapters.gateways.simulators.books import Mischief

app = App(
    name="gateway",
    help="Present debits and payouts to gateways, and tell what became of them. See docs/gateways.md.",
    help_format="plaintext",
)
files = App(name="files", help="NACH-style files, by hand: no broker, no database.", help_format="plaintext")
app.command(files)

Flag = Annotated[bool, Parameter(negative="")]


@app.default
def gateway(*, name: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()) -> int:
    """Serve gateways until told to stop: instructions in from Kafka, calls and files out, outcomes back.

    Which gateways there are, QIST_GATEWAYS_FILE says. Any number of these processes may run, also for one gateway.

    Parameters
    ----------
    name
        Serve only these; may be given several times. Default: all.
    """
    from adapters.roles.gateway import run_gateway
    from adapters.roles.run import run_role

    settings = settings_with_services(broker=True)
    return run_role("gateway", lambda known, stop: run_gateway(known, stop, names=name), settings)


@app.command
def check() -> int:
    """Check the file of gateways: name everything that is wrong in it, and what is missing beside it."""
    from adapters.gateways.config import Api, GatewayRefused, load_gateways

    settings = settings_or_exit()
    try:
        gateways = load_gateways(settings)
    except GatewayRefused as error:
        print(error, file=sys.stderr)
        return ANSWER_IS_NO
    if not gateways:
        print("no gateway: QIST_GATEWAYS_FILE names the file where they are", file=sys.stderr)
        return ANSWER_IS_NO
    missing = 0
    for name, config in gateways.items():
        print(f"{name}: {config.adapter}, {config.url if isinstance(config, Api) else config.folder}")
        if isinstance(config, Api):
            for variable, there in (
                ("QIST_GATEWAY_SECRETS", settings.gateway_secret_of(name)),
                ("QIST_WEBHOOK_SECRETS", settings.webhook_secrets_of(name)),
            ):
                if not there:
                    missing += 1
                    print(f"{name}: no secret in {variable}", file=sys.stderr)
    return ANSWER_IS_NO if missing else 0


State = Literal["requested", "sending", "sent", "unknown", "answered", "withdrawn", "held"]


@app.command
def simulate(
    vendor: Literal["banyan", "kestrel"] = "banyan",
    /,
    *,
    port: int = 8099,
    seed: int = 7,
    wrong: float = 0.1,
    fails: float = 0.3,
    webhook_url: str = "",
    webhook_secret: str = "secret",
) -> int:
    """Run a gateway that is not real and misbehaves, until told to stop; at the end, say what its own books hold.

    Log in to it with the key `key` and the secret `secret`. It loses answers and webhooks, repeats, delays and forges
    them, changes its mind, and is unavailable at times, by seed.

    Parameters
    ----------
    vendor
        Whose API it has.
    port
        Where it listens, on the loopback address.
    seed
        The same seed and orders have the same luck.
    wrong
        How often each thing goes wrong, from 0 to 1.
    fails
        How many orders fail, from 0 to 1.
    webhook_url
        Where its webhooks go, such as http://localhost:8080/api/v1/webhooks/banyan. Not given: it sends none.
    webhook_secret
        What it signs them with.
    """
    from adapters.gateways.simulators.books import Mischief

    if not (0 <= wrong <= 1 and 0 <= fails <= 1):
        print("--wrong and --fails are from 0 to 1", file=sys.stderr)
        return WRONG_USAGE
    return run(_simulate(vendor, port, seed, Mischief.of_all(wrong, fails=fails), webhook_url, webhook_secret))


async def _simulate(vendor: str, port: int, seed: int, mischief: Mischief, url: str, secret: str) -> None:
    import asyncio

    from adapters.gateways.simulators.api import ApiSimulator, face_of

    simulator = ApiSimulator(
        face=face_of(vendor),
        seed=seed,
        mischief=mischief,
        port=port,
        webhook_url=url,
        webhook_secret=secret,
        silence_seconds=60,
        late_seconds=5,
    )
    async with simulator as sim:
        print(f"{vendor} at {sim.url}", file=sys.stderr)
        try:
            await asyncio.Event().wait()
        finally:
            entries = sim.books.entries.values()
            document = {
                "orders": len(entries),
                "repeats": sim.books.repeats,
                "succeeded": sum(entry.state == "succeeded" for entry in entries),
                "moved_paise": sum(sim.books.moved().values()),
                "moved_twice": [entry.reference for entry in entries if entry.times > 1],
                "mischief": dict(sim.books.did),
            }
            print(jsonlib.dumps(document, indent=2))


@app.command
def calls(
    *,
    name: str | None = None,
    state: State | None = None,
    loan: str | None = None,
    noted: Flag = False,
    limit: Count = 50,
    json: Flag = False,
) -> int:
    """What was asked of gateways and what they answered, the newest first.

    Parameters
    ----------
    name
        Of this gateway.
    state
        Such as unknown (perhaps done; being enquired about) or held (too old to present, and unknown to the gateway).
    loan
        Of this loan.
    noted
        Only those with something that a person may want to know, such as a gateway that contradicts itself.
    limit
        So many at most.
    json
        As one JSON document.
    """
    rows = _Rows()
    status = run(rows.fetch(
        "SELECT instruction_id, gateway, kind, loan_id, amount_paise, state, outcome, presented, looks, note,"
        " answer ->> 'code' AS code, answer ->> 'reference' AS reference, requested_at, answered_at, next_at"
        " FROM gateway_calls WHERE ($1::text IS NULL OR gateway = $1) AND ($2::text IS NULL OR state = $2)"
        " AND ($3::text IS NULL OR loan_id = $3) AND (NOT $4 OR note <> '') ORDER BY requested_at DESC,"
        " instruction_id LIMIT $5",
        name, state, loan, noted, limit,
    ))  # fmt: skip
    if status or json:
        return status or _document(rows.found)
    if not rows.found:
        print("no calls" + (" that fit" if name or state or loan or noted else " yet"))
    for row in rows.found:
        what = (
            f"{row['state']}{' ' + row['outcome'] if row['outcome'] else ''}{' ' + row['code'] if row['code'] else ''}"
        )
        print(
            f"{row['instruction_id']:<32} {row['gateway']:<14} {row['kind']:<8} {row['amount_paise']:>12} paise"
            f"  {what:<22} {row['note']}".rstrip()
        )
    return 0


@app.command
def aside(*, name: str | None = None, limit: Count = 50, json: Flag = False) -> int:
    """Lines of files, whole files and instructions that could not be understood, with the place and the reason.

    Parameters
    ----------
    name
        Of this gateway.
    limit
        So many at most.
    json
        As one JSON document.
    """
    rows = _Rows()
    status = run(rows.fetch(
        "SELECT gateway, source, line, reason, at FROM gateway_set_aside WHERE ($1::text IS NULL OR gateway = $1)"
        " ORDER BY id DESC LIMIT $2",
        name, limit,
    ))  # fmt: skip
    if status or json:
        return status or _document(rows.found)
    if not rows.found:
        print("nothing is set aside")
    for row in rows.found:
        print(f"{row['gateway']}: {row['source']}:{row['line']}: {row['reason']}")
    return 0


@app.command
def enquire(instruction_id: str, /) -> int:
    """Enquire about an order now: of one that is held, too, and of one whose outcome was told long ago.

    Parameters
    ----------
    instruction_id
        Such as LN-1:3:1.
    """
    rows = _Rows()
    status = run(rows.fetch(
        "UPDATE gateway_calls SET next_at = now(), state = CASE state WHEN 'held' THEN 'unknown' ELSE state END"
        " WHERE instruction_id = $1 AND state NOT IN ('requested', 'sending') RETURNING state",
        instruction_id,
    ))  # fmt: skip
    if status:
        return status
    if not rows.found:
        print(f"{instruction_id}: no order that was presented", file=sys.stderr)
        return ANSWER_IS_NO
    print(f"{instruction_id}: the gateway is asked when its role next looks")
    return 0


class _Rows:
    """What a query brought."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    async def fetch(self, query: str, *arguments: Any) -> None:
        from adapters.database import open_house

        pool = await open_house(settings_with_services(), name="gateway-cli", size=1)
        try:
            self.found = [dict(row) for row in await pool.fetch(query, *arguments)]
        finally:
            await pool.close()


def _document(rows: list[dict[str, Any]]) -> int:
    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else value

    print(jsonlib.dumps([{key: plain(value) for key, value in row.items()} for row in rows], indent=2))
    return 0


# --- files ---------------------------------------------------------------------------------------------------


@files.command(name="read")
def read_file(file: FileOrStdin = "-", /, *, json: Flag = False) -> int:
    """Say what a NACH-style file holds, whether its totals agree, and which lines cannot be understood.

    Exit status 1 when something is wrong with it. Nothing is booked: a file counts when it lies in a gateway's `in`.

    Parameters
    ----------
    file
        The file; - is standard input.
    json
        As one JSON document.
    """
    from adapters.gateways.nach_format import KINDS, STATUSES, read

    try:
        reading = read(read_bytes(file))
    except OSError as error:
        print(f"cannot read {file}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    found = reading.file
    wrong = bool(reading.problem or reading.set_aside)
    if json:
        print(jsonlib.dumps({
            "kind": found.kind if found else None,
            "reference": found.reference if found else None,
            "about": found.about if found else None,
            "made_on": found.made_on.isoformat() if found else None,
            "problem": reading.problem or None,
            "set_aside": [{"line": one.line, "reason": one.reason} for one in reading.set_aside],
            "items": [{"line": line, **_plain(item)} for line, item in
                      zip(reading.lines, found.items if found else (), strict=True)],
        }, indent=2))  # fmt: skip
        return ANSWER_IS_NO if wrong else 0
    if found:
        print(f"{found.kind} {found.reference} of {found.made_on} ({KINDS[found.kind]})")
        for line, item in zip(reading.lines, found.items, strict=True):
            what = f"{STATUSES[item.status]} {item.code}".strip() if item.status else item.umrn
            print(f"{line:>6}  {item.reference:<32} {item.amount_paise:>14} paise  {what}")
    for one in reading.set_aside:
        print(f"line {one.line}: {one.reason}", file=sys.stderr)
    if reading.problem:
        print(f"nothing of it counts: {reading.problem}", file=sys.stderr)
    return ANSWER_IS_NO if wrong else 0


@files.command(name="write")
def write_file(
    file: FileOrStdin = "-",
    /,
    *,
    kind: Literal["PRS", "ENQ", "ACK", "RSP"] = "PRS",
    utility_code: str,
    about: str = "",
    out: Path | None = None,
) -> int:
    """Make a NACH-style file from a JSON list of its items: a presentation, or what a bank would answer.

    Each item has `reference` and `amount_paise`, a presentation's also `umrn`, `due_on` and `bank`, a response's
    `status`, `code`, `bank_reference`, `value_on` and `text`; totals are worked out.

    Parameters
    ----------
    file
        The JSON list; - is standard input.
    kind
        PRS presents, ENQ enquires, ACK acknowledges, RSP responds.
    utility_code
        Who we are at the bank.
    about
        The reference of the file that this one answers.
    out
        A folder to write it to, under its own name, whole or not at all. Default: standard output.
    """
    from adapters.gateways.nach import put
    from adapters.gateways.nach_format import Garbled, NachFile, name_of, reference_of, written

    now = datetime.now(UTC)
    try:
        listed = jsonlib.loads(read_bytes(file))
        if not isinstance(listed, list):
            raise ValueError("this is not a list of items")
        items = [_item(number, said) for number, said in enumerate(listed, 1)]
        reference = reference_of(kind, now, [item.reference for item in items])
        made = NachFile(
            kind=kind, reference=reference, utility_code=utility_code, made_on=now.date(), items=items, about=about
        )
        text = written(made)
    except OSError as error:
        print(f"cannot read {file}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    except (Garbled, ValueError, TypeError) as error:
        print(error, file=sys.stderr)
        return ANSWER_IS_NO
    if out is None:
        print(text, end="")
        return 0
    put(out, name_of(made), text.encode("ascii"))
    print(out / name_of(made))
    return 0


def _item(number: int, said: Any) -> Item:
    """An item of a JSON list; `ValueError` naming the item and the field."""
    from pydantic import TypeAdapter, ValidationError

    from adapters.gateways.nach_format import Item

    try:
        return TypeAdapter(Item).validate_python(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise ValueError(f"item {number}: /{where}: {first['msg']}") from None


def _plain(item: Item) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: str(value) if hasattr(value, "isoformat") else value for name, value in asdict(item).items()}
