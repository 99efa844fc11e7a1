"""The `qist` command: a table of commands, each imported only when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

DONE: Final = 0
WRONG_USAGE: Final = 2

# name: (where it lives, what it does). The help stands here, so that `qist --help` imports none of them.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("adapters.cli.up:up", "Everything on this machine: database, broker and all roles, until Ctrl-C."),
    "engine": ("adapters.cli.engine:engine", "The servicing engine as a process of its own."),
    "projector": ("adapters.cli.projector:projector", "The read models, kept up to date from the event log."),
    "streams": ("adapters.cli.streams:streams", "Borrower updates to their loans, and payment insights."),
    "notifier": ("adapters.cli.notifier:notifier", "Tell borrowers: decide, write and send what events ask for."),
    "notices check": ("adapters.cli.notices:check", "Whether every notice has its words, in every language."),
    "notices preview": ("adapters.cli.notices:preview", "The text of a kind of notice, as it would go out."),
    "notices list": ("adapters.cli.notices:list_notices", "What a loan's borrower was told, or not, and why."),
    "api": ("adapters.cli.api:api", "The HTTP API, the webhooks and the live page."),
    "gateway": ("adapters.cli.gateway:app", "Debits and payouts to gateways, and what became of them."),
    "bench": ("adapters.cli.bench:bench", "How fast Qist is here, beside the stock pieces, in one run."),
    "demo": ("adapters.cli.demo:demo", "A year of simulated loans in minutes, with a summary that reconciles."),
    "evaluate-retries": (
        "adapters.cli.evaluate_retries:evaluate_retries",
        "What trying failed debits again brings in, by strategy, on a population.",
    ),
    "simulate population": ("adapters.cli.simulate:population", "A population of accounts for `evaluate-retries`."),
    "topics create": ("adapters.cli.admin:create", "Make the topics that are missing on the broker."),
    "db migrate": ("adapters.cli.admin:migrate", "Bring the database up to date."),
    "rebuild": ("adapters.cli.rebuild:rebuild", "Make a read model anew from the log, beside the live one, and swap."),
    "replay": ("adapters.cli.audit:replay", "A loan as it stood, from its events."),
    "dead-letters list": ("adapters.cli.set_aside:list_dead_letters", "Records that could not be applied, and why."),
    "dead-letters show": ("adapters.cli.set_aside:show_dead_letter", "One of them, with what it held."),
    "dead-letters retry": ("adapters.cli.set_aside:retry_dead_letters", "Send them again, as they came."),
    "parked list": ("adapters.cli.set_aside:list_parked", "Records that wait for a loan that is not known yet."),
    "parked retry": ("adapters.cli.set_aside:retry_parked", "Send them again, as they came."),
    "reconcile import": ("adapters.cli.reconcile:take_in", "Take in a settlement report or a bank statement."),
    "reconcile list": ("adapters.cli.reconcile:list_items", "What differs between the loans and what is reported."),
    "reconcile show": ("adapters.cli.reconcile:show_item", "One of them, with all its sides."),
    "reconcile resolve": (
        "adapters.cli.reconcile:resolve",
        "Settle one: accept, book, reverse, or the same as another.",
    ),
    "reconcile totals": ("adapters.cli.reconcile:totals", "From the ledger's bank account to the banks' statements."),
    "cases list": ("adapters.cli.cases:list_cases", "Work for people, what is due first at the top."),
    "cases show": ("adapters.cli.cases:show_case", "One case, and everything that happened to it."),
    "cases assign": ("adapters.cli.cases:assign", "Give a case to somebody."),
    "cases note": ("adapters.cli.cases:note", "Note what was found out."),
    "cases close": ("adapters.cli.cases:close", "Say how a case ended."),
    "cases dispositions": ("adapters.cli.cases:dispositions", "The codes in which a case can end."),
    "codes list": ("adapters.cli.codes:list_codes", "What failure codes mean, rail by rail."),
    "codes show": ("adapters.cli.codes:show_code", "What one means now, and what was said of it before."),
    "codes classify": ("adapters.cli.codes:classify", "Say what a code means, from now on and without a release."),
    "report": ("adapters.cli.report:app", "Compliance and management reports, each reconciled to the ledger."),
    "audit verify": ("adapters.cli.audit:verify", "Hash chains, trial balance, read models: name every flaw."),
    "api-keys create": ("adapters.cli.api_keys:create", "Make a key for a person or a system; it is shown once."),
    "api-keys list": ("adapters.cli.api_keys:list_keys", "Who has a key, for what, and when it was last used."),
    "api-keys revoke": ("adapters.cli.api_keys:revoke", "From this moment on a key opens nothing."),
    "send": ("adapters.cli.send:send", "Publish a message as an upstream system or a gateway would."),
    "scenario": ("adapters.cli.scenario:scenario", "A loan's life from a file: no broker, no database."),
    "key-facts": ("adapters.cli.key_facts:statement", "The Key Facts Statement of a loan to be given, as data."),
    "document": ("adapters.cli.documents:document", "A document of a loan as PDF: statement, certificate, letter."),
    "documents": ("adapters.cli.documents:list_documents", "What was issued of a loan, with references and hashes."),
    "product check": ("adapters.cli.product:check", "Explain each setting of a product file; name contradictions."),
    "product list": ("adapters.cli.product:list_products", "The products in force."),
    "product show": ("adapters.cli.product:show", "Explain each setting of a product in force."),
    "schedule": (
        "adapters.cli.schedule:schedule",
        "Work out the schedule of a loan from its terms, as JSON.",
    ),
}

# The first words of commands of two words.
GROUPS: Final[dict[str, str]] = {
    "simulate": "Made-up worlds to try Qist on.",
    "topics": "Topics on the broker.",
    "notices": "What borrowers are told.",
    "db": "The database.",
    "dead-letters": "What could not be applied.",
    "parked": "What waits for its loan.",
    "reconcile": "What gateways and banks report beside what the loans say.",
    "cases": "Work for people: collections and support.",
    "codes": "Failure codes of gateways and banks.",
    "product": "What the lender decided for a kind of loan.",
    "api-keys": "Keys to the API and the pages.",
    "audit": "Proof that the books are whole.",
}


def _version() -> str:
    from importlib.metadata import version  # slow to import, and seldom asked for

    return version("qist")


app = App(
    name="qist",
    help="A loan servicing engine. Exit status: 0 done, 1 the answer is no, 2 wrong usage.",
    help_format="plaintext",
    version=_version,
)
for _group, _help in GROUPS.items():
    app.command(App(name=_group, help=_help, help_format="plaintext"))
for _name, (_path, _help) in COMMANDS.items():
    *_within, _last = _name.split()
    (app[_within[0]] if _within else app).command(_path, name=_last, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status: what it returns, or 0 when that is nothing."""
    try:
        status = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:  # Already explained to the person on stderr.
        sys.exit(WRONG_USAGE)
    sys.exit(status if isinstance(status, int) else DONE)


if __name__ == "__main__":
    main()
