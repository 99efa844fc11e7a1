"""docs/reports.md, from the reports themselves."""

from __future__ import annotations

from textwrap import fill

from adapters.reports.catalogue import CATALOGUE
from adapters.reports.report import Books, Check, Report
from projections.ledger import BY_CODE

HEAD = """# Reports

*Generated from `adapters/reports/` by `make docs`.*

    qist report list
    qist report npa-sma --on 2026-06-30
    qist report gst --from 2026-06-01 --on 2026-06-30 --out gst.csv

A report shows the figures as they stood at the end of a day, whenever it is written: the day's own corrections are in
it, later ones are not (they are entries of the day on which they were learnt). It is read in one snapshot of the
database, so a running house can be asked at any time. Files end in `.csv`, `.json`, `.parquet` or `.xlsx`; amounts are
integer paise (in Excel rupees), days are `YYYY-MM-DD` in Asia/Kolkata.

Below its rows each report says what the ledger has of the same money, with what the rows leave out; when the two differ
it names the difference and the exit status is 1. `GET /api/v1/reports/NAME?on=DATE` gives the same over HTTP.

Of a period (`--from`, without it since the first of the month) a report tells what moved; of a comparison, two days'
ends (without `--from` the last month's end before).

| report | title | of |
|---|---|---|
"""
OF = {"": "a day's end", "month": "a period", "comparison": "two days' ends"}


def reports_page() -> str:
    rows = "".join(
        f"| [`{one.name}`](#{one.name}) | {one.title} | {'one loan' if one.of_loan else OF[one.period]} |\n"
        for one in CATALOGUE.values()
    )
    return HEAD + rows + "".join(map(section, CATALOGUE.values()))


def section(report: Report) -> str:
    columns = "".join(f"| `{one.name}` | {one.kind} | {one.says} |\n" for one in report.columns)
    proofs = "".join(f"- {said(check)}\n" for check in report.checks)
    proofs = f"\nReconciles:\n\n{proofs}" if proofs else ""
    return (
        f"\n## {report.name}\n\n{fill(report.title + '. ' + report.says, 120, break_long_words=False)}\n\n"
        f"| column | kind | |\n|---|---|---|\n{columns}{proofs}"
    )


def said(check: Check) -> str:
    if not isinstance(check, Books):
        return check.says
    account = BY_CODE[check.account]
    moved = {"on": "at the day's end", "then": "at the first day's end", "period": "in the period"}[check.when]
    of = f", of {', '.join(f'`{topic}`' for topic in check.topics)}" if check.topics else ""
    return f"{' '.join(f'`{name}`' for name in check.columns)}: {account.code} {account.name} {moved}{of}"
