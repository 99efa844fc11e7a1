"""docs/products.md and docs/product.schema.json: how to make a product, and every setting of one, from the table."""

from __future__ import annotations

import json
from collections.abc import Iterator

from domain.contradictions import CONTRADICTIONS, LAW_OF
from domain.product_settings import SETTINGS
from domain.setting import ANY, REQUIRED, as_toml, json_schema

GUIDE = """\
# Products

Made by `make docs` from `adapters/product_pages.py` and `domain/product_settings.py`; do not edit.

A product is what a lender decides once for all loans of a kind: how interest is counted, what a payment settles first,
when a debit is tried again, what a bounce costs. It is one TOML file; Qist ships three to begin from:

| product | what it is |
|---|---|
| [`personal-loan`](../domain/products/personal-loan.toml) | fixed rate, reducing balance |
| [`two-wheeler-loan`](../domain/products/two-wheeler-loan.toml) | flat rate, penal charge by the day, hypothecation |
| [`home-loan`](../domain/products/home-loan.toml) | floating rate, resets, tranches, papers held |

## Make one

1. Copy the nearest to a folder of your own, and name the folder in `QIST_PRODUCTS_DIR`.
2. Change `name`, and what differs. Only `name`, `version` and `description` must be given: every other setting has the
   default that stands below.
3. `qist product check FILE` prints each setting with its value, whether the file gives it or the default holds, and
   what it does; then `ok`, or every setting that cannot be, with what to do about it. The exit status is 0 when all is
   well, 1 when the file is no product, and 2 when it cannot be read. `--json` prints the same for a machine.
4. Restart the roles. `qist product list` shows what is in force; a loan whose LOS message says `"product": "NAME"` is
   booked under it. A file that is wrong stops the start, by name.

An editor that knows TOML schemas explains settings as you type when the file begins with
`#:schema product.schema.json` and a copy of [product.schema.json](product.schema.json) stands beside it.

## Change one

Give the changed file a new `version`, and keep the old one beside it (`personal-loan.toml`, `personal-loan-2.toml`; the
names of files do not matter). New loans are booked under the newest version; a loan keeps the one that it was booked
under for life, so the old file is needed as long as such a loan lives. Two files with the same name and version but
other settings are refused.

## What is refused

A key that is no setting is refused with the nearest one that is, and a value of the wrong kind or out of range with its
path. What is left is checked against itself and against the law (as of {law_of}, for new loans):

{contradictions}

## Every setting

Amounts are in paise, rates in percent a year, times in Asia/Kolkata. Percentages stand in quotes, so that no digit is
lost. The last column is the servicing rule that the setting belongs to.
"""


def products_page() -> str:
    """The page docs/products.md."""
    bullets = "\n".join(f"- {_first_line(check.__doc__)}" for check in CONTRADICTIONS)
    guide = GUIDE.replace("{law_of}", f"{LAW_OF.day} {LAW_OF:%B %Y}").replace("{contradictions}", bullets)
    return guide + "".join(_reference())


def _reference() -> Iterator[str]:
    table = None
    for setting in SETTINGS:
        within, _, name = setting.path.rpartition(".")
        if within != table:
            table = within
            if within:
                yield f"\n### `[{within.replace(ANY, 'NAME')}]`\n"
            yield "\n| setting | values | default | what it does | rule |\n|---|---|---|---|---|\n"
        default = "" if setting.default is REQUIRED or setting.default is None else f"`{as_toml(setting.default)}`"
        yield f"| `{name}` | {_cell(setting.kind.words)} | {default} | {setting.says} | {setting.rule} |\n"


def schema_page() -> str:
    """The page docs/product.schema.json."""
    schema = json_schema(SETTINGS, "Qist product", "One version of a product: docs/products.md explains it.")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first_line(doc: str | None) -> str:
    return (doc or "").split("\n")[0]
