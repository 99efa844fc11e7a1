"""The page docs/security.md: its tables are the data that the API goes by."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.access.permissions import API, COMMANDS, OPEN, PERMISSIONS, ROLES, ROUTES, SIGNED_IN

TEXT = """\
# Sign-in and safety

Made by `make docs` from `adapters/access`; do not edit.

## Who may come in

| you are | you come in with |
|---|---|
| trying Qist on your machine | nothing, or the link and the key that `qist up` and `qist demo` print |
| a system | an API key, or an access token of your identity provider: `Authorization: Bearer ...` |
| a person | the page `/sign-in`: with an API key, or at your organisation's identity provider |
| a gateway | the signature of its webhook, and nothing else ([gateways](gateways.md)) |

`/healthz`, `/readyz`, payment links and `/metrics` need no sign-in (`QIST_METRICS=required` closes the last).

**On one machine.** `qist up` and `qist demo` with their own database on a loopback address are *open*: a request from this
very machine without credentials may do everything, and a warning in the API's log says so. What a proxy forwards, and what
calls this machine by another name than `localhost` or its address, is not from this machine. `QIST_API_AUTH=required` closes
the house; an address that others reach, or a database of your own, closes it by itself, and `QIST_API_AUTH=open` is then
refused (or, on a loopback address with your own database, has to be said). The first start makes the key `admin` and shows it once; each
start prints a link that signs a browser in, once and within the hour.

**Keys.** `qist api-keys create asha --roles operator --expires 90d` prints a key once; the database has its hash. A key is
for one person or one system. `qist api-keys list` shows who has one and when it was last used; `qist api-keys revoke asha`
ends it, and every browser that signed in with it, at that moment.

**An identity provider (OpenID Connect).** Settings, all with the prefix `QIST_`:

| setting | for |
|---|---|
| `OIDC_ISSUER` | the provider; its addresses and keys are read from its discovery document, and kept for ten minutes |
| `OIDC_AUDIENCE` | access tokens (JWT): issuer, audience, expiry and signature are checked; only public-key algorithms are taken |
| `OIDC_CLIENT_ID`, `OIDC_CLIENT_SECRET` | the pages: code flow with PKCE; register `PUBLIC_URL/sign-in/callback` as the way back |
| `OIDC_ROLES_CLAIM`, `OIDC_ROLES` | where the roles stand, and what they are called there (`loan-ops:operator`) |
| `OIDC_NAME_CLAIM` | the name in events and in the access log; best an employee's number, since events are for good |

**Browsers** get a cookie that no script can read and no other site's form sends (`HttpOnly`, `SameSite=Lax`, with TLS
`Secure` and `__Host-`), for `QIST_SESSION_HOURS`. It is a random number whose hash the database knows: signing out ends it
everywhere. What changes something repeats the session's CSRF token, as the field `csrf` or the header `X-CSRF-Token`.

## Who may do what

{roles}
A command needs its own permission:

{commands}
`GET /api/v1/me` says who one is. 401 means that nobody is known, 403 that whoever is known may not (the problem names the
permission), 429 that one asked too often (`Retry-After`; `QIST_RATE_LIMIT`, counted by each API server, and {sign_ins} for
sign-ins and wrong credentials by address). Whoever signed in acts under their own name: a request that says another in
`requested_by` or `by` is refused.

## Four eyes

Write-off, settlement, waiver and refund give money up or pay it out. Above the limits of `QIST_APPROVAL_ABOVE` (paise;
`write-off:0` means always, `waive:never` means by one person) such a command is not sent but held: 202 with the status
`awaiting_approval`. What is at stake is read from the events that the command would give at that moment: the charge given
up, the refund, all that is written off, the outstanding amount less the settlement. What the rules would refuse is refused at
once, and nobody is asked.

    curl -X POST $QIST/api/v1/loans/LN-1/commands -H "Authorization: Bearer $ASHA" -H 'content-type: application/json' \\
      -d '{{"type": "write-off", "reason": "gone abroad"}}'
    curl $QIST/api/v1/approvals -H "Authorization: Bearer $RAVI"
    curl -X POST $QIST/api/v1/approvals/COMMAND-ID -H "Authorization: Bearer $RAVI" -H 'content-type: application/json' \\
      -d '{{"decision": "approve", "note": "seen the file"}}'

The page `/approvals` does the same. Whoever asked cannot decide, not even as an admin, and not with another key of the same
name; a decision is made once; after `QIST_APPROVAL_DAYS` the request lapses. An approved command goes to the engine, which
decides as ever; its event names both, `requested_by` and `approved_by`.

Limits count command by command: many small waivers are not added up. Commands that come over Kafka are the word of whoever
may write to `servicing.commands`: give that right to systems that have four eyes of their own. On an open house nobody is
known, so nothing waits.

## Who read what about whom

Each request for a loan, a list of loans, a case or a held command is written to `access_log` before it is answered: who,
with which credential, when, which route, which loan or borrower, which parameters. Signing in is, too. The application's login
can add to this table and neither change nor remove. `GET /api/v1/access-log` (permission `audit.read`) reads it by person,
loan, borrower and time. The command line is not recorded: whoever has the database's login is beyond it.

## In the browser, and on the wire

Every answer has a content security policy without inline script or style and without any other host, `nosniff`,
`Referrer-Policy`, `frame-ancestors 'none'`, and with TLS `Strict-Transport-Security`. Qist speaks plain HTTP: put a proxy with
TLS in front, and name its address in `QIST_TRUSTED_PROXIES`, or the API takes all callers for one, and cookies go without
`Secure`.

## Every route

{routes}"""  # noqa: E501


def security_page() -> str:
    from adapters.access.limits import SIGN_INS

    return TEXT.format(
        roles=lines(_roles()),
        commands=lines(_commands()),
        routes=lines(_routes()),
        sign_ins=SIGN_INS.replace("/", " a "),
    )


def lines(rows: Iterator[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def _roles() -> Iterator[str]:
    yield f"| permission | what it allows | {' | '.join(ROLES)} |"
    yield f"|---|---|{'---|' * len(ROLES)}"
    for permission, what in PERMISSIONS.items():
        marks = " | ".join("yes" if permission in allowed else "" for allowed in ROLES.values())
        yield f"| `{permission}` | {what} | {marks} |"


def _commands() -> Iterator[str]:
    yield "| permission | commands |"
    yield "|---|---|"
    for permission, names in COMMANDS.items():
        yield f"| `{permission}` | {', '.join(f'`{name}`' for name in names)} |"


def _routes() -> Iterator[str]:
    yield "What stands here nowhere is for `admin` alone. *Recorded*: in the access log."
    yield ""
    yield "| route | permission | recorded |"
    yield "|---|---|---|"
    named = {OPEN: "open to all", SIGNED_IN: "any sign-in"}
    for rule in ROUTES:
        permission = named.get(rule.permission, f"`{rule.permission}`")
        pattern = rule.pattern.replace(API, "/api/v1")
        yield f"| `{rule.methods} {pattern}` | {permission} | {'yes' if rule.recorded else ''} |"
