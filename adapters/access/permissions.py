"""Roles and what they may do, as data: a permission for each route and each command. What stands here nowhere is for
`admin` alone, so that a route that somebody forgets is closed and not open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

API: Final = "/api/v1"

PERMISSIONS: Final[dict[str, str]] = {
    "portfolio.read": "figures of the portfolio, failure codes, differences, what was set aside",
    "loans.read": "loans, their schedules, books, events, notices and cases; recorded",
    "notes.read": "the words of notes, which may be personal; recorded",
    "documents.read": "loans' documents as PDF, with the borrower's name; recorded",
    "cases.work": "assign, note and close cases, take promises and grievances, hold contact",
    "loans.service": "payments, mandates, charges, changes of terms, particulars of borrowers",
    "money.give-up": "ask for write-off, settlement, waiver and refund; above a limit a second person decides",
    "approvals.read": "what waits for a second person, and what became of it",
    "approvals.decide": "approve or decline what somebody else asked for",
    "set-aside.retry": "send dead letters and parked records again",
    "reconciliation.work": "take in statements, resolve differences, declare sources",
    "codes.classify": "say what a failure code means",
    "reports.read": "compliance and management reports",
    "audit.read": "who read what about whom, who signed in with what",
    "borrowers.erase": "erase a borrower's personal data for good",
    "house.manage": "all that has no other permission",
}
"""Permission -> what it allows."""

_READS = ("portfolio.read", "loans.read", "approvals.read")

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": frozenset(_READS),
    "collector": frozenset((*_READS, "notes.read", "documents.read", "cases.work")),
    "operator": frozenset(
        (
            *_READS, "notes.read", "documents.read", "cases.work", "loans.service", "money.give-up",
            "set-aside.retry", "reconciliation.work", "codes.classify", "reports.read",
        )
    ),
    "approver": frozenset((*_READS, "notes.read", "documents.read", "approvals.decide", "reports.read")),
    "auditor": frozenset((*_READS, "notes.read", "documents.read", "reports.read", "audit.read")),
    "admin": frozenset(PERMISSIONS),
}  # fmt: skip
"""Role -> its permissions. One person may have several roles; even an admin never decides on their own request."""

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "cases.work": (
        "open-case", "assign-case", "note-case", "close-case", "promise-to-pay", "raise-grievance", "hold-contact",
        "set-contact-preferences", "quote-preclosure", "offer-payment-link",
    ),
    "loans.service": (
        "record-payment", "part-prepay", "preclose", "record-recovery", "levy-charge", "pause-collection",
        "register-mandate", "swap-mandate", "prefer-mandate", "pause-mandate", "resume-mandate", "cancel-mandate",
        "resume-debits", "retry-payout", "release-papers", "cancel-disbursal", "restructure", "grant-relief",
        "reset-rate", "update-borrower", "update-bank-account",
    ),
    "money.give-up": ("write-off", "settle", "waive", "refund"),
    "borrowers.erase": ("erase-borrower",),
    "house.manage": ("borrower-standing",),
}  # fmt: skip
"""Permission -> the commands that it allows."""


class Rule(NamedTuple):
    """What a route asks for. A pattern that ends in `/*` holds for all below it; the first that fits counts."""

    methods: str
    pattern: str
    permission: str
    recorded: bool = False
    """Whether it shows something of a person: then each access is written down."""


SIGNED_IN: Final = "signed-in"
"""For whoever is known, whatever their roles."""

OPEN: Final = "open"
"""For all: no sign-in. (Webhooks prove by their signature who calls.)"""

ROUTES: Final[tuple[Rule, ...]] = (
    # Open, by their nature.
    Rule("GET", "/healthz", OPEN),
    Rule("GET", "/readyz", OPEN),
    Rule("GET", "/metrics", OPEN),  # unless QIST_METRICS says otherwise
    Rule("GET", f"{API}/healthz", OPEN),
    Rule("GET", f"{API}/readyz", OPEN),
    Rule("GET", f"{API}/metrics", OPEN),
    Rule("POST", f"{API}/webhooks/{{gateway}}", OPEN),
    Rule("GET", "/pay/{link_id}", OPEN),
    Rule("GET", "/static/{stamp}/{path}", OPEN),
    Rule("GET", "/favicon.ico", OPEN),
    Rule("GET POST", "/sign-in", OPEN),
    Rule("GET", "/sign-in/*", OPEN),
    Rule("POST", "/sign-out", OPEN),
    # Pages.
    Rule("GET", "/", "portfolio.read"),
    Rule("GET", "/live", "portfolio.read"),
    Rule("GET", "/recovery", "portfolio.read"),
    Rule("GET", "/loans", "loans.read", recorded=True),
    Rule("GET", "/loans/*", "loans.read", recorded=True),
    Rule("POST", "/loans/{loan_id}/actions/{command}", "loans.read"),  # and the command's own
    Rule("GET", "/collections", "loans.read", recorded=True),
    Rule("GET", "/failures", "portfolio.read"),
    Rule("GET", "/delinquency", "loans.read", recorded=True),
    Rule("GET", "/set-aside", "portfolio.read"),
    Rule("GET", "/set-aside/{number}", "loans.read", recorded=True),
    Rule("POST", "/set-aside/*", "set-aside.retry"),
    Rule("GET", "/codes", "portfolio.read"),
    Rule("GET", "/reconciliation", "portfolio.read"),
    Rule("POST", "/reconciliation", "reconciliation.work"),
    Rule("GET", "/approvals", "approvals.read", recorded=True),
    Rule("POST", "/approvals/{command_id}", "approvals.decide"),
    # The API.
    Rule("GET", f"{API}/me", SIGNED_IN),
    Rule("GET", f"{API}/loans", "loans.read", recorded=True),
    Rule("GET", f"{API}/loans/{{loan_id}}/documents/{{document}}", "documents.read", recorded=True),
    Rule("GET", f"{API}/loans/*", "loans.read", recorded=True),
    Rule("POST", f"{API}/loans/{{loan_id}}/commands", "loans.read"),  # and the command's own
    Rule("POST", f"{API}/loans/{{loan_id}}/commands/preview", "loans.read", recorded=True),  # and the command's own
    Rule("POST", f"{API}/loans/{{loan_id}}/documents", "loans.service"),
    Rule("GET", f"{API}/commands/{{command_id}}", "loans.read"),
    Rule("GET", f"{API}/dashboard", "portfolio.read"),
    Rule("GET", f"{API}/dashboard/*", "portfolio.read"),
    Rule("GET", f"{API}/delinquency", "loans.read", recorded=True),
    Rule("GET", f"{API}/cases", "loans.read", recorded=True),
    Rule("GET", f"{API}/cases/{{case_id}}", "loans.read", recorded=True),  # with notes: notes.read
    Rule("GET", f"{API}/promises", "loans.read", recorded=True),
    Rule("GET", f"{API}/collections", "portfolio.read"),
    Rule("GET", f"{API}/failure-codes", "portfolio.read"),
    Rule("GET", f"{API}/failure-codes/{{rail}}/{{code}}", "portfolio.read"),
    Rule("POST", f"{API}/failure-codes", "codes.classify"),
    Rule("GET", f"{API}/dead-letters", "portfolio.read"),
    Rule("GET", f"{API}/dead-letters/{{number}}", "loans.read", recorded=True),
    Rule("POST", f"{API}/dead-letters/{{number}}/retry", "set-aside.retry"),
    Rule("GET", f"{API}/parked", "portfolio.read"),
    Rule("POST", f"{API}/parked/{{loan_id}}/retry", "set-aside.retry"),
    Rule("GET", f"{API}/reconciliation/*", "portfolio.read"),
    Rule("POST PUT", f"{API}/reconciliation/*", "reconciliation.work"),
    Rule("GET", f"{API}/approvals", "approvals.read", recorded=True),
    Rule("GET", f"{API}/approvals/{{command_id}}", "approvals.read", recorded=True),
    Rule("POST", f"{API}/approvals/{{command_id}}", "approvals.decide"),
    Rule("GET", f"{API}/access-log", "audit.read"),
    Rule("GET", f"{API}/reports", "reports.read"),
    Rule("GET", f"{API}/reports/*", "reports.read", recorded=True),
)

CLOSED: Final = Rule("*", "*", "house.manage")


def rule_of(method: str, pattern: str) -> Rule:
    """What a route asks for; a route that the table does not know is for admins."""
    method, pattern = "GET" if method == "HEAD" else method, pattern.replace(":path}", "}")
    for rule in ROUTES:
        if method in rule.methods.split() and (
            pattern == rule.pattern or (rule.pattern.endswith("/*") and pattern.startswith(rule.pattern[:-1]))
        ):
            return rule
    return CLOSED


def permission_of_command(name: str) -> str:
    """What a command asks for, by its short name; one that the table does not know is for admins."""
    return next((permission for permission, names in COMMANDS.items() if name in names), CLOSED.permission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever makes a request."""

    name: str
    """As it stands in events, approvals and the access log."""
    subject: str
    """The same for good, and different for everybody: `key:ID`, `oidc:SUBJECT`, or `open`."""
    roles: frozenset[str]
    csrf: str = ""
    """What forms of a signed-in page must repeat; empty where no cookie was involved."""

    @property
    def anonymous(self) -> bool:
        """On this machine, without a sign-in (QIST_API_AUTH=open)."""
        return self.subject == OPEN

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset().union(*(ROLES.get(role, frozenset[str]()) for role in self.roles))

    def may(self, permission: str) -> bool:
        return permission == SIGNED_IN or permission in self.permissions

    def is_also(self, name: str, subject: str) -> bool:
        """Whether that is the same person, as far as a name or a credential can tell."""
        return self.subject == subject or self.name.casefold() == name.casefold()


ANONYMOUS: Final = Principal(name="api", subject=OPEN, roles=frozenset({"admin"}))
