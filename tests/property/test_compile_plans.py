"""What is granted is within what is declared, and the order of anything never matters."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.compile import CompileError, compile_plan
from narrowgate.compile.iam_policy import split_statements
from narrowgate.compile.table_grants import join_table_grants
from narrowgate.declarations import load_environment, load_plan
from narrowgate.declarations.source import read_source
from narrowgate.plan import RowPredicate, TableGrant

if TYPE_CHECKING:
    import pytest

STACKS = Path(__file__).resolve().parents[2] / "stacks"
COLUMNS = ("a", "b", "c")
VALUES = ("x", "y")

rows = st.dictionaries(st.sampled_from(COLUMNS), st.sets(st.sampled_from(VALUES), min_size=1), max_size=2)
grants = st.builds(
    lambda columns, predicates: TableGrant(
        "public",
        "t",
        ("SELECT",),
        tuple(sorted(columns)),
        tuple(RowPredicate(column, tuple(sorted(values))) for column, values in predicates.items()),
    ),
    st.sets(st.sampled_from(COLUMNS), min_size=1),
    rows,
)


def cells(grant: TableGrant) -> set[tuple[str, tuple[str, ...]]]:
    """Return every (column, row) that a grant gives, over all rows that its columns' values can make."""
    return {
        (column, row)
        for row in itertools.product(VALUES, repeat=len(COLUMNS))
        if all(row[COLUMNS.index(p.column)] in p.values for p in grant.rows)
        for column in grant.columns
    }


def deployed_cells(table: dict[str, Any]) -> set[tuple[str, tuple[str, ...]]]:
    """Return every (column, row) that PostgreSQL gives: granted columns, in rows that any policy shows."""
    return {
        (column, row)
        for row in itertools.product(VALUES, repeat=len(COLUMNS))
        if any(
            all(row[COLUMNS.index(c)] in values for c, values in alternative.items()) for alternative in table["rows"]
        )
        for column in table["columns"]
    }


@given(st.lists(grants, min_size=1, max_size=4))
def test_joined_table_grants_give_exactly_what_was_declared(parts: list[TableGrant]) -> None:
    declared = set().union(*(cells(grant) for grant in parts))
    try:
        (table,) = join_table_grants(parts)
    except CompileError:
        # Refused though it could be exact is allowed; but one grant alone is never refused.
        assert len(set(parts)) > 1
        return
    assert deployed_cells(table) == declared


@given(st.permutations(list(range(4))), st.lists(grants, min_size=4, max_size=4))
def test_the_order_of_table_grants_never_matters(order: list[int], parts: list[TableGrant]) -> None:
    def join(listed: list[TableGrant]) -> object:
        try:
            return join_table_grants(listed)
        except CompileError as error:
            return type(error)

    assert join(parts) == join([parts[i] for i in order])


@given(st.lists(st.integers(1, 120), min_size=1, max_size=12), st.integers(1, 90))
def test_splitting_loses_and_widens_no_statement(sizes: list[int], length: int) -> None:
    statements = [
        {
            "Action": [f"s3:Action{number}"],
            "Effect": "Allow",
            "Resource": [f"arn:aws:s3:::b/{number}/{n}/{'x' * length}" for n in range(size)],
        }
        for number, size in enumerate(sizes)
    ]
    try:
        policies = split_statements(statements, workflow="w", tool="t")
    except CompileError:
        return
    pairs = [(s["Action"][0], r) for policy in policies.values() for s in policy["Statement"] for r in s["Resource"]]
    assert pairs == [(s["Action"][0], r) for s in statements for r in s["Resource"]]
    total = sum(len(json.dumps(policy, separators=(",", ":"))) for policy in policies.values())
    assert total <= 10_240


def shuffled(value: object, dice: random.Random) -> object:
    """Return the same declaration with keys and lists of names in another order; a function's arguments have theirs."""
    if isinstance(value, dict):
        items = list(value.items())
        dice.shuffle(items)
        return {key: item if key == "arguments" else shuffled(item, dice) for key, item in items}
    if isinstance(value, list):
        items = [shuffled(item, dice) for item in value]
        dice.shuffle(items)
        return items
    return value


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_keys_lists_and_files_never_matters(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    dice = random.Random(seed)  # noqa: S311 - it shuffles test data
    copy = tmp_path_factory.mktemp("stacks") / "stacks"
    shutil.copytree(STACKS, copy)
    for path in [*(copy / "tools").glob("*.yaml"), *(copy / "workflows").glob("*.yaml")]:
        path.write_text(json.dumps(shuffled(read_source(path).value, dice)), encoding="utf-8")
    environment = load_environment(STACKS, "dev")
    ours, theirs = (compile_plan(load_plan(folder, environment)) for folder in (STACKS, copy))
    assert dataclasses.asdict(theirs) == dataclasses.asdict(ours)
