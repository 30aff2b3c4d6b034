"""Two actions' table grants are joined only where the union is exactly the sum of its parts."""

from __future__ import annotations

import pytest

from narrowgate.compile import CompileError
from narrowgate.compile.table_grants import join_table_grants, normalize, rows_within
from narrowgate.plan import RowPredicate, TableGrant


def grant(privilege: str, columns: str, **rows: tuple[str | int | bool, ...]) -> TableGrant:
    predicates = tuple(RowPredicate(column, values) for column, values in rows.items())
    return TableGrant("public", "t", (privilege,), tuple(columns), predicates)


def test_the_same_rows_join_their_columns() -> None:
    joined = join_table_grants([grant("SELECT", "ab", tenant=("x",)), grant("SELECT", "bc", tenant=("x",))])
    assert [(t["columns"], t["rows"]) for t in joined] == [(["a", "b", "c"], [{"tenant": ["x"]}])]


def test_the_same_columns_join_their_rows() -> None:
    joined = join_table_grants([grant("SELECT", "ab", tenant=("x",)), grant("SELECT", "ab", status=("new",))])
    assert joined[0]["rows"] == [{"status": ["new"]}, {"tenant": ["x"]}]


def test_a_grant_within_another_adds_nothing() -> None:
    wide, narrow = grant("SELECT", "abc", tenant=("x", "y")), grant("SELECT", "a", tenant=("x",), status=("new",))
    assert join_table_grants([wide, narrow]) == join_table_grants([wide])


def test_other_columns_in_other_rows_are_refused() -> None:
    with pytest.raises(CompileError, match="would give `b`"):
        join_table_grants([grant("SELECT", "a"), grant("SELECT", "ab", tenant=("x",))])


def test_three_grants_are_judged_together() -> None:
    parts = [
        grant("SELECT", "a", tenant=("x",)),
        grant("SELECT", "b", tenant=("y",)),
        grant("SELECT", "ab", tenant=("z",)),
    ]
    with pytest.raises(CompileError):
        join_table_grants(parts)


def test_three_grants_whose_union_is_exact_are_joined() -> None:
    x, y = grant("SELECT", "ab", tenant=("x",)), grant("SELECT", "ab", tenant=("y",))
    both = grant("SELECT", "c", tenant=("x",)), grant("SELECT", "c", tenant=("y",))
    joined = join_table_grants([x, y, *both])
    assert (joined[0]["columns"], joined[0]["rows"]) == (["a", "b", "c"], [{"tenant": ["x"]}, {"tenant": ["y"]}])


def test_privileges_stay_apart() -> None:
    joined = join_table_grants([grant("SELECT", "abc"), grant("UPDATE", "a", tenant=("x",))])
    assert [(t["privilege"], t["columns"], t["rows"]) for t in joined] == [
        ("SELECT", ["a", "b", "c"], [{}]),
        ("UPDATE", ["a"], [{"tenant": ["x"]}]),
    ]


def test_rows_of_a_delete_are_joined_without_columns() -> None:
    joined = join_table_grants([grant("DELETE", "", tenant=("x",)), grant("DELETE", "", tenant=("y",))])
    assert (joined[0]["columns"], joined[0]["rows"]) == ([], [{"tenant": ["x"]}, {"tenant": ["y"]}])


def test_true_is_not_one() -> None:
    true, one = normalize([RowPredicate("a", (True,))]), normalize([RowPredicate("a", (1,))])
    assert not rows_within(true, one)
    with pytest.raises(CompileError):
        join_table_grants([grant("SELECT", "a", flag=(True,)), grant("SELECT", "b", flag=(1,))])


def test_two_predicates_on_one_column_are_refused() -> None:
    twice = TableGrant("public", "t", ("SELECT",), ("a",), (RowPredicate("a", ("x",)), RowPredicate("a", ("y",))))
    with pytest.raises(CompileError, match="two predicates"):
        join_table_grants([twice])


def test_the_order_of_grants_never_matters() -> None:
    parts = [grant("SELECT", "ab", tenant=("y", "x")), grant("SELECT", "ba", tenant=("z",)), grant("INSERT", "a")]
    assert join_table_grants(parts) == join_table_grants(list(reversed(parts)))
