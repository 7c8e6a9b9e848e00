"""No text ever becomes a query or code in the product: what could do so is refused, wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("connector", "catalog", "policies", "schemas")
RUNS_TEXT = frozenset(
    {
        "execute",
        "executemany",
        "exec_driver_sql",
        "executescript",
        "sql",
        "query",
        "from_query",
        "query_df",
        "extract_statements",
    }
)
"""Methods that take the text of a query."""
TAKES_TEXT = {
    "filter": 0,
    "aggregate": 0,
    "project": 0,
    "select": 0,
    "order": 0,
    "sort": 0,
    "join": 1,
}
"""Methods of DuckDB's relations that take an expression, or its text; and which argument that is."""
CODE = frozenset({"eval", "exec", "compile", "__import__"})
BANNED = frozenset({"SQLExpression", "StarExpression", "LambdaExpression"})
"""Expressions of DuckDB that take text, or name what nobody listed."""


def findings(source: str, *, is_duckdb: bool | None = None) -> Iterator[str]:
    """Say what of a module could turn text into a query or into code."""
    tree = ast.parse(source)
    imported = {name for node in ast.walk(tree) for name in _imports(node)}
    is_duckdb = "duckdb" in imported if is_duckdb is None else is_duckdb
    for node in ast.walk(tree):
        for name in _imports(node):
            if name == "sqlglot":
                assert isinstance(node, ast.stmt)
                yield f"{node.lineno}: imports {name}"
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in BANNED and is_duckdb:
                yield f"{node.lineno}: {name}"
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in BANNED:
                    yield f"{node.lineno}: imports {alias.name}"
        if isinstance(node, ast.Call):
            yield from _call(node, is_duckdb)


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module.partition(".")[0]


def _call(node: ast.Call, is_duckdb: bool) -> Iterator[str]:
    called = node.func
    if isinstance(called, ast.Name) and called.id in CODE:
        yield f"{node.lineno}: {called.id}()"
    if not isinstance(called, ast.Attribute):
        return
    first = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg), None)
    owner = called.value.id if isinstance(called.value, ast.Name) else ""
    if owner == "builtins" and called.attr in CODE:
        yield f"{node.lineno}: builtins.{called.attr}()"
    if owner == "sqlglot" and called.attr.startswith(("parse", "transpile")):
        yield f"{node.lineno}: sqlglot.{called.attr}()"
    if called.attr in RUNS_TEXT and first is not None and _could_be_made_text(first, is_duckdb):
        yield f"{node.lineno}: .{called.attr}() of text that is put together, or not written here"
    if called.attr == "text" and owner in ("sqlalchemy", "sa") and not _is_constant(first):
        yield f"{node.lineno}: sqlalchemy.text() of text that is not written here"
    if is_duckdb and called.attr in TAKES_TEXT:
        place = TAKES_TEXT[called.attr]
        given = [*node.args[place : place + 1], *(k.value for k in node.keywords if k.arg == "condition")]
        if any(_is_text(one) for one in given):
            yield f"{node.lineno}: .{called.attr}() of text"
    if is_duckdb and called.attr == "cast" and node.args and _is_text(node.args[0]):
        yield f"{node.lineno}: .cast() to the text of a type"


def _is_constant(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_text(node: ast.AST) -> bool:
    return _is_constant(node) or _is_put_together(node)


def _is_put_together(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return _is_text(node.left) or _is_text(node.right)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "join", "format_map", "replace")
        and (_is_text(node.func.value))
    )


def _could_be_made_text(node: ast.AST, is_duckdb: bool) -> bool:
    """SQLAlchemy's execute takes objects; DuckDB's takes text only, and so nothing but constants."""
    return _is_put_together(node) or (is_duckdb and not _is_constant(node))


def test_nothing_in_the_product_makes_a_query_or_code_out_of_text() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{finding}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for finding in findings(path.read_text())
    ]
    assert found == []


def test_what_judges_rows_is_among_what_is_looked_at() -> None:
    looked = [
        path.name for room in ROOMS for path in (ROOT / room).rglob("*.py") if "duckdb" in path.read_text()
    ]
    assert {
        "duckdb_engine.py",
        "duckdb_judge.py",
        "duckdb_terms.py",
        "duckdb_groups.py",
        "consents.py",
    } <= set(looked)


@pytest.mark.parametrize(
    "line",
    [
        "duckdb.sql(policy)",
        "connection.execute(statement)",
        "connection.query(name)",
        "cursor.execute(f'SELECT {column}')",
        "cursor.execute('SELECT ' + column)",
        "cursor.execute('SELECT %s' % column)",
        "cursor.execute('SELECT {}'.format(column))",
        "cursor.execute(' '.join(parts))",
        "cursor.executemany(query=text)",
        "relation.filter('age > 18')",
        "relation.filter(f'age > {age}')",
        "relation.aggregate('sum(x)')",
        "relation.join(other, 'a = b')",
        "relation.join(other, condition=f'{a} = b')",
        "relation.select('*')",
        "relation.order('a')",
        "cells.cast('VARCHAR')",
        "duckdb.SQLExpression(text)",
        "SQLExpression('1')",
        "from duckdb import SQLExpression",
        "import sqlglot",
        "from sqlglot import parse_one",
        "sqlglot.parse_one(text)",
        "sqlglot.transpile(text)",
        "eval(text)",
        "exec(text)",
        "compile(text, '', 'eval')",
        "builtins.eval(text)",
        "__import__(name)",
    ],
)
def test_each_way_from_text_to_a_query_or_to_code_is_found(line: str) -> None:
    assert list(findings(line, is_duckdb=True)), line


@pytest.mark.parametrize(
    "line",
    [
        "connection.execute(f'SELECT {column}')",
        "connection.exec_driver_sql('PRAGMA ' + name)",
        "sqlalchemy.text(name)",
    ],
)
def test_text_that_is_put_together_is_found_in_other_databases_too(line: str) -> None:
    assert list(findings(line, is_duckdb=False)), line


@pytest.mark.parametrize(
    "line",
    [
        "cursor.from_arrow(table).select(*terms).to_arrow_table()",
        "relation.filter(column('c1') >= ConstantExpression(least))",
        "re.compile(pattern)",
        "connection.execute(select(table).where(table.c.id == key))",
    ],
)
def test_what_is_built_from_objects_is_let_be(line: str) -> None:
    assert list(findings(line, is_duckdb="connection" not in line)) == [], line
