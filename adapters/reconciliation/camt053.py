"""Bank statements in ISO 20022 camt.053 (any version: only the parts that all of them share are read).

A file is foreign, so it is read by defusedxml: no document type, no entities, nothing fetched. A statement whose
entries do not lead from its opening to its closing balance is refused: something is missing in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.reconciliation.lines import FileRefused, ReadFile, ReadLine, paise_of, references
from domain.calendar import IST

CURRENCY = "INR"
NOT_GIVEN = frozenset({"NOTPROVIDED", "NOTAVAILABLE", "NONREF"})
OPENING = ("OPBD", "PRCD")
CLOSING = ("CLBD",)
REFERENCES = ("AcctSvcrRef", "EndToEndId", "InstrId", "UETR", "PmtInfId", "MsgId", "ClrSysRef")
"""References of a transaction, after its TxId (the UTR), which a payment is known by."""


def read_camt053(content: bytes) -> ReadFile:
    """Every booked entry, or a refusal that names the statement, the entry and the element."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise FileRefused(f"declares what no statement needs ({type(error).__name__})", where="the file") from None
    except (ParseError, ValueError) as error:
        raise FileRefused(f"is not XML: {error}", where="the file") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # the namespace only says the version
    statements = root.findall("BkToCstmrStmt/Stmt")
    if root.tag != "Document" or not statements:
        raise FileRefused("holds no Document/BkToCstmrStmt/Stmt: this is no camt.053", where="the file")
    lines: list[ReadLine] = []
    told: list[str] = []
    pending = 0
    for statement in statements:
        name = text(statement, "Id") or "?"
        booked: list[Element] = []
        for entry in statement.findall("Ntry"):
            status = text(entry, "Sts/Cd") or text(entry, "Sts") or "BOOK"
            if status == "BOOK":
                booked.append(entry)
            else:
                pending += 1
        before = len(lines)
        moved = 0
        for number, entry in enumerate(booked, 1):
            read = list(read_entry(entry, name, number))
            moved += sum(line.paise for line in read)
            lines += read
        told.append(check_balances(statement, name, moved, len(lines) - before))
    return ReadFile(lines=lines, statement=True, passed_over=pending, told=told)


def read_entry(entry: Element, statement: str, number: int) -> Iterator[ReadLine]:
    """An entry as one line; as one each where its transactions are all there and add up to it."""
    where = f"statement {statement}, entry {number}"
    paise = signed(entry, where)
    value_on = day_of(entry, where)
    own = text(entry, "AcctSvcrRef") or f"{statement}/{text(entry, 'NtryRef') or number}"
    transactions = entry.findall("NtryDtls/TxDtls")
    parts = [amount_of(one, where) for one in transactions]
    if len(transactions) > 1 and all(parts) and sum(filter(None, parts)) == abs(paise):
        sign = 1 if paise > 0 else -1
        for place, (one, part) in enumerate(zip(transactions, parts, strict=True), 1):
            entry_of_part = f"{own}#{place}"
            refs = named((one,), entry_of_part)
            yield ReadLine(entry=entry_of_part, paise=sign * (part or 0), value_on=value_on, refs=refs)
        return
    refs = named(transactions, own, text(entry, "AcctSvcrRef"), more=(text(entry, "AddtlNtryInf"),))
    yield ReadLine(entry=own, paise=paise, value_on=value_on, refs=refs)


def named(transactions: Any, entry: str, bank_reference: str = "", more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Everything that an entry names, free text last."""
    known_by = [text(one, "Refs/TxId") for one in transactions]
    given = [text(one, f"Refs/{name}") for name in REFERENCES for one in transactions]
    creditor = [text(one, "RmtInf/Strd/CdtrRefInf/Ref") for one in transactions]
    free = [found.text or "" for one in transactions for found in one.findall("RmtInf/Ustrd")]
    everything = (*known_by, bank_reference, *given, *creditor, entry)
    known = [ref for ref in everything if ref.upper() not in NOT_GIVEN]
    return references(*known, text=(*free, *more))


def check_balances(statement: Element, name: str, moved: int, lines: int) -> str:
    """Opening and what moved is closing; a statement that does not give both cannot be checked, and says so."""
    balances: dict[str, int] = {}
    for one in statement.findall("Bal"):
        balances[text(one, "Tp/CdOrPrtry/Cd")] = signed(one, f"statement {name}, balance")
    opening = next((balances[code] for code in OPENING if code in balances), None)
    closing = next((balances[code] for code in CLOSING if code in balances), None)
    if opening is None or closing is None:
        return f"statement {name}: {lines} lines; without both balances, so nothing says that it is whole"
    if opening + moved != closing:
        raise FileRefused(
            f"opens with {opening} paise, moves {moved} and closes with {closing}: entries are missing or wrong",
            where=f"statement {name}",
            field="Bal",
        )
    return f"statement {name}: {lines} lines lead from {opening} to {closing} paise"


def signed(element: Element, where: str) -> int:
    """Paise by credit or debit; a reversal indicator says what the entry is, not which way its money goes."""
    paise = amount_of(element, where)
    if paise is None:
        raise FileRefused("is missing", where=where, field="Amt")
    direction = text(element, "CdtDbtInd")
    if direction not in ("CRDT", "DBIT"):
        raise FileRefused(f"{direction[:20]!r} is neither CRDT nor DBIT", where=where, field="CdtDbtInd")
    return paise if direction == "CRDT" else -paise


def amount_of(element: Element, where: str) -> int | None:
    """An amount in rupees, as paise; None where there is none."""
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        found = element.find(path)
        if found is None:
            continue
        if found.get("Ccy") != CURRENCY:
            raise FileRefused(f"is in {found.get('Ccy') or 'no currency'}, not {CURRENCY}", where=where, field=path)
        try:
            return paise_of(found.text or "")
        except ValueError as error:
            raise FileRefused(f"{(found.text or '')[:40]!r} {error}", where=where, field=path) from None
    return None


def day_of(entry: Element, where: str) -> date:
    """The value date, else the booking date; an instant counts as its day in Asia/Kolkata."""
    for path in ("ValDt/Dt", "ValDt/DtTm", "BookgDt/Dt", "BookgDt/DtTm"):
        if said := text(entry, path):
            try:
                at = datetime.fromisoformat(said)
            except ValueError:
                raise FileRefused(f"{said[:40]!r} is no day", where=where, field=path) from None
            return (at.astimezone(IST) if at.tzinfo else at).date()
    raise FileRefused("is missing", where=where, field="ValDt")


def text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
