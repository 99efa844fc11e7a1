"""Read models in PostgreSQL: a schema for each projection, made from its tables, and the statements that fill it.

A schema holds its tables and its own `positions`: how far each partition is folded in, and how far it is published.
Its comment is a fingerprint of its definition; when the code defines it otherwise, it is made anew and fills from
the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from projections.base import Projection, Row, Table, Write
from projections.registry import ALL

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
AnyProjection: TypeAlias = Projection | type[Projection]

ROLE = "qist_app"


class Superseded(Exception):
    """Another projector moved this read model on, or it was rebuilt: nothing was written."""


# --- Set-up --------------------------------------------------------------------------------------------------


async def create_schemas(connection: Connection, projections: Sequence[type[Projection]] = ALL) -> list[str]:
    """Make the schemas that are missing or defined otherwise, by today's code; idempotent. Returns their names."""
    made: list[str] = []
    for projection in projections:
        known = await connection.fetchval(
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1",
            projection.name,
        )
        if known != fingerprint(projection):
            await create_schema(connection, projection, projection.name)
            made.append(projection.name)
    return made


async def create_schema(connection: Connection, projection: AnyProjection, schema: str) -> None:
    """Make one, empty, in place of any of that name."""
    async with connection.transaction():
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        for statement in definition(projection, schema):
            await connection.execute(statement)


def fingerprint(projection: AnyProjection) -> str:
    """Of everything that the schema is made from."""
    return hashlib.sha256("\n".join(definition(projection, projection.name)[:-1]).encode()).hexdigest()


def definition(projection: AnyProjection, schema: str) -> list[str]:
    """The statements that make a schema, its fingerprint last."""
    statements = [
        f"CREATE SCHEMA {schema}",
        f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}",
        f"CREATE TABLE {schema}.positions (partition integer PRIMARY KEY, position bigint NOT NULL DEFAULT 0,"
        " published bigint NOT NULL DEFAULT 0)",
        f"INSERT INTO {schema}.positions (partition) SELECT generate_series(0, partitions - 1) FROM house",
        *(statement.format(schema=schema) for statement in projection.before),
        *(statement for table in projection.tables for statement in table_definition(table, schema)),
        *(statement.format(schema=schema) for statement in projection.after),
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {ROLE}",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {ROLE}",
    ]
    mark = hashlib.sha256("\n".join(statements).replace(schema, projection.name).encode()).hexdigest()
    return [*statements, f"COMMENT ON SCHEMA {schema} IS '{mark}'"]


def table_definition(table: Table, schema: str) -> Iterator[str]:
    nullable = {"date", "timestamptz"}  # what a loan may not have yet; everything else has a value
    columns = ", ".join(
        f"{name} {kind}{'' if kind in nullable and name not in table.key else ' NOT NULL'}"
        for name, kind in table.columns
    )
    checks = "".join(f", CHECK ({check.format(schema=schema)})" for check in table.checks)
    # Room on each page lets an update stay on it (and out of the indexes that do not change).
    storage = "" if table.mode == "append" else " WITH (fillfactor = 80)"
    yield f"CREATE TABLE {schema}.{table.name} ({columns}, PRIMARY KEY ({', '.join(table.key)}){checks}){storage}"
    for number, index in enumerate(table.indexes, 1):
        columns_of, _, where = index.partition(" WHERE ")
        condition = f" WHERE {where}" if where else ""
        yield f"CREATE INDEX {table.name}_{number} ON {schema}.{table.name} ({columns_of}){condition}"


# --- Positions -----------------------------------------------------------------------------------------------

Positions = dict[int, int]


async def positions_of(connection: Connection, schema: str, partitions: Collection[int]) -> tuple[Positions, Positions]:
    """How far each partition is folded in, and published."""
    rows = await connection.fetch(
        f"SELECT partition, position, published FROM {schema}.positions WHERE partition = ANY($1)", list(partitions)
    )
    return {row["partition"]: row["position"] for row in rows}, {row["partition"]: row["published"] for row in rows}


async def move(connection: Connection, schema: str, old: Positions, new: Positions) -> None:
    """Compare and set: go on from where this projector believes to be, or learn that another was here."""
    partitions = list(new)
    moved = await connection.fetch(
        f"UPDATE {schema}.positions p SET position = m.new"
        " FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS m (partition, old, new)"
        " WHERE p.partition = m.partition AND p.position = m.old RETURNING p.partition",
        partitions,
        [old[partition] for partition in partitions],
        [new[partition] for partition in partitions],
    )
    if len(moved) != len(partitions):
        lost = sorted(set(partitions) - {row["partition"] for row in moved})
        raise Superseded(f"{schema}: partitions {lost} are not where they were left")


# --- Rows ----------------------------------------------------------------------------------------------------


async def write(connection: Connection, schema: str, write: Write, *, returning: bool = False) -> Sequence[Row]:
    """Put rows where they belong; `returning` gives them back as they stand after it (in mode `add`: the sums)."""
    table, rows = write
    if not rows:
        return ()
    if table.mode == "append":
        await connection.copy_records_to_table(table.name, schema_name=schema, records=rows, columns=table.names)
        return tuple(rows) if returning else ()
    columns = list(zip(*rows, strict=True))
    if returning and table.mode == "add":
        return [tuple(row) for row in await connection.fetch(upsert(table, schema, returning=True), *columns)]
    await connection.execute(upsert(table, schema), *columns)
    return tuple(rows) if returning else ()


@cache
def upsert(table: Table, schema: str, *, returning: bool = False) -> str:
    """One statement for a whole batch: a column is an array."""
    names = ", ".join(table.names)
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(table.columns, 1))
    changes = ", ".join(
        f"{name} = t.{name} + excluded.{name}"
        if table.mode == "add" and name not in table.newest
        else f"{name} = excluded.{name}"
        for name in table.names
        if name not in table.key
    )
    back = f" RETURNING {', '.join(f't.{name}' for name in table.names)}" if returning else ""
    return (
        f"INSERT INTO {schema}.{table.name} AS t ({names}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}{back}"
    )


async def mark_published(connection: Connection, schema: str, published: Positions) -> None:
    """Analytics consumers have been told up to here."""
    await connection.execute(
        f"UPDATE {schema}.positions p SET published = m.published"
        " FROM unnest($1::int[], $2::bigint[]) AS m (partition, published)"
        " WHERE p.partition = m.partition AND p.published < m.published",
        list(published),
        list(published.values()),
    )


async def changed_rows(
    connection: Connection, schema: str, table: Table, partition: int, after: int, upto: int
) -> list[Row]:
    """A partition's rows that changed in a stretch of the log, as they stand, oldest change first."""
    names = ", ".join(f"t.{name}" for name in table.names)
    # Rows of loans are found by the loans of the log's stretch, so that they need no index on their position.
    by_loan = (
        " AND t.loan_id IN (SELECT e.loan_id FROM public.events e"
        " WHERE e.partition = $1 AND e.position > $2 AND e.position <= $3)"
        if table.mode == "replace"
        else ""
    )
    rows = await connection.fetch(
        f"SELECT {names} FROM {schema}.{table.name} t"
        f" WHERE t.partition = $1 AND t.position > $2 AND t.position <= $3{by_loan} ORDER BY t.position",
        partition,
        after,
        upto,
    )
    return [tuple(row) for row in rows]


# --- In memory -----------------------------------------------------------------------------------------------


class Memory:
    """The same tables as dictionaries: what a fresh fold of the log gives, for comparison and for tests."""

    def __init__(self, projection: AnyProjection) -> None:
        self.rows: dict[str, dict[Row, Row]] = {table.name: {} for table in projection.tables}

    def write(self, writes: Sequence[Write]) -> None:
        for table, rows in writes:
            names = table.names
            places = [names.index(name) for name in table.key]
            held = self.rows[table.name]
            for row in rows:
                key = tuple(row[place] for place in places)
                known = held.get(key)
                held[key] = merged(table, known, row) if known and table.mode == "add" else row

    def of(self, table: Table) -> Mapping[Row, Row]:
        return self.rows[table.name]


def merged(table: Table, known: Row, row: Row) -> Row:
    """A row of mode `add` after one more."""
    replaced = {*table.key, *table.newest}
    return tuple(new if name in replaced else old + new for name, old, new in zip(table.names, known, row, strict=True))
